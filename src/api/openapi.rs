//! The API as an OpenAPI 3.1 document, at `GET /openapi.json`: every path of this port that programs call, with examples and
//! errors.
//!
//! It is written as data, beside the code that it describes: requests are read by hand, leniently (`wire`), so that no Rust type
//! has their shape and none could be derived from. Tests keep it true instead. Every route is in it and every path of it is a
//! route; the real parsers take every example and refuse what lies beyond a limit; the scenarios of `tests/rest` and
//! `tests/channel` hold every answer that they see against it, where a field that it does not name is an error.
//!
//! A part of the API is a file in `paths`, what its bodies look like one in `shapes`.

#[cfg(test)]
mod kept_true;
mod operation;
mod paths;
mod refusals;
mod shapes;
mod word;

use std::sync::LazyLock;

use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use operation::Operation;

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The document as text.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// What the operations are about, in the order of the page.
const TAGS: [(&str, &str); 5] = [
    (
        paths::RECORDING,
        "Agora's cloud recording calls: acquire a resource, start on it, query, update and stop the recording.",
    ),
    (paths::RECORDINGS, "Additions: what is known of a recording by its sid alone, while it runs and after its end."),
    (paths::CALLBACKS, "Additions: which events the app's receiver lacks, and their second chance."),
    (paths::CHANNELS, "Agora's channel management calls, for apps whose channels are on the embedded channel server."),
    (paths::OPERATION, "For load balancers, orchestrators and Prometheus. Without credentials."),
];

/// Whether method and path ask for the document.
pub(super) fn is_asked(method: &Method, path: &str) -> bool {
    *method == Method::GET && path == "/openapi.json"
}

/// The document, as an answer.
pub(super) fn answer() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], TEXT.as_str()).into_response()
}

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cloud-recorder",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Records voice channels: REST in, Opus HLS in a bucket and signed callbacks out.",
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The worker that gave you this document" }],
        "security": [{ "basic": [] }],
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": by_path(paths::all()),
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The app's customer id and customer secret, as the configuration has them.",
                }
            },
            "parameters": paths::parameters(),
            "headers": refusals::headers(),
            "schemas": shapes::all(),
        },
    })
}

const ABOUT: &str = "\
Paths, bodies, codes and callbacks are those of Agora Cloud Recording; what is ours beside them is called an addition.

Requests are read leniently, as real callers write them: whatever the content type says, `null` is a field that is not there, \
unknown fields are never looked at, a region in front of the path (`/na/v1/…`, also eu, ap, cn) has no effect. What would change \
the recording is never ignored silently: it is honoured, refused by name with code 2, or said in `notes`.

Every answer is a JSON object, but for `/metrics`, and carries `X-Request-Id`, yours or a new one. A refusal by the gateway \
(credentials, unknown paths, limits) has a `message` and no code; every other has a numeric `code` and a `reason`. Times are in \
milliseconds since 1970, UTC, unless a field says otherwise. Fields may be added to answers; the ones that are here keep their \
meaning.";

fn by_path(operations: Vec<Operation>) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let (path, method) = (operation.path, operation.method);
        paths.entry(path).or_insert_with(|| json!({}))[method] = operation.into_value();
    }
    Value::Object(paths)
}
