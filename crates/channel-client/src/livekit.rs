//! The LiveKit client behind the port: signalling version 0, the subscriber's peer connection only, hidden
//! (docs/protocol/livekit.md section 5).
//!
//! A member's uid is its participant identity. Audio is asked for track by track, so what is not selected is never sent.
//! Nothing of the protocol leaves this folder.

mod address;
mod agents;
mod backoff;
mod leave;
mod media_socket;
mod members;
mod membership;
mod outbox;
mod server_api;
mod signal;
mod subscriber;
mod subscriptions;
mod talker;
mod token;
mod tracks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use livekit_protocol::signal_response::Message;
use secrecy::SecretString;
use tokio::sync::watch;

use self::address::Address;
use self::membership::{Entrance, Membership, Waiting};
use self::outbox::Outbox;
use self::server_api::ServerApi;
use self::signal::Socket;
use self::token::TokenSource;
use super::{Channel, ChannelHandle, JoinError, JoinRequest, MediaPath};

pub use address::AddressError;
pub use membership::REJOIN_LIMIT;
pub use talker::Talker;

/// How long a bot that joins in any case asks the server API first.
const LOOK_BEFORE_JOIN: Duration = Duration::from_secs(2);

/// Where a LiveKit server is and what opens it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its URL; `ws`, `wss`, `http` and `https` are the same to us but for TLS.
    pub url: String,
    /// The API key: the issuer of our tokens.
    pub api_key: String,
    /// The API secret: signs our tokens.
    pub api_secret: SecretString,
    /// What a bot does while nobody is in its room.
    pub idle_room: IdleRoom,
}

/// What a bot does while nobody is in its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdleRoom {
    /// It is in the room, and makes it anew where it was closed.
    #[default]
    Hold,
    /// It stays outside of an empty room and looks once a second whether somebody is there.
    Watch,
}

/// A LiveKit server whose rooms are the channels.
#[derive(Debug)]
pub struct LiveKitChannel {
    address: Address,
    api_key: String,
    api_secret: SecretString,
    idle_room: IdleRoom,
    api: ServerApi,
    has_agents: bool,
}

impl LiveKitChannel {
    /// Fails if the URL is none; nothing is connected yet.
    pub fn new(settings: Settings) -> Result<Self, AddressError> {
        let Settings { url, api_key, api_secret, idle_room } = settings;
        let address = Address::parse(&url)?;
        let api = ServerApi::new(address.api()).map_err(|error| AddressError::Invalid(error.to_string()))?;
        Ok(Self { address, api_key, api_secret, idle_room, api, has_agents: false })
    }

    /// The server sends agents into new rooms: they are kept out of those that a bot makes, until a member is there.
    pub fn with_agents(self) -> Self {
        Self { has_agents: true, ..self }
    }

    /// The bot's way in: into the room, unless it stays outside of an empty one. Agents are kept out of a room that the join makes only
    /// where the server API is in reach to let them in later.
    async fn enter(&self, room: &str, passes: &mut TokenSource) -> Result<Entrance, JoinError> {
        let now = recorder_edge::clock::now();
        let token = passes.mint_for_api(room, now);
        let look = self.api.is_somebody_in(room, &token);
        let seen = match self.idle_room {
            IdleRoom::Watch => look.await,
            IdleRoom::Hold if !self.has_agents => Err(JoinError::Unreachable("it is not asked".to_owned())),
            IdleRoom::Hold => tokio::time::timeout(LOOK_BEFORE_JOIN, look)
                .await
                .unwrap_or_else(|_| Err(JoinError::Unreachable(format!("no answer within {LOOK_BEFORE_JOIN:?}")))),
        };
        match (self.idle_room, seen) {
            (IdleRoom::Watch, Ok(false)) => {
                passes.keep_agents_out();
                return Ok(Entrance::Outside);
            }
            (IdleRoom::Watch, Err(error)) => return Err(error),
            (_, Ok(_)) => passes.keep_agents_out(),
            (IdleRoom::Hold, Err(error)) => {
                tracing::debug!(room, %error, "no server API: a room that the bot makes sets off the server's agents");
            }
        }
        let (socket, first) = Socket::open(self.address.join(), passes.mint(room, now)).await?;
        match first {
            Message::Join(join) => Ok(Entrance::Inside(Box::new(socket), Box::new(join))),
            Message::Leave(leave) => Err(leave::join_error(&leave)),
            _ => Err(JoinError::Protocol("the first message is no join response".to_owned())),
        }
    }
}

#[async_trait]
impl Channel for LiveKitChannel {
    async fn join(&self, request: JoinRequest) -> Result<ChannelHandle, JoinError> {
        let identity = format!("recorder-{}", request.sid);
        let room = request.cname.as_str().to_owned();
        let mut passes = TokenSource::new(self.api_key.clone(), self.api_secret.clone(), identity);
        let waiting = Waiting::new(self.idle_room, self.api.clone(), request.idle);
        passes.hold(waiting.empty_timeout());
        let entrance = tokio::time::timeout(request.patience, self.enter(&room, &mut passes))
            .await
            .map_err(|_| JoinError::Unreachable(format!("no answer within {:?}", request.patience)))??;
        let (outbox, updates) = Outbox::new();
        let (selection, selected) = watch::channel(request.selection);
        let media = Arc::new(MediaPath::default());
        let address = self.address.clone();
        let membership = Membership::new(address, passes, room, outbox, selected, Arc::clone(&media), waiting);
        tokio::spawn(membership.run(entrance));
        Ok(ChannelHandle { updates, selection, media })
    }
}
