//! The embedded channel server: rooms that unmodified LiveKit SDKs join, audio only.
//!
//! What it speaks is LiveKit's first signalling protocol, as docs/protocol/livekit.md section 3 describes it, and no more of it than
//! voice rooms need: no video, no simulcast, no TURN, one machine. From the way in to the way out: the router checks the token
//! ([`token`]) and upgrades; a session serves one signalling socket; the room (pure) decides what follows from each message; the
//! live room does it; each member has two peer connections, one to publish on and one to hear on, all on one UDP port.
//!
//! Rooms belong to an app: the same name in two apps is two rooms. A room opens with its first member and closes
//! [`Limits::close_after`] its last one left; recorders don't count. A recorder that is in a room which closes, or comes before the first
//! member, waits there for the next one and hears it from the first word; for everybody else there is no room meanwhile.

#![forbid(unsafe_code)]

pub mod rest;
pub mod rules;
pub mod token;

mod events;
mod ids;
mod limits;
mod live;
mod moderation;
mod notices;
mod peer;
mod platform;
mod quotas;
mod refresher;
mod roles;
mod room;
mod rooms;
mod router;
mod sdp;
mod session;
mod speakers;
mod udp_mux;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

pub use events::{ChannelEvent, ChannelEventKind, ChannelEvents, Missed, departure};
pub use limits::Limits;
pub use moderation::Term;
pub use notices::{LeftReason, MemberInfo, MemberSummary, RoomEvent, RoomNotice, RoomSummary};
pub use platform::Platform;
pub use roles::{Profile, Role};
pub use token::AppKeys;

use rooms::Rooms;
use router::RouterState;
use rules::{KeeperError, RuleKeeper, RuleTable};
use token::Keys;
use udp_mux::UdpMux;

use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::units::{AppId, Cname, Uid};
use recorder_edge::clock;

/// How long [`ChannelServer::shutdown`] waits for clients to take their leave.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose tokens open rooms. The first app owns the rooms of server-wide tokens that name none.
    pub apps: Vec<AppKeys>,
    /// The server-wide key for LiveKit tokens. An app's id is a key too, for its own rooms, with its certificate as secret.
    pub api_key: String,
    /// Its secret.
    pub api_secret: SecretString,
    /// The one UDP port for all media; port 0 picks a free one.
    pub udp_listen: SocketAddr,
    /// The address that clients are told to send media to, where it isn't the one listened on: behind NAT, or where that one
    /// is a wildcard and the machine's own guess is not what clients reach.
    pub announce: Option<IpAddr>,
    /// Proxies whose `X-Forwarded-For` is believed; rules that name an address need the client's own.
    pub trusted_proxies: Vec<IpAddr>,
    /// Keeps kicking rules over restarts; without one a restart forgets them.
    pub rule_keeper: Option<Arc<dyn RuleKeeper>>,
    /// What is bounded how.
    pub limits: Limits,
}

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The UDP port.
    #[error("can't listen on UDP {listen}: {source}; set channel_server.udp_listen to a free port")]
    Udp {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The rules that were kept.
    #[error("the kicking rules can't be read: {0}")]
    Rules(KeeperError),
}

impl Classify for StartError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Udp { .. } => ErrorClass::ours("udp_port", false),
            Self::Rules(_) => ErrorClass::ours("rules", true),
        }
    }
}

/// A running channel server. Its rooms live until [`Self::shutdown`], or until it is dropped with its router.
#[derive(Clone, Debug)]
pub struct ChannelServer {
    keys: Arc<Keys>,
    trusted_proxies: Arc<[IpAddr]>,
    rooms: Arc<Rooms>,
    sockets: TaskTracker,
}

impl ChannelServer {
    /// Opens the UDP port. Must be called within a tokio runtime; signalling starts where [`Self::router`] is served.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings { apps, api_key, api_secret, udp_listen, announce, trusted_proxies, rule_keeper, limits } =
            settings;
        let mux =
            UdpMux::bind(udp_listen, announce).map_err(|source| StartError::Udp { listen: udp_listen, source })?;
        let keys = Arc::new(Keys { apps, api_key, api_secret });
        let keeper = rule_keeper.unwrap_or_else(|| Arc::new(rules::Memory::default()));
        let table = RuleTable::open(keeper, clock::now()).await.map_err(StartError::Rules)?;
        let trusted_proxies = trusted_proxies.into();
        Ok(Self { keys, trusted_proxies, rooms: Rooms::new(mux, table, limits), sockets: TaskTracker::new() })
    }

    /// The signalling routes, `/rtc` and below, for the HTTP port. Rules that name an address need the server to know its
    /// clients' addresses: serve with `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn router(&self) -> axum::Router {
        let (keys, rooms, sockets) = (Arc::clone(&self.keys), Arc::clone(&self.rooms), self.sockets.clone());
        router::routes(RouterState { keys, rooms, sockets, trusted_proxies: Arc::clone(&self.trusted_proxies) })
    }

    /// Where clients are told to send media; never empty.
    pub fn media_addresses(&self) -> &[SocketAddr] {
        self.rooms.mux().candidates()
    }

    /// What happens in the rooms from now on. A receiver that falls far behind misses some.
    pub fn notices(&self) -> broadcast::Receiver<RoomNotice> {
        self.rooms.notices()
    }

    /// The vendor's channel events from now on.
    pub fn channel_events(&self) -> ChannelEvents {
        ChannelEvents(self.rooms.notices())
    }

    /// The open rooms, in no order.
    pub fn rooms(&self) -> Vec<RoomSummary> {
        self.rooms.summaries()
    }

    /// One open room.
    pub fn room(&self, app: &AppId, cname: &Cname) -> Option<RoomSummary> {
        self.rooms.find(app, cname).and_then(|room| room.summary())
    }

    /// Removes a member; says whether it was there. Its token still opens the room: a rule is what keeps it out
    /// ([`Self::add_rule`]).
    pub fn kick(&self, app: &AppId, cname: &Cname, uid: &Uid) -> bool {
        self.rooms.find(app, cname).is_some_and(|room| room.kick(uid))
    }

    /// Tells everybody to leave and waits, not long, until they have.
    pub async fn shutdown(&self) {
        self.rooms.close(LeftReason::Shutdown);
        self.sockets.close();
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.sockets.wait()).await;
    }
}
