//! Every request that the HTTP port answers is timed for `/metrics`, and logged at debug.
//!
//! A route is a word of ours, so there are few. A line of the log names app and recording where the call was allowed for them, and never
//! a path, a query or a header: any of them may hold a secret.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::error::Refused;
use crate::metrics::Metrics;
use crate::units::{AppId, Sid};

/// What a call was about, as an extension of its response.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its route.
    pub(super) route: &'static str,
    /// The app that it was allowed for.
    pub(super) app: Option<AppId>,
    /// The recording that it named.
    pub(super) sid: Option<Sid>,
}

impl Seen {
    /// A request that names no app.
    pub(super) const fn route(route: &'static str) -> Self {
        Self { route, app: None, sid: None }
    }
}

/// Answers a request, and takes note of it.
pub(super) async fn seen(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().map_or("unknown", |path| door(path.as_str()));
    let method = request.method().clone();
    let response = next.run(request).await;
    let (took, status) = (begun.elapsed(), response.status().as_u16());
    let Seen { route, app, sid } = response.extensions().get().cloned().unwrap_or_else(|| Seen::route(matched));
    metrics.request_answered(route, status, took);
    let refused = response.extensions().get().map(|Refused(reason)| *reason);
    // What is not found may be anything.
    let sid = sid.filter(|_| status < 400);
    let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    tracing::debug!(
        method = known(&method),
        route,
        status,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        app = app.as_ref().map(tracing::field::display),
        sid = sid.as_ref().map(tracing::field::display),
        refused,
        id,
        "request"
    );
    response
}

/// A word for what other doors than the API answer, by their pattern.
fn door(pattern: &str) -> &'static str {
    match pattern.split('/').nth(1) {
        Some("rtc") => "signalling",
        Some("dev") => "channels",
        Some("room" | "docs" | "home.css" | "") => "pages",
        _ => "other",
    }
}

/// A caller may send any word as its method.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}
