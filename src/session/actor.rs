//! The one task of a session: the state that it is in, and which one follows.
//!
//! A state owns all that it works with and gives what is left of it to the next one; no state calls another. What each does with commands
//! is [`super::command::HandleCommand`].

use super::ending::{Ending, LastLog};
use super::live::Joining;
use super::recovery::replay::Replayed;
use super::recovery::returning::{Returned, Returning};
use super::running::Running;

/// The state of a session. One that only waits for its bucket since an earlier run begins with [`Actor::Ending`] or [`Actor::Uploading`].
pub(super) enum Actor {
    /// The bot is on its way into the channel for the first time.
    Joining(Box<Joining>),
    /// The worker died, and the journal is replayed; the bot is on its way back.
    Restoring(Box<Returning>, Box<Replayed>),
    /// The bot is in the channel.
    Recording(Box<Running>),
    /// The timeline has ended, and not everything is in a bucket.
    Ending(Box<Ending>),
    /// The recording is over for its callers; the last lines of its log, or its way home from the backup, are left.
    Uploading(Box<LastLog>),
    /// Nothing is left, or the next run of the worker goes on.
    Done,
}

impl Actor {
    /// Lives the session from here to its end.
    pub(super) async fn run(mut self) {
        while !matches!(self, Self::Done) {
            self = self.next().await;
        }
    }

    async fn next(self) -> Self {
        match self {
            Self::Joining(joining) => joining.run().await.map_or(Self::Done, Self::recording),
            Self::Restoring(returning, replayed) => match returning.go_on(*replayed).await {
                Returned::Recording(running) => Self::recording(*running),
                Returned::Ending(ending) => Self::Ending(ending),
                Returned::HandedOver => Self::Done,
            },
            Self::Recording(running) => running.run().await.map_or(Self::Done, Self::ending),
            Self::Ending(ending) => ending.run().await.map_or(Self::Done, |log| Self::Uploading(Box::new(log))),
            Self::Uploading(last_log) => {
                last_log.write().await;
                Self::Done
            }
            Self::Done => Self::Done,
        }
    }

    fn recording(running: Running) -> Self {
        Self::Recording(Box::new(running))
    }

    /// A recording whose timeline has ended.
    pub(super) fn ending(ending: Ending) -> Self {
        Self::Ending(Box::new(ending))
    }
}
