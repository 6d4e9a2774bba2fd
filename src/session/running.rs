//! The loop of a recording whose bot is in the channel.
//!
//! It sleeps until there is news, a confirmation, a command, or the core or the idle rule has something to do (invariant 9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ending::{Cause, Ending};
use super::live::{Command, Desk};
use super::presence::Presence;
use super::stall::{Stall, Watched};
use super::tape::Tape;
use super::timebase::Timebase;
use super::works::{Position, Works};
use super::{Idle, State, Waits};
use crate::callback::event::LeaveCode;
use crate::channel::{ChannelHandle, EndReason, News};
use crate::recording::{Input, Selection, TimedInput};
use crate::storage::journal::Record;
use crate::storage::{SpoolError, UploadReport};
use crate::units::{Ticks, Uid, WallMs};

/// News taken in one go.
const BATCH: usize = 256;

/// News that waited for longer than this, with more behind it, means that this worker does not keep up.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How far apart two reports for callers are at least; each copies the ledger.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far apart two events 3 about calls that did not fit are at least.
const MISFIT_EVERY: Duration = Duration::from_secs(60);

/// A recording whose bot is in the channel.
pub(super) struct Running {
    works: Works,
    confirmations: mpsc::Receiver<UploadReport>,
    handle: ChannelHandle,
    watched: Watched,
    /// Stalls of this worker that the core does not know of yet, the oldest first.
    stalls: VecDeque<Stall>,
    tape: Tape,
    commands: mpsc::Receiver<Command>,
    presence: Presence,
    timebase: Timebase,
    /// Arrival of the last input: arrivals never decrease.
    last: Ticks,
    idle_since: Option<Instant>,
    waits: Waits,
    /// Whether the channel was deleted, and nobody came back since.
    deleted: bool,
    /// What the report says of that.
    idle_told: Option<(Instant, Waits)>,
    /// When the report was brought up to date for a caller.
    looked: Option<Instant>,
    /// When the right to be in the channel ends.
    token_end: Option<Instant>,
    /// When it was said last that a call did not fit.
    misfit: Option<Instant>,
}

/// Why the loop ended.
enum Exit {
    /// The recording is over.
    Over(Cause),
    /// The next run of the worker goes on with it.
    HandedOver,
}

impl From<Cause> for Exit {
    fn from(cause: Cause) -> Self {
        Self::Over(cause)
    }
}

impl Running {
    /// Begins at the tick 0 of `timebase`.
    pub(super) fn new(
        works: Works,
        confirmations: mpsc::Receiver<UploadReport>,
        handle: ChannelHandle,
        tape: Tape,
        commands: mpsc::Receiver<Command>,
        timebase: Timebase,
    ) -> Self {
        let (presence, last, idle_since) = (Presence::default(), Ticks::ZERO, Some(Instant::now()));
        let Desk { plan, clock, stalls, .. } = works.desk();
        let watched = stalls.watch(Arc::clone(&handle.media));
        let left = plan.token_until.map(|until| Duration::from_millis(until.0.saturating_sub(clock().0)));
        Self {
            works,
            confirmations,
            handle,
            watched,
            stalls: VecDeque::new(),
            tape,
            commands,
            presence,
            timebase,
            last,
            idle_since,
            waits: Waits::Inside,
            deleted: false,
            idle_told: None,
            looked: None,
            token_end: left.map(|left| Instant::now() + left),
            misfit: None,
        }
    }

    /// Goes on in the middle: who is there, and the arrival of the last input. Whether nobody is there counts from now.
    pub(super) fn go_on(mut self, presence: Presence, last: Ticks) -> Self {
        let idle = presence.is_idle(self.works.desk().plan.idle.kind);
        self.idle_since = idle.then(Instant::now);
        Self { presence, last, ..self }
    }

    /// Where the bot waits already, and whether that is because the channel was deleted.
    pub(super) fn waiting(self, waits: Waits, deleted: bool) -> Self {
        Self { waits, deleted, ..self }
    }

