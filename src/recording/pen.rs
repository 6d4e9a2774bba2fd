//! Writes one uid's timeline from left to right: packets as they are, holes filled, every tick booked. All positions in ticks.
//!
//! Invariant: the pieces written follow each other without a hole from tick 0 to the cursor, and each tick is in the account.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::account::{Account, Due, Fate};
use super::grid::FRAME;
use super::hole::{Hole, Kind, Last, Piece};
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
    pub(super) voice: u64,
    /// Its track.
    pub(super) track: TrackId,
    /// It sends only while there is something to say.
    pub(super) pauses: bool,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Pen {
    /// First tick that is not written.
    pub(super) cursor: i64,
    /// What is less than [`SHORTEST`] and was carried when the present run of packets began.
    pub(super) carried: i64,
    /// The sound that was written last.
    pub(super) last: Option<Last>,
    /// The ledger's numbers.
    pub(super) account: Account,
    hole: Hole,
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

impl Pen {
    /// Writes a packet of a voice.
    pub(super) fn sound(&mut self, packet: Queued, voice: By, pieces: &mut Vec<Piece>) {
        self.account.fate(Fate::Placed, 1, packet.duration);
        self.write(packet, voice, pieces);
    }

    /// Writes the Opus packets that were made of a voice's packet.
    pub(super) fn transcoded(
        &mut self,
        packet: &Queued,
        made: Vec<(Bytes, Ticks)>,
        coding: Coding,
        voice: By,
        pieces: &mut Vec<Piece>,
    ) {
        self.account.fate(Fate::Placed, 1, packet.duration);
        self.account.transcoded(coding);
        for (payload, duration) in made {
            self.write(Queued { payload, duration: duration.0 as i64, ..packet.clone() }, voice, pieces);
        }
    }

    /// Whether silence is written last, or nothing was.
    pub(super) fn is_after_silence(&self) -> bool {
        self.hole.silent || self.last.is_none()
    }

    fn write(&mut self, packet: Queued, voice: By, pieces: &mut Vec<Piece>) {
        let at = self.cursor;
        self.cursor += packet.duration;
        self.account.sound(packet.duration);
        let By { voice, track, pauses } = voice;
        self.last = Some(Last { packet: packet.payload.clone(), end: self.cursor, voice, track: Some(track), pauses });
        self.hole = Hole::from(self.cursor);
        let Queued { payload, duration, level, .. } = packet;
        pieces.push(Piece::Sound { at, exact: at + self.carried, packet: payload, duration, level });
    }

    /// Puts in one frame that goes on from the sound before.
    pub(super) fn insert(&mut self, pieces: &mut Vec<Piece>) {
        let Some(Ok(filler)) = self.last.as_ref().map(|last| opus::concealment(&last.packet)) else {
            return;
        };
        let length = filler.duration.0 as i64;
        pieces.push(Piece::Bridge { at: self.cursor, filler, frames: 1, kind: Kind::Stall });
        self.account.gap(self.cursor, self.cursor + length, Cause::ClockDrift, Due::Nothing);
        self.cursor += length;
        if let Some(last) = &mut self.last {
            last.end += length;
        }
    }

    /// Notes that a packet was left out here. No more is left out for a clock's drift than [`FASTEST`] takes; the rest is missing.
    pub(super) fn leave_out(&mut self, packet: &Queued) {
        self.account.fate(Fate::LeftOut, 1, packet.duration);
        let allowed = self.account.samples(Fate::Placed) / FASTEST + 2 * FRAME;
        let beyond = self.account.samples(Fate::LeftOut) - allowed - self.account.overlaid(Cause::LeftOut);
        if beyond > 0 && packet.sounds() {
            self.account.overlay(beyond.min(packet.duration), Cause::LeftOut);
        }
        self.account.gap(self.cursor, self.cursor, Cause::ClockDrift, Due::Nothing);
    }

    /// The sound of `duration` that belongs at `place` came too late: it is missing where nothing is, and where other sound lies too, if
    /// it is not `silent`. What is not written yet will be known to be lost.
    pub(super) fn miss(&mut self, place: i64, duration: i64, silent: bool) {
        let cause = Cause::Late;
        self.account.fate(Fate::Late, 1, duration);
        let (from, to) = (place.max(0), (place + duration).min(self.cursor));
        if from < to && silent {
            self.account.correct(from, to, &[Cause::NetworkLoss], cause, Due::Nothing);
        } else if from < to {
            self.account.correct(from, to, STALL, cause, Due::Missing);
            self.account.rename(from, to, &[Cause::NetworkLoss], cause);
            self.account.overlay(to - from - self.account.due_in(from, to), cause);
        }
    }

    /// What was lost in the hole `from..` was not Opus, or made no sense.
    pub(super) fn is_malformed(&mut self, from: i64) {
        self.account.rename(from, self.cursor, &[Cause::NetworkLoss], Cause::Malformed);
    }

    /// Fills up to `limit` in whole frames, leaving room for the last filler before the packet that is known to come `next`.
    pub(super) fn fill(&mut self, limit: i64, next: Option<Next<'_>>, presence: &Presence, pieces: &mut Vec<Piece>) {
        let (until, kind) = match (next, &self.last) {
            (Some(Next { at, kind, recovers }), _) => {
                (limit.min(at - recovers.map_or(FRAME, |(_, length)| length.max(FRAME))), kind)
            }
            (None, Some(last)) if opus::is_dtx(&last.packet) => (limit, Kind::Pause),
            (None, _) => (limit, Kind::Stall),
        };
        let proven = next.is_some();
        self.bridge(until, kind, false, proven, presence, pieces);
        let length = (until - self.cursor).max(0) / FRAME * FRAME;
        if length > 0 && !self.hole.may_bridge(kind, self.last.as_ref()) {
            self.silence(length, if proven { kind } else { Kind::Stall }, false, proven, presence, pieces);
        }
    }

    /// Fills up to the packet behind the hole as well as fillers can, and, at its end, by what the packet itself holds of it: how much of
    /// the loss that is.
    pub(super) fn close_before(&mut self, next: Next<'_>, presence: &Presence, pieces: &mut Vec<Piece>) -> i64 {
        let Next { at, kind, recovers } = next;
        let first = pieces.len();
        self.close(at, kind, true, presence, pieces);
        let Some((packet, length)) = recovers else { return 0 };
        let (filler, kept) = match pieces.get(first..).and_then(<[Piece]>::last) {
            Some(Piece::Bridge { filler, frames, .. }) => {
                let all = filler.duration.0 as i64 * frames;
                (Some(filler.clone()).filter(|filler| length % filler.duration.0 as i64 == 0), all - length)
            }
            // Silence of whole frames is the same in parts.
            Some(Piece::Silence { length: all, .. }) if length % FRAME == 0 => (None, all - length),
            _ => return 0,
        };
        let bridged = matches!(pieces.last(), Some(Piece::Bridge { .. }));
        if kept < 0 || (bridged && filler.is_none()) {
            return 0;
        }
        let from = self.cursor - length;
        match pieces.last_mut() {
            Some(Piece::Bridge { filler, frames, .. }) => *frames = kept / filler.duration.0 as i64,
            Some(Piece::Silence { length, resumes, .. }) => (*length, *resumes) = (kept, false),
            _ => {}
        }
        if kept == 0 {
            pieces.pop();
        }
        let packet = packet.clone();
        pieces.push(Piece::Recovered { at: from, exact: from + self.carried, length, filler, packet });
        if bridged || self.mix_alone {
            self.account.recovered(from, self.cursor);
            return length;
        }
        0
    }

    /// Fills up to `end` as well as fillers can. `resumes`: sound follows.
    pub(super) fn close(&mut self, end: i64, kind: Kind, resumes: bool, presence: &Presence, pieces: &mut Vec<Piece>) {
        if kind == Kind::Loss {
            self.account.correct(self.hole.start, self.cursor, STALL, Cause::NetworkLoss, Due::Missing);
        }
        if resumes {
            let kind = if kind == Kind::Stall && Hole::is_short(end - self.cursor) { Kind::Step } else { kind };
            self.bridge(end, kind, true, true, presence, pieces);
            if self.hole.may_bridge(kind, self.last.as_ref()) {
                return;
            }
        }
        let length = (end - self.cursor).max(0);
        self.silence(length / SHORTEST * SHORTEST, kind, resumes, resumes, presence, pieces);
        self.carried = (end - self.cursor).clamp(0, SHORTEST - 1);
    }

    /// Whether it is in the middle of silence.
    pub(super) fn is_silent(&self) -> bool {
        self.hole.silent
    }

    /// Where the hole after the last sound begins.
    pub(super) fn hole_start(&self) -> i64 {
        self.hole.start
    }

    /// The hole `from..to` lies between two packets of one stream, and no more than `lost` is missing of it: the rest cost nothing.
    pub(super) fn acquit(&mut self, from: i64, to: i64, lost: i64) {
        // A frame more or less is the clocks'.
        if to - from - lost > FRAME {
            self.account.correct(from + lost, to, &[Cause::NetworkLoss], Cause::SenderStall, Due::Nothing);
            // A worker that stood still is no witness: what a server held back meanwhile may have been numbered anew.
            let damaged = Cause::JournalDamaged;
            self.account.correct(from + lost, to, &[damaged], damaged, Due::Nothing);
        }
    }

    /// A stream ended without a word at `from`, its track did at `until`, and at `back` its sender is there again as another stream:
    /// nobody knows what it said. If it was given up by the channel's server, and is back soon, it never was away.
    pub(super) fn nobody_knows(&mut self, from: i64, until: i64, back: i64) {
        if until - from <= LONGEST_CHANGE {
            return;
        }
        self.account.correct(from, until, &[Cause::SenderStall], Cause::Unknown, Due::Missing);
        let silent = self.account.length_of(from, until, Cause::Unknown);
        let away = self.account.length_of(from, back, Cause::Left);
        if silent >= TIMED_OUT && away > 0 && away <= RETURNS_SOON {
            let taken_for = [Cause::Left, Cause::NotPublishing, Cause::SenderStall];
            self.account.correct(from, back, &taken_for, Cause::Unknown, Due::Missing);
        }
    }

    /// Nothing comes any more: what looks like a stall since the last sound is a tail that nobody heard.
    pub(super) fn end(&mut self) {
        if self.last.is_some() && self.cursor - self.hole.start > LONGEST_CHANGE {
            let (from, to) = (self.hole.start, self.cursor);
            self.account.correct(from, to, &[Cause::SenderStall], Cause::UnheardTail, Due::Nothing);
        }
    }

    /// What was `taken_for` something else in `from..to` has a cause that is known now.
    pub(super) fn explain(&mut self, from: i64, to: i64, taken_for: &[Cause], presence: &Presence) {
        presence.causes(from, to.min(self.cursor), |from, to, why| {
            if let Some(why) = why {
                let due = if why.due { Due::Missing } else { Due::Nothing };
                self.account.correct(from, to, taken_for, why.cause, due);
            }
        });
    }

    /// Nothing came in `from..to`: what was taken for a pause after the last sound is missing, for this cause.
    pub(super) fn doubt(&mut self, from: i64, to: i64, cause: Cause) {
        let sounded = self.last.as_ref().map_or(0, |last| last.end);
        self.account.lose(from.max(sounded), to.min(self.cursor), cause);
    }

    /// This worker did not hear in `from..to`, for `cause`, as the presence knows: what did not get here is missing for it.
    pub(super) fn deafen(&mut self, from: i64, to: i64, cause: Cause, presence: &Presence) {
        presence.causes(from, to.min(self.cursor), |from, to, why| {
            if why.is_some_and(|why| why.cause == cause && why.due) {
                self.account.rename(from, to, NOT_HEARD, cause);
            }
        });
    }

    /// What was written in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        self.account.lose(from, to.min(self.cursor), Cause::DiskFull);
    }

    /// Of what was written since it was asked last, what lies in `stretches` could not be kept.
    pub(super) fn lose_all(&mut self, stretches: &[(i64, i64)]) {
        for (from, to) in stretches {
            if *to > self.asked && *from < self.cursor {
                self.account.lose((*from).max(self.asked), (*to).min(self.cursor), Cause::DiskFull);
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
        proven: bool,
        presence: &Presence,
        pieces: &mut Vec<Piece>,
    ) {
        if let Some(piece) = self.hole.bridge(self.cursor, until, kind, self.last.as_ref(), end) {
            let length = piece.end() - piece.at();
            book(&mut self.account, self.cursor, length, Looks { like: kind.bridged(), proven }, presence);
            self.cursor += length;
            pieces.push(piece);
        }
    }

    fn silence(
        &mut self,
        length: i64,
        kind: Kind,
        resumes: bool,
        proven: bool,
        presence: &Presence,
        pieces: &mut Vec<Piece>,
    ) {
        if length > 0 {
            self.hole.silent = true;
            pieces.push(Piece::Silence { at: self.cursor, length, resumes });
            book(&mut self.account, self.cursor, length, Looks { like: kind.silent(), proven }, presence);
            self.cursor += length;
        }
    }
}

/// What a stretch without sound looks like from the packets around it.
#[derive(Clone, Copy)]
struct Looks {
    /// `None`: a pause that the sender made by DTX.
    like: Option<(Cause, Due)>,
    /// The packet that ends it is known.
    proven: bool,
}

/// Books a stretch without sound: for what is known of the member, else as what it looks like. A restart nearby explains what
/// looks like a stall, not a loss or a pause.
fn book(account: &mut Account, from: i64, length: i64, looks: Looks, presence: &Presence) {
    presence.causes(from, from + length, |from, to, why: Option<Why>| {
        match (why.filter(|why| explains(*why, looks)), looks.like) {
            (Some(why), Some((_, Due::Concealed))) if why.due => account.gap(from, to, why.cause, Due::Concealed),
            (Some(why), _) => account.gap(from, to, why.cause, if why.due { Due::Missing } else { Due::Nothing }),
            (None, Some((cause, due))) => account.gap(from, to, cause, due),
            (None, None) => account.sound(to - from),
        }
    });
}

/// Whether what is known of a member is why there is a stretch that looks like this. A pause whose end is known lost nothing to a deaf
/// worker: the sequence numbers go on.
fn explains(why: Why, looks: Looks) -> bool {
    if looks.like.is_none() && looks.proven && DEAF.contains(&why.cause) {
        return false;
    }
    let stall = looks.like.is_some_and(|(cause, _)| STALL.contains(&cause));
    if why.cause == Cause::Unknown {
        // Numbers that are missing, or go on, know better.
        return stall || (looks.like.is_none() && !looks.proven);
    }
    stall || !(why.near && why.cause == Cause::WorkerRestart)
}
