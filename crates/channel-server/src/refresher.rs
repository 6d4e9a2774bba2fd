//! LiveKit tokens for members that are here already: a new one at the start and every few minutes, as a LiveKit server sends
//! them, so that a socket which breaks after the token's end can be replaced.

use std::sync::Arc;
use std::time::Duration;

use livekit_protocol::signal_response::Message;
use secrecy::{ExposeSecret, SecretString};

use super::token::Keys;
use recorder_edge::clock;

/// How often a member gets a new token; each is good for twice as long.
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(300);

/// One member's token, and what signs the next one.
#[derive(Debug)]
pub(super) struct Refresher {
    keys: Arc<Keys>,
    token: SecretString,
}

impl Refresher {
    pub(super) const fn new(keys: Arc<Keys>, token: SecretString) -> Self {
        Self { keys, token }
    }

    /// The next token; none for a member with a vendor's token.
    pub(super) fn message(&self) -> Option<Message> {
        let token = self.keys.refresh(self.token.expose_secret(), clock::now())?;
        Some(Message::RefreshToken(token.expose_secret().to_owned()))
    }
}
