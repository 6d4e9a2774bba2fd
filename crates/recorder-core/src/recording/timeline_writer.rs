//! Writes one uid's timeline from left to right: packets as they are, holes filled, every tick booked. All positions in ticks.
//!
//! Invariant: the pieces written follow each other without a hole from tick 0 to the cursor, and each tick is in the account.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::grid::FRAME;
use super::ledger_builder::{Due, Fate, LedgerBuilder};
use super::open_gap::{Chunk, Kind, Last, OpenGap};
use super::presence::{GRACE, Presence, Why};
use super::stream::Queued;
use super::{Cause, Coding};
use crate::codec::opus;
use crate::units::{Ticks, TrackId};

/// What a hole without a known reason is taken for.
pub(super) const STALL: &[Cause] = &[Cause::SenderStall, Cause::Unknown];

/// What sound that did not get here is taken for before it is known that this worker was the reason.
const NOT_HEARD: &[Cause] = &[Cause::NetworkLoss, Cause::Late, Cause::ChannelDisconnected];

/// Why this worker may not have heard what was sent, though what it heard may say that nothing was.
const DEAF: &[Cause] = &[Cause::WorkerStalled, Cause::Overload, Cause::JournalDamaged];

/// The shortest filler: differences below it are carried.
pub(super) const SHORTEST: i64 = 120;

/// A tail longer than this, of a sender that came back as another stream, is missing.
const LONGEST_CHANGE: i64 = GRACE;

/// A clock that is faster by more than one part in so many does not drift.
const FASTEST: i64 = 1_000;

/// So long silent before it left, a member did not leave: the channel's server gave it up.
const TIMED_OUT: i64 = Ticks::from_secs(5).0 as i64;

/// Who was given up and is back so soon had not gone.
const RETURNS_SOON: i64 = Ticks::from_secs(15).0 as i64;

/// Whose sound it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    /// The voice.
    pub(super) rtp_source: u64,
    /// Its track.
    pub(super) track: TrackId,
    /// It sends only while there is something to say.
    pub(super) pauses: bool,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TimelineWriter {
    /// First tick that is not written.
    pub(super) cursor: i64,
    /// What is less than [`SHORTEST`] and was carried when the present run of packets began.
    pub(super) carried: i64,
    /// The sound that was written last.
    pub(super) last: Option<Last>,
    /// The ledger's numbers.
    pub(super) ledger_builder: LedgerBuilder,
    open_gap: OpenGap,
    /// How far it was asked which of it could not be kept.
    #[serde(default)]
    asked: i64,
    /// There is a mix and nothing else: what it recovers is not missing anywhere.
    #[serde(default)]
    pub(super) mix_alone: bool,
}

/// What is known of the packet behind a hole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next<'a> {
    /// Where it belongs.
    pub(super) at: i64,
    /// What the hole looks like.
    pub(super) kind: Kind,
    /// It, where it holds a copy of the hole's end, and how much of it.
    pub(super) recovers: Option<(&'a Bytes, i64)>,
}

impl TimelineWriter {
    /// Writes a packet of a voice.
    pub(super) fn sound(&mut self, packet: Queued, rtp_source: By, chunks: &mut Vec<Chunk>) {
        self.ledger_builder.fate(Fate::Placed, 1, packet.duration);
        self.write(packet, rtp_source, chunks);
    }

    /// Writes the Opus packets that were made of a voice's packet.
    pub(super) fn transcoded(
        &mut self,
        packet: &Queued,
        made: Vec<(Bytes, Ticks)>,
        coding: Coding,
        rtp_source: By,
        chunks: &mut Vec<Chunk>,
    ) {
        self.ledger_builder.fate(Fate::Placed, 1, packet.duration);
        self.ledger_builder.transcoded(coding);
        for (payload, duration) in made {
            self.write(Queued { payload, duration: duration.0 as i64, ..packet.clone() }, rtp_source, chunks);
        }
    }

    /// Whether silence is written last, or nothing was.
    pub(super) fn is_after_silence(&self) -> bool {
        self.open_gap.silent || self.last.is_none()
    }

    fn write(&mut self, packet: Queued, rtp_source: By, chunks: &mut Vec<Chunk>) {
        let at = self.cursor;
        self.cursor += packet.duration;
        self.ledger_builder.sound(packet.duration);
        let By { rtp_source, track, pauses } = rtp_source;
        self.last =
            Some(Last { packet: packet.payload.clone(), end: self.cursor, rtp_source, track: Some(track), pauses });
        self.open_gap = OpenGap::from(self.cursor);
        let Queued { payload, duration, level, .. } = packet;
        chunks.push(Chunk::Sound { at, exact: at + self.carried, packet: payload, duration, level });
    }

