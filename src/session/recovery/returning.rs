//! A recording between two runs of the worker: what its callers want and what its bot meets while the journal is replayed, and
//! what follows from both.

use std::convert::Infallible;

use tokio::sync::{mpsc, watch};

use super::rejoin::{Rejoin, RejoinOutcome};
use super::replay::{Meanwhile, Replayed};
use super::unheard::{Unheard, end};
use crate::callback::event::LeaveCode;
use crate::recording::Selection;
use crate::session::State;
use crate::session::command::{Command, HandleCommand};
use crate::session::ending::{Cause, Ending};
use crate::session::input_log::InputLog;
use crate::session::running::{Running, finish};
use crate::storage::{Bucket, SpoolError};
use crate::units::Ticks;

/// What follows.
pub(in crate::session) enum Returned {
    /// The recording goes on.
    Recording(Box<Running>),
    /// It is over.
    Ending(Box<Ending>),
    /// The next run of the worker goes on with it.
    HandedOver,
}

/// See the module's documentation.
pub(in crate::session) struct Returning {
    rejoin: Rejoin,
    commands: mpsc::Receiver<Command>,
    /// What the replay has to know.
    meanwhile: watch::Sender<Meanwhile>,
    decision: Option<Decision>,
}

/// What becomes of the recording, when it does not go on.
#[derive(Debug)]
enum Decision {
    /// It ended without the bot being back. What was said since the crash is missing.
    Unheard(Unheard, Cause),
    /// It went on until then.
    At(Ticks, Cause),
    /// The next run of the worker goes on.
    HandOver,
}

impl Returning {
    pub(super) const fn new(
        rejoin: Rejoin,
        commands: mpsc::Receiver<Command>,
        meanwhile: watch::Sender<Meanwhile>,
    ) -> Self {
        Self { rejoin, commands, meanwhile, decision: None }
    }

    /// Whether it is decided that the recording does not go on.
    pub(super) const fn is_decided(&self) -> bool {
        self.decision.is_some()
    }

    /// Whether the next run of the worker is to go on with it.
    pub(super) const fn is_handed_over(&self) -> bool {
        matches!(self.decision, Some(Decision::HandOver))
    }

    /// Who commands, when nothing is decided here.
    pub(super) fn into_commands(self) -> mpsc::Receiver<Command> {
        self.commands
    }

    /// Attends to callers and bot until something happens; for ever when nothing can. Cancelling loses nothing.
    pub(super) async fn attend(&mut self) {
        if self.is_decided() {
            return self.attend_decided().await;
        }
        tokio::select! {
            turn = self.rejoin.next() => match turn {
                RejoinOutcome::Back => {}
                RejoinOutcome::Full => self.meanwhile.send_modify(|now| now.full = true),
                RejoinOutcome::Missed(cause) => self.decision = Some(Decision::Unheard(self.unheard(), cause)),
                RejoinOutcome::Ended(at, cause) => self.decision = Some(Decision::At(at, cause)),
            },
            command = self.commands.recv() => {
                let Ok(()) = self.handle(command).await;
            }
        }
        if self.is_decided() {
            self.meanwhile.send_modify(|now| now.stopped = true);
        }
    }

    /// Nothing more is recorded, and the replay is not at its end: it may wait for a bucket that fresh credentials open.
    async fn attend_decided(&mut self) {
        match self.commands.recv().await {
            Some(command) => {
                let Ok(()) = self.handle(Some(command)).await;
            }
            None => std::future::pending().await,
        }
    }

