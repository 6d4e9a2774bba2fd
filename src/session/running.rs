//! The loop of a recording whose bot is in the channel.
//!
//! It sleeps until there is an update, a confirmation, a command, or the core or the idle rule has something to do (invariant 9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::context::SessionContext;
use super::ending::{Cause, Ending};
use super::input_log::InputLog;
use super::phase::Phase;
use super::pipeline::{self, Pipeline, Position};
use super::presence::Presence;
use super::stall::{Stall, Watched};
use super::timebase::Timebase;
use super::{Idle, State, Waits};
use crate::callback::event::LeaveCode;
use crate::channel::{ChannelHandle, ChannelUpdate, EndReason};
use crate::recording::{Input, Selection, TimedInput};
use crate::storage::journal::Record;
use crate::storage::{Bucket, SpoolError};
use crate::units::{Ticks, Uid, WallMs};

/// Updates taken in one go.
const BATCH: usize = 256;

/// Updates that waited for longer than this, with more behind it, means that this worker does not keep up.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How far apart two reports for callers are at least; each copies the ledger.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far apart two events 3 about calls that did not fit are at least.
const REJECTED_CALL_EVERY: Duration = Duration::from_secs(60);

/// A recording whose bot is in the channel.
pub(super) struct Running {
    pipeline: Pipeline,
    handle: ChannelHandle,
    /// Updates that were taken from the channel.
    batch: Vec<(Instant, ChannelUpdate)>,
    watched: Watched,
    /// Stalls of this worker that the core does not know of yet, the oldest first.
    stalls: VecDeque<Stall>,
    input_log: InputLog,
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
    rejected_call: Option<Instant>,
}

/// Why the bot has left.
pub(super) enum Exit {
    /// The recording is over.
    Over(Cause),
    /// The next run of the worker goes on with it.
    HandedOver,
}

/// What happens while a bot is in its channel.
pub(super) enum Event {
    /// So many updates came from the channel; none when it is gone.
    ChannelUpdate(usize),
    /// Something was uploaded, or the like.
    Pipeline(Box<pipeline::Happened>),
    /// Core, idle rule or token want to be looked at, or this worker stood still.
    Time,
}

impl From<SpoolError> for Exit {
    fn from(error: SpoolError) -> Self {
        Cause::from(error).into()
    }
}

impl From<Cause> for Exit {
    fn from(cause: Cause) -> Self {
        Self::Over(cause)
    }
}

impl Running {
    /// Begins at the tick 0 of `timebase`.
    pub(super) fn new(pipeline: Pipeline, handle: ChannelHandle, input_log: InputLog, timebase: Timebase) -> Self {
        let (presence, last, idle_since) = (Presence::default(), Ticks::ZERO, Some(Instant::now()));
        let SessionContext { plan, clock, stalls, .. } = pipeline.context();
        let watched = stalls.watch(Arc::clone(&handle.media));
        let left = plan.token_until.map(|until| Duration::from_millis(until.0.saturating_sub(clock().0)));
        Self {
            pipeline,
            handle,
            batch: Vec::with_capacity(BATCH),
            watched,
            stalls: VecDeque::new(),
            input_log,
            presence,
            timebase,
            last,
            idle_since,
            waits: Waits::Inside,
            deleted: false,
            idle_told: None,
            looked: None,
            token_end: left.map(|left| Instant::now() + left),
            rejected_call: None,
        }
    }

    /// Goes on in the middle: who is there, and the arrival of the last input. Whether nobody is there counts from now.
    pub(super) fn go_on(mut self, presence: Presence, last: Ticks) -> Self {
        let idle = presence.is_idle(self.pipeline.context().plan.idle.kind);
        self.idle_since = idle.then(Instant::now);
        Self { presence, last, ..self }
    }

    /// Where the bot waits already, and whether that is because the channel was deleted.
    pub(super) fn waiting(self, waits: Waits, deleted: bool) -> Self {
        Self { waits, deleted, ..self }
    }

