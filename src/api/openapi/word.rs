//! The words that schemas are written in.

use serde_json::{Map, Value, json};

/// A field of an object.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: &'static str,
    schema: Value,
    required: bool,
}

/// A field that is always there.
pub(super) fn must(name: &'static str, schema: Value) -> Field {
    Field { name, schema, required: true }
}

/// A field that may be there.
pub(super) fn may(name: &'static str, schema: Value) -> Field {
    Field { name, schema, required: false }
}

/// An object with these fields.
pub(super) fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields {
        if field.required {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), field.schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object whose fields are told elsewhere.
pub(super) fn open(about: &str) -> Value {
    json!({ "type": "object", "description": about, "additionalProperties": true })
}

pub(super) fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A whole number, not below zero.
pub(super) fn count(about: &str) -> Value {
    json!({ "type": "integer", "description": about, "minimum": 0 })
}

/// A whole number, both ends included.
pub(super) fn between(low: u64, high: u64, about: &str) -> Value {
    json!({ "type": "integer", "description": about, "minimum": low, "maximum": high })
}

pub(super) fn truth(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// One of these words, or of these numbers.
pub(super) fn one_of<T: Into<Value> + Clone>(values: &[T], about: &str) -> Value {
    let values: Vec<Value> = values.iter().cloned().map(Into::into).collect();
    let kind = if values.iter().all(Value::is_string) { "string" } else { "integer" };
    json!({ "type": kind, "description": about, "enum": values })
}

pub(super) fn list(items: Value, about: &str) -> Value {
    let mut list = json!({ "type": "array", "description": about });
    list["items"] = items;
    list
}

/// A simple type or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// Anything: it has no effect here.
pub(super) fn ignored(about: &str) -> Value {
    json!({ "description": about })
}

/// 32 lower-case hexadecimal digits.
pub(super) fn hex32(about: &str) -> Value {
    json!({ "type": "string", "description": about, "pattern": "^[0-9a-f]{32}$" })
}

/// One of the document's shapes.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
