//! A recording that was told to end before the worker died, while its journal is replayed. Nothing more is recorded.

use tokio::sync::watch;

use super::replay::{Meanwhile, Replay};
use super::returning::{Replaying, Returned};
use crate::session::ending::Cause;
use crate::session::input_log::InputLog;
use crate::session::phase::Phase;
use crate::storage::Bucket;

/// See the module's documentation.
pub(in crate::session) struct Stopped {
    replaying: Replaying,
    meanwhile: watch::Sender<Meanwhile>,
    input_log: InputLog,
}

/// How it ends.
pub(in crate::session) enum Exit {
    Replayed(Result<Replay, String>),
    /// The next run of the worker replays the journal.
    HandedOver,
}

impl Phase for Stopped {
    type Event = Result<Replay, String>;
    type Exit = Exit;

    async fn next(&mut self) -> Self::Event {
        (&mut self.replaying).await
    }

    async fn happened(&mut self, replayed: Self::Event) -> Result<(), Exit> {
        Err(Exit::Replayed(replayed))
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.meanwhile.send_modify(|now| now.update_credentials(bucket));
    }

    fn hand_over(&mut self) -> Result<(), Exit> {
        Err(Exit::HandedOver)
    }
}

impl Stopped {
    pub(super) const fn new(replaying: Replaying, meanwhile: watch::Sender<Meanwhile>, input_log: InputLog) -> Self {
        Self { replaying, meanwhile, input_log }
    }

    /// Ends it where it was ended. An error says why this worker can't take it up.
    pub(in crate::session) async fn finish(self, exit: Exit) -> Result<Returned, String> {
        match exit {
            Exit::HandedOver => Ok(Returned::HandedOver),
            Exit::Replayed(replayed) => Ok(match replayed? {
                Replay::Done(replayed) => {
                    Returned::Ending(Box::new(replayed.end_with_the_crash(self.input_log, Cause::Before).await))
                }
                Replay::LostJournal(lost) => Returned::LostJournal(lost),
            }),
        }
    }
}
