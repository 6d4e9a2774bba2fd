//! Holds what is sent and answered against the API's document, strictly: a field that it does not name is an error.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// What the gateway says of paths that are none.
const NO_ROUTE: &str = "no Route matched with those values";

/// The document, as a judge.
#[derive(Debug)]
pub struct Judge {
    document: Value,
    /// Of schemas that were asked for, by their text.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Judge {
    pub fn new(document: &Value) -> Self {
        let mut document = document.clone();
        close(&mut document);
        Self { document, validators: Mutex::default() }
    }

    /// What is wrong with an answer to `method path`.
    pub fn answer(
        &self,
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
        let response = self.resolved(&operation["responses"][status.to_string()]);
        if response.is_null() {
            return Err(format!("{method} {path} answers {status}, which the document does not have: {body}"));
        }
        let missing = response["headers"].as_object().into_iter().flatten().find(|(name, _)| !has_header(name));
        if let Some((name, _)) = missing {
            return Err(format!("{method} {path} answers {status} without {name}"));
        }
        let problems = self.problems(&response["content"]["application/json"]["schema"], body);
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{method} {path} answers {status} with another shape than the document's:\n{}\n{body}",
            problems.join("\n")
        ))
    }

    /// The operation that a call is one of; of several paths the one with the fewest parameters.
    pub fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = ["/na/", "/eu/", "/ap/", "/cn/"].iter().find_map(|region| path.strip_prefix(region)).unwrap_or(path);
        let parts = parts(path);
        let fits = |template: &str| {
            let named = |(name, part): (&str, &&str)| name.starts_with('{') || name == *part;
            let template = self::parts(template);
            template.len() == parts.len() && template.into_iter().zip(&parts).all(named)
        };
        let paths = self.document["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
        let item = paths.min_by_key(|(template, _)| template.matches('{').count())?.1;
        item.get(method.to_lowercase())
    }

    /// What is wrong with a value, place by place.
    pub fn problems(&self, schema: &Value, value: &Value) -> Vec<String> {
        let problem = |error: jsonschema::ValidationError<'_>| format!("body{}: {error}", error.instance_path());
        self.validator(schema).iter_errors(value).map(problem).collect()
    }

    /// What a reference stands for; the value itself where it is none.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let make = || {
            // References are looked up from the root of what is compiled.
            let mut root = schema.clone();
            close(&mut root);
            root["components"] = json!({ "schemas": self.document["components"]["schemas"] });
            Arc::new(
                jsonschema::options()
                    .with_draft(Draft::Draft202012)
                    .build(&root)
                    .expect("the document's schemas are some"),
            )
        };
        Arc::clone(self.validators.lock().unwrap().entry(schema.to_string()).or_insert_with(make))
    }
}

/// Lets no object have a field that it does not name, unless it says so.
fn close(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".into(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

fn parts(path: &str) -> Vec<&str> {
    let path = path.trim_start_matches('/');
    path.strip_suffix('/').unwrap_or(path).split('/').collect()
}