    /// Records until something ends it, then ends it.
    pub(super) async fn run(mut self) {
        let exit = self.record().await;
        self.handle.news.close();
        self.stalls.extend(self.watched.stalls());
        while let Ok((arrival, news)) = self.handle.news.try_recv() {
            self.stalls_before(Some(arrival));
            match news {
                News::Input(input) => self.input(arrival, input),
                News::Down { since } => self.lost(arrival, since),
                News::Unheard { uid, since } => self.unheard(arrival, uid, since),
                News::Outside { .. } | News::Inside | News::Dropped(_) | News::Ended(_) => {}
            }
        }
        self.stalls_before(None);
        let at = self.timebase.now();
        let Self { mut works, confirmations, handle, mut tape, commands, mut presence, last, .. } = self;
        drop(handle);
        match exit {
            Exit::Over(cause) => {
                finish(&mut works, tape, at.max(last)).await;
                Ending { works, confirmations, commands, presence }.run(cause).await;
            }
            Exit::HandedOver => {
                // The next run is back sooner when it need not replay.
                let restarted = TimedInput { at: last, input: Input::CodersRestarted };
                write(&works, &mut tape, &restarted);
                feed(&mut works, &mut presence, restarted);
                let shipped = works.ship().await.is_ok() && works.can_be_kept();
                if shipped && works.desk().scribe.is_written_soon().await {
                    let down = works.report().state == State::Recovering;
                    tape.append(&works.keep(Position { presence, last, finished: None, down }));
                }
                tape.finish().await;
                works.desk().settle().await;
                tracing::info!(sid = %works.desk().plan.sid, "the next run of the worker goes on with this recording");
            }
        }
    }

