//! One uid's wall timeline: what its streams give, in one line without a hole, cut into [`Piece`]s. All positions in ticks.
//!
//! Invariants:
//! * `cursor` only grows; everything before it is written. It follows the horizon (a look-ahead behind the present), and
//!   waits for a packet whose place is not decided yet, but never more than [`MAX_BEHIND`].
//! * A packet is written where its stream says it belongs, to one frame of its own. Packets that follow each other without a
//!   pause stay glued; the difference to the wall clock that grows meanwhile (drift) is taken out by a frame at a quiet packet,
//!   or after [`PATIENCE`] at any.
//! * At most one track sounds at a time: when a uid has several, the newest that is not muted wins as long as it sends.

use super::account::{Account, Due};
use super::hole::{Hole, Kind, Piece};
use super::presence::Presence;
use super::stream::{Head, Offer, Place, Taken, WINDOW};
use super::voice::Voices;
use super::{Cause, Packet};
use crate::codec::opus;
use crate::units::{Ticks, TrackId};

/// The usual frame, and how far a packet may be from its place: 20 ms.
pub(super) const FRAME: i64 = Ticks::from_ms(20).0 as i64;

/// The shortest filler: differences below it are carried.
pub(super) const SHORTEST: i64 = 120;

/// How long a drift of three quarters of a frame waits for a quiet packet.
const PATIENCE: i64 = Ticks::from_secs(2).0 as i64;

/// The most that the cursor stays behind the present.
const MAX_BEHIND: i64 = super::recorder::LOOKAHEAD.0 as i64 + WINDOW + 2 * super::recorder::STEP.0 as i64;

/// The most that is written in one step: a uid that publishes after hours is caught up with in several.
const MAX_A_STEP: i64 = Ticks::from_secs(1_200).0 as i64;

/// RFC 6464: quieter than this, in -dBov, is silence.
const QUIET_LEVEL: u8 = 60;

/// The sound that was written last.
#[derive(Clone, Debug)]
pub(super) struct Last {
    /// Its packet.
    pub(super) packet: bytes::Bytes,
    /// Where it ends.
    pub(super) end: i64,
    /// Which voice.
    pub(super) voice: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    cursor: i64,
    /// What is less than [`SHORTEST`] and was carried when the present run of packets began.
    carried: i64,
    voices: Voices,
    last: Option<Last>,
    hole: Hole,
    /// Since when the drift is more than the slack.
    drifting: Option<i64>,
    /// Moving average of packet sizes, in bytes.
    usual_size: usize,
    /// The ledger's numbers.
    pub(super) account: Account,
}

impl Timeline {
    /// First tick that is not written.
    pub(super) fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Takes in a packet of a track that is to be recorded.
    pub(super) fn offer(&mut self, packet: &Packet, arrival: i64) {
        self.account.packets.received += 1;
        let (voice, dropped) = self.voices.of(packet.track, packet.ssrc);
        let offer = voice.stream.offer(packet, arrival);
        let counts = &mut self.account.packets;
        counts.overflow += dropped;
        match offer {
            Offer::Queued => {}
            Offer::Duplicate => counts.duplicate += 1,
            Offer::Malformed(_) => counts.malformed += 1,
            Offer::Overflow => counts.overflow += 1,
            Offer::Late { place, duration } => {
                counts.late += 1;
                self.account.correct(place, place + duration, Cause::Late, Due::Missing);
            }
        }
    }

    /// A track was muted or unmuted.
    pub(super) fn mute(&mut self, track: TrackId, muted: bool, at: i64) {
        self.voices.mute(track, muted, at);
    }

    /// A track is gone: what waits is still written.
    pub(super) fn remove(&mut self, track: TrackId) {
        self.voices.remove(track);
    }

    /// What was taken for a stall in `from..to` has a cause that is known now.
    pub(super) fn explain(&mut self, from: i64, to: i64, presence: &Presence) {
        presence.causes(from, to.min(self.cursor), |from, to, why| {
            if let Some(why) = why {
                self.account.correct(from, to, why.cause, if why.due { Due::Missing } else { Due::Nothing });
            }
        });
    }

    /// Writes up to `horizon`, when everything that arrived before `now` has been taken in.
    pub(super) fn step(&mut self, now: i64, horizon: i64, presence: &Presence, pieces: &mut Vec<Piece>) {
        let horizon = horizon.min(self.cursor + MAX_A_STEP);
        loop {
            let (first, undecided) = self.first(now, false);
            let hold = undecided.filter(|earliest| *earliest >= self.cursor - FRAME).unwrap_or(horizon);
            let limit = horizon.min(hold.max(self.cursor).max(now - MAX_BEHIND));
            match first {
                Some((voice, place)) if place.at < limit => self.place(voice, place, presence, pieces),
                next => {
                    let kind = next.map(|(voice, place)| (place.at, self.kind(voice, place)));
                    self.fill(limit, kind, presence, pieces);
                    return;
                }
            }
        }
    }

