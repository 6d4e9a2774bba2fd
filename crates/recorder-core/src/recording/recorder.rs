//! The core's door: inputs in, outputs out, at their own pace.
//!
//! The core works in steps on a fixed grid of arrival time ([`STEP`]). The step at `t` sees exactly what arrived before `t` and
//! writes what lies [`LOOKAHEAD`] behind it. A call of [`Recorder::advance`] only runs the steps that are due, so what comes out,
//! and in which order, depends on the inputs and their times alone.

mod report;
mod sources;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::attendance::Attendance;
use super::grid::{FRAME, LOOKAHEAD, MAX_A_STEP, STEP};
use super::member::Member;
use super::mixer::Mixer;
use super::open_gap::Chunk;
use super::source::MAX_SOURCES;
use super::stretches::Stretches;
use super::unknown_tracks::UnknownTracks;
use super::{Cause, Input, Output, Packet, Selection, Spec, StallCause, TimedInput, TrackKind};
use crate::units::{Ticks, TrackId, Uid};

/// Fewer steps than these are taken one by one.
const SHORTEST_SKIP: i64 = Ticks::from_secs(10).0 as i64;

/// How often it is asked whether steps can be left out.
const SKIPS_EVERY: i64 = Ticks::from_secs(1).0 as i64;

/// The most that is left out at once: what one step can write, and room for what waits.
const LONGEST_SKIP: i64 = MAX_A_STEP - Ticks::from_secs(60).0 as i64;

/// Longest recording, 31 days; later times count as its end.
pub const MAX_LENGTH: Ticks = Ticks::from_secs(31 * 24 * 3_600);

/// Most uids in one recording; those that come later are not recorded.
pub const MAX_UIDS: usize = 10_000;

/// How long after the worker's restart a member may take to be met again.
const RETURN: i64 = Ticks::from_secs(15).0 as i64;

/// In the place of the time of the worker's restart while the channel can't be reached since: nobody can be met there.
const UNREACHED: i64 = i64::MAX - RETURN;

/// How long before the channel is reported down its last packet may have come for the outage to begin there, where it is not clear
/// that it did: with two who were sending and fell silent at once it is.
const UNNOTICED: i64 = Ticks::from_secs(60).0 as i64;

/// The recording core; see the [module's documentation](super).
#[derive(Debug, Serialize, Deserialize)]
pub struct Recorder {
    spec: Spec,
    members: Vec<Member>,
    /// Where the sources of each uid are in `members`, its own sound first.
    #[serde(skip)]
    uids: BTreeMap<Uid, Vec<usize>>,
    tracks: BTreeMap<TrackId, usize>,
    selection: Selection,
    /// Arrival of the last input, or the present if it was given later.
    now: i64,
    /// Arrival of the last input.
    last_input: i64,
    /// Arrival of the last packet, of whomever, or the worker's return after it.
    last_packet: i64,
    next_step: i64,
    restarted: Option<i64>,
    #[serde(skip)]
    chunks: Vec<Chunk>,
    mixer: Option<Mixer>,
    out: VecDeque<Output>,
    finished: bool,
    /// Packets of tracks that were never announced.
    #[serde(default)]
    unknown_tracks: UnknownTracks,
    /// Stretches whose sound was kept as the bucket held it.
    #[serde(default)]
    adopted: Stretches,
    /// Stretches whose sound could not be kept.
    #[serde(default)]
    lost: Stretches,
    /// What each track is.
    #[serde(default)]
    kinds: BTreeMap<TrackId, TrackKind>,
}

impl Recorder {
    /// A recording at tick 0.
    pub fn new(spec: Spec) -> Self {
        let selection = spec.selection.clone();
        let mut out = VecDeque::new();
        let mixer = spec.mode.mixes().then(|| Mixer::new(spec.profile, spec.segment.ticks(), &mut out));
        Self {
            spec,
            members: Vec::new(),
            uids: BTreeMap::new(),
            tracks: BTreeMap::new(),
            selection,
            now: 0,
            last_input: 0,
            last_packet: 0,
            next_step: STEP.0 as i64,
            restarted: None,
            chunks: Vec::new(),
            mixer,
            out,
            finished: false,
            unknown_tracks: UnknownTracks::default(),
            adopted: Stretches::default(),
            lost: Stretches::default(),
            kinds: BTreeMap::new(),
        }
    }

