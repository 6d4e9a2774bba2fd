//! The threads between a member and its sockets.

use std::sync::Arc;

use livekit_protocol::signal_response::Message;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::LiveRoom;
use crate::ids::MemberId;
use crate::limits::MAX_OUTBOX;
use crate::peer::{Carried, Command, Negotiated, Publisher};
use crate::quotas::QuotaPermit;

/// A member's connections.
pub(super) struct Link {
    /// `None` while the member may still come back.
    pub(super) socket: Option<Socket>,
    /// Counts the sockets, so that the end of an old one is not taken for the end of a new one.
    pub(super) epoch: u64,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) data: mpsc::Sender<Carried>,
    pub(super) publisher: SharedPublisher,
    pub(super) negotiated: Negotiated,
    pub(super) announced: Arc<Notify>,
    /// Its place among its app's members.
    pub(super) _place: QuotaPermit,
}

#[derive(Debug)]
pub(super) struct Socket {
    /// A queue has room for 32 messages at once, and a message is 900 bytes long: boxed, an empty queue costs less than one.
    outbox: mpsc::Sender<Box<Message>>,
    pub(super) lost: CancellationToken,
}

/// The publishing connection, which the socket's task works on.
pub(crate) type SharedPublisher = Arc<tokio::sync::Mutex<Publisher>>;

/// What a socket needs to serve a member.
pub(crate) struct MemberLink {
    pub(crate) room: Arc<LiveRoom>,
    pub(crate) member: MemberId,
    pub(crate) publisher: SharedPublisher,
    /// What to send; ends when the member is gone.
    pub(crate) messages: mpsc::Receiver<Box<Message>>,
    /// Cancelled when the socket is to end without a word: the member came back on another one, or this one is too slow.
    pub(crate) lost: CancellationToken,
    pub(super) epoch: u64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("socket", &self.socket).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Socket {
    pub(super) fn new() -> (Self, mpsc::Receiver<Box<Message>>) {
        let (outbox, messages) = mpsc::channel(MAX_OUTBOX);
        (Self { outbox, lost: CancellationToken::new() }, messages)
    }

    /// A socket that can't keep up is lost; its member may come back and gets everything anew.
    pub(super) fn send(&self, message: Message) {
        if self.outbox.try_send(Box::new(message)).is_err() {
            self.lost.cancel();
        }
    }
}

impl Drop for MemberLink {
    /// The socket is gone. Does nothing when the member is, or has another one.
    fn drop(&mut self) {
        self.room.detach(&self.member, self.epoch);
    }
}
