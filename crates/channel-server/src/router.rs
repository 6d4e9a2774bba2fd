//! The way in: `GET /rtc` upgrades to the signalling socket, `GET /rtc/validate` says beforehand whether it would.
//!
//! Both paths of the newer signalling (v1) answer 404: SDKs then fall back to this one (docs/protocol/livekit.md section 2). Refusals
//! carry `Access-Control-Allow-Origin`, without which browsers hide them and call the server unreachable.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use serde::Deserialize;
use tokio_util::task::TaskTracker;

use super::limits::{MAX_SIGNAL_BYTES, SIGNAL_READ_BYTES};
use super::live::JoinRejection;

use super::platform::Platform;
use super::refresher::Refresher;
use super::roles::RequestedRole;
use super::room::{Client, leave_message};
use super::rooms::Rooms;
use super::session;
use super::token::{Asked, Keys, Refusal, VerifiedToken};
use recorder_edge::clock;
use recorder_edge::serving::client_ip;

/// What the routes share.
#[derive(Clone)]
pub(super) struct RouterState {
    pub(super) keys: Arc<Keys>,
    pub(super) rooms: Arc<Rooms>,
    pub(super) sockets: TaskTracker,
    pub(super) trusted_proxies: Arc<[IpAddr]>,
}

/// What a client says in its URL. Everything else that SDKs put there is of no use to us.
#[derive(Deserialize)]
struct ClientParameters {
    access_token: Option<String>,
    room: Option<String>,
    identity: Option<String>,
    auto_subscribe: Option<String>,
    reconnect: Option<String>,
    sid: Option<String>,
    client_protocol: Option<String>,
    capabilities: Option<String>,
    sdk: Option<String>,
    os: Option<String>,
    /// Ours: the channel's profile, and the member's role in it.
    profile: Option<String>,
    role: Option<String>,
}

pub(super) fn routes(door: RouterState) -> Router {
    Router::new()
        .route("/rtc", get(join))
        .route("/rtc/validate", get(validate))
        .route("/rtc/v1", get(not_here))
        .route("/rtc/v1/validate", get(not_here))
        .with_state(door)
}

async fn validate(
    State(door): State<RouterState>,
    Query(wishes): Query<ClientParameters>,
    socket: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    match door.admit(&wishes, door.client_ip(socket, &headers), &headers) {
        Ok(_) => answer(StatusCode::OK, "success".to_owned()),
        Err(refused) => refused.into_response(),
    }
}

