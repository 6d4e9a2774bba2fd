//! A recording between two runs of the worker: what its callers want and what its bot meets while the journal is replayed, and
//! what follows from both.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::rejoin::{Rejoin, RejoinOutcome};
use super::replay::{Meanwhile, Replay, Replayed};
use super::unheard::Unheard;
use crate::callback::event::LeaveCode;
use crate::recording::{Selection, TimedInput};
use crate::session::State;
use crate::session::ending::{Cause, Ending, LostJournal};
use crate::session::phase::Phase;
use crate::session::running::{Running, finish};
use crate::storage::{Bucket, SpoolError, UploadReport, journal};
use crate::units::Ticks;

/// The replay of a journal, on its way. An error says what keeps this worker from it.
pub(super) type Replaying = BoxFuture<'static, Result<Replay, String>>;

/// See the module's documentation.
pub(in crate::session) struct Returning {
    rejoin: Rejoin,
    /// What the replay has to know.
    meanwhile: watch::Sender<Meanwhile>,
    decision: Option<Decision>,
    progress: Progress,
    journal: journal::Writer,
}

/// How far the recording is.
enum Progress {
    Replaying(Replaying),
    /// The journal is replayed, and it is not known whether the bot gets back.
    Replayed(Box<Replayed>),
    /// It is known; the core gets what was held.
    CatchingUp(Box<Replayed>, VecDeque<TimedInput>),
    /// Nothing is left to be done here.
    EndedSession,
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

/// What happens meanwhile.
pub(in crate::session) enum Event {
    Bot(RejoinOutcome),
    Replayed(Result<Replay, String>),
    Uploaded(UploadReport),
    /// The core can take more of what was held.
    Feed,
}

/// How it ends.
pub(in crate::session) enum Exit {
    /// The core knows what the journal knows.
    CaughtUp(Box<Replayed>),
    /// An earlier run ended it, and did not come to say so in the store.
    Finished(Box<Replayed>),
    LostJournal(Box<LostJournal>),
    /// The next run of the worker replays the journal.
    HandedOver,
    /// This worker can't take it up.
    Failed(String),
}

/// What follows.
pub(in crate::session) enum Returned {
    /// The recording goes on.
    Recording(Box<Running>),
    /// It is over.
    Ending(Box<Ending>),
    LostJournal(Box<LostJournal>),
    /// The next run of the worker goes on with it.
    HandedOver,
}

/// While the journal is replayed the report is as an earlier run left it.
impl Phase for Returning {
    type Event = Event;
    type Exit = Exit;

