//! Refusals on the wire: HTTP status, the vendor's code and reason (docs/protocol/agora.md section 3), and what we can add.
//!
//! Chosen where the vendor's documents are silent: 8, 432, 433, 1001 and 1003 are HTTP 400. `detail` is additive: what exactly is
//! wrong and what to do next; `reason` stays the vendor's own words where it has fixed ones.
//!
//! A worker that takes no new recordings answers acquire and start with HTTP 503, on which the official clients try again
//! within 3 to 12 s (docs/protocol/callers.md section 1), and with `Retry-After`.
//!
//! An `Idempotency-Key` that comes again with another request is HTTP 422 with code 2, as the IETF's draft on that header has it: the
//! official clients try no 4xx again but 429, and a retry could not help.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::path::CallKind;
use super::wire::answer;
use super::wire::fields::BadField;
use crate::error_class::{Blame, Classify};
use crate::session::{Error, MalformedResourceId, TokenError};

/// What the vendor's gateway refuses, with a `message` and no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No Authorization header.
    Unauthorized,
    /// Unknown key or wrong secret.
    WrongCredentials,
    /// Credentials of another app.
    WrongApp,
    /// Unknown path or wrong method.
    NoRoute,
    /// The body is longer than [`super::MAX_BODY_BYTES`].
    TooLarge,
    /// The body did not arrive.
    Interrupted,
    /// The body did not arrive in the time that it had.
    TooSlow,
    /// More calls of the app at once than [`super::MAX_CALLS`].
    Busy,
    /// More calls of an app in a second than it may make.
    TooOften { per_second: u32, wait: Duration },
    /// More calls without valid credentials than are answered.
    TooManyStrangers { wait: Duration },
}

/// Why a call was refused, as a word for metrics; an extension of its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused(pub(crate) &'static str);

/// Seconds until another try makes sense: a worker restarts in about one, calls under way are answered within eight.
pub(super) const RETRY_SOON: u32 = 3;
/// Where a disk, a bucket or a person has to act first.
pub(super) const RETRY_LATER: u32 = 10;
/// Where keys of a day have to be forgotten, an hour's worth at a time.
const RETRY_IN_AN_HOUR: u32 = 3600;

impl Refusal {
    const fn word(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::WrongCredentials => "wrong_credentials",
            Self::WrongApp => "wrong_app",
            Self::NoRoute => "no_route",
            Self::TooLarge => "too_large",
            Self::Interrupted => "interrupted",
            Self::TooSlow => "too_slow",
            Self::Busy => "busy",
            Self::TooOften { .. } => "rate_limited",
            Self::TooManyStrangers { .. } => "too_many_strangers",
        }
    }

    /// Whole seconds until another try makes sense, where that is known.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::Busy => Some(RETRY_SOON),
            Self::TooOften { wait, .. } | Self::TooManyStrangers { wait } => {
                Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
            }
            _ => None,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::WrongApp | Self::Interrupted => StatusCode::BAD_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOften { .. } | Self::TooManyStrangers { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The gateway's own words where it has some (docs/protocol/agora.md section 3).
    fn message(self) -> Cow<'static, str> {
        match self {
            Self::Unauthorized => "Unauthorized".into(),
            Self::WrongCredentials => "Invalid authentication credentials".into(),
            Self::WrongApp => "appid is invalid".into(),
            Self::NoRoute => "no Route matched with those values".into(),
            Self::TooLarge => "Request size limit exceeded".into(),
            Self::Interrupted => "the request's body could not be read".into(),
            Self::TooSlow => "the request's body did not arrive in time; send it again".into(),
            Self::Busy => "too many calls of this app are under way on this worker; try again in a few seconds".into(),
            Self::TooOften { per_second, .. } => format!(
                "API rate limit exceeded: this app may send {per_second} requests a second; wait as Retry-After says, or have \
                 apps.requests_per_second raised"
            )
            .into(),
            Self::TooManyStrangers { .. } => {
                "API rate limit exceeded: too many requests without valid credentials reach this worker; check yours, and wait as \
                 Retry-After says"
                    .into()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(json!({ "message": self.message() }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cloud-recorder\""));
        }
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Refused(self.word()));
        response
    }
}

/// Anything that keeps a call from being answered with 200.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0:?}")]
    Gateway(Refusal),
    #[error(transparent)]
    Field(#[from] BadField),
    #[error(transparent)]
    Resource(#[from] MalformedResourceId),
    #[error(transparent)]
    Session(#[from] Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Gateway(refusal)
    }
}

impl Failure {
    /// The answer to a call at `door`; `about` names the task where the call did: cname, uid, resourceId, sid.
    pub(crate) fn into_response(self, door: CallKind, about: Map<String, Value>) -> Response {
        let (status, code, reason) = match &self {
            Self::Gateway(refusal) => return refusal.into_response(),
            Self::Field(error) => {
                let reason = error.reason.map_or_else(|| error.to_string(), str::to_owned);
                (StatusCode::BAD_REQUEST, error.code, Some(reason))
            }
            Self::Resource(_) => (StatusCode::BAD_REQUEST, 1001, None),
            Self::Session(error) => {
                let (status, code, reason) = wire(error, door);
                (status, code, reason.map(str::to_owned))
            }
        };
        let mut body = about;
        let detail = self.to_string();
        body.insert("code".into(), code.into());
        body.insert("reason".into(), reason.as_deref().unwrap_or(&detail).into());
        if reason.is_some_and(|reason| reason != detail) {
            body.insert("detail".into(), detail.into());
        }
        if let Self::Session(error) = &self {
            answer::explain(&mut body, error);
            log(error, status);
        }
        let mut response = (status, Json(Value::Object(body))).into_response();
        let seconds = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(RETRY_IN_AN_HOUR),
            StatusCode::SERVICE_UNAVAILABLE if matches!(self, Self::Session(Error::ShuttingDown)) => Some(RETRY_SOON),
            StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_LATER),
            _ => None,
        };
        if let Some(seconds) = seconds {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Refused(self.word()));
        response
    }

    /// Why, as a word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Gateway(refusal) => refusal.word(),
            Self::Field(_) => "invalid_request",
            Self::Resource(_) => "malformed_resource",
            Self::Session(error) => error.error_class().code,
        }
    }
}

