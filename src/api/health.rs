//! For load balancers and orchestrators: `/livez` and `/readyz`, without credentials, JSON like everything else.
//!
//! A worker that is not ready goes on with what it records and answers query, update and stop; only new recordings are refused.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::{RETRY_LATER, RETRY_SOON};
use crate::error_class::Classify;
use crate::session::{Error, Sessions};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Does the process answer?
    Live,
    /// Should it be sent new recordings?
    Ready,
}

impl Probe {
    /// The probe that method and path name.
    pub(crate) fn parse(method: &Method, path: &str) -> Option<Self> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        match path {
            "/livez" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            _ => None,
        }
    }

    pub(crate) async fn answer(self, sessions: &Sessions) -> Response {
        let mut response = match self {
            Self::Live => Json(json!({ "alive": true })).into_response(),
            Self::Ready => ready(sessions).await,
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Each obstacle as a word for machines and what to do, for people.
pub(crate) fn reasons(obstacles: &[Error]) -> Value {
    obstacles.iter().map(|error| json!({ "code": error.error_class().code, "detail": error.to_string() })).collect()
}

async fn ready(sessions: &Sessions) -> Response {
    let obstacles = sessions.readiness().await;
    let body = Json(json!({ "ready": obstacles.is_empty(), "reasons": reasons(&obstacles) }));
    if obstacles.is_empty() {
        return body.into_response();
    }
    let draining = obstacles.iter().any(|error| matches!(error, Error::ShuttingDown));
    let seconds = if draining { RETRY_SOON } else { RETRY_LATER };
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, HeaderValue::from(seconds))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_only_look() {
        assert_eq!(Probe::parse(&Method::GET, "/livez"), Some(Probe::Live));
        assert_eq!(Probe::parse(&Method::HEAD, "/readyz"), Some(Probe::Ready));
        assert_eq!(Probe::parse(&Method::POST, "/readyz"), None);
        assert_eq!(Probe::parse(&Method::GET, "/readyz/"), None);
    }
}