    async fn next(&mut self) -> Event {
        let open = self.decision.is_none();
        match &mut self.progress {
            Progress::Replaying(replaying) => tokio::select! {
                replayed = replaying => Event::Replayed(replayed),
                turn = self.rejoin.next(), if open => Event::Bot(turn),
            },
            Progress::Replayed(replayed) => tokio::select! {
                turn = self.rejoin.next(), if open => Event::Bot(turn),
                report = replayed.pipeline.next_report() => Event::Uploaded(report),
            },
            Progress::CatchingUp(..) => tokio::select! {
                biased;
                turn = self.rejoin.next(), if open => Event::Bot(turn),
                () = std::future::ready(()) => Event::Feed,
            },
            Progress::EndedSession => std::future::pending().await,
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Exit> {
        let done = match (event, &mut self.progress) {
            (Event::Bot(turn), _) => {
                self.turned(turn);
                Ok(())
            }
            (Event::Replayed(replayed), _) => return self.replayed(replayed),
            (Event::Uploaded(report), Progress::Replayed(replayed)) => replayed.pipeline.uploaded(report).await,
            (Event::Feed, Progress::CatchingUp(replayed, held)) => replayed.feed(held).await,
            (Event::Uploaded(_) | Event::Feed, _) => Ok(()),
        };
        done.or_else(|error| self.broken(error))
    }

    async fn advance(&mut self) -> Result<(), Exit> {
        if self.decision.is_some() {
            self.meanwhile.send_if_modified(|now| !std::mem::replace(&mut now.stopped, true));
        }
        match std::mem::replace(&mut self.progress, Progress::EndedSession) {
            Progress::Replaying(_) if matches!(self.decision, Some(Decision::HandOver)) => Err(Exit::HandedOver),
            Progress::Replayed(mut replayed) if self.decision.is_some() || self.rejoin.is_back() => {
                replayed.take_credentials();
                if let Some(back) = self.rejoin.back_since() {
                    replayed.unheard_until(back);
                    if self.decision.is_none() {
                        replayed.pipeline.failed_over(replayed.last, back).await;
                    }
                }
                self.catch_up(replayed, VecDeque::new()).await
            }
            Progress::CatchingUp(replayed, held) => self.catch_up(replayed, held).await,
            progress => {
                self.progress = progress;
                Ok(())
            }
        }
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.meanwhile.send_modify(|now| now.update_credentials(bucket));
    }

    fn hand_over(&mut self) -> Result<(), Exit> {
        if self.decision.is_none() {
            self.rejoin.leave();
        }
        self.decision = Some(Decision::HandOver);
        Ok(())
    }

    fn abandoned(&mut self) -> Result<(), Exit> {
        self.stop(LeaveCode::Interrupted)
    }

    fn stop(&mut self, code: LeaveCode) -> Result<(), Exit> {
        if self.decision.is_none() {
            self.leave(Cause::Left(code));
        }
        Ok(())
    }

    fn select(&mut self, selection: Selection) {
        if self.decision.is_none() {
            self.rejoin.select(selection);
        }
    }
}

impl Returning {
    pub(super) const fn new(
        rejoin: Rejoin,
        replaying: Replaying,
        meanwhile: watch::Sender<Meanwhile>,
        journal: journal::Writer,
    ) -> Self {
        Self { rejoin, meanwhile, decision: None, progress: Progress::Replaying(replaying), journal }
    }

    /// Lets the recording go on, or ends it. An error says why this worker can't take it up.
    pub(in crate::session) async fn finish(mut self, exit: Exit) -> Result<Returned, String> {
        match exit {
            Exit::CaughtUp(replayed) => Ok(self.conclude(*replayed).await),
            Exit::Finished(replayed) => {
                self.rejoin.leave();
                let (input_log, cause) = (self.rejoin.into_parts().input_log, Cause::Left(LeaveCode::Interrupted));
                Ok(Returned::Ending(Box::new(replayed.end_with_the_crash(input_log, cause).await)))
            }
            Exit::LostJournal(lost) => Ok(Returned::LostJournal(lost)),
            Exit::HandedOver => {
                let flushed = self.journal.flush().await;
                flushed.map(|()| Returned::HandedOver).map_err(|error| error.to_string())
            }
            Exit::Failed(problem) => Err(problem),
        }
    }

    /// The bot has met something.
    fn turned(&mut self, turn: RejoinOutcome) {
        match turn {
            RejoinOutcome::Back => {}
            RejoinOutcome::Full => self.meanwhile.send_modify(|now| now.full = true),
            RejoinOutcome::Missed(cause) => self.decision = Some(Decision::Unheard(self.unheard(), cause)),
            RejoinOutcome::Ended(at, cause) => self.decision = Some(Decision::At(at, cause)),
        }
    }

    /// The journal is replayed: the present is not before its end.
    fn replayed(&mut self, replayed: Result<Replay, String>) -> Result<(), Exit> {
        let replayed = match replayed {
            Ok(Replay::Done(replayed)) => replayed,
            Ok(Replay::LostJournal(lost)) => return Err(Exit::LostJournal(lost)),
            Err(problem) => return Err(Exit::Failed(problem)),
        };
        if replayed.finished.is_some() {
            return Err(Exit::Finished(replayed));
        }
        self.rejoin.not_before(replayed.last);
        if let Some(since) = replayed.idle_since() {
            self.rejoin.idle_since(since);
        }
        self.progress = Progress::Replayed(replayed);
        Ok(())
    }

    /// Goes on with what was held, until the core knows what the journal knows.
    async fn catch_up(&mut self, mut replayed: Box<Replayed>, mut held: VecDeque<TimedInput>) -> Result<(), Exit> {
        if held.is_empty() {
            held = self.rejoin.take_held().into();
        }
        if !held.is_empty() {
            self.progress = Progress::CatchingUp(replayed, held);
            return Ok(());
        }
        let caught_up = if self.decision.is_none() { replayed.pipeline.caught_up().await } else { Ok(()) };
        self.progress = Progress::CatchingUp(replayed, held);
        caught_up.or_else(|error| self.broken(error))?;
        self.caught_up()
    }

    /// The spool failed: the recording ends.
    fn broken(&mut self, error: SpoolError) -> Result<(), Exit> {
        self.leave(error.into());
        self.caught_up()
    }

    fn caught_up(&mut self) -> Result<(), Exit> {
        match std::mem::replace(&mut self.progress, Progress::EndedSession) {
            Progress::Replayed(replayed) | Progress::CatchingUp(replayed, _) => Err(Exit::CaughtUp(replayed)),
            progress => {
                self.progress = progress;
                Ok(())
            }
        }
    }

    /// The bot leaves, wherever it is, and the recording is over.
    fn leave(&mut self, cause: Cause) {
        let unheard = self.unheard();
        self.decision = Some(match self.rejoin.leave() {
            Some(at) => Decision::At(at, cause),
            None => Decision::Unheard(unheard, cause),
        });
    }

    /// The core knows what the journal knows: what was decided is done.
    async fn conclude(self, mut replayed: Replayed) -> Returned {
        let Self { rejoin, decision, .. } = self;
        let idle_until = rejoin.idle_until();
        let parts = rejoin.into_parts();
        replayed.pipeline.context().metrics.packets_dropped(parts.dropped);
        replayed.pipeline.note(|report| report.packets_dropped += parts.dropped);
        let ending = match decision {
            None => {
                let handle = parts.handle.expect("what is not decided otherwise is back in its channel");
                let Replayed { pipeline, presence, last, down, .. } = replayed;
                pipeline.note(|report| report.state = if down { State::Recovering } else { State::Recording });
                tracing::info!(sid = %pipeline.context().plan.sid, "a recording of an earlier run goes on");
                let running = Running::new(pipeline, handle, parts.input_log, parts.timebase);
                let running = running.go_on(presence, last).waiting(parts.waits, parts.deleted);
                return Returned::Recording(Box::new(running));
            }
            Some(Decision::HandOver) => {
                parts.input_log.finish().await;
                replayed.pipeline.context().settle().await;
                return Returned::HandedOver;
            }
            Some(Decision::At(at, cause)) => {
                finish(&mut replayed.pipeline, parts.input_log, at.max(replayed.last)).await;
                replayed.into_ending(cause)
            }
            Some(Decision::Unheard(unheard, cause)) => {
                // A stop may have come before the journal said that nobody was there.
                let unheard = Unheard { idle_until: unheard.idle_until.or(idle_until), ..unheard };
                unheard.end(replayed, parts.input_log, cause).await
            }
        };
        Returned::Ending(Box::new(ending))
    }

    fn unheard(&self) -> Unheard {
        let (began, until, trouble) = (self.rejoin.began(), self.rejoin.unheard_until(), self.rejoin.trouble());
        Unheard { began, until, trouble, idle_until: self.rejoin.idle_until() }
    }
}
