//! Every answer of every scenario is one that the OpenAPI document has.

use axum::http::{HeaderMap, StatusCode};
use cloud_recorder::api::openapi;
use serde_json::Value;

use crate::check::Judge;

/// Fails when the document does not have this answer: call, status, headers, or a field of its body.
pub fn assert_documented(call: (&str, &str), status: StatusCode, headers: &HeaderMap, body: &Value) {
    let judge = Judge(&openapi::DOCUMENT);
    if let Err(problem) = judge.answer(call, (status.as_u16(), body), |name| headers.contains_key(name)) {
        panic!("{problem}\nIs it right? Then src/api/openapi has to say so.");
    }
}
