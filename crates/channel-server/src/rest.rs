//! The vendor's channel management API (docs/protocol/agora.md section 7): channels and who is in them, kicking rules, projects.
//!
//! Answers are true at the moment they are given. What is ours: an account (a member whose uid is no number) is listed by its
//! number, as in channel events, and its name stands beside it in `accounts`; rules and property look-ups take account names
//! too. Recorders are in no list. An app whose channels live in a LiveKit server elsewhere is told so with 404, on every call
//! about channels: a rule that nobody enforces is worse than none.

mod answer;
mod kicking;
mod order;
mod path;
mod projects;
mod statistics;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any;
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use self::answer::Refusal;
use self::path::Call;
use super::ChannelServer;
use recorder_core::units::AppId;

/// The longest body that is read, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Who may call for which app and how often, and where the apps' channels are. Each call is asked about once, by `admit` or `apps`.
pub trait Directory: Send + Sync {
    /// The app that a call with this `Authorization` header may act for when it names `app`; else the answer to give.
    fn admit(&self, authorization: Option<&HeaderValue>, app: &str) -> Result<AppId, Box<Response>>;

    /// All apps of the credentials; else the answer to give.
    fn apps(&self, authorization: Option<&HeaderValue>) -> Result<Vec<AppId>, Box<Response>>;

    /// Whether the app's channels are in this worker's channel server.
    fn hosts(&self, app: &AppId) -> bool;
}

/// The routes below `/dev/v1`, to be merged with those of other doors. Without a server every app's channels are elsewhere.
pub fn router(server: Option<ChannelServer>, directory: Arc<dyn Directory>) -> Router {
    let id = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id());
    Router::new().route("/dev/v1/{*rest}", any(dispatch)).with_state(RestState { server, directory }).layer(id)
}

/// What answers calls.
#[derive(Clone)]
struct RestState {
    server: Option<ChannelServer>,
    directory: Arc<dyn Directory>,
}

async fn dispatch(
    State(state): State<RestState>,
    rest: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let call = rest.ok().and_then(|Path(rest)| path::parse(&head.method, &rest));
    let Some(call) = call else { return Refusal::NoRoute.response() };
    let answered = match call {
        Call::Channels { app } => state.host(&head, &app).and_then(|(server, app)| {
            let page = order::page(head.uri.query().unwrap_or_default())?;
            Ok(statistics::channels(server, &app, page))
        }),
        Call::Users { app, channel, hosts_only } => state.host(&head, &app).and_then(|(server, app)| {
            let hosts_only = hosts_only || order::has(head.uri.query().unwrap_or_default(), "hosts_only");
            Ok(statistics::users(server, &app, &order::channel(&channel)?, hosts_only))
        }),
        Call::Property { app, uid, channel } => state.host(&head, &app).and_then(|(server, app)| {
            Ok(statistics::property(server, &app, &order::uid_text(&uid)?, &order::channel(&channel)?))
        }),
        Call::Rules => state.rules(&head).await,
        Call::ChangeRules(change) => state.change_rules(change, &head, body).await,
        Call::Projects => state.apps(&head).map(|apps| projects::list(&apps)),
        Call::Project => state.apps(&head).map(|apps| projects::find(&apps, head.uri.query().unwrap_or_default())),
        Call::ChangeProjects => state.apps(&head).and_then(|_| Err(Refusal::Fixed)),
    };
    answered.unwrap_or_else(Refusal::response)
}

impl RestState {
    fn apps(&self, head: &Parts) -> Result<Vec<AppId>, Refusal> {
        self.directory.apps(head.headers.get(AUTHORIZATION)).map_err(Refusal::Gateway)
    }

    /// The app that the caller may act for, and the server that has its channels.
    fn host(&self, head: &Parts, app: &str) -> Result<(&ChannelServer, AppId), Refusal> {
        self.hosted(self.directory.admit(head.headers.get(AUTHORIZATION), app).map_err(Refusal::Gateway)?)
    }

    /// An app of the caller's, and the server that has its channels.
    fn hosted(&self, app: AppId) -> Result<(&ChannelServer, AppId), Refusal> {
        let here = self.server.as_ref().filter(|_| self.directory.hosts(&app));
        here.map(|server| (server, app)).ok_or(Refusal::Elsewhere)
    }

    async fn rules(&self, head: &Parts) -> Result<Response, Refusal> {
        let app = order::value(head.uri.query().unwrap_or_default(), "appid");
        let (server, app) = self.host(head, app.as_deref().unwrap_or_default())?;
        Ok(kicking::list(server, &app))
    }

    /// Credentials before everything else: a stranger learns nothing about bodies.
    async fn change_rules(
        &self,
        change: kicking::Change,
        head: &Parts,
        body: axum::body::Body,
    ) -> Result<Response, Refusal> {
        let apps = self.apps(head)?;
        let json = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.starts_with("application/json"));
        if !head.headers.get(CONTENT_TYPE).is_none_or(json) {
            return Err(Refusal::MediaType);
        }
        let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Refusal::TooLarge)?;
        let body = order::Body::parse(&bytes)?;
        let named = body.app()?;
        let own = apps.into_iter().find(|own| own.as_str() == named);
        let (server, app) = self.hosted(own.ok_or_else(|| Refusal::Invalid("appid is invalid".into()))?)?;
        kicking::change(server, &app, change, &body).await
    }
}
