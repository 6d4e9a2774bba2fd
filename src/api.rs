//! What app servers call: the vendor's cloud recording REST API and our additions to it.
//!
//! * Every answer is a JSON object and carries `X-Request-Id`.
//! * What real callers send is taken as it is (docs/protocol/callers.md section 1); what would change a recording is never ignored
//!   silently: it is honoured, refused by name with code 2, or said in `notes`.
//! * Additive, beside the vendor's: `state`, `fileList`, `durationMs`, `verdict`, `health`, `ledger` in answers, also in the 404 after the
//!   end; `mismatched` where a call's path or body disagrees with the task that its sid found; `recordingConfig.alsoIndividual`
//!   (mode mix) and `recordingConfig.alsoMix` (mode individual) for both kinds of playlist from one task;
//!   `GET /v1/apps/{appid}/recordings?cname=&uid=&state=&limit=&cursor=`, `…/recordings/{sid}` and
//!   `…/recordings/{sid}/events?after=&limit=`; the header `Idempotency-Key` on acquire and start;
//!   `GET /v1/apps/{appid}/callbacks?state=dead|pending|delivered|filtered|all`, `POST …/callbacks/redeliver` and
//!   `POST …/callbacks/test`.
//! * Without credentials: `GET /livez`, `GET /readyz`, `GET /openapi.json` and, where it is wanted, `GET /metrics`.
//! * Pages of other origins may call from a browser where the app allows theirs; preflights ask for no credentials.
//! * An app that calls too often gets the gateway's 429 with `Retry-After`, before its body is read.
//! * A worker that takes no new recordings answers acquire and start with 503 and `Retry-After`, and everything else as ever; a
//!   query then says why, in `worker`.

mod auth;
mod body;
mod callbacks;
mod calls;
mod cors;
mod error;
mod health;
mod metrics;
mod once;
pub mod openapi;
mod paging;
mod path;
mod rate;
mod recordings;
mod seen;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

pub use auth::{Credentials, KeyPair, RestSecret};

use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::units::{AppId, Sid, WallMs};
use error::{Refusal, Refused};
use health::Probe;
use path::{Call, Target};
use seen::Seen;

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The most calls of one app that are answered at a time: of acquire and start so many, and of all others as many again, so that
/// starts that take their time keep nobody from stopping. Most are done within milliseconds; a start or a stop may wait some seconds.
pub const MAX_CALLS: usize = 128;

/// What the bodies of one app's calls may take together, in bytes.
const MAX_BODIES_BYTES: usize = 64 * MAX_BODY_BYTES;

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
    numbered(Router::new().fallback(dispatch).with_state(ApiContext { state, places: Arc::default() }))
}

/// All doors together: a wrong method is answered like an unknown path, in JSON, every answer has a request id, and every request is
/// counted and logged.
pub fn complete(doors: Router, metrics: Metrics) -> Router {
    let doors = doors.method_not_allowed_fallback(no_route);
    numbered(doors.layer(middleware::from_fn_with_state(metrics, seen::seen)))
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
struct ApiContext {
    state: ApiState,
    places: Arc<CallPlaces>,
}

/// What the calls of each app may take. Apps get theirs with the first call that their credentials allow.
#[derive(Default)]
struct CallPlaces(Mutex<HashMap<AppId, Arc<AppPlaces>>>);

struct AppPlaces {
    beginning: Semaphore,
    others: Semaphore,
    /// A permit a byte.
    bodies: Arc<Semaphore>,
}

impl CallPlaces {
    fn of(&self, app: &AppId) -> Arc<AppPlaces> {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = apps.entry(app.clone()).or_insert_with(|| {
            let (beginning, others) = (Semaphore::new(MAX_CALLS), Semaphore::new(MAX_CALLS));
            Arc::new(AppPlaces { beginning, others, bodies: Arc::new(Semaphore::new(MAX_BODIES_BYTES)) })
        });
        Arc::clone(places)
    }
}

async fn dispatch(State(ApiContext { state, places }): State<ApiContext>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (method, path) = (&head.method, head.uri.path());
    if let Some(began) = state.metrics.filter(|_| metrics::are_asked(method, path)) {
        return with_headers(Seen::route("metrics"), metrics::answer(&state.sessions, began, &head.headers).await);
    }
    if openapi::is_asked(method, path) {
        return with_headers(Seen::route("openapi"), openapi::answer());
    }
    if let Some(probe) = Probe::parse(method, path) {
        return with_headers(Seen::route("health"), probe.answer(&state.sessions).await);
    }
    if let Some(preflight) = cors::preflight(&state.credentials, &head) {
        return with_headers(Seen::route("preflight"), preflight);
    }
    let call = path::parse(method, path);
    let mut response = match call {
        Some(call) => answer(&state, &places, call, &head, body).await,
        None => Refusal::NoRoute.into_response(),
    };
    if let Some(Refused(reason)) = response.extensions().get() {
        let door = call.map_or("unknown", |call| call.target.door().word());
        state.sessions.metrics().call_refused(door, reason);
    }
    if let Some(call) = call {
        cors::allow(&state.credentials, call.app, &head, response.headers_mut());
    }
    response
}

/// The response, with what it answers.
fn with_headers(seen: Seen, mut response: Response) -> Response {
    response.extensions_mut().insert(seen);
    response
}

/// Answers a call when its credentials allow it, its body is here and there is a place for it.
async fn answer(state: &ApiState, places: &CallPlaces, call: Call<'_>, head: &Parts, body: Body) -> Response {
    let route = call.target.route();
    let app = match state.credentials.admit(head.headers.get(AUTHORIZATION), call.app) {
        Ok(app) => app,
        Err(refusal) => return with_headers(Seen::route(route), refusal.into_response()),
    };
    let seen = Seen { route, app: Some(app.clone()), sid: call.target.sid().and_then(|sid| Sid::new(sid).ok()) };
    with_headers(seen, allowed(state, &places.of(&app), app, call.target, head, body).await)
}

/// Answers a call that is allowed for `app`.
async fn allowed(
    state: &ApiState,
    places: &AppPlaces,
    app: AppId,
    target: Target<'_>,
    head: &Parts,
    body: Body,
) -> Response {
    let arrived = if target.has_body() { Some(body::arrived(body, &places.bodies).await) } else { None };
    let body = match arrived.transpose() {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let begins = matches!(target, Target::Acquire | Target::Start { .. });
    let Ok(_place) = (if begins { &places.beginning } else { &places.others }).try_acquire() else {
        return Refusal::Busy.into_response();
    };
    let bytes = body.as_ref().map(|arrived| arrived.bytes.clone()).unwrap_or_default();
    calls::answer(&state.sessions, app, target, head, Body::from(bytes)).await
}
