//! The one task of a session: the state that it is in, and which one follows.
//!
//! A state owns all that it works with and gives what is left of it to the next one; no state calls another. All are lived by the
//! same loop ([`super::phase`]).

use super::command::Commands;
use super::ending::{Ending, LastLog, LostJournal};
use super::live::Joining;
use super::phase::live;
use super::recovery::returning::{Returned, Returning};
use super::recovery::stopped::Stopped;
use super::running::Running;

/// A session.
pub(super) struct Actor {
    state: State,
    commands: Commands,
}

/// The state of a session. One that an earlier run of the worker left begins with any of them.
pub(super) enum State {
    /// The bot is on its way into the channel for the first time.
    Joining(Box<Joining>),
    /// The worker died: the journal is replayed, and the bot is on its way back.
    Restoring(Box<Returning>),
    /// The same of one that was told to end before: no bot is sent.
    Stopped(Box<Stopped>),
    /// The bot is in the channel.
    Recording(Box<Running>),
    /// The timeline has ended, and not everything is in a bucket.
    Ending(Box<Ending>),
    /// Nothing is known of what was received, and not all that was made is in its bucket.
    LostJournal(Box<LostJournal>),
    /// The recording is over for its callers; the last lines of its log, or its way home from the backup, are left.
    Uploading(Box<LastLog>),
    /// Nothing is left, or the next run of the worker goes on.
    Done,
}

impl Actor {
    pub(super) const fn new(state: State, commands: Commands) -> Self {
        Self { state, commands }
    }

    /// Lives the session to its end. An error says why this worker can't take it up.
    pub(super) async fn run(self) -> Result<(), String> {
        let Self { mut state, mut commands } = self;
        while !matches!(state, State::Done) {
            state = state.live(&mut commands).await?;
        }
        Ok(())
    }
}

impl State {
    /// Lives this state to its end; the one that follows.
    async fn live(self, commands: &mut Commands) -> Result<Self, String> {
        Ok(match self {
            Self::Joining(mut joining) => {
                let joined = live(&mut *joining, commands).await;
                joining.finish(joined).await.map_or(Self::Done, |running| Self::Recording(Box::new(running)))
            }
            Self::Restoring(mut returning) => {
                let exit = live(&mut *returning, commands).await;
                returning.finish(exit).await?.into()
            }
            Self::Stopped(mut stopped) => {
                let exit = live(&mut *stopped, commands).await;
                stopped.finish(exit).await?.into()
            }
            Self::Recording(mut running) => {
                let exit = live(&mut *running, commands).await;
                running.finish(exit).await.map_or(Self::Done, |ending| Self::Ending(Box::new(ending)))
            }
            Self::Ending(mut ending) => {
                let ended = live(&mut *ending, commands).await;
                ending.finish(ended).await.map_or(Self::Done, |log| Self::Uploading(Box::new(log)))
            }
            Self::LostJournal(mut lost) => {
                let exit = live(&mut *lost, commands).await;
                lost.finish(exit).await;
                Self::Done
            }
            Self::Uploading(mut last_log) => {
                let ending = last_log.worker_ends();
                tokio::select! {
                    written = live(&mut *last_log, commands) => last_log.finish(written).await,
                    // The next run of the worker does the rest.
                    () = ending => {}
                }
                Self::Done
            }
            Self::Done => Self::Done,
        })
    }
}

impl From<Returned> for State {
    fn from(returned: Returned) -> Self {
        match returned {
            Returned::Recording(running) => Self::Recording(running),
            Returned::Ending(ending) => Self::Ending(ending),
            Returned::LostJournal(lost) => Self::LostJournal(lost),
            Returned::HandedOver => Self::Done,
        }
    }
}
