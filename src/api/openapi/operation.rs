//! One operation: what is sent, what is answered, what is refused.

use serde_json::{Map, Value, json};

use super::refusals::{self, Refusal};
use super::word::named;

/// A method of a path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// `get`, `post`, `put`, `delete`.
    pub(super) method: &'static str,
    /// With parameters in braces.
    pub(super) path: &'static str,
    body: Map<String, Value>,
}

impl Operation {
    /// An operation with the parameters that its path names. `id` is its name for programs, `title` for people.
    pub(super) fn new(method: &'static str, path: &'static str, tag: &str, id: &str, title: &str) -> Self {
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let parameters: Vec<Value> =
            names.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
        let body = json!({
            "tags": [tag], "operationId": id, "summary": title, "parameters": parameters, "responses": {},
        });
        let Value::Object(body) = body else { unreachable!("the literal above is an object") };
        Self { method, path, body }
    }

    pub(super) fn about(mut self, text: &str) -> Self {
        self.body.insert("description".into(), text.into());
        self
    }

    /// Without credentials.
    pub(super) fn open(mut self) -> Self {
        self.body.insert("security".into(), json!([]));
        self
    }

    /// A query parameter that may be left out.
    pub(super) fn query(self, name: &str, mut schema: Value, example: impl Into<Value>) -> Self {
        let about = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
        let example = example.into();
        self.parameter(json!({
            "name": name, "in": "query", "description": about, "schema": schema, "example": example,
        }))
    }

    /// A header that may be sent.
    pub(super) fn header(self, name: &str, about: &str, example: &str) -> Self {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        self.parameter(json!({
            "name": name, "in": "header", "description": about, "schema": schema, "example": example,
        }))
    }

    /// The body, by the name of its shape, with examples by name.
    pub(super) fn body<const N: usize>(mut self, shape: &str, examples: [(&str, Value); N]) -> Self {
        let content = json!({ "schema": named(shape), "examples": by_name(examples) });
        self.body.insert("requestBody".into(), json!({ "required": true, "content": { "application/json": content } }));
        self
    }

    /// An answer, by the name of its shape.
    pub(super) fn answers<const N: usize>(
        self,
        status: u16,
        about: &str,
        shape: &str,
        examples: [(&str, Value); N],
    ) -> Self {
        let content = json!({ "application/json": { "schema": named(shape), "examples": by_name(examples) } });
        self.response(status, json!({ "description": about, "headers": refusals::on(status), "content": content }))
    }

    /// An answer that is text, of one of these media types, each with an example.
    pub(super) fn answers_text<const N: usize>(self, status: u16, about: &str, texts: [(&str, &str); N]) -> Self {
        let text = |(media_type, example): (&str, &str)| {
            (media_type.to_owned(), json!({ "schema": { "type": "string" }, "example": example }))
        };
        let content = Value::Object(texts.into_iter().map(text).collect());
        self.response(status, json!({ "description": about, "headers": refusals::on(status), "content": content }))
    }

    /// What can be refused; refusals of one status stand together, each an example.
    pub(super) fn refuses(mut self, refusals: &[Refusal]) -> Self {
        for refusal in refusals {
            let key = refusal.status.to_string();
            let known = self.body["responses"].get(&key).cloned();
            self = self.response(refusal.status, refusal.add_to(known));
        }
        self
    }

    pub(super) fn into_value(mut self) -> Value {
        // By status, whatever the order they were told in.
        if let Some(Value::Object(responses)) = self.body.get_mut("responses") {
            responses.sort_keys();
        }
        Value::Object(self.body)
    }

    fn parameter(mut self, parameter: Value) -> Self {
        if let Some(Value::Array(parameters)) = self.body.get_mut("parameters") {
            parameters.push(parameter);
        }
        self
    }

    fn response(mut self, status: u16, response: Value) -> Self {
        self.body["responses"][status.to_string()] = response;
        self
    }
}

fn by_name<const N: usize>(examples: [(&str, Value); N]) -> Value {
    examples.into_iter().map(|(name, value)| (name.to_owned(), json!({ "value": value }))).collect::<Map<_, _>>().into()
}
