//! Every answer of every scenario is one that the OpenAPI document has.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode};
use cloud_recorder::api::openapi;
use serde_json::Value;

use crate::judge::Judge;

/// The document that is served, as a judge.
pub static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new(&openapi::DOCUMENT));

/// Fails when the document does not have this answer: call, status, headers, or a field of its body.
pub fn assert_documented(call: (&str, &str), status: StatusCode, headers: &HeaderMap, body: &Value) {
    if let Err(problem) = JUDGE.answer(call, (status.as_u16(), body), |name| headers.contains_key(name)) {
        panic!("{problem}\nIs it right? Then docs/openapi.yaml has to say so.");
    }
}
