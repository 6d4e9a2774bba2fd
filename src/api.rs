//! What app servers call: the vendor's cloud recording REST API and our additions to it.
//!
//! * Every answer is a JSON object and carries `X-Request-Id`.
//! * What real callers send is taken as it is (facts/callers.md section 1); what would change a recording is never ignored
//!   silently: it is honoured, refused by name with code 2, or said in `notes`.
//! * Additive, beside the vendor's: `state`, `fileList`, `durationMs`, `verdict`, `ledger` in answers, also in the 404 after the
//!   end; `mismatched` where a call's path or body disagrees with the task that its sid found; `recordingConfig.alsoIndividual`
//!   (mode mix) and `recordingConfig.alsoMix` (mode individual) for both kinds of playlist from one task;
//!   `GET /v1/apps/{appid}/recordings/{sid}` and `…/recordings/{sid}/events?after=`.

mod auth;
mod body;
mod calls;
mod error;
mod path;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

pub use auth::{Credentials, KeyPair};

use crate::session::Sessions;
use error::Refusal;

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What the API needs.
#[derive(Clone)]
pub struct ApiState {
    /// The recordings.
    pub sessions: Sessions,
    /// Who may call.
    pub credentials: Arc<Credentials>,
}

/// The API, to be merged with the routes of other doors: it answers, as the fallback, every path that no other door knows, so
/// that an unknown path gets JSON too.
pub fn router(state: ApiState) -> Router {
    let id = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id());
    Router::new().fallback(dispatch).with_state(state).layer(id)
}

async fn dispatch(State(state): State<ApiState>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(call) = path::parse(&head.method, head.uri.path()) else {
        return Refusal::NoRoute.into_response();
    };
    let authorization = head.headers.get(axum::http::header::AUTHORIZATION);
    let app = match state.credentials.admit(authorization, call.app) {
        Ok(app) => app,
        Err(refusal) => return refusal.into_response(),
    };
    calls::answer(&state.sessions, app, call.target, head.uri.query(), body).await
}