    async fn record(&mut self) -> Exit {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.tell_idle();
            let wake = self.wake();
            let happened = tokio::select! {
                count = self.handle.news.recv_many(&mut batch, BATCH) => match count {
                    0 => Err(Cause::Channel(EndReason::Unreachable).into()),
                    _ => self.take(&mut batch).map_err(Exit::from),
                },
                Some(news) = self.confirmations.recv() => {
                    self.works.uploaded(news).await.map_err(|error| Cause::from(error).into())
                }
                news = self.works.backup_news() => {
                    self.works.tend_backup(news).await;
                    Ok(())
                }
                command = self.commands.recv() => self.obey(command).await,
                () = self.watched.news() => {
                    self.pass_time();
                    Ok(())
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.pass_time();
                    Ok(())
                }
            };
            let shipped = match happened {
                Ok(()) => self.works.ship().await.map_err(|error| Cause::from(error).into()),
                Err(exit) => return exit,
            };
            if let Err(exit) = shipped {
                return exit;
            }
            if let Err(error) = self.keep_if_due().await {
                return Cause::from(error).into();
            }
            self.stalls.extend(self.watched.stalls());
            let heard = self.stalls.is_empty();
            if heard && self.idle_deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                return if self.deleted { Cause::Deleted } else { Cause::Left(LeaveCode::Idle) }.into();
            }
            if self.token_end.is_some_and(|end| Instant::now() >= end) {
                return Cause::TokenExpired.into();
            }
        }
    }

    /// Puts the recording down in the journal, so that older files of it can go. The coders start anew first, as they do when the
    /// checkpoint is taken up: what follows is the same bytes here and there.
    async fn keep_if_due(&mut self) -> Result<(), SpoolError> {
        let desk = self.works.desk();
        if !desk.journal.checkpoint_due(&desk.plan.sid) || !self.works.can_be_kept() || !desk.scribe.is_written() {
            return Ok(());
        }
        self.push(TimedInput { at: self.last, input: Input::CodersRestarted });
        self.works.ship().await?;
        if self.works.can_be_kept() && self.works.desk().scribe.is_written_soon().await {
            let down = self.works.report().state == State::Recovering;
            let position = Position { presence: self.presence.clone(), last: self.last, finished: None, down };
            self.tape.append(&self.works.keep(position));
        }
        Ok(())
    }

    async fn obey(&mut self, command: Option<Command>) -> Result<(), Exit> {
        match command {
            Some(Command::Select(selection)) => self.select(selection),
            Some(Command::Rekey(bucket)) => self.works.use_bucket(bucket),
            Some(Command::Look(done)) => {
                self.look();
                // A caller that waits no longer has its answer.
                let _gone = done.send(());
            }
            Some(Command::Misfit(why)) => self.misfit(why).await,
            Some(Command::Stop(code)) => return Err(Cause::Left(code).into()),
            Some(Command::HandOver) => return Err(Exit::HandedOver),
            None => return Err(Cause::Left(LeaveCode::Interrupted).into()),
        }
        Ok(())
    }

    /// Event 3, now and then: callers that repeat themselves don't fill the log.
    async fn misfit(&mut self, why: &'static str) {
        let now = Instant::now();
        if self.misfit.is_none_or(|told| now >= told + MISFIT_EVERY) {
            self.misfit = Some(now);
            self.works.misfit(why).await;
        }
    }

    fn take(&mut self, batch: &mut Vec<(Instant, News)>) -> Result<(), Cause> {
        let packets = batch.iter().filter(|(_, news)| matches!(news, News::Input(Input::Packet(_)))).count();
        self.works.desk().meters.packets_received(packets as u64);
        self.stalls.extend(self.watched.stalls());
        let waiting = batch.len() >= BATCH && self.handle.news.len() >= BATCH;
        if waiting && batch.last().is_some_and(|(arrival, _)| arrival.elapsed() > LONGEST_WAIT) {
            self.watched.overloaded();
        }
        for (arrival, news) in batch.drain(..) {
            self.stalls_before(Some(arrival));
            match news {
                News::Input(input) => self.input(arrival, input),
                News::Down { since } => self.lost(arrival, since),
                News::Unheard { uid, since } => self.unheard(arrival, uid, since),
                News::Outside { deleted } => (self.waits, self.deleted) = (Waits::Outside, deleted),
                News::Inside => self.waits = Waits::Inside,
                News::Dropped(count) => {
                    self.watched.overloaded();
                    self.works.desk().meters.packets_dropped(count);
                    self.works.note(|report| report.packets_dropped += count);
                }
                News::Ended(reason) => return Err(Cause::Channel(reason)),
            }
        }
        if self.handle.news.is_empty() {
            self.stalls_before(None);
        }
        Ok(())
    }

    fn input(&mut self, arrival: Instant, input: Input) {
        self.last = self.last.max(self.timebase.ticks(arrival));
        let timed = TimedInput { at: self.last, input };
        match &timed.input {
            Input::ChannelDown | Input::ChannelLost { .. } => {
                self.works.note(|report| report.state = State::Recovering)
            }
            Input::ChannelUp => self.works.note(|report| report.state = State::Recording),
            _ => {}
        }
        write(&self.works, &mut self.tape, &timed);
        if feed(&mut self.works, &mut self.presence, timed) {
            let idle = self.presence.is_idle(self.works.desk().plan.idle.kind);
            self.idle_since = if idle { self.idle_since.or(Some(arrival)) } else { None };
            self.deleted &= idle;
        }
    }

    /// Brings the report up to who is there, where that has changed.
    fn tell_idle(&mut self) {
        let idle = self.idle_since.map(|since| (since, self.waits));
        if self.idle_told == idle {
            return;
        }
        self.idle_told = idle;
        let Desk { plan, clock, .. } = self.works.desk();
        let (now, after) = ((clock)(), plan.idle.after);
        let told = idle.map(|(since, recorder)| {
            let since_ms = WallMs(now.0.saturating_sub(millis(since.elapsed())));
            Idle { since_ms, until_ms: WallMs(since_ms.0 + millis(after)), recorder }
        });
        self.works.note(|report| report.idle = told);
    }

    /// Gives an input without an arrival of its own to journal and core.
    fn push(&mut self, input: TimedInput) {
        write(&self.works, &mut self.tape, &input);
        feed(&mut self.works, &mut self.presence, input);
    }

    /// The way to the channel is broken, and nothing has come over it since `since`.
    fn lost(&mut self, arrival: Instant, since: Instant) {
        let at = self.last.max(self.timebase.ticks(arrival));
        self.input(arrival, Input::ChannelLost { since: self.timebase.ticks(since).min(at) });
    }

    /// The member speaks and could not be heard since `since`: the bot was outside.
    fn unheard(&mut self, arrival: Instant, uid: Uid, since: Instant) {
        let at = self.last.max(self.timebase.ticks(arrival));
        self.input(arrival, Input::Unheard { uid, since: self.timebase.ticks(since).min(at) });
    }

    /// Tells the core of the stalls that came before what arrived then; of all, without an arrival.
    fn stalls_before(&mut self, arrival: Option<Instant>) {
        while let Some(stall) = self.stalls.pop_front_if(|stall| arrival.is_none_or(|arrival| stall.precedes(arrival)))
        {
            let from = self.timebase.ticks(stall.from);
            self.timebase.suspended(stall.suspended);
            let at = self.last.max(self.timebase.ticks(stall.until));
            self.input(stall.until, Input::Stalled { from: from.min(at), cause: stall.cause });
            // A recording that could not hear was not idle.
            self.idle_since = self.idle_since.map(|since| since + stall.after(since));
        }
    }

    /// Tells the core that time passed, once it has everything that arrived until now. What arrives later does not count as
    /// earlier: the journal says what the core saw (invariant 6).
    fn pass_time(&mut self) {
        self.stalls.extend(self.watched.stalls());
        if self.handle.news.is_empty() {
            self.stalls_before(None);
            let now = self.timebase.now();
            self.last = self.last.max(now);
            self.works.advance(self.last);
        }
    }

    /// Brings the report up to now, unless it was just brought.
    fn look(&mut self) {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now >= looked + LOOK_EVERY) {
            self.looked = Some(now);
            self.pass_time();
            self.works.look(self.timebase.now().max(self.last));
        }
    }

    fn select(&mut self, selection: Selection) {
        self.pass_time();
        self.handle.selection.send_replace(selection.clone());
        self.input(Instant::now(), Input::Select(selection));
    }

    /// When to look again though nothing happened.
    fn wake(&self) -> Option<Instant> {
        let core = self.works.next_wake().map(|at| self.timebase.instant(at));
        core.into_iter().chain(self.idle_deadline()).chain(self.token_end).min()
    }

    fn idle_deadline(&self) -> Option<Instant> {
        self.idle_since.map(|since| since + self.works.desk().plan.idle.after)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The journal learns of the end before the store does; then the timeline ends.
pub(super) async fn finish(works: &mut Works, mut tape: Tape, at: Ticks) {
    tape.append(&Record::Finished { sid: works.desk().plan.sid.clone(), at });
    tape.finish().await;
    if let Err(error) = works.desk().journal.flush().await {
        tracing::error!(sid = %works.desk().plan.sid, "a crash would cut this recording short: {error}");
    }
    works.finish(at);
}

fn write(works: &Works, tape: &mut Tape, input: &TimedInput) {
    tape.append(&Record::Input { sid: works.desk().plan.sid.clone(), input: input.clone() });
}

/// Gives an input to everybody who needs it. True when it may change who is there.
pub(super) fn feed(works: &mut Works, presence: &mut Presence, timed: TimedInput) -> bool {
    let about_people = !matches!(timed.input, Input::Packet(_) | Input::SenderReport { .. });
    if about_people {
        presence.observe(timed.at, &timed.input);
    }
    works.push(timed);
    about_people
}