    /// Puts in one frame that goes on from the sound before.
    pub(super) fn insert(&mut self, chunks: &mut Vec<Chunk>) {
        let Some(Ok(filler)) = self.last.as_ref().map(|last| opus::concealment(&last.packet)) else {
            return;
        };
        let length = filler.duration.0 as i64;
        chunks.push(Chunk::Bridge { at: self.cursor, filler, frames: 1, kind: Kind::Stall });
        self.ledger_builder.gap(self.cursor, self.cursor + length, Cause::ClockDrift, Due::Nothing);
        self.cursor += length;
        if let Some(last) = &mut self.last {
            last.end += length;
        }
    }

    /// Notes that a packet was left out here. No more is left out for a clock's drift than [`FASTEST`] takes; the rest is missing.
    pub(super) fn leave_out(&mut self, packet: &Queued) {
        self.ledger_builder.fate(Fate::LeftOut, 1, packet.duration);
        let allowed = self.ledger_builder.samples(Fate::Placed) / FASTEST + 2 * FRAME;
        let beyond =
            self.ledger_builder.samples(Fate::LeftOut) - allowed - self.ledger_builder.overlaid(Cause::LeftOut);
        if beyond > 0 && packet.sounds() {
            self.ledger_builder.overlay(beyond.min(packet.duration), Cause::LeftOut);
        }
        self.ledger_builder.gap(self.cursor, self.cursor, Cause::ClockDrift, Due::Nothing);
    }

    /// The sound of `duration` that belongs at `place` came too late: it is missing where nothing is, and where other sound lies too, if
    /// it is not `silent`. What is not written yet will be known to be lost.
    pub(super) fn miss(&mut self, place: i64, duration: i64, silent: bool) {
        let cause = Cause::Late;
        self.ledger_builder.fate(Fate::Late, 1, duration);
        let (from, to) = (place.max(0), (place + duration).min(self.cursor));
        if from < to && silent {
            self.ledger_builder.correct(from, to, &[Cause::NetworkLoss], cause, Due::Nothing);
        } else if from < to {
            self.ledger_builder.correct(from, to, STALL, cause, Due::Missing);
            self.ledger_builder.rename(from, to, &[Cause::NetworkLoss], cause);
            self.ledger_builder.overlay(to - from - self.ledger_builder.due_in(from, to), cause);
        }
    }

    /// What was lost in the hole `from..` was not Opus, or made no sense.
    pub(super) fn is_malformed(&mut self, from: i64) {
        self.ledger_builder.rename(from, self.cursor, &[Cause::NetworkLoss], Cause::Malformed);
    }

    /// Fills up to `limit` in whole frames, leaving room for the last filler before the packet that is known to come `next`.
    pub(super) fn fill(&mut self, limit: i64, next: Option<Next<'_>>, presence: &Presence, chunks: &mut Vec<Chunk>) {
        let (until, kind) = match (next, &self.last) {
            (Some(Next { at, kind, recovers }), _) => {
                (limit.min(at - recovers.map_or(FRAME, |(_, length)| length.max(FRAME))), kind)
            }
            (None, Some(last)) if opus::is_dtx(&last.packet) => (limit, Kind::Pause),
            (None, _) => (limit, Kind::Stall),
        };
        let ends = next.map(|next| next.at);
        self.bridge(until, kind, false, ends, presence, chunks);
        let length = (until - self.cursor).max(0) / FRAME * FRAME;
        if length > 0 && !self.open_gap.may_bridge(kind, self.last.as_ref()) {
            self.silence(length, if ends.is_some() { kind } else { Kind::Stall }, false, ends, presence, chunks);
        }
    }

    /// Fills up to the packet behind the hole as well as fillers can, and, at its end, by what the packet itself holds of it: how much of
    /// the loss that is.
    pub(super) fn close_before(&mut self, next: Next<'_>, presence: &Presence, chunks: &mut Vec<Chunk>) -> i64 {
        let Next { at, kind, recovers } = next;
        let first = chunks.len();
        self.close(at, kind, true, presence, chunks);
        let Some((packet, length)) = recovers else { return 0 };
        let (filler, kept) = match chunks.get(first..).and_then(<[Chunk]>::last) {
            Some(Chunk::Bridge { filler, frames, .. }) => {
                let all = filler.duration.0 as i64 * frames;
                (Some(filler.clone()).filter(|filler| length % filler.duration.0 as i64 == 0), all - length)
            }
            // Silence of whole frames is the same in parts.
            Some(Chunk::Silence { length: all, .. }) if length % FRAME == 0 => (None, all - length),
            _ => return 0,
        };
        let bridged = matches!(chunks.last(), Some(Chunk::Bridge { .. }));
        if kept < 0 || (bridged && filler.is_none()) {
            return 0;
        }
        let from = self.cursor - length;
        match chunks.last_mut() {
            Some(Chunk::Bridge { filler, frames, .. }) => *frames = kept / filler.duration.0 as i64,
            Some(Chunk::Silence { length, resumes, .. }) => (*length, *resumes) = (kept, false),
            _ => {}
        }
        if kept == 0 {
            chunks.pop();
        }
        let packet = packet.clone();
        chunks.push(Chunk::Recovered { at: from, exact: from + self.carried, length, filler, packet });
        if bridged || self.mix_alone {
            self.ledger_builder.recovered(from, self.cursor);
            return length;
        }
        0
    }

