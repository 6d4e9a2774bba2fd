//! What a session can be told from outside its task.

use tokio::sync::{mpsc, oneshot};

use crate::callback::event::LeaveCode;
use crate::recording::Selection;
use crate::storage::Bucket;

/// Commands that may wait for a session.
const MAX_COMMANDS: usize = 16;

/// What a session can be told while it runs.
#[derive(Debug)]
pub(super) enum Command {
    /// Leave and end; why.
    Stop(LeaveCode),
    /// Record these from here on.
    Select(Selection),
    /// Write with the credentials of this handle from here on.
    Rekey(Bucket),
    /// Bring the report up to now, and say so.
    Look(oneshot::Sender<()>),
    /// A call was refused because of this recording; why, as a word.
    RejectedCall(&'static str),
    /// Leave and end nothing: the next run of the worker goes on with it.
    HandOver,
}

/// The worker stops: the next run goes on.
#[derive(Debug)]
pub(super) struct HandedOver;

/// What a session was told, in order.
#[derive(Debug)]
pub(super) struct Commands {
    received: mpsc::Receiver<Command>,
    /// Nobody can command any more, and the session knows it.
    abandoned: bool,
}

impl Commands {
    /// Those of a new session, and who sends them.
    pub(super) fn channel() -> (mpsc::Sender<Command>, Self) {
        let (commands, received) = mpsc::channel(MAX_COMMANDS);
        (commands, Self { received, abandoned: false })
    }

    /// Waits for the next one; none, once, where nobody can command any more. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Option<Command> {
        if self.abandoned {
            return std::future::pending().await;
        }
        let command = self.received.recv().await;
        self.abandoned = command.is_none();
        command
    }
}