    /// Takes in what happened at `timed.at`. A time before the present (the last input's or the last [`Recorder::advance`]'s) counts
    /// as the present. After [`Recorder::finish`] nothing is taken in.
    pub fn push(&mut self, timed: TimedInput) {
        if self.finished {
            return;
        }
        let at = self.run(timed.at);
        self.take(timed.input, at);
        self.last_input = at;
    }

    /// Time passed without input: makes available what can be written without knowing more. Changes no byte of it.
    pub fn advance(&mut self, now: Ticks) {
        if !self.finished {
            self.run(now);
        }
    }

    /// Ends the recording at `at`: writes everything and closes all playlists there, to one frame.
    pub fn finish(&mut self, at: Ticks) {
        if self.finished {
            return;
        }
        let end = self.run(at);
        self.finished = true;
        self.reports_end(end);
        let (mut index, mut room) = (0, true);
        while index < self.members.len() {
            self.chunks.clear();
            while let Some(clash) = self.members[index].write_out(end, room, &mut self.chunks) {
                room = self.resolve(index, clash);
            }
            self.members[index].finish(end, &mut self.chunks, &mut self.out);
            self.hear(index);
            (index, room) = (index + 1, true);
        }
        self.unknown_tracks.finish();
        if let Some(mixer) = &mut self.mixer {
            mixer.finish(end, Attendance(&self.members), &mut self.out);
        }
    }