    /// The journal is replayed: waits until it is known whether the recording goes on, and lets it.
    pub(in crate::session) async fn go_on(mut self, mut replayed: Replayed) -> Returned {
        if replayed.finished.is_some() {
            // An earlier run ended it, and did not come to say so in the store.
            self.rejoin.leave();
            let (input_log, cause) = (self.rejoin.into_parts().input_log, Cause::Left(LeaveCode::Interrupted));
            let ending = end_with_the_crash(replayed, input_log, self.commands, cause).await;
            return Returned::Ending(Box::new(ending));
        }
        self.rejoin.not_before(replayed.last);
        if let Some(since) = replayed.idle_since() {
            self.rejoin.idle_since(since);
        }
        if let Err(error) = self.catch_up(&mut replayed).await {
            let unheard = self.unheard();
            self.decision = Some(match self.rejoin.leave() {
                Some(at) => Decision::At(at, error.into()),
                None => Decision::Unheard(unheard, error.into()),
            });
        }
        let Self { rejoin, commands, decision, .. } = self;
        let idle_until = rejoin.idle_until();
        let parts = rejoin.into_parts();
        replayed.pipeline.context().metrics.packets_dropped(parts.dropped);
        replayed.pipeline.note(|report| report.packets_dropped += parts.dropped);
        match decision {
            None => {}
            Some(Decision::HandOver) => {
                parts.input_log.finish().await;
                replayed.pipeline.context().settle().await;
                return Returned::HandedOver;
            }
            Some(Decision::At(at, cause)) => {
                finish(&mut replayed.pipeline, parts.input_log, at.max(replayed.last)).await;
                return Returned::Ending(Box::new(end(replayed, commands, cause)));
            }
            Some(Decision::Unheard(unheard, cause)) => {
                // A stop may have come before the journal said that nobody was there.
                let unheard = Unheard { idle_until: unheard.idle_until.or(idle_until), ..unheard };
                let ending = unheard.end(replayed, parts.input_log, commands, cause).await;
                return Returned::Ending(Box::new(ending));
            }
        }
        let handle = parts.handle.expect("what is not decided otherwise is back in its channel");
        let Replayed { pipeline, confirmations, presence, last, down, .. } = replayed;
        pipeline.note(|report| report.state = if down { State::Recovering } else { State::Recording });
        tracing::info!(sid = %pipeline.context().plan.sid, "a recording of an earlier run goes on");
        let running = Running::new(pipeline, confirmations, handle, parts.input_log, commands, parts.timebase);
        Returned::Recording(Box::new(running.go_on(presence, last).waiting(parts.waits, parts.deleted)))
    }

    /// Feeds what was held, until the core knows what the journal knows.
    async fn catch_up(&mut self, replayed: &mut Replayed) -> Result<(), SpoolError> {
        while !self.is_decided() && !self.rejoin.is_back() {
            tokio::select! {
                () = self.attend() => {}
                Some(events) = replayed.confirmations.recv() => replayed.pipeline.uploaded(events).await?,
            }
        }
        replayed.take_credentials();
        if let Some(back) = self.rejoin.back_since() {
            replayed.unheard_until(back);
        }
        if let Some(back) = self.rejoin.back_since().filter(|_| !self.is_decided()) {
            replayed.pipeline.failed_over(replayed.last, back).await;
        }
        loop {
            let held = self.rejoin.take_held();
            if held.is_empty() {
                break;
            }
            let feeding = replayed.feed(held);
            tokio::pin!(feeding);
            loop {
                tokio::select! {
                    fed = &mut feeding => break fed?,
                    () = self.attend() => {}
                }
            }
        }
        if !self.is_decided() {
            replayed.pipeline.caught_up().await?;
        }
        Ok(())
    }

    fn unheard(&self) -> Unheard {
        let (began, until, trouble) = (self.rejoin.began(), self.rejoin.unheard_until(), self.rejoin.trouble());
        Unheard { began, until, trouble, idle_until: self.rejoin.idle_until() }
    }
}

/// While the journal is replayed the report is as an earlier run left it.
impl HandleCommand for Returning {
    type Exit = Infallible;

    fn update_credentials(&mut self, bucket: Bucket) {
        self.meanwhile.send_modify(|now| now.update_credentials(bucket));
    }

    fn hand_over(&mut self) -> Result<(), Infallible> {
        if !self.is_decided() {
            self.rejoin.leave();
        }
        self.decision = Some(Decision::HandOver);
        Ok(())
    }

    fn abandoned(&mut self) -> Result<(), Infallible> {
        self.stop(LeaveCode::Interrupted)
    }

    fn stop(&mut self, code: LeaveCode) -> Result<(), Infallible> {
        if !self.is_decided() {
            let (unheard, cause) = (self.unheard(), Cause::Left(code));
            self.decision = Some(match self.rejoin.leave() {
                Some(at) => Decision::At(at, cause),
                None => Decision::Unheard(unheard, cause),
            });
        }
        Ok(())
    }

    fn select(&mut self, selection: Selection) {
        if !self.is_decided() {
            self.rejoin.select(selection);
        }
    }
}

/// Ends a recording that an earlier run ended, where that run did.
pub(super) async fn end_with_the_crash(
    mut replayed: Replayed,
    input_log: InputLog,
    commands: mpsc::Receiver<Command>,
    cause: Cause,
) -> Ending {
    let at = replayed.end();
    if replayed.finished.is_some() {
        // The journal has it, or the bucket.
        replayed.pipeline.finish(at);
    } else {
        finish(&mut replayed.pipeline, input_log, at).await;
    }
    end(replayed, commands, cause)
}
