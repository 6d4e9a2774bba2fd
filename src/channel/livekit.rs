//! The LiveKit client behind the port: signalling version 0, the subscriber's peer connection only, hidden
//! (facts/livekit.md section 5).
//!
//! A member's uid is its participant identity. Audio is asked for track by track, so what is not selected is never sent.
//! Nothing of the protocol leaves this folder.

mod address;
mod backoff;
mod leave;
mod media_socket;
mod members;
mod membership;
mod outbox;
mod signal;
mod subscriber;
mod subscriptions;
mod talker;
mod token;
mod tracks;

use std::sync::Arc;

use async_trait::async_trait;
use livekit_protocol::signal_response::Message;
use secrecy::SecretString;
use tokio::sync::watch;

use self::address::Address;
use self::membership::Membership;
use self::outbox::Outbox;
use self::signal::Socket;
use self::token::Passes;
use super::{Channel, ChannelHandle, JoinError, JoinRequest, MediaPath};

pub use address::AddressError;
pub use membership::REJOIN_LIMIT;
pub use talker::Talker;

/// Where a LiveKit server is and what opens it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its URL; `ws`, `wss`, `http` and `https` are the same to us but for TLS.
    pub url: String,
    /// The API key: the issuer of our tokens.
    pub api_key: String,
    /// The API secret: signs our tokens.
    pub api_secret: SecretString,
}

/// A LiveKit server whose rooms are the channels.
#[derive(Debug)]
pub struct LiveKitChannel {
    address: Address,
    api_key: String,
    api_secret: SecretString,
}

impl LiveKitChannel {
    /// Fails only if the URL is none; nothing is connected yet.
    pub fn new(settings: Settings) -> Result<Self, AddressError> {
        let address = Address::parse(&settings.url)?;
        Ok(Self { address, api_key: settings.api_key, api_secret: settings.api_secret })
    }
}

#[async_trait]
impl Channel for LiveKitChannel {
    async fn join(&self, request: JoinRequest) -> Result<ChannelHandle, JoinError> {
        let identity = format!("recorder-{}", request.sid);
        let room = request.cname.as_str().to_owned();
        let passes = Passes::new(self.api_key.clone(), self.api_secret.clone(), identity.clone());
        let opened = Socket::open(self.address.join(), passes.mint(&room, crate::clock::now()));
        let (socket, first) = tokio::time::timeout(request.patience, opened)
            .await
            .map_err(|_| JoinError::Unreachable(format!("no answer within {:?}", request.patience)))??;
        let join = match first {
            Message::Join(join) => join,
            Message::Leave(leave) => return Err(leave::join_error(&leave)),
            _ => return Err(JoinError::Protocol("the first message is no join response".to_owned())),
        };
        let (outbox, news) = Outbox::new();
        let (selection, selected) = watch::channel(request.selection);
        let media = Arc::new(MediaPath::default());
        let membership =
            Membership::new(self.address.clone(), passes, room, identity, outbox, selected, Arc::clone(&media));
        tokio::spawn(membership.run(socket, join));
        Ok(ChannelHandle { news, selection, media })
    }
}