    /// Leaves the channel. What is left to be done then; none where the next run of the worker goes on.
    pub(super) async fn finish(mut self, exit: Exit) -> Option<Ending> {
        self.handle.updates.close();
        self.stalls.extend(self.watched.stalls());
        while let Ok((arrival, update)) = self.handle.updates.try_recv() {
            self.stalls_before(Some(arrival));
            match update {
                ChannelUpdate::Input(input) => self.input(arrival, input),
                ChannelUpdate::Down { since } => self.lost(arrival, since),
                ChannelUpdate::Unheard { uid, since } => self.unheard(arrival, uid, since),
                ChannelUpdate::Outside { .. }
                | ChannelUpdate::Inside
                | ChannelUpdate::Dropped(_)
                | ChannelUpdate::Ended(_) => {}
            }
        }
        self.stalls_before(None);
        let at = self.timebase.now();
        let Self { mut pipeline, handle, mut input_log, mut presence, last, .. } = self;
        drop(handle);
        match exit {
            Exit::Over(cause) => {
                finish(&mut pipeline, input_log, at.max(last)).await;
                Some(Ending::new(pipeline, presence, cause))
            }
            Exit::HandedOver => {
                // The next run is back sooner when it need not replay.
                let restarted = TimedInput { at: last, input: Input::CodersRestarted };
                write(&pipeline, &mut input_log, &restarted);
                feed(&mut pipeline, &mut presence, restarted);
                let shipped = pipeline.ship().await.is_ok() && pipeline.can_be_checkpointed();
                if shipped && pipeline.context().event_writer.is_written_soon().await {
                    let down = pipeline.report().state == State::Recovering;
                    input_log.append(&pipeline.write_checkpoint(Position { presence, last, finished: None, down }));
                }
                input_log.finish().await;
                pipeline.context().settle().await;
                tracing::info!(sid = %pipeline.context().plan.sid, "the next run of the worker goes on with this recording");
                None
            }
        }
    }

    /// Puts the recording down in the journal, so that older files of it can go. The coders start anew first, as they do when the
    /// checkpoint is taken up: what follows is the same bytes here and there.
    async fn checkpoint_if_due(&mut self) -> Result<(), SpoolError> {
        let context = self.pipeline.context();
        if !context.journal.checkpoint_due(&context.plan.sid)
            || !self.pipeline.can_be_checkpointed()
            || !context.event_writer.is_written()
        {
            return Ok(());
        }
        self.push(TimedInput { at: self.last, input: Input::CodersRestarted });
        self.pipeline.ship().await?;
        if self.pipeline.can_be_checkpointed() && self.pipeline.context().event_writer.is_written_soon().await {
            let down = self.pipeline.report().state == State::Recovering;
            let position = Position { presence: self.presence.clone(), last: self.last, finished: None, down };
            self.input_log.append(&self.pipeline.write_checkpoint(position));
        }
        Ok(())
    }

    fn take_news(&mut self) -> Result<(), Cause> {
        let mut batch = std::mem::take(&mut self.batch);
        let taken = self.take(&mut batch);
        batch.clear();
        self.batch = batch;
        taken
    }

    fn take(&mut self, batch: &mut Vec<(Instant, ChannelUpdate)>) -> Result<(), Cause> {
        let packets =
            batch.iter().filter(|(_, update)| matches!(update, ChannelUpdate::Input(Input::Packet(_)))).count();
        self.pipeline.context().metrics.packets_received(packets as u64);
        self.stalls.extend(self.watched.stalls());
        let waiting = batch.len() >= BATCH && self.handle.updates.len() >= BATCH;
        if waiting && batch.last().is_some_and(|(arrival, _)| arrival.elapsed() > LONGEST_WAIT) {
            self.watched.overloaded();
        }
        for (arrival, update) in batch.drain(..) {
            self.stalls_before(Some(arrival));
            match update {
                ChannelUpdate::Input(input) => self.input(arrival, input),
                ChannelUpdate::Down { since } => self.lost(arrival, since),
                ChannelUpdate::Unheard { uid, since } => self.unheard(arrival, uid, since),
                ChannelUpdate::Outside { deleted } => (self.waits, self.deleted) = (Waits::Outside, deleted),
                ChannelUpdate::Inside => self.waits = Waits::Inside,
                ChannelUpdate::Dropped(count) => {
                    self.watched.overloaded();
                    self.pipeline.context().metrics.packets_dropped(count);
                    self.pipeline.note(|report| report.packets_dropped += count);
                }
                ChannelUpdate::Ended(reason) => return Err(Cause::Channel(reason)),
            }
        }
        if self.handle.updates.is_empty() {
            self.stalls_before(None);
        }
        Ok(())
    }

    fn input(&mut self, arrival: Instant, input: Input) {
        self.last = self.last.max(self.timebase.ticks(arrival));
        let timed = TimedInput { at: self.last, input };
        match &timed.input {
            Input::ChannelDown | Input::ChannelLost { .. } => {
                self.pipeline.note(|report| report.state = State::Recovering)
            }
            Input::ChannelUp => self.pipeline.note(|report| report.state = State::Recording),
            _ => {}
        }
        write(&self.pipeline, &mut self.input_log, &timed);
        if feed(&mut self.pipeline, &mut self.presence, timed) {
            let idle = self.presence.is_idle(self.pipeline.context().plan.idle.kind);
            self.idle_since = if idle { self.idle_since.or(Some(arrival)) } else { None };
            self.deleted &= idle;
        }
    }