async fn join(
    State(door): State<RouterState>,
    Query(wishes): Query<ClientParameters>,
    socket: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let ip = door.client_ip(socket, &headers);
    let verified = match door.admit(&wishes, ip, &headers) {
        Ok(verified) => verified,
        Err(refused) => return refused.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    // Before the socket is opened, so that a refusal is an HTTP answer: that is what every SDK reports at once. On a socket a refusal
    // is a server that goes away, and some SDKs try again for ten seconds.
    let place = match door.rooms.socket(&verified.app, wishes.resumes().is_some()) {
        Ok(place) => place,
        Err(full) => return NoEntry::from(JoinRejection::from(full)).into_response(),
    };
    let entry = match wishes.resumes() {
        Some(member) => door.rooms.resume(&verified, member),
        None => {
            let client = wishes.client(&verified, ip);
            door.rooms.join(verified, client).await
        }
    };
    let entry = match entry {
        Ok(link) => Ok(link),
        // Only on a socket can a client be told to join anew.
        Err(JoinRejection::Unknown) => Err(leave_message(DisconnectReason::StateMismatch, Action::Reconnect)),
        Err(refused) => return NoEntry::from(refused).into_response(),
    };
    let token = token(&wishes, &headers).unwrap_or_default().to_owned();
    let refresher = Refresher::new(Arc::clone(&door.keys), token.into());
    let silence = door.rooms.limits().silence;
    let serve = async move |socket| {
        match entry {
            Ok(link) => session::serve(socket, link, refresher, silence).await,
            Err(leave) => session::dismiss(socket, leave).await,
        }
        drop(place);
    };
    upgrade
        .max_message_size(MAX_SIGNAL_BYTES)
        .max_frame_size(MAX_SIGNAL_BYTES)
        .read_buffer_size(SIGNAL_READ_BYTES)
        .on_upgrade(move |socket| door.sockets.track_future(serve(socket)))
}

async fn not_here() -> Response {
    answer(StatusCode::NOT_FOUND, "this server speaks the signalling of /rtc".to_owned())
}

impl RouterState {
    fn client_ip(&self, socket: Option<Extension<ConnectInfo<SocketAddr>>>, headers: &HeaderMap) -> Option<IpAddr> {
        let socket = socket.map(|Extension(ConnectInfo(address))| address.ip());
        client_ip(socket, headers, &self.trusted_proxies)
    }

    fn admit(
        &self,
        wishes: &ClientParameters,
        ip: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<VerifiedToken, NoEntry> {
        let asked = Asked { room: wishes.room.clone(), identity: wishes.identity.clone() };
        let verified = self.keys.check(token(wishes, headers), &asked, clock::now())?;
        if let Some(word) = self.rooms.bans(&verified, verified.identity.as_ref(), ip).join {
            return Err(NoEntry::Banned(word));
        }
        if wishes.resumes().is_none() {
            self.rooms.admits(&verified)?;
        }
        Ok(verified)
    }
}

/// The token: browsers put it into the query, other SDKs into a header.
fn token<'a>(wishes: &'a ClientParameters, headers: &'a HeaderMap) -> Option<&'a str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.or(wishes.access_token.as_deref())
}

impl ClientParameters {
    /// The membership that the client wants to go on with.
    fn resumes(&self) -> Option<&str> {
        let reconnect = self.reconnect.as_deref().is_some_and(truth);
        self.sid.as_deref().filter(|_| reconnect)
    }

    fn client(&self, verified: &VerifiedToken, ip: Option<IpAddr>) -> Client {
        let capabilities = self.capabilities.as_deref().unwrap_or_default().split(',');
        Client {
            auto_subscribe: self.auto_subscribe.as_deref().is_none_or(truth),
            protocol: self.client_protocol.as_deref().and_then(|number| number.parse().ok()).unwrap_or_default(),
            capabilities: capabilities.filter_map(|number| number.parse().ok()).take(MAX_CAPABILITIES).collect(),
            requested_role: RequestedRole::new(&verified.attributes, self.profile.as_deref(), self.role.as_deref()),
            platform: Platform::new(self.sdk.as_deref(), self.os.as_deref()),
            // A recorder says "rust" too, and is none.
            rust_core: !verified.grants.recorder && self.sdk.as_deref().is_some_and(|sdk| RUST_CORE.contains(&sdk)),
            ip,
        }
    }
}

/// Features that a client may claim; the protocol knows a handful.
const MAX_CAPABILITIES: usize = 32;

/// What SDKs on LiveKit's Rust core say that they are.
const RUST_CORE: [&str; 5] = ["rust", "python", "node", "unity", "cpp"];

fn truth(text: &str) -> bool {
    matches!(text, "1" | "true")
}

/// Why a client doesn't get as far as the socket.
#[derive(Debug, thiserror::Error)]
enum NoEntry {
    #[error(transparent)]
    Token(#[from] Refusal),
    /// By a kicking rule, in the vendor's word.
    #[error("{0}")]
    Banned(&'static str),
    #[error(transparent)]
    MemberLink(#[from] JoinRejection),
}

impl IntoResponse for NoEntry {
    fn into_response(self) -> Response {
        tracing::debug!(reason = ?self, "no entry");
        let status = match &self {
            Self::Token(Refusal::Name(_)) => StatusCode::BAD_REQUEST,
            Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Banned(_) | Self::MemberLink(JoinRejection::Banned(_)) => StatusCode::FORBIDDEN,
            Self::MemberLink(
                JoinRejection::Rooms | JoinRejection::Full(_) | JoinRejection::App(_) | JoinRejection::Closed,
            ) => StatusCode::SERVICE_UNAVAILABLE,
            Self::MemberLink(JoinRejection::Unknown) => StatusCode::NOT_FOUND,
            Self::MemberLink(JoinRejection::Peer(_)) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        answer(status, self.to_string())
    }
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], body).into_response()
}