    /// Writes everything, and silence up to `end`, less than [`SHORTEST`] missing.
    pub(super) fn finish(&mut self, end: i64, presence: &Presence, pieces: &mut Vec<Piece>) {
        while let (Some((voice, place)), _) = self.first(end, true) {
            if place.at + FRAME / 2 > end {
                break;
            }
            self.place(voice, place, presence, pieces);
        }
        self.close(end, Kind::Stall, false, presence, pieces);
    }

    /// The earliest packet whose place is known, and how early an undecided one may be.
    fn first(&mut self, now: i64, last_word: bool) -> (Option<(usize, Place)>, Option<i64>) {
        let (mut first, mut undecided) = (None::<(usize, Place)>, None::<i64>);
        for (index, voice) in self.voices.iter_mut().enumerate() {
            loop {
                match voice.stream.head(now, last_word) {
                    Head::Empty => {}
                    Head::Skip => {
                        self.account.packets.malformed += u64::from(voice.stream.skip());
                        continue;
                    }
                    Head::Undecided { earliest } => undecided = Some(undecided.map_or(earliest, |at| at.min(earliest))),
                    // Of two at the same place the newer voice comes first, so that the older one sees that it gives way.
                    Head::Ready(place) if first.is_none_or(|(_, other)| place.at < other.at + FRAME / 2) => {
                        first = Some((index, place));
                    }
                    Head::Ready(_) => {}
                }
                break;
            }
        }
        (first, undecided)
    }

    /// Takes the first packet of a voice and writes it, or leaves it out.
    fn place(&mut self, index: usize, place: Place, presence: &Presence, pieces: &mut Vec<Piece>) {
        let superseded = self.voices.superseded(index, place.at);
        let kind = self.kind(index, place);
        let Some(voice) = self.voices.get_mut(index) else {
            return;
        };
        let Some(taken) = voice.stream.take(place.anew) else {
            return;
        };
        let duration = taken.packet.duration;
        if superseded {
            self.account.packets.superseded += 1;
            return;
        }
        voice.active_until = place.at + duration;
        let id = voice.id;
        let runs_on = taken.pause.is_some_and(|pause| pause.abs() < SHORTEST);
        let follows = runs_on && self.last.as_ref().is_some_and(|last| last.end == self.cursor && last.voice == id);
        if follows && !place.anew {
            if !self.keep_pace(&taken, place.at, presence, pieces) {
                return;
            }
        } else if self.cursor - place.at > FRAME.max(duration) / 2 {
            self.miss(&taken, place, runs_on);
            return;
        } else {
            self.close(place.at, kind, true, presence, pieces);
            self.drifting = None;
        }
        self.sound(taken, id, pieces);
    }

    /// Compares the wall clock with where the next packet of a run would come to lie, and makes up for the difference. False: it
    /// was left out.
    fn keep_pace(&mut self, taken: &Taken, at: i64, presence: &Presence, pieces: &mut Vec<Piece>) -> bool {
        let frame = FRAME.max(taken.packet.duration);
        let behind = self.cursor - at;
        if behind.abs() <= frame * 3 / 4 {
            self.drifting = None;
            return true;
        }
        let since = *self.drifting.get_or_insert(self.cursor);
        let now = self.quiet(taken) || self.cursor - since > PATIENCE;
        if behind > frame || (behind > 0 && now) {
            self.leave_out();
            return false;
        }
        if behind < -frame {
            self.close(at, Kind::Stall, true, presence, pieces);
        } else if behind < 0 && now {
            self.insert(pieces);
        }
        true
    }

    fn leave_out(&mut self) {
        self.drifting = None;
        self.account.packets.left_out += 1;
        self.account.gap(self.cursor, self.cursor, Cause::ClockDrift, Due::Nothing);
    }

    fn insert(&mut self, pieces: &mut Vec<Piece>) {
        self.drifting = None;
        let Some(Ok(filler)) = self.last.as_ref().map(|last| opus::concealment(&last.packet)) else {
            return;
        };
        let length = filler.duration.0 as i64;
        pieces.push(Piece::Bridge { at: self.cursor, filler, frames: 1, kind: Kind::Stall });
        self.account.gap(self.cursor, self.cursor + length, Cause::ClockDrift, Due::Nothing);
        self.cursor += length;
        self.extend_last(length);
    }

    /// A packet whose place is written already.
    fn miss(&mut self, taken: &Taken, place: Place, runs_on: bool) {
        if place.anew && runs_on && taken.lost == 0 {
            self.leave_out();
        } else {
            self.account.packets.late += 1;
            self.account.correct(place.at, place.at + taken.packet.duration, Cause::Late, Due::Missing);
        }
    }

