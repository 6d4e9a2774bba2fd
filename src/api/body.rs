//! Reads a request's body, whatever its content type says.

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::MAX_BODY_BYTES;
use super::error::{Failure, Refusal};
use super::wire::fields::BadField;

/// The vendor's code of a request that is malformed as such.
const NOT_JSON: u16 = 8;

/// The body as JSON; null when there is none but blanks.
pub(crate) async fn json(body: Body) -> Result<Value, Failure> {
    let bytes = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge.into()),
        Err(_) => return Err(Refusal::Interrupted.into()),
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(text).map_err(|error| {
        let place = format!("is not JSON: line {}, column {}: {:?}", error.line(), error.column(), error.classify());
        BadField::new("body", place).known_as(NOT_JSON, None).into()
    })
}