/// HTTP status, code, and the vendor's fixed reason where it has one; the error's own text is the reason elsewhere.
fn wire(error: &Error, door: CallKind) -> (StatusCode, u16, Option<&'static str>) {
    match error {
        Error::Invalid(_) => (StatusCode::BAD_REQUEST, 2, None),
        Error::PromiseBroken => (StatusCode::BAD_REQUEST, 2, Some("request_hash mismatch!")),
        Error::Destination(error) if error.error_class().retry => {
            let status = match door {
                CallKind::Task(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, 62, Some("request timeout"))
        }
        Error::Destination(_) => (StatusCode::BAD_REQUEST, 2, None),
        Error::ForeignResource => (StatusCode::BAD_REQUEST, 1003, None),
        Error::ResourceExpired => (StatusCode::BAD_REQUEST, 433, None),
        Error::HandleExpired => (StatusCode::BAD_REQUEST, 433, Some("resourceId exceeded time limit!")),
        Error::ResourceMismatch(_) => (StatusCode::BAD_REQUEST, 432, None),
        Error::AlreadyStarted(_) | Error::StartedAndOver(_) => (StatusCode::CREATED, 7, Some("already started")),
        Error::TaskConflict(_) => (StatusCode::BAD_REQUEST, 53, Some("task conflict")),
        Error::Overloaded(_) | Error::WorkerOverloaded(_) => (StatusCode::BAD_REQUEST, 406, Some("vendor_over_load")),
        Error::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, 2, None),
        Error::TooManyKeys => (StatusCode::TOO_MANY_REQUESTS, 406, Some("vendor_over_load")),
        Error::AlreadyStopping(_) => (StatusCode::BAD_REQUEST, 49, Some("invalid operation")),
        Error::Gone(_) | Error::NeverStarted | Error::UnknownResource => {
            (StatusCode::NOT_FOUND, 404, Some("Failed to find worker."))
        }
        Error::NotReady => (StatusCode::PARTIAL_CONTENT, 65, Some("request not completed")),
        Error::ShuttingDown
        | Error::Disk(_)
        | Error::Journal(_)
        | Error::Spool(_)
        | Error::StoreSilent
        | Error::Stalled(_) => {
            let (code, reason) = match door {
                CallKind::Acquire => (501, "no_worker_manager_available"),
                _ => (502, "Failed to allocate worker"),
            };
            (StatusCode::SERVICE_UNAVAILABLE, code, Some(reason))
        }
        Error::Token(TokenError::Expired(_)) => (StatusCode::BAD_REQUEST, 109, Some("dynamic key expired")),
        Error::Token(TokenError::Invalid(_)) => {
            (StatusCode::BAD_REQUEST, 110, Some("invalid token, authorized failed"))
        }
        Error::Channel(_) | Error::StartFailed => {
            (StatusCode::INTERNAL_SERVER_ERROR, 502, Some("Failed to allocate worker"))
        }
        Error::Store(_) | Error::Worker(_) => (StatusCode::INTERNAL_SERVER_ERROR, 500, Some("internal_error")),
    }
}

/// Our own faults are ours to notice. A destination that does not answer may be our network; what it refuses, and a caller's mistakes, are
/// theirs.
fn log(error: &Error, status: StatusCode) {
    let error_class = error.error_class();
    match error_class.blame {
        Blame::Ours if status == StatusCode::SERVICE_UNAVAILABLE => tracing::warn!(code = error_class.code, "{error}"),
        Blame::Ours => tracing::error!(code = error_class.code, retry = error_class.retry, "{error}"),
        Blame::Destination if error_class.retry => tracing::warn!(code = error_class.code, "{error}"),
        Blame::Destination => tracing::info!(code = error_class.code, "{error}"),
        Blame::Caller => tracing::debug!(code = error_class.code, "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::Action;
    use super::*;
    use crate::storage::BucketError;

    #[test]
    fn whoever_is_to_wait_is_told_how_long() {
        for (error, seconds) in [
            (Error::TooManyKeys, Some("3600")),
            (Error::ShuttingDown, Some("3")),
            (Error::StoreSilent, Some("10")),
            (Error::KeyReused, None),
        ] {
            let response = Failure::from(error).into_response(CallKind::Acquire, Map::new());
            let with_headers = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!(with_headers, seconds, "{}", response.status());
        }
    }

    #[test]
    fn a_store_that_does_not_answer_is_the_vendors_time_out_of_that_call() {
        for (door, status) in [(CallKind::Start, 500), (CallKind::Task(Action::Update), 504)] {
            let silent = Error::Destination(BucketError::TimedOut { place: "calls".into() });
            let (with_headers, code, reason) = wire(&silent, door);
            assert_eq!((with_headers.as_u16(), code, reason), (status, 62, Some("request timeout")));
        }
    }
}