    fn sound(&mut self, taken: Taken, voice: u64, pieces: &mut Vec<Piece>) {
        let Taken { packet, .. } = taken;
        let at = self.cursor;
        self.cursor += packet.duration;
        self.usual_size = (self.usual_size * 15 + packet.payload.len()).div_ceil(16);
        self.account.packets.placed += 1;
        self.account.sound(packet.duration);
        self.last = Some(Last { packet: packet.payload.clone(), end: self.cursor, voice });
        self.hole = Hole::from(self.cursor);
        pieces.push(Piece::Sound { at, exact: at + self.carried, packet: packet.payload, duration: packet.duration });
    }

    /// What lies between the last sound and the first packet of a voice.
    fn kind(&self, index: usize, place: Place) -> Kind {
        let Some(voice) = self.voices.get(index) else {
            return Kind::Stall;
        };
        let same = self.last.as_ref().filter(|last| last.voice == voice.id);
        match same {
            _ if voice.stream.lost_before_head() > 0 => Kind::Loss,
            Some(last) if opus::is_dtx(&last.packet) && !place.anew => Kind::Pause,
            _ => Kind::Stall,
        }
    }

    /// Fills up to `limit` in whole frames, leaving room for the last filler before the packet that is known to come `next`.
    fn fill(&mut self, limit: i64, next: Option<(i64, Kind)>, presence: &Presence, pieces: &mut Vec<Piece>) {
        let (until, kind) = match (next, &self.last) {
            (Some((at, kind)), _) => (limit.min(at - FRAME), kind),
            (None, Some(last)) if opus::is_dtx(&last.packet) => (limit, Kind::Pause),
            (None, _) => (limit, Kind::Stall),
        };
        self.hole.bridge(&mut self.cursor, until, kind, self.last.as_ref(), false, &mut |piece, length| {
            book(&mut self.account, piece.at(), length, kind.bridged(), presence);
            pieces.push(piece);
        });
        let length = (until - self.cursor).max(0) / FRAME * FRAME;
        if length > 0 && !self.hole.may_bridge(kind, self.last.as_ref()) {
            self.silence(length, if next.is_some() { kind } else { Kind::Stall }, false, presence, pieces);
        }
    }

    /// Fills up to `end` as well as fillers can. `resumes`: sound follows.
    fn close(&mut self, end: i64, kind: Kind, resumes: bool, presence: &Presence, pieces: &mut Vec<Piece>) {
        if kind == Kind::Loss {
            self.account.correct(self.hole.start, self.cursor, Cause::NetworkLoss, Due::Missing);
        }
        if resumes {
            let kind = if kind == Kind::Stall && Hole::is_short(end - self.cursor) { Kind::Step } else { kind };
            self.hole.bridge(&mut self.cursor, end, kind, self.last.as_ref(), true, &mut |piece, length| {
                book(&mut self.account, piece.at(), length, kind.bridged(), presence);
                pieces.push(piece);
            });
            if self.hole.may_bridge(kind, self.last.as_ref()) {
                return;
            }
        }
        let length = (end - self.cursor).max(0);
        self.silence(length / SHORTEST * SHORTEST, kind, resumes, presence, pieces);
        self.carried = (end - self.cursor).clamp(0, SHORTEST - 1);
    }

    fn silence(&mut self, length: i64, kind: Kind, resumes: bool, presence: &Presence, pieces: &mut Vec<Piece>) {
        if length > 0 {
            self.hole.silent = true;
            pieces.push(Piece::Silence { at: self.cursor, length, resumes });
            book(&mut self.account, self.cursor, length, kind.silent(), presence);
            self.cursor += length;
        }
    }

    fn quiet(&self, taken: &Taken) -> bool {
        let packet = &taken.packet;
        let quiet_level = packet.level.is_some_and(|level| level >= QUIET_LEVEL);
        quiet_level || opus::is_dtx(&packet.payload) || packet.payload.len() * 2 <= self.usual_size
    }

    fn extend_last(&mut self, length: i64) {
        if let Some(last) = &mut self.last {
            last.end += length;
        }
    }
}

/// Books a stretch without sound: for what is known of the member, else as what it looks like.
fn book(account: &mut Account, from: i64, length: i64, looks_like: Option<(Cause, Due)>, presence: &Presence) {
    presence.causes(from, from + length, |from, to, why| match (why, looks_like) {
        (Some(why), Some((_, Due::Concealed))) if why.due => account.gap(from, to, why.cause, Due::Concealed),
        (Some(why), _) => account.gap(from, to, why.cause, if why.due { Due::Missing } else { Due::Nothing }),
        (None, Some((cause, due))) => account.gap(from, to, cause, due),
        (None, None) => account.sound(to - from),
    });
}
