//! Reads a request's body, whatever its content type says.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::MAX_BODY_BYTES;
use super::error::{Failure, Refusal};
use super::wire::fields::BadField;
use crate::serving::TooSlow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The vendor's code of a request that is malformed as such.
const NOT_JSON: u16 = 8;

/// A body that is here, and its part of what the bodies of its app may take.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Waits for the whole body. What has come of it is paid for from `memory`, a permit a byte: a body that does not come costs nothing.
pub(crate) async fn arrived(body: Body, memory: &Arc<Semaphore>) -> Result<Arrived, Refusal> {
    let mut body = Limited::new(body, MAX_BODY_BYTES);
    let (mut bytes, mut paid) = (Vec::new(), None::<OwnedSemaphorePermit>);
    while let Some(frame) = body.frame().await {
        let piece = match frame.map(http_body::Frame::into_data) {
            Ok(Ok(piece)) => piece,
            // Trailers say nothing to us.
            Ok(Err(_)) => continue,
            Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge),
            Err(error) if TooSlow::is_cause_of(&*error) => return Err(Refusal::TooSlow),
            Err(_) => return Err(Refusal::Interrupted),
        };
        let permits = u32::try_from(piece.len()).map_err(|_| Refusal::TooLarge)?;
        let piece_paid = Arc::clone(memory).try_acquire_many_owned(permits).map_err(|_| Refusal::Busy)?;
        match &mut paid {
            Some(paid) => paid.merge(piece_paid),
            None => paid = Some(piece_paid),
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Arrived { bytes: bytes.into(), _memory: paid })
}

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
