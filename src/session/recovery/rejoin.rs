//! The bot's way back into the channel of a recording that an earlier run of the worker left, while its journal is replayed.
//!
//! The bot is sent in at once, because time lost is audio lost. As soon as somebody is there who keeps the recording alive, the
//! journal is told that the worker is back; from then on all updates go to the journal at once and are held for the core until the
//! replay has come this far. As long as nobody is there nothing is written: the recording may turn out to have ended
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::callback::event::LeaveCode;
use crate::channel::{Channel, ChannelHandle, ChannelUpdate, EndReason, JoinError, JoinRequest};
use crate::recording::{Input, Selection, TimedInput};
use crate::session::ending::Cause;
use crate::session::input_log::InputLog;
use crate::session::live::{Attempt, join, join_request, no_answer};
use crate::session::plan::Plan;
use crate::session::presence::Presence;
use crate::session::stall::{StallWatch, Watched};
use crate::session::timebase::Timebase;
use crate::session::{IdleRule, Waits};
use crate::storage::journal::Record;
use crate::units::{Sid, Ticks, Uid};

/// Inputs that are held while the replay goes on: half an hour of three talkers. Past it the channel's own queue fills, drops
/// packets and counts them.
const MAX_HELD: usize = 1 << 18;
/// Updates of members who don't keep the recording alive; past it the recording goes on as if they did.
const MAX_UNHEEDED: usize = 4_096;
/// How long a bot that is back may take to hear who is there, though the recording has been idle for long enough.
const LOOK_AROUND: Duration = Duration::from_secs(2);
/// The pause after the first join that failed; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two joins.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The bot on its way back.
pub(super) struct Rejoin {
    channel: Arc<dyn Channel>,
    stalls: StallWatch,
    request: JoinRequest,
    idle: IdleRule,
    sid: Sid,
    input_log: InputLog,
    timebase: Timebase,
    state: BotState,
    /// When this run of the worker took the recording up.
    began: Ticks,
    pause: Duration,
    /// Until when somebody has to be there.
    deadline: Instant,
    /// When the recording ends if nobody came, where nobody was there when the worker died.
    idle_until: Option<Ticks>,
    /// When the recording went on.
    back: Option<Ticks>,
    /// What the core has not got yet.
    held: Vec<TimedInput>,
    /// Arrival of the last input: arrivals never decrease.
    last: Ticks,
    dropped: u64,
    /// Whether it was said that no more can be held.
    full: bool,
    waits: Waits,
    /// Whether the channel was deleted, and nobody came back since.
    deleted: bool,
}

/// Where the bot is.
enum BotState {
    Joining(Attempt),
    Pausing {
        until: Instant,
        failed: JoinError,
    },
    /// In, but nobody keeps the recording alive; since when, and what was heard nevertheless.
    Alone {
        handle: ChannelHandle,
        since: Ticks,
        presence: Presence,
        unheeded: Vec<TimedInput>,
    },
    /// In, and the recording goes on.
    Back(ChannelHandle, Watched),
    /// Not there any more.
    Out,
}

/// What a recording goes on with.
pub(super) struct RejoinedParts {
    /// The bot's place, if it is back.
    pub(super) handle: Option<ChannelHandle>,
    pub(super) input_log: InputLog,
    pub(super) timebase: Timebase,
    /// Packets that were dropped because nobody took them.
    pub(super) dropped: u64,
    /// Where the bot waits, and whether that is because the channel was deleted.
    pub(super) waits: Waits,
    pub(super) deleted: bool,
}

/// What the bot's return came to.
#[derive(Debug)]
pub(in crate::session) enum RejoinOutcome {
    /// The recording goes on.
    Back,
    /// No more is held: the core has to take what is there.
    Full,
    /// Nobody came: the recording ended meanwhile.
    Missed(Cause),
    /// It went on, and ended by itself at this time.
    Ended(Ticks, Cause),
}