    /// The next result, in order. To be called until `None` after each of the calls above.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.out.pop_front()?;
        let Output::Segment(segment) = output else { return Some(output) };
        // A stretch of an absence gets its bytes here, so that one object of it is in memory at a time.
        let (segment, rest) = segment.first_object(self.spec.segment.ticks());
        if let Some(rest) = rest {
            self.out.push_front(Output::Segment(rest));
        }
        Some(Output::Segment(segment))
    }

    /// When [`Recorder::advance`] would yield something even if nothing arrives; `None`: never.
    pub fn next_wake(&self) -> Option<Ticks> {
        if self.finished {
            return None;
        }
        let behind = LOOKAHEAD.0 as i64;
        let mix = self.mixer.as_ref().and_then(|mixer| mixer.next_cut(Attendance(&self.members)));
        let mix = mix.map(|cut| cut + behind);
        let wake = self.members.iter().filter_map(|member| member.next_wake(behind)).chain(mix).min()?;
        // A timeline is filled in whole frames.
        let wake = wake + FRAME;
        Some(Ticks((wake.max(self.next_step) as u64).next_multiple_of(STEP.0)))
    }

    /// Completes a recorder that was put away; whether its parts fit.
    pub(super) fn is_taken_up(&mut self) -> bool {
        self.uids.clear();
        for (index, member) in self.members.iter().enumerate() {
            let sources = self.uids.entry(member.uid.clone()).or_default();
            let known = sources.iter().any(|known| self.members[*known].source == member.source);
            if known || sources.is_empty() != member.source.is_none() || sources.len() >= MAX_SOURCES {
                return false;
            }
            sources.push(index);
        }
        self.tracks.values().all(|member| *member < self.members.len())
    }

    /// Completes what format 1 did not hold.
    pub(super) fn is_of_format_1(&mut self) {
        self.members.iter_mut().for_each(Member::is_of_format_1);
    }

    /// Runs the steps that are due at `now`; the present.
    fn run(&mut self, now: Ticks) -> i64 {
        self.now = self.now.max(now.min(MAX_LENGTH).0 as i64);
        while self.next_step <= self.now {
            let step = self.next_step;
            self.next_step += STEP.0 as i64;
            self.step(step);
            self.skip_stillness();
        }
        self.now
    }

    /// Leaves out steps that would only write more silence: the next one writes theirs too. Hours in which nothing arrived cost as little
    /// when they end as while they last.
    fn skip_stillness(&mut self) {
        let last = self.now / STEP.0 as i64 * STEP.0 as i64;
        if last - self.next_step >= SHORTEST_SKIP && self.next_step % SKIPS_EVERY == 0 && self.is_still() {
            self.next_step = last.min(self.next_step + LONGEST_SKIP);
        }
    }

    /// Whether a step would write nothing but silence and give out nothing, however long it were, if nothing arrives.
    fn is_still(&self) -> bool {
        self.restarted.is_none()
            && self.next_wake().is_none()
            && self.members.iter().all(|member| member.is_still(self.next_step - STEP.0 as i64))
            && self.mixer.as_ref().is_none_or(Mixer::is_still)
    }

    fn step(&mut self, now: i64) {
        if let Some(at) = self.restarted.filter(|at| now >= at + RETURN) {
            self.restarted = None;
            self.members.iter_mut().for_each(|member| member.give_up(at + RETURN));
        }
        let horizon = now - LOOKAHEAD.0 as i64;
        let mut known = horizon;
        let (mut index, mut room) = (0, true);
        while index < self.members.len() {
            self.chunks.clear();
            let limit = self.limit(index, horizon);
            while let Some(clash) = self.members[index].step((now, limit), room, &mut self.chunks) {
                room = self.resolve(index, clash);
            }
            self.members[index].stepped(now, limit, &self.chunks, &mut self.out);
            self.hear(index);
            known = known.min(self.members[index].written().unwrap_or(horizon));
            (index, room) = (index + 1, true);
        }
        if let Some(mixer) = &mut self.mixer {
            mixer.run(known, Attendance(&self.members), &mut self.out);
        }
    }

    /// How far a source may be written: no further than those of its uid before it, so that what they hand over finds its place.
    fn limit(&self, index: usize, horizon: i64) -> i64 {
        let member = &self.members[index];
        let Some(sources) = self.uids.get(&member.uid).filter(|_| member.source.is_some()) else {
            return horizon;
        };
        let before = sources.iter().take_while(|source| **source < index);
        before.filter_map(|source| self.members[*source].written()).fold(horizon, i64::min)
    }

    /// Gives what was written of a source to whom it concerns.
    fn hear(&mut self, index: usize) {
        match &mut self.mixer {
            Some(mixer) => mixer.listen(index, &self.chunks),
            None => self.members[index].listen(&self.chunks),
        }
        self.members[index].lose_all(&self.lost);
    }

    fn take(&mut self, input: Input, at: i64) {
        match input {
            Input::Joined { uid } => {
                if self.member(&uid).is_some() {
                    self.sources_of(&uid).into_iter().for_each(|source| self.members[source].joined(at));
                }
            }
            Input::Left { uid } => {
                let sources = self.sources_of(&uid);
                let unknown_tracks = &mut self.unknown_tracks;
                self.tracks.retain(|track, owner| {
                    let gone = sources.contains(owner);
                    if gone {
                        unknown_tracks.removed(*track, at);
                    }
                    !gone
                });
                self.kinds.retain(|track, _| self.tracks.contains_key(track));
                self.reported(&uid, false, at);
                sources.iter().for_each(|source| self.members[*source].left(at));
                self.hush(&uid, at);
            }
            Input::GivenUp { uid } => {
                self.sources_of(&uid).into_iter().for_each(|source| self.members[source].is_given_up(at));
            }
            Input::Speaking { uid, speaking } => self.reported(&uid, speaking, at),
            Input::TrackAdded { track, uid, muted, kind } => self.add(track, &uid, muted, kind, at),
            Input::TrackRemoved { track } => self.remove(track, at),
            Input::Muted { track, muted } => {
                if let Some(source) = self.tracks.get(&track).copied() {
                    self.members[source].mute(track, muted, at);
                    self.hush(&self.members[source].uid.clone(), at);
                }
            }
            Input::Packet(packet) => self.packet(&packet, at),
            Input::Overloaded { track, overloaded } => {
                let source = self.tracks.get(&track).copied();
                // It may have gone on as another source meanwhile.
                let sources = match source {
                    Some(source) if !overloaded => self.sources_of(&self.members[source].uid),
                    source => source.into_iter().collect(),
                };
                sources.into_iter().for_each(|source| self.members[source].overloaded(overloaded, at));
            }
            Input::SenderReport { .. } => {}
            Input::ChannelDown => {
                let since = self.last_packet;
                let sending =
                    |sources: &&Vec<usize>| sources.iter().any(|source| self.members[*source].was_sending(since));
                let silenced = self.uids.values().filter(sending).count();
                self.cut_off(if at - since <= UNNOTICED || silenced > 1 { since } else { at }, at);
            }
            Input::ChannelLost { since } => self.cut_off((since.0 as i64).min(at), at),
            Input::ChannelUp => {
                self.unknown_tracks.rejoins(at);
                self.restarted = self.restarted.map(|restarted| if restarted == UNREACHED { at } else { restarted });
                self.members.iter_mut().for_each(|member| member.is_reached(at));
            }
            Input::Select(selection) => {
                self.selection = selection;
                for index in 0..self.members.len() {
                    let member = &mut self.members[index];
                    member.select(self.selection.includes(&member.uid), at, &mut self.out);
                    if member.source.is_none() {
                        self.hush(&self.members[index].uid.clone(), at);
                    }
                    self.begin(index);
                }
            }
            Input::CodersRestarted => {
                self.members.iter_mut().for_each(Member::restart_coders);
                self.mixer.iter_mut().for_each(Mixer::restart_coders);
            }
            Input::Stalled { from, cause } => {
                let cause = match cause {
                    StallCause::WorkerStalled => Cause::WorkerStalled,
                    StallCause::Overload => Cause::Overload,
                };
                self.is_deaf(from, at, cause);
            }
            Input::Unheard { uid, since } => {
                let since = (since.min(MAX_LENGTH).0 as i64).min(at);
                self.sources_of(&uid).into_iter().for_each(|source| self.members[source].is_unheard(since, at));
            }
            Input::InputsLost { from } => {
                self.unknown_tracks.damaged();
                self.is_deaf(from, at, Cause::JournalDamaged);
            }
            Input::WorkerRestarted => {
                self.unknown_tracks.rejoins(at);
                self.tracks.clear();
                self.kinds.clear();
                self.restarted = Some(at);
                self.last_packet = at;
                for member in &mut self.members {
                    member.restarted(self.last_input, at, &mut self.out);
                }
            }
        }
    }

    /// The channel is out of reach since `since`, which was noticed at `at`.
    fn cut_off(&mut self, since: i64, at: i64) {
        self.unknown_tracks.rejoins(at);
        self.restarted = self.restarted.map(|_| UNREACHED);
        self.members.iter_mut().for_each(|member| member.is_cut_off(since, at));
    }

    /// This worker did not hear from `from` until `at`, for `cause`.
    fn is_deaf(&mut self, from: Ticks, at: i64, cause: Cause) {
        let from = (from.min(MAX_LENGTH).0 as i64).min(at);
        self.members.iter_mut().for_each(|member| member.is_not_heard(from, at, cause));
    }

    fn remove(&mut self, track: TrackId, at: i64) {
        if let Some(source) = self.tracks.remove(&track) {
            self.kinds.remove(&track);
            self.unknown_tracks.removed(track, at);
            self.members[source].remove(track, at);
            self.hush(&self.members[source].uid.clone(), at);
        }
    }

    fn packet(&mut self, packet: &Packet, at: i64) {
        self.last_packet = at;
        let Some(source) = self.tracks.get(&packet.track).copied() else {
            self.unknown_tracks.packet(packet, at);
            return;
        };
        if self.members[source].is_said_to_speak() && !packet.payload.is_empty() {
            let uid = self.members[source].uid.clone();
            let heard = self.heard(&uid);
            self.sources_of(&uid).into_iter().for_each(|source| self.members[source].breaks_silence(heard, at));
        }
        let kind = self.kinds.get(&packet.track).copied().unwrap_or_default();
        let member = &mut self.members[source];
        if member.packet(packet, kind, at) {
            let own = if member.source.is_none() { Some(source) } else { self.own_of(source) };
            own.into_iter().for_each(|own| self.members[own].receives(at, &mut self.out));
        }
    }

    /// The channel's server reports that a uid speaks, or that it does not any more.
    fn reported(&mut self, uid: &Uid, speaking: bool, at: i64) {
        let heard = self.heard(uid);
        self.sources_of(uid).into_iter().for_each(|source| self.members[source].is_reported(speaking, heard, at));
    }

    /// Nobody is reported any more.
    fn reports_end(&mut self, at: i64) {
        let reported = |member: &&Member| member.source.is_none() && member.is_said_to_speak();
        let uids: Vec<Uid> = self.members.iter().filter(reported).map(|member| member.uid.clone()).collect();
        uids.iter().for_each(|uid| self.reported(uid, false, at));
    }

    /// When the last packet of any source of a uid came.
    fn heard(&self, uid: &Uid) -> Option<i64> {
        self.uids.get(uid)?.iter().filter_map(|source| self.members[*source].last_packet).max()
    }

    /// The own sound of the uid whose source this is.
    fn own_of(&self, source: usize) -> Option<usize> {
        self.uids.get(&self.members[source].uid).and_then(|sources| sources.first()).copied()
    }
}
