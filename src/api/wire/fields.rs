//! Reads a JSON object field by field. Lenient where real callers are (absent and null are one, unknown fields are never looked
//! at), strict where a recording would come out differently: each error names the field, its value's problem and what is right.

use serde_json::{Map, Value};

/// Entries that any list in a request may have.
const MAX_LIST: usize = 1024;

/// Why a request can't be taken. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub(crate) struct BadField {
    /// The path of the field, dots between names.
    pub(crate) field: String,
    /// What is wrong and what would be right.
    pub(crate) problem: String,
    /// The vendor's code for it.
    pub(crate) code: u16,
    /// The vendor's own words, where it has fixed ones; ours follow as detail.
    pub(crate) reason: Option<&'static str>,
}

/// The vendor's code of a parameter that can't be taken, where it has no narrower one.
const INVALID_PARAMETER: u16 = 2;

impl BadField {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), code: INVALID_PARAMETER, reason: None }
    }

    /// The same with a code of the vendor's, and its words for it.
    pub(crate) fn known_as(self, code: u16, reason: Option<&'static str>) -> Self {
        Self { code, reason, ..self }
    }
}

/// An object of a request, or its absence, which reads as empty.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The request's body; null and nothing read as empty.
    pub(crate) fn root(body: &'a Value) -> Result<Self, BadField> {
        match body {
            Value::Object(map) => Ok(Self { path: String::new(), map: Some(map) }),
            Value::Null => Ok(Self { path: String::new(), map: None }),
            other => Err(BadField::new("body", format!("must be a JSON object, not {}", kind(other)))),
        }
    }

    /// Whether the object is there.
    pub(crate) const fn is_present(&self) -> bool {
        self.map.is_some()
    }

    /// The full name of a field of this object.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An error about a field of this object.
    pub(crate) fn bad(&self, key: &str, problem: impl Into<String>) -> BadField {
        BadField::new(self.name(key), problem)
    }

    /// The field's value; none when absent or null.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// An object within; absent reads as empty.
    pub(crate) fn object(&self, key: &str) -> Result<Self, BadField> {
        match self.value(key) {
            None => Ok(Self { path: self.name(key), map: None }),
            Some(Value::Object(map)) => Ok(Self { path: self.name(key), map: Some(map) }),
            Some(other) => Err(self.bad(key, format!("must be an object, not {}", kind(other)))),
        }
    }

    /// A string; an empty one is a string.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, BadField> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.bad(key, format!("must be a string, not {}", kind(other)))),
        }
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn integer(&self, key: &str, low: u64, high: u64) -> Result<Option<u64>, BadField> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let Some(number) = whole(value) else {
            return Err(self.bad(key, format!("must be a whole number from {low} to {high}, not {}", shown(value))));
        };
        if (low..=high).contains(&number) {
            Ok(Some(number))
        } else {
            Err(self.bad(key, format!("is {number}, which is out of range; it must be {low} to {high}")))
        }
    }

    /// True or false; absent is false.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, BadField> {
        Ok(self.choice(key)?.unwrap_or(false))
    }

    /// True or false, where it makes a difference that nothing is said.
    pub(crate) fn choice(&self, key: &str) -> Result<Option<bool>, BadField> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.bad(key, format!("must be true or false, not {}", kind(other)))),
        }
    }

    /// A list; absent reads as empty.
    pub(crate) fn list(&self, key: &str) -> Result<&'a [Value], BadField> {
        match self.value(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() > MAX_LIST => {
                Err(self.bad(key, format!("has {} entries; at most {MAX_LIST} are read", items.len())))
            }
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.bad(key, format!("must be a list, not {}", kind(other)))),
        }
    }

    /// A list of objects; absent reads as empty.
    pub(crate) fn objects(&self, key: &str) -> Result<Vec<Self>, BadField> {
        let object = |(index, item): (usize, &'a Value)| {
            let path = format!("{}[{index}]", self.name(key));
            let map = item.as_object().ok_or_else(|| BadField::new(path.clone(), "must be an object"))?;
            Ok::<_, BadField>(Self { path, map: Some(map) })
        };
        self.list(key)?.iter().enumerate().map(object).collect()
    }

    /// A list of strings; absent reads as empty.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&'a str>, BadField> {
        let text = |item: &'a Value| item.as_str().ok_or_else(|| self.bad(key, "must be a list of strings"));
        self.list(key)?.iter().map(text).collect()
    }
}

/// A whole number, also where a caller's JSON library writes `30.0`.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (float >= 0.0 && float.fract() == 0.0 && float <= 9_007_199_254_740_992.0).then_some(float as u64)
    })
}

/// A value for an error message: short, never a whole document.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_and_null_read_as_empty() {
        let body = json!({ "a": null });
        let fields = Fields::root(&body).unwrap();
        assert_eq!(fields.text("a").unwrap(), None);
        assert!(fields.list("b").unwrap().is_empty());
        assert!(!fields.object("a").unwrap().object("deeper").unwrap().is_present());
        assert!(!Fields::root(&Value::Null).unwrap().is_present());
    }

    #[test]
    fn an_error_names_the_field_the_problem_and_the_right_value() {
        let body = json!({ "a": { "idle": 3, "name": 7, "rate": 1.5, "whole": 30.0 } });
        let fields = Fields::root(&body).unwrap().object("a").unwrap();
        let error = fields.integer("idle", 5, 10).unwrap_err().to_string();
        assert_eq!(error, "a.idle is 3, which is out of range; it must be 5 to 10");
        assert_eq!(fields.text("name").unwrap_err().to_string(), "a.name must be a string, not a number");
        assert_eq!(
            fields.integer("rate", 0, 9).unwrap_err().to_string(),
            "a.rate must be a whole number from 0 to 9, not 1.5"
        );
        assert_eq!(fields.integer("whole", 0, 90), Ok(Some(30)));
    }
}