impl Rejoin {
    /// Sends the bot off. The input log is that of the recording; `timebase` knows its present.
    pub(super) fn new(
        channel: Arc<dyn Channel>,
        stalls: StallWatch,
        plan: &Plan,
        input_log: InputLog,
        timebase: Timebase,
    ) -> Self {
        let request = join_request(plan);
        Self {
            state: BotState::Joining(join(&channel, request.clone())),
            began: timebase.now(),
            channel,
            stalls,
            request,
            idle: plan.idle,
            sid: plan.sid.clone(),
            input_log,
            timebase,
            pause: FIRST_PAUSE,
            deadline: Instant::now() + plan.idle.after,
            idle_until: None,
            back: None,
            held: Vec::new(),
            last: Ticks::ZERO,
            dropped: 0,
            full: false,
            waits: Waits::Inside,
            deleted: false,
        }
    }

    /// Whether the recording goes on.
    pub(super) const fn is_back(&self) -> bool {
        matches!(self.state, BotState::Back(..))
    }

    /// When this run of the worker took the recording up.
    pub(super) fn began(&self) -> Ticks {
        self.began.max(self.last)
    }

    /// Until when nobody can have been heard: the bot found nobody in the channel then, or is not in it yet.
    pub(super) fn unheard_until(&self) -> Ticks {
        match &self.state {
            BotState::Alone { since, .. } => (*since).max(self.last),
            _ => self.timebase.now().max(self.last),
        }
    }

    /// What kept the bot out of its channel last.
    pub(super) fn trouble(&self) -> Option<String> {
        match &self.state {
            BotState::Pausing { failed, .. } => Some(failed.to_string()),
            BotState::Joining(_) => Some(no_answer().to_string()),
            BotState::Alone { .. } | BotState::Back(..) | BotState::Out => None,
        }
    }

    /// Since when the recording goes on, if it does.
    pub(super) const fn back_since(&self) -> Option<Ticks> {
        self.back
    }

    /// Goes on until something was decided. Cancelling loses nothing. Not to be called after [`RejoinOutcome::Missed`] or [`RejoinOutcome::Ended`].
    pub(super) async fn next(&mut self) -> RejoinOutcome {
        loop {
            match &mut self.state {
                BotState::Joining(attempt) => tokio::select! {
                    joined = attempt => self.joined(joined),
                    () = sleep_until(self.deadline) => {
                        return RejoinOutcome::Missed(Cause::Unreached(no_answer()));
                    }
                },
                BotState::Pausing { until, failed } => {
                    sleep_until((*until).min(self.deadline)).await;
                    if *until >= self.deadline {
                        return RejoinOutcome::Missed(Cause::Unreached(std::mem::replace(failed, no_answer())));
                    }
                    self.state = BotState::Joining(join(&self.channel, self.request.clone()));
                }
                BotState::Alone { handle, .. } => tokio::select! {
                    biased;
                    update = handle.updates.recv() => if let Some(turn) = self.heard_alone(update) { return turn },
                    () = sleep_until(self.deadline) => {
                        return RejoinOutcome::Missed(if self.deleted { Cause::Deleted } else { Cause::Left(LeaveCode::Idle) });
                    }
                },
                BotState::Back(handle, watched) => {
                    if self.held.len() >= MAX_HELD {
                        if !std::mem::replace(&mut self.full, true) {
                            return RejoinOutcome::Full;
                        }
                        return std::future::pending().await;
                    }
                    tokio::select! {
                        biased;
                        () = watched.changed() => self.hold_stalls(),
                        update = handle.updates.recv() => if let Some(turn) = self.heard(update) { return turn },
                    }
                }
                BotState::Out => return std::future::pending().await,
            }
        }
    }

    /// Changes who is recorded, from here on.
    pub(super) fn select(&mut self, selection: Selection) {
        self.request.selection = selection.clone();
        match &self.state {
            BotState::Alone { handle, .. } => {
                handle.selection.send_replace(selection);
            }
            BotState::Back(handle, _) => {
                handle.selection.send_replace(selection.clone());
                self.hold(Instant::now(), Input::Select(selection));
            }
            BotState::Joining(_) | BotState::Pausing { .. } | BotState::Out => {}
        }
    }

