//! What app servers call: the vendor's cloud recording REST API and our additions to it.
//!
//! * Every answer is a JSON object and carries `X-Request-Id`.
//! * What real callers send is taken as it is (facts/callers.md section 1); what would change a recording is never ignored
//!   silently: it is honoured, refused by name with code 2, or said in `notes`.
//! * Additive, beside the vendor's: `state`, `fileList`, `durationMs`, `verdict`, `health`, `ledger` in answers, also in the 404 after the
//!   end; `mismatched` where a call's path or body disagrees with the task that its sid found; `recordingConfig.alsoIndividual`
//!   (mode mix) and `recordingConfig.alsoMix` (mode individual) for both kinds of playlist from one task;
//!   `GET /v1/apps/{appid}/recordings?cname=&uid=&state=&limit=&cursor=`, `…/recordings/{sid}` and
//!   `…/recordings/{sid}/events?after=&limit=`; the header `Idempotency-Key` on acquire and start;
//!   `GET /v1/apps/{appid}/callbacks?state=dead|pending|delivered|filtered|all`, `POST …/callbacks/redeliver` and
//!   `POST …/callbacks/test`.
//! * Without credentials: `GET /livez`, `GET /readyz`, `GET /openapi.json` and, where it is wanted, `GET /metrics`.
//! * An app that calls too often gets the gateway's 429 with `Retry-After`, before its body is read.
//! * A worker that takes no new recordings answers acquire and start with 503 and `Retry-After`, and everything else as ever; a
//!   query then says why, in `worker`.

mod auth;
mod body;
mod callbacks;
mod calls;
mod error;
mod health;
mod metrics;
mod once;
pub mod openapi;
mod path;
mod rate;
mod recordings;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

pub use auth::{Credentials, KeyPair, RestSecret};

use crate::session::Sessions;
use crate::units::WallMs;
use error::{Refusal, Refused};
use health::Probe;
use path::Call;

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The most calls that are answered at a time. Most are done within milliseconds; a start or a stop may wait some seconds.
pub const MAX_CALLS: usize = 512;

/// What the API needs.
#[derive(Clone)]
pub struct ApiState {
    /// The recordings.
    pub sessions: Sessions,
    /// Who may call.
    pub credentials: Arc<Credentials>,
    /// When the worker began, for `/metrics`; without it there is no such path.
    pub metrics: Option<WallMs>,
}

/// The API, to be merged with the routes of other doors: it answers, as the fallback, every path that no other door knows, so
/// that an unknown path gets JSON too.
pub fn router(state: ApiState) -> Router {
    let calls = Arc::new(Semaphore::new(MAX_CALLS));
    numbered(Router::new().fallback(dispatch).with_state(Desk { state, calls }))
}

/// All doors together: a wrong method is answered like an unknown path, in JSON, and every answer has a request id.
pub fn complete(doors: Router) -> Router {
    numbered(doors.method_not_allowed_fallback(no_route))
}

async fn no_route() -> Response {
    Refusal::NoRoute.into_response()
}

/// Gives each answer the request's id, or a new one.
fn numbered(router: Router) -> Router {
    let id = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id());
    router.layer(id)
}

/// What answers calls.
#[derive(Clone)]
struct Desk {
    state: ApiState,
    /// A place for each call that is being answered.
    calls: Arc<Semaphore>,
}

async fn dispatch(State(Desk { state, calls }): State<Desk>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (method, path) = (&head.method, head.uri.path());
    if let Some(began) = state.metrics.filter(|_| metrics::are_asked(method, path)) {
        return metrics::answer(&state.sessions, began, &head.headers).await;
    }
    if openapi::is_asked(method, path) {
        return openapi::answer();
    }
    if let Some(probe) = Probe::parse(method, path) {
        return probe.answer(&state.sessions).await;
    }
    let call = path::parse(method, path);
    let response = match call {
        Some(call) => answer(&state, &calls, call, &head, body).await,
        None => Refusal::NoRoute.into_response(),
    };
    if let Some(Refused(reason)) = response.extensions().get() {
        let door = call.map_or("unknown", |call| call.target.door().word());
        state.sessions.meters().call_refused(door, reason);
    }
    response
}

/// Answers a call when its credentials allow it and there is a place for it.
async fn answer(state: &ApiState, calls: &Semaphore, call: Call<'_>, head: &Parts, body: Body) -> Response {
    let app = match state.credentials.admit(head.headers.get(AUTHORIZATION), call.app) {
        Ok(app) => app,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(_place) = calls.try_acquire() else {
        return Refusal::Busy.into_response();
    };
    calls::answer(&state.sessions, app, call.target, head, body).await
}
