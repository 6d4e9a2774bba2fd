//! The port: what a session needs of a channel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::MediaPath;
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::recording::{Input, Selection};
use recorder_core::units::{Cname, Sid, Uid, WallMs};

/// Something a bot can join.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Joins as a hidden recorder. Answers when the bot is in the channel and its first update is queued, or with why it is not
    /// (within [`JoinRequest::patience`]).
    ///
    /// The adapter keeps the membership alive by itself: a lost socket is resumed, else joined anew, with
    /// [`ChannelUpdate::Down`] and [`Input::ChannelUp`] around it. A channel that closes because everybody left, or that is deleted, is waited
    /// for until the handle is dropped: in it where that is possible, else outside ([`ChannelUpdate::Outside`]). Only [`ChannelUpdate::Ended`] is final.
    async fn join(&self, request: JoinRequest) -> Result<ChannelHandle, JoinError>;

    /// Whether a caller's token opens the channel to a recorder with this uid, and until when. Bots have passes of their own; the
    /// token is the caller's right to have the channel recorded. A channel that knows no such tokens looks at none.
    fn admits(&self, _: &SecretString, _: &Cname, _: &Uid, _: WallMs) -> Result<Option<WallMs>, TokenError> {
        Ok(None)
    }
}

/// What to join.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The channel.
    pub cname: Cname,
    /// The recording: makes the bot's identity unique.
    pub sid: Sid,
    /// Whose audio to subscribe to, from the start.
    pub selection: Selection,
    /// How long the first join may take.
    pub patience: Duration,
    /// How long the recording waits while nobody is there: so long an empty channel should last.
    pub idle: Duration,
}

/// A bot's place in a channel. Dropping it leaves the channel.
#[derive(Debug)]
pub struct ChannelHandle {
    /// What happens, with its arrival time read as early as the adapter can. Bounded; the adapter never waits for the session:
    /// when the queue is full a packet is dropped and counted in [`ChannelUpdate::Dropped`].
    pub updates: mpsc::Receiver<(Instant, ChannelUpdate)>,
    /// Changes whose audio is subscribed.
    pub selection: watch::Sender<Selection>,
    /// What the bot's media sockets tell.
    pub media: Arc<MediaPath>,
}

/// What the channel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelUpdate {
    /// Something the core has to know.
    Input(Input),
    /// The way to the channel is broken until [`Input::ChannelUp`].
    Down {
        /// When the last sign of life came from it.
        since: Instant,
    },
    /// The bot is not in the channel: everybody left, or it was deleted, or nobody came yet. It joins when somebody is there.
    Outside {
        /// Whether the channel was deleted.
        deleted: bool,
    },
    /// The bot is in the channel again.
    Inside,
    /// The member is in the channel and publishes, and nothing of it could be heard until now: the bot was outside.
    Unheard {
        /// Who.
        uid: Uid,
        /// Since when.
        since: Instant,
    },
    /// This many packets were dropped since the last word, because the session did not keep up.
    Dropped(u64),
    /// Over for good: nothing follows.
    Ended(EndReason),
}

/// Why a membership ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The channel was closed for good.
    #[error("the channel was closed")]
    ChannelClosed,
    /// The bot was removed by an administrator.
    #[error("the recorder was removed from the channel")]
    Removed,
    /// Somebody joined with the bot's identity.
    #[error("another participant took the recorder's identity")]
    DuplicateIdentity,
    /// The channel could not be reached again within the adapter's time limit.
    #[error("the channel could not be reached again")]
    Unreachable,
}

/// Why a caller's token does not open the channel. The text is the vendor's own (docs/protocol/agora.md section 8.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its time, or the right to join, is over.
    #[error("{0}")]
    Expired(String),
    /// It is forged, or for another app, channel or uid.
    #[error("{0}")]
    Invalid(String),
}

impl Classify for TokenError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::caller(match self {
            Self::Expired(_) => "token_expired",
            Self::Invalid(_) => "token_invalid",
        })
    }
}

/// Why the first join failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The server refuses our token.
    #[error("the channel server refuses the recorder's token: {0}; check the app's channel key and secret")]
    Refused(String),
    /// No connection, or no answer in time.
    #[error("the channel server can't be reached: {0}; check the app's channel url")]
    Unreachable(String),
    /// The answer is not what the protocol says.
    #[error("the channel server answered something unexpected: {0}")]
    Protocol(String),
}

impl Classify for JoinError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Refused(_) => ErrorClass::destination("channel_refused", false),
            Self::Unreachable(_) => ErrorClass::destination("channel_unreachable", true),
            Self::Protocol(_) => ErrorClass::destination("channel_protocol", false),
        }
    }
}