    /// Leaves the channel; what had arrived is held. The present, if the recording went on until now.
    pub(super) fn leave(&mut self) -> Option<Ticks> {
        self.hold_stalls();
        let BotState::Back(mut handle, _) = std::mem::replace(&mut self.state, BotState::Out) else { return None };
        handle.updates.close();
        while let Ok((arrival, update)) = handle.updates.try_recv() {
            match update {
                ChannelUpdate::Input(input) => self.hold(arrival, input),
                ChannelUpdate::Down { since } => self.hold_down(arrival, since),
                ChannelUpdate::Unheard { uid, since } => self.hold_unheard(arrival, uid, since),
                ChannelUpdate::Outside { .. }
                | ChannelUpdate::Inside
                | ChannelUpdate::Dropped(_)
                | ChannelUpdate::Ended(_) => {}
            }
        }
        Some(self.timebase.now().max(self.last))
    }

    /// What the core has not got yet.
    pub(super) fn take_held(&mut self) -> Vec<TimedInput> {
        self.full = false;
        std::mem::take(&mut self.held)
    }

    /// The replay has come to `last`: the present is not before it.
    pub(super) fn not_before(&mut self, last: Ticks) {
        self.timebase.not_before(last);
        self.last = self.last.max(last);
    }

    /// Nobody was there since `since` when the worker died: what is left of the idle time counts, once the bot has looked around.
    pub(super) fn idle_since(&mut self, since: Ticks) {
        self.idle_until = Some(since + Ticks::from_duration(self.idle.after));
        if let BotState::Alone { since, .. } = &self.state {
            self.deadline = self.deadline.min(self.end_of_idle(self.timebase.instant(*since)));
        }
    }

    /// When the recording ends if nobody comes, where that was known before the worker died.
    pub(super) const fn idle_until(&self) -> Option<Ticks> {
        self.idle_until
    }

    /// When a bot that is in since `entered` may say that nobody came.
    fn end_of_idle(&self, entered: Instant) -> Instant {
        let full = entered + self.idle.after;
        self.idle_until.map_or(full, |until| self.timebase.instant(until).max(entered + LOOK_AROUND).min(full))
    }

    /// What a recording goes on with.
    pub(super) fn into_parts(self) -> RejoinedParts {
        let handle = match self.state {
            BotState::Back(handle, _) => Some(handle),
            _ => None,
        };
        let Self { input_log, timebase, dropped, waits, deleted, .. } = self;
        RejoinedParts { handle, input_log, timebase, dropped, waits, deleted }
    }

    fn joined(&mut self, joined: Result<ChannelHandle, JoinError>) {
        self.state = match joined {
            Ok(handle) => {
                handle.selection.send_replace(self.request.selection.clone());
                self.deadline = self.end_of_idle(Instant::now());
                let (since, presence) = (self.timebase.now(), Presence::default());
                BotState::Alone { handle, since, presence, unheeded: Vec::new() }
            }
            Err(failed) => {
                tracing::warn!(sid = %self.sid, "the bot is not back in its channel yet: {failed}");
                let until = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                BotState::Pausing { until, failed }
            }
        };
    }

    /// Updates while nobody keeps the recording alive.
    fn heard_alone(&mut self, update: Option<(Instant, ChannelUpdate)>) -> Option<RejoinOutcome> {
        let input = match update {
            Some((arrival, ChannelUpdate::Input(input))) => TimedInput { at: self.timebase.ticks(arrival), input },
            Some((arrival, ChannelUpdate::Down { since })) => {
                let at = self.timebase.ticks(arrival);
                TimedInput { at, input: Input::ChannelLost { since: self.timebase.ticks(since).min(at) } }
            }
            Some((arrival, ChannelUpdate::Unheard { uid, since })) => {
                let at = self.timebase.ticks(arrival);
                TimedInput { at, input: Input::Unheard { uid, since: self.timebase.ticks(since).min(at) } }
            }
            Some((_, ChannelUpdate::Outside { deleted })) => {
                (self.waits, self.deleted) = (Waits::Outside, deleted);
                return None;
            }
            Some((_, ChannelUpdate::Inside)) => {
                self.waits = Waits::Inside;
                return None;
            }
            Some((_, ChannelUpdate::Dropped(count))) => {
                self.dropped += count;
                return None;
            }
            Some((_, ChannelUpdate::Ended(reason))) => return Some(RejoinOutcome::Missed(Cause::Channel(reason))),
            None => return Some(RejoinOutcome::Missed(Cause::Channel(EndReason::Unreachable))),
        };
        let BotState::Alone { presence, unheeded, .. } = &mut self.state else { return None };
        presence.observe(input.at, &input.input);
        unheeded.push(input);
        let goes_on = !presence.is_idle(self.idle.kind) || unheeded.len() >= MAX_UNHEEDED;
        goes_on.then(|| self.come_back())
    }

