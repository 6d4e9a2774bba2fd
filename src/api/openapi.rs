//! The API as an OpenAPI 3.1 document, at `GET /openapi.json`: every path of this port that programs call, with examples and
//! errors.
//!
//! Its source is `docs/openapi.yaml`, which people read and edit; `build.rs` makes the JSON that is embedded here. It is not derived from
//! types: requests are read by hand, leniently (`wire`), so that no Rust type has their shape. Tests keep it true instead. Every route
//! is in it and every path of it is a route; the real parsers take every example and refuse what lies beyond a limit; the scenarios of
//! `tests/rest` and `tests/channel` hold every answer that they see against it, where a field that it does not name is an error.

#[cfg(test)]
mod kept_true;

use std::sync::LazyLock;

use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// The document as text.
pub const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The document.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("build.rs writes JSON, or the build fails"));

/// Whether method and path ask for the document.
pub(super) fn is_asked(method: &Method, path: &str) -> bool {
    *method == Method::GET && path == "/openapi.json"
}

/// The document, as an answer.
pub(super) fn answer() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], TEXT).into_response()
}
