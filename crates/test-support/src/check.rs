//! Holds what is sent and answered against the document, strictly: a field that it does not name is an error. For tests.

use serde_json::Value;

/// What the gateway says of paths that are none.
const NO_ROUTE: &str = "no Route matched with those values";

/// Words of schemas that say nothing about a value.
const WORDS: [&str; 2] = ["description", "propertyNames"];

/// The document, as a judge.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a>(pub &'a Value);

impl<'a> Judge<'a> {
    /// What is wrong with an answer to `method path`.
    pub fn answer(
        self,
        (method, path): (&str, &str),
        (status, body): (u16, &Value),
        has_header: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let Some(operation) = self.operation(method, path) else {
            let right = status == 404 && body["message"] == NO_ROUTE;
            return if right {
                Ok(())
            } else {
                Err(format!("{method} {path} is not in the document: {status} {body}"))
            };
        };
        let response = &operation["responses"][status.to_string()];
        if response.is_null() {
            return Err(format!("{method} {path} answers {status}, which the document does not have: {body}"));
        }
        let missing = response["headers"].as_object().into_iter().flatten().find(|(name, _)| !has_header(name));
        if let Some((name, _)) = missing {
            return Err(format!("{method} {path} answers {status} without {name}"));
        }
        let problems = self.value(&response["content"]["application/json"]["schema"], body);
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{method} {path} answers {status} with another shape than the document's:\n{}\n{body}",
            problems.join("\n")
        ))
    }

    /// The operation that a call is one of; of several paths the one with the fewest parameters.
    pub fn operation(self, method: &str, path: &str) -> Option<&'a Value> {
        let path = ["/na/", "/eu/", "/ap/", "/cn/"].iter().find_map(|region| path.strip_prefix(region)).unwrap_or(path);
        let parts = parts(path);
        let fits = |template: &str| {
            let named = |(name, part): (&str, &&str)| name.starts_with('{') || name == *part;
            let template = self::parts(template);
            template.len() == parts.len() && template.into_iter().zip(&parts).all(named)
        };
        let paths = self.0["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
        let item = paths.min_by_key(|(template, _)| template.matches('{').count())?.1;
        item.get(method.to_lowercase())
    }

    /// What is wrong with a value, place by place.
    pub fn value(self, schema: &Value, value: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        self.look(schema, value, "body", &mut problems);
        problems
    }

    fn look(self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let mut wrong = |problem: String| problems.push(format!("{at} {problem}"));
        for (word, rule) in schema.as_object().expect("a schema is an object") {
            match word.as_str() {
                "type" if !kinds(rule).any(|kind| is_a(kind, value)) => wrong(format!("is {value}, not {rule}")),
                "enum" if !rule.as_array().expect("a list").contains(value) => {
                    wrong(format!("is {value}, not of {rule}"))
                }
                "minimum" if value.as_f64().is_some_and(|number| number < rule.as_f64().expect("a number")) => {
                    wrong(format!("is {value}, below {rule}"));
                }
                "maximum" if value.as_f64().is_some_and(|number| number > rule.as_f64().expect("a number")) => {
                    wrong(format!("is {value}, above {rule}"));
                }
                "minLength"
                    if value.as_str().is_some_and(|text| (text.len() as u64) < rule.as_u64().expect("a number")) =>
                {
                    wrong(format!("is {value}, too short"));
                }
                "maxLength"
                    if value.as_str().is_some_and(|text| text.len() as u64 > rule.as_u64().expect("a number")) =>
                {
                    wrong(format!("is {value}, too long"));
                }
                "maxItems"
                    if value.as_array().is_some_and(|list| list.len() as u64 > rule.as_u64().expect("a number")) =>
                {
                    wrong("has too many entries".to_owned());
                }
                "pattern" if value.as_str().is_some_and(|text| !fits(rule.as_str().expect("text"), text)) => {
                    wrong(format!("is {value}, not like {rule}"));
                }
                "required" if value.is_object() => {
                    let names = rule.as_array().expect("a list").iter().filter_map(Value::as_str);
                    names.filter(|name| value.get(name).is_none()).for_each(|name| wrong(format!("lacks {name}")));
                }
                "type" | "enum" | "minimum" | "maximum" | "minLength" | "maxLength" | "maxItems" | "pattern"
                | "required" => {}
                "$ref" | "anyOf" | "properties" | "additionalProperties" | "items" => {}
                other => assert!(WORDS.contains(&other), "teach the tests the word {other}"),
            }
        }
        self.look_deeper(schema, value, at, problems);
    }

    fn look_deeper(self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            self.look(self.resolve(reference), value, at, problems);
        }
        if let Some(alternatives) = schema["anyOf"].as_array() {
            let tried: Vec<_> = alternatives.iter().map(|schema| self.value(schema, value)).collect();
            if tried.iter().all(|problems| !problems.is_empty()) {
                problems.push(format!("{at} fits no alternative: {tried:?}"));
            }
        }
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for (index, item) in list.iter().enumerate() {
                self.look(items, item, &format!("{at}[{index}]"), problems);
            }
        }
        let (properties, others) = (schema.get("properties"), schema.get("additionalProperties"));
        if properties.is_none() && others.is_none() {
            return;
        }
        for (name, field) in value.as_object().into_iter().flatten() {
            let place = format!("{at}.{name}");
            match (properties.and_then(|properties| properties.get(name)), others) {
                (Some(schema), _) => self.look(schema, field, &place, problems),
                (None, Some(Value::Bool(true))) => {}
                (None, Some(schema)) if schema.is_object() => self.look(schema, field, &place, problems),
                (None, _) => problems.push(format!("{place} is not in the document")),
            }
        }
    }

    /// What a reference names.
    pub fn resolve(self, reference: &str) -> &'a Value {
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn parts(path: &str) -> Vec<&str> {
    let path = path.trim_start_matches('/');
    path.strip_suffix('/').unwrap_or(path).split('/').collect()
}

fn kinds(rule: &Value) -> impl Iterator<Item = &str> {
    let one = rule.as_str();
    one.into_iter().chain(rule.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

/// The patterns that the document has.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[0-9a-f]{32}$" => text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "^[0-9]{1,10}$" => (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
        r"^[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]+$" => {
            let mark = |byte| b" !#$%&()+-:;<=.>?@[]^_{}|~,".contains(&byte);
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
        }
        "^(mic|screen|other)[2-8]?$" => {
            let number = ["mic", "screen", "other"].iter().find_map(|word| text.strip_prefix(word));
            number.is_some_and(|number| matches!(number.as_bytes(), [] | [b'2'..=b'8']))
        }
        other => panic!("teach the tests the pattern {other}"),
    }
}