    /// Somebody is there: tells the journal, with all that came before.
    fn come_back(&mut self) -> RejoinOutcome {
        if let BotState::Alone { handle, since, unheeded, .. } = std::mem::replace(&mut self.state, BotState::Out) {
            let watched = self.stalls.watch(Arc::clone(&handle.media));
            self.state = BotState::Back(handle, watched);
            self.deleted = false;
            self.back = Some(since.max(self.last));
            self.hold_at(since, Input::WorkerRestarted);
            self.hold_at(since, Input::Select(self.request.selection.clone()));
            unheeded.into_iter().for_each(|input| self.hold_at(input.at, input.input));
        }
        RejoinOutcome::Back
    }

    fn heard(&mut self, update: Option<(Instant, ChannelUpdate)>) -> Option<RejoinOutcome> {
        self.hold_stalls();
        let reason = match update {
            Some((arrival, ChannelUpdate::Down { since })) => {
                self.hold_down(arrival, since);
                return None;
            }
            Some((arrival, ChannelUpdate::Input(input))) => {
                self.hold(arrival, input);
                return None;
            }
            Some((arrival, ChannelUpdate::Unheard { uid, since })) => {
                self.hold_unheard(arrival, uid, since);
                return None;
            }
            Some((_, ChannelUpdate::Outside { deleted })) => {
                (self.waits, self.deleted) = (Waits::Outside, deleted);
                return None;
            }
            Some((_, ChannelUpdate::Inside)) => {
                self.waits = Waits::Inside;
                return None;
            }
            Some((_, ChannelUpdate::Dropped(count))) => {
                self.dropped += count;
                return None;
            }
            Some((_, ChannelUpdate::Ended(reason))) => reason,
            None => EndReason::Unreachable,
        };
        let at = self.leave()?;
        Some(RejoinOutcome::Ended(at, Cause::Channel(reason)))
    }

    fn hold(&mut self, arrival: Instant, input: Input) {
        self.hold_at(self.timebase.ticks(arrival), input);
    }

    fn hold_down(&mut self, arrival: Instant, since: Instant) {
        let at = self.last.max(self.timebase.ticks(arrival));
        self.hold_at(at, Input::ChannelLost { since: self.timebase.ticks(since).min(at) });
    }

    fn hold_unheard(&mut self, arrival: Instant, uid: Uid, since: Instant) {
        let at = self.last.max(self.timebase.ticks(arrival));
        self.hold_at(at, Input::Unheard { uid, since: self.timebase.ticks(since).min(at) });
    }

    /// What this worker did not hear because it stood still or was too slow.
    fn hold_stalls(&mut self) {
        let BotState::Back(_, watched) = &self.state else { return };
        for stall in watched.stalls() {
            let from = self.timebase.ticks(stall.from);
            self.timebase.suspended(stall.suspended);
            let at = self.last.max(self.timebase.ticks(stall.until));
            self.hold_at(at, Input::Stalled { from: from.min(at), cause: stall.cause });
        }
    }

    /// Writes an input to the journal and keeps it for the core.
    fn hold_at(&mut self, at: Ticks, input: Input) {
        self.last = self.last.max(at);
        let input = TimedInput { at: self.last, input };
        self.input_log.append(&Record::Input { sid: self.sid.clone(), input: input.clone() });
        self.held.push(input);
    }
}