    /// Fills up to `end` as well as fillers can. `resumes`: sound follows.
    pub(super) fn close(&mut self, end: i64, kind: Kind, resumes: bool, presence: &Presence, chunks: &mut Vec<Chunk>) {
        if kind == Kind::Loss {
            self.ledger_builder.correct(self.open_gap.start, self.cursor, STALL, Cause::NetworkLoss, Due::Missing);
        }
        if resumes {
            self.ends_before(end, presence);
            let kind = if kind == Kind::Stall && OpenGap::is_short(end - self.cursor) { Kind::Step } else { kind };
            self.bridge(end, kind, true, Some(end), presence, chunks);
            if self.open_gap.may_bridge(kind, self.last.as_ref()) {
                return;
            }
        }
        let length = (end - self.cursor).max(0);
        self.silence(length / SHORTEST * SHORTEST, kind, resumes, resumes.then_some(end), presence, chunks);
        self.carried = (end - self.cursor).clamp(0, SHORTEST - 1);
    }

    /// Sound follows at `end`: what begins there or later is not why there was none.
    fn ends_before(&mut self, end: i64, presence: &Presence) {
        presence.causes(self.open_gap.start, self.cursor, |from, to, why| {
            if let Some(why) = why.filter(|why| why.due && why.begins.is_some_and(|begins| end <= begins)) {
                self.ledger_builder.correct(from, to, &[why.cause], Cause::SenderStall, Due::Nothing);
            }
        });
    }

    /// Whether it is in the middle of silence.
    pub(super) fn is_silent(&self) -> bool {
        self.open_gap.silent
    }

    /// Where the hole after the last sound begins.
    pub(super) fn hole_start(&self) -> i64 {
        self.open_gap.start
    }

    /// The hole `from..to` lies between two packets of one stream, and no more than `lost` is missing of it: the rest cost nothing.
    pub(super) fn acquit(&mut self, from: i64, to: i64, lost: i64) {
        // A frame more or less is the clocks'.
        if to - from - lost > FRAME {
            self.ledger_builder.correct(from + lost, to, &[Cause::NetworkLoss], Cause::SenderStall, Due::Nothing);
            // A worker that stood still is no witness: what a server held back meanwhile may have been numbered anew.
            let damaged = Cause::JournalDamaged;
            self.ledger_builder.correct(from + lost, to, &[damaged], damaged, Due::Nothing);
        }
    }

    /// A stream ended without a word at `from`, its track did at `until`, and at `back` its sender is there again as another stream:
    /// nobody knows what it said. If it was given up by the channel's server, and is back soon, it never was away.
    pub(super) fn nobody_knows(&mut self, from: i64, until: i64, back: i64) {
        if until - from <= LONGEST_CHANGE {
            return;
        }
        self.ledger_builder.correct(from, until, &[Cause::SenderStall], Cause::Unknown, Due::Missing);
        let silent = self.ledger_builder.length_of(from, until, Cause::Unknown);
        let away = self.ledger_builder.length_of(from, back, Cause::Left);
        if silent >= TIMED_OUT && away > 0 && away <= RETURNS_SOON {
            let taken_for = [Cause::Left, Cause::NotPublishing, Cause::SenderStall];
            self.ledger_builder.correct(from, back, &taken_for, Cause::Unknown, Due::Missing);
        }
    }

    /// Nothing comes any more: what looks like a stall since the last sound is a tail that nobody heard.
    pub(super) fn end(&mut self) {
        if self.last.is_some() && self.cursor - self.open_gap.start > LONGEST_CHANGE {
            let (from, to) = (self.open_gap.start, self.cursor);
            self.ledger_builder.correct(from, to, &[Cause::SenderStall], Cause::UnheardTail, Due::Nothing);
        }
    }

    /// What was `taken_for` something else in `from..to` has a cause that is known now.
    pub(super) fn attribute(&mut self, from: i64, to: i64, taken_for: &[Cause], presence: &Presence) {
        presence.causes(from, to.min(self.cursor), |from, to, why| {
            if let Some(why) = why {
                let due = if why.due { Due::Missing } else { Due::Nothing };
                // Silence that ended before it began has another cause.
                let begins = why.begins.filter(|_| why.due).map(|begins| begins.min(self.cursor));
                let from = begins.map_or(from, |begins| from.max(self.ledger_builder.silent_since(begins)));
                self.ledger_builder.correct(from, to, taken_for, why.cause, due);
            }
        });
    }

