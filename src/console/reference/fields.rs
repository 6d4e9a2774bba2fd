//! Schemas: what a value is, in a few words, and an object's fields as a list.

use serde_json::Value;

use super::prose::{escaped, line};

/// Objects within objects that are told in place; what lies deeper has a name of its own.
const MAX_DEPTH: usize = 6;

/// What a value is.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = name(schema) {
        return link(name);
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return alternatives.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        let value = |value: &Value| format!("<code>{}</code>", escaped(&value.to_string()));
        return values.iter().map(value).collect::<Vec<_>>().join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if types.is_empty() {
        return "anything".to_owned();
    }
    types.into_iter().map(|kind| word(kind, schema)).collect::<Vec<_>>().join(" or ")
}

fn word(kind: &str, schema: &Value) -> String {
    match kind {
        "array" if schema["items"]["type"] == "object" => "list of objects".to_owned(),
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(low), Some(high)) => format!("whole number, {low} to {high}"),
            _ => "whole number".to_owned(),
        },
        "boolean" => "<code>true</code> or <code>false</code>".to_owned(),
        other => escaped(other),
    }
}

/// The fields of an object, or of the objects in a list; nothing where there are none to tell.
pub(super) fn list(schema: &Value) -> String {
    within(schema, 0)
}

fn within(schema: &Value, depth: usize) -> String {
    let Some(properties) = inner(schema).filter(|_| depth < MAX_DEPTH) else { return String::new() };
    let schema = object_of(schema);
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let mut html = String::from("<dl class=\"fields\">\n");
    for (name, field) in properties {
        let optional = if required(name) { "" } else { " <span class=\"may\">may be left out</span>" };
        let about = field["description"].as_str().map(|text| format!("<p>{}</p>", line(text))).unwrap_or_default();
        html.push_str(&format!(
            "<dt><code>{}</code> <span class=\"kind\">{}</span>{optional}</dt>\n<dd>{about}{}</dd>\n",
            escaped(name),
            kind(field),
            within(field, depth + 1),
        ));
    }
    html.push_str("</dl>\n");
    html
}

/// The object that is told in place: the schema itself, what a list holds, or the one alternative with fields.
fn object_of(schema: &Value) -> &Value {
    if schema["properties"].is_object() {
        return schema;
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    alternatives.chain(schema.get("items")).find(|schema| schema["properties"].is_object()).unwrap_or(schema)
}

fn inner(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    object_of(schema)["properties"].as_object()
}

/// The name of the shape that a schema is.
fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// A link to a shape.
fn link(name: &str) -> String {
    let name = escaped(name);
    format!("<a href=\"#shape-{name}\">{name}</a>")
}