    /// Brings the report up to who is there, where that has changed.
    fn record_idle(&mut self) {
        let idle = self.idle_since.map(|since| (since, self.waits));
        if self.idle_told == idle {
            return;
        }
        self.idle_told = idle;
        let SessionContext { plan, clock, .. } = self.pipeline.context();
        let (now, after) = ((clock)(), plan.idle.after);
        let event_dedup = idle.map(|(since, recorder)| {
            let since_ms = WallMs(now.0.saturating_sub(millis(since.elapsed())));
            Idle { since_ms, until_ms: WallMs(since_ms.0 + millis(after)), recorder }
        });
        self.pipeline.note(|report| report.idle = event_dedup);
    }

    /// Gives an input without an arrival of its own to journal and core.
    fn push(&mut self, input: TimedInput) {
        write(&self.pipeline, &mut self.input_log, &input);
        feed(&mut self.pipeline, &mut self.presence, input);
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
        if self.handle.updates.is_empty() {
            self.stalls_before(None);
            let now = self.timebase.now();
            self.last = self.last.max(now);
            self.pipeline.advance(self.last);
        }
    }

    /// When to look again though nothing happened.
    fn wake(&self) -> Option<Instant> {
        let core = self.pipeline.next_wake().map(|at| self.timebase.instant(at));
        core.into_iter().chain(self.idle_deadline()).chain(self.token_end).min()
    }

    fn idle_deadline(&self) -> Option<Instant> {
        self.idle_since.map(|since| since + self.pipeline.context().plan.idle.after)
    }
}

impl Phase for Running {
    type Event = Event;
    type Exit = Exit;

    async fn next(&mut self) -> Event {
        self.record_idle();
        let wake = self.wake();
        tokio::select! {
            count = self.handle.updates.recv_many(&mut self.batch, BATCH) => Event::ChannelUpdate(count),
            happened = self.pipeline.next() => Event::Pipeline(Box::new(happened)),
            () = self.watched.changed() => Event::Time,
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Event::Time,
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Exit> {
        match event {
            Event::ChannelUpdate(0) => return Err(Cause::Channel(EndReason::Unreachable).into()),
            Event::ChannelUpdate(_) => self.take_news()?,
            Event::Pipeline(happened) => self.pipeline.handle(*happened).await?,
            Event::Time => self.pass_time(),
        }
        Ok(())
    }

    async fn advance(&mut self) -> Result<(), Exit> {
        self.pipeline.ship().await?;
        self.checkpoint_if_due().await?;
        self.stalls.extend(self.watched.stalls());
        let heard = self.stalls.is_empty();
        if heard && self.idle_deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(if self.deleted { Cause::Deleted } else { Cause::Left(LeaveCode::Idle) }.into());
        }
        if self.token_end.is_some_and(|end| Instant::now() >= end) {
            return Err(Cause::TokenExpired.into());
        }
        Ok(())
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.pipeline.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), Exit> {
        Err(Exit::HandedOver)
    }

    fn abandoned(&mut self) -> Result<(), Exit> {
        self.stop(LeaveCode::Interrupted)
    }

    fn stop(&mut self, code: LeaveCode) -> Result<(), Exit> {
        Err(Cause::Left(code).into())
    }

    fn select(&mut self, selection: Selection) {
        self.pass_time();
        self.handle.selection.send_replace(selection.clone());
        self.input(Instant::now(), Input::Select(selection));
    }

    /// Brings the report up to now, unless it was just brought.
    fn look(&mut self) {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now >= looked + LOOK_EVERY) {
            self.looked = Some(now);
            self.pass_time();
            self.pipeline.look(self.timebase.now().max(self.last));
        }
    }

    /// Event 3, now and then: callers that repeat themselves don't fill the log.
    async fn reject_call(&mut self, why: &'static str) {
        let now = Instant::now();
        if self.rejected_call.is_none_or(|last| now >= last + REJECTED_CALL_EVERY) {
            self.rejected_call = Some(now);
            self.pipeline.rejected_call(why).await;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The journal learns of the end before the store does; then the timeline ends.
pub(super) async fn finish(pipeline: &mut Pipeline, mut input_log: InputLog, at: Ticks) {
    input_log.append(&Record::Finished { sid: pipeline.context().plan.sid.clone(), at });
    input_log.finish().await;
    if let Err(error) = pipeline.context().journal.flush().await {
        tracing::error!(sid = %pipeline.context().plan.sid, "a crash would cut this recording short: {error}");
    }
    pipeline.finish(at);
}

fn write(pipeline: &Pipeline, input_log: &mut InputLog, input: &TimedInput) {
    input_log.append(&Record::Input { sid: pipeline.context().plan.sid.clone(), input: input.clone() });
}

/// Gives an input to everybody who needs it. True when it may change who is there.
pub(super) fn feed(pipeline: &mut Pipeline, presence: &mut Presence, timed: TimedInput) -> bool {
    let about_people = !matches!(timed.input, Input::Packet(_) | Input::SenderReport { .. });
    if about_people {
        presence.observe(timed.at, &timed.input);
    }
    pipeline.push(timed);
    about_people
}