    /// Nothing came in `from..to`: what was taken for a pause after the last sound is missing, for this cause.
    pub(super) fn doubt(&mut self, from: i64, to: i64, cause: Cause) {
        let sounded = self.last.as_ref().map_or(0, |last| last.end);
        self.ledger_builder.lose(from.max(sounded), to.min(self.cursor), cause);
    }

    /// This worker did not hear in `from..to`, for `cause`, as the presence knows: what did not get here is missing for it.
    pub(super) fn deafen(&mut self, from: i64, to: i64, cause: Cause, presence: &Presence) {
        presence.causes(from, to.min(self.cursor), |from, to, why| {
            if why.is_some_and(|why| why.cause == cause && why.due) {
                self.ledger_builder.rename(from, to, NOT_HEARD, cause);
            }
        });
    }

    /// What was written in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        self.ledger_builder.lose(from, to.min(self.cursor), Cause::DiskFull);
    }

    /// Of what was written since it was asked last, what lies in `stretches` could not be kept.
    pub(super) fn lose_all(&mut self, stretches: &[(i64, i64)]) {
        for (from, to) in stretches {
            if *to > self.asked && *from < self.cursor {
                self.ledger_builder.lose((*from).max(self.asked), (*to).min(self.cursor), Cause::DiskFull);
            }
        }
    }

    /// All that is written was asked for.
    pub(super) fn asked(&mut self) {
        self.asked = self.cursor;
    }

    fn bridge(
        &mut self,
        until: i64,
        kind: Kind,
        end: bool,
        ends: Option<i64>,
        presence: &Presence,
        chunks: &mut Vec<Chunk>,
    ) {
        if let Some(chunk) = self.open_gap.bridge(self.cursor, until, kind, self.last.as_ref(), end) {
            let length = chunk.end() - chunk.at();
            book(&mut self.ledger_builder, self.cursor, length, Looks { like: kind.bridged(), ends }, presence);
            self.cursor += length;
            chunks.push(chunk);
        }
    }

    fn silence(
        &mut self,
        length: i64,
        kind: Kind,
        resumes: bool,
        ends: Option<i64>,
        presence: &Presence,
        chunks: &mut Vec<Chunk>,
    ) {
        if length > 0 {
            self.open_gap.silent = true;
            chunks.push(Chunk::Silence { at: self.cursor, length, resumes });
            book(&mut self.ledger_builder, self.cursor, length, Looks { like: kind.silent(), ends }, presence);
            self.cursor += length;
        }
    }
}

/// What a stretch without sound looks like from the packets around it.
#[derive(Clone, Copy)]
struct Looks {
    /// `None`: a pause that the sender made by DTX.
    like: Option<(Cause, Due)>,
    /// Where the packet belongs that ends it, if that is known.
    ends: Option<i64>,
}

/// Books a stretch without sound: for what is known of the member, else as what it looks like. A restart nearby explains what
/// looks like a stall, not a loss or a pause.
fn book(ledger_builder: &mut LedgerBuilder, from: i64, length: i64, looks: Looks, presence: &Presence) {
    presence.causes(from, from + length, |from, to, why: Option<Why>| {
        match (why.filter(|why| can_be(*why, looks)), looks.like) {
            (Some(why), Some((_, Due::Concealed))) if why.due => {
                ledger_builder.gap(from, to, why.cause, Due::Concealed)
            }
            (Some(why), _) => {
                ledger_builder.gap(from, to, why.cause, if why.due { Due::Missing } else { Due::Nothing })
            }
            (None, Some((cause, due))) => ledger_builder.gap(from, to, cause, due),
            (None, None) => ledger_builder.sound(to - from),
        }
    });
}

/// Whether what is known of a member is why there is a stretch that looks like this. What begins behind the stretch is not. A pause whose end is known lost nothing to a deaf
/// worker: the sequence numbers go on.
fn can_be(why: Why, looks: Looks) -> bool {
    if why.due && why.begins.is_some_and(|begins| looks.ends.is_some_and(|ends| ends <= begins)) {
        return false;
    }
    if looks.like.is_none() && looks.ends.is_some() && DEAF.contains(&why.cause) {
        return false;
    }
    let stall = looks.like.is_some_and(|(cause, _)| STALL.contains(&cause));
    if why.cause == Cause::Unknown {
        // Numbers that are missing, or go on, know better.
        return stall || (looks.like.is_none() && looks.ends.is_none());
    }
    stall || !(why.near && why.cause == Cause::WorkerRestart)
}
