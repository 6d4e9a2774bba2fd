//! One wall timeline of a uid: what its streams give, in one line without a hole, written by its [`Pen`] as [`Piece`]s. All
//! positions in ticks.
//!
//! Invariants:
//! * `cursor` only grows; everything before it is written. It follows the horizon (a look-ahead behind the present), and
//!   waits for a packet whose place is not decided yet, but never more than [`MAX_BEHIND`].
//! * A packet is written where its stream says it belongs, to one frame of its own. Packets that follow each other without a
//!   pause stay glued; [`Pace`] takes out the difference to the wall clock that grows meanwhile.
//! * At most one track sounds at a time. Two that do are told ([`Clash`]), and one of them goes to another timeline ([`turn`]).

mod parting;
mod turn;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) use self::parting::Parted;
pub(super) use self::turn::Clash;
use self::turn::{Heads, Turn};
use super::account::{Account, Due, Fate};
use super::grid::{FRAME, LOOKAHEAD, MAX_A_STEP, STEP};
use super::hole::{self, Kind, Last, Piece};
use super::pace::{Pace, Step};
use super::pen::{By, Next, Pen, SHORTEST, STALL};
use super::presence::{GRACE, Presence};
use super::regime::{Head, Place, WINDOW};
use super::stream::{Offer, Taken};
use super::voice::{LONG_PAUSE, Voices};
use super::{Cause, Coding, Packet, TrackKind};
use crate::codec::opus::{self, PacketError};
use crate::units::TrackId;

/// The most that the cursor stays behind the present.
const MAX_BEHIND: i64 = LOOKAHEAD.0 as i64 + WINDOW + 2 * STEP.0 as i64;

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    voices: Voices,
    pace: Pace,
    pen: Pen,
    /// When each track was announced.
    #[serde(default)]
    announced: Vec<(TrackId, i64)>,
}

impl Timeline {
    /// First tick that is not written.
    pub(super) fn cursor(&self) -> i64 {
        self.pen.cursor
    }

    /// The ledger's numbers.
    pub(super) fn account(&self) -> &Account {
        &self.pen.account
    }

    /// Takes in a packet of a track that is to be recorded; `kind` is what the track is.
    pub(super) fn offer(&mut self, packet: &Packet, kind: TrackKind, arrival: i64) {
        let duration = kind.coding.duration(&packet.payload);
        let length = duration.unwrap_or_default().0 as i64;
        let (voice, (packets, sound)) = self.voices.of(packet.track, packet.ssrc, kind.source);
        voice.coding = kind.coding;
        let offer = voice.stream.offer_as(packet, duration, arrival);
        let strays = voice.stream.strays();
        let account = &mut self.pen.account;
        account.fate(Fate::Malformed, strays.0, strays.1);
        account.overlay(strays.1, Cause::Malformed);
        account.fate(Fate::Received, 1, length);
        account.fate(Fate::Overflow, packets, sound);
        account.overlay(sound, Cause::Overflow);
        match offer {
            Offer::Queued if duration == Err(PacketError::Empty) => account.fate(Fate::Padding, 1, 0),
            Offer::Queued => {}
            Offer::Duplicate => account.fate(Fate::Duplicate, 1, length),
            Offer::Malformed(_) => account.fate(Fate::Malformed, 1, 0),
            Offer::Overflow => {
                account.fate(Fate::Overflow, 1, length);
                account.overlay(length, Cause::Overflow);
            }
            Offer::Late { place, duration } => {
                self.pen.miss(place, duration, opus::is_silent(&packet.payload, packet.level));
            }
        }
    }

    /// A packet of a track that there is no timeline for.
    pub(super) fn refuse(&mut self, packet: &Packet) {
        let length = opus::duration(&packet.payload).map_or(0, |length| length.0 as i64);
        let account = &mut self.pen.account;
        account.fate(Fate::Received, 1, length);
        account.fate(if packet.payload.is_empty() { Fate::Padding } else { Fate::Superseded }, 1, length);
        if !opus::is_silent(&packet.payload, packet.level) {
            account.overlay(length, Cause::TooManySources);
        }
    }

    /// A track was announced.
    pub(super) fn announce(&mut self, track: TrackId, at: i64) {
        self.announced.retain(|(known, _)| *known != track);
        self.announced.push((track, at));
    }

    /// A track is gone: what waits is still written.
    pub(super) fn remove(&mut self, track: TrackId) {
        let gone = self.voices.remove(track);
        if let Some(last) = self.pen.last.as_mut().filter(|last| last.track == Some(track)) {
            last.track = Some(gone);
        }
        self.announced.retain(|(known, _)| *known != track);
    }

    /// What was `taken_for` something else in `from..to` has a cause that is known now.
    pub(super) fn explain(&mut self, from: i64, to: i64, taken_for: &[Cause], presence: &Presence) {
        self.pen.explain(from, to, taken_for, presence);
    }

    /// What was booked in `from..to` for one of the causes in `taken_for` is missing, for this cause.
    pub(super) fn rebook(&mut self, from: i64, to: i64, taken_for: &[Cause], cause: Cause) {
        self.pen.account.correct(from, to.min(self.pen.cursor), taken_for, cause, Due::Missing);
    }

    /// Nothing came in `from..to`: what was taken for a pause after the last sound is missing, for this cause.
    pub(super) fn doubt(&mut self, from: i64, to: i64, cause: Cause) {
        self.pen.doubt(from, to, cause);
    }

    /// Whether the sender of the sound that was written last sends only while it has something to say.
    pub(super) fn pauses(&self) -> bool {
        self.pen.last.as_ref().is_some_and(|last| last.pauses)
    }

    /// This worker did not hear in `from..to`, for `cause`, as the presence knows.
    pub(super) fn deafen(&mut self, from: i64, to: i64, cause: Cause, presence: &Presence) {
        self.pen.explain(from - GRACE, to + GRACE, STALL, presence);
        self.pen.deafen(from, to, cause, presence);
    }

    /// A track that can't be read was sending in `from..to`, as far as that is written.
    pub(super) fn unread(&mut self, from: i64, to: i64, cause: Cause) {
        let to = to.min(self.pen.cursor);
        if from < to {
            self.pen.account.unread(from, to, cause);
        }
    }

    /// The only tracks in `from..to` could not be read and were muted.
    pub(super) fn unread_muted(&mut self, from: i64, to: i64) {
        self.pen.account.rename(from, to, &[Cause::NotPublishing], Cause::Muted);
    }

    /// Takes note of a packet of a track that can't be read.
    pub(super) fn offer_unreadable(&mut self) {
        self.pen.account.fate(Fate::Received, 1, 0);
        self.pen.account.fate(Fate::Malformed, 1, 0);
    }

    /// What was written in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        self.pen.lose(from, to);
    }

    /// Of what was written since it was asked last, what lies in one of these lists of stretches could not be kept.
    pub(super) fn lose_all(&mut self, lists: [&[(i64, i64)]; 2]) {
        lists.into_iter().for_each(|stretches| self.pen.lose_all(stretches));
        self.pen.asked();
    }

    /// Writes up to `horizon`, when everything that arrived before `now` has been taken in. If two tracks sound at once and there is
    /// `room` for another timeline, it stops there and says which; once one of them is gone it goes on when it is called again.
    pub(super) fn step(
        &mut self,
        (now, horizon): (i64, i64),
        room: bool,
        presence: &Presence,
        pieces: &mut Vec<Piece>,
    ) -> Option<Clash> {
        let horizon = horizon.min(self.pen.cursor + MAX_A_STEP);
        loop {
            let heads = self.heads(now, false);
            let hold = heads.undecided.unwrap_or(horizon);
            let limit = horizon.min(hold.max(self.pen.cursor).max(now - MAX_BEHIND));
            match heads.first() {
                Some((voice, place)) if place.at < limit => {
                    if let Some(clash) = self.take(voice, place, &heads, room, presence, pieces) {
                        return Some(clash);
                    }
                }
                next => {
                    // What is to be left out, or to go elsewhere, says nothing of the hole before it.
                    let next = next.filter(|(voice, place)| self.turn(*voice, *place, &heads) == Turn::Write);
                    let next = next.map(|(voice, place)| (place.at, self.kind(voice, place), self.recoverable(voice)));
                    let next = next.as_ref().map(|(at, kind, recovers)| Next {
                        at: *at,
                        kind: *kind,
                        recovers: recovers.as_ref().map(|(packet, length)| (packet, *length)),
                    });
                    self.pen.fill(limit, next, presence, pieces);
                    return None;
                }
            }
        }
    }

    /// Whether there is nothing but silence to write, and the step at `now` wrote all of it.
    pub(super) fn is_still(&self, now: i64) -> bool {
        let behind = now - self.pen.cursor;
        self.voices.iter().all(|voice| voice.stream.is_empty())
            && self.pen.is_silent()
            && behind <= LOOKAHEAD.0 as i64 + super::source::MAX_SOURCES as i64 * FRAME
    }

    /// Writes everything that belongs before `end`; as [`Timeline::step`].
    pub(super) fn write_out(
        &mut self,
        end: i64,
        room: bool,
        presence: &Presence,
        pieces: &mut Vec<Piece>,
    ) -> Option<Clash> {
        loop {
            let heads = self.heads(end, true);
            let (voice, place) = heads.first().filter(|(_, place)| place.at + FRAME / 2 <= end)?;
            if let Some(clash) = self.take(voice, place, &heads, room, presence, pieces) {
                return Some(clash);
            }
        }
    }

    /// Writes silence up to `end`, less than [`SHORTEST`] missing. What waits belongs behind it.
    pub(super) fn finish(&mut self, end: i64, presence: &Presence, pieces: &mut Vec<Piece>) {
        for voice in self.voices.iter_mut() {
            let (packets, sound) = voice.stream.clear();
            self.pen.account.fate(Fate::AfterEnd, packets, sound);
        }
        self.pen.close(end, Kind::Stall, false, presence, pieces);
        self.pen.end();
    }

    /// Format 1 counted no padding and no samples: what is not otherwise accounted for was padding, and samples are counted from here on.
    pub(super) fn is_of_format_1(&mut self) {
        let waiting = self.voices.iter_mut().map(|voice| voice.stream.waiting());
        let (packets, sound) = waiting.fold((0, 0), |sum, (packets, sound)| (sum.0 + packets, sum.1 + sound));
        self.pen.account.is_of_format_1(packets, sound);
    }

    /// The first packets of all voices.
    fn heads(&mut self, now: i64, last_word: bool) -> Heads {
        let mut heads = Heads::default();
        for (index, voice) in self.voices.iter_mut().enumerate() {
            loop {
                match voice.stream.head(now, last_word) {
                    Head::Empty => {}
                    Head::Skip => {
                        let sound = voice.stream.skip();
                        self.pen.account.fate(Fate::Malformed, u64::from(sound > 0), sound);
                        continue;
                    }
                    Head::Undecided { earliest, anew } => {
                        let open = [earliest, anew].into_iter().filter(|at| *at >= self.pen.cursor - FRAME);
                        heads.undecided = heads.undecided.into_iter().chain(open).min();
                    }
                    Head::Ready(place) => heads.set(index, place),
                }
                break;
            }
        }
        heads
    }

    /// Takes the first packet, of voice `index`, unless it sounds together with another track and there is `room` for that elsewhere.
    fn take(
        &mut self,
        index: usize,
        place: Place,
        heads: &Heads,
        room: bool,
        presence: &Presence,
        pieces: &mut Vec<Piece>,
    ) -> Option<Clash> {
        let turn = match self.turn(index, place, heads) {
            Turn::Clash(clash) if room => return Some(clash),
            Turn::Clash(clash) => self.turn_without_room(clash),
            turn => turn,
        };
        match turn {
            Turn::Aside(cause) => self.set_aside(index, place, cause),
            _ => self.place(index, place, presence, pieces),
        }
        None
    }

    /// Takes the first packet of a voice and writes it, or leaves it out for the clocks' sake.
    fn place(&mut self, index: usize, place: Place, presence: &Presence, pieces: &mut Vec<Piece>) {
        let (kind, recovers) = (self.kind(index, place), self.recoverable(index));
        let tail = self.tail_before(index, place);
        let alone = self.voices.len() < 2;
        let Some(voice) = self.voices.get_mut(index) else {
            return;
        };
        let Some(taken) = voice.stream.take(place) else {
            return;
        };
        let duration = taken.packet.duration;
        voice.active_until = place.at + duration;
        // To look closely costs decoding a packet, and matters beside others only.
        let sounds = if alone { !opus::is_dtx(&taken.packet.payload) } else { taken.packet.sounds() };
        if sounds {
            voice.sounded_until = voice.active_until;
        }
        let before = self.pen.last.as_ref().filter(|last| last.voice == voice.id);
        let longest = before.map(|last| duration.max(length_of(last))).or_else(|| (taken.lost > 0).then_some(duration));
        let start = self.pen.hole_start();
        voice.pauses |= before.is_some() && kind == Kind::Stall && place.at - start >= LONG_PAUSE;
        let by = By { voice: voice.id, track: voice.track, pauses: voice.pauses };
        let id = voice.id;
        let runs_on = taken.pause.is_some_and(|pause| pause.abs() < SHORTEST);
        let follows =
            runs_on && self.pen.last.as_ref().is_some_and(|last| last.end == self.pen.cursor && last.voice == id);
        if follows && !place.anew {
            if !self.keep_pace(&taken, place.at, presence, pieces) {
                return;
            }
        } else if self.pen.cursor - place.at > FRAME.max(duration) / 2 {
            self.miss(&taken, place, runs_on);
            return;
        } else {
            let recovers = recovers.as_ref().map(|(packet, length)| (packet, *length));
            let recovered = self.pen.close_before(Next { at: place.at, kind, recovers }, presence, pieces);
            if taken.lost > 0 && taken.lost == taken.malformed {
                self.pen.is_malformed(start);
            }
            if let Some(longest) = longest {
                self.pen.acquit(start, self.pen.cursor, taken.lost.saturating_mul(longest) - recovered);
            } else if let Some(until) = tail {
                self.pen.nobody_knows(start, until, self.pen.cursor);
            }
            self.pace.restart();
        }
        self.pace.wrote(taken.packet.payload.len());
        let afresh = self.pen.is_after_silence();
        let voice = self.voices.get_mut(index);
        match voice.and_then(|voice| Some((voice.transcode(&taken.packet.payload, afresh)?, voice.coding))) {
            Some((packets, coding)) => self.pen.transcoded(&taken.packet, packets, coding, by, pieces),
            None => self.pen.sound(taken.packet, by, pieces),
        }
    }

    /// Where the last sound's track ended, if the first packet of a voice shows that its sender came back as another stream.
    fn tail_before(&self, index: usize, place: Place) -> Option<i64> {
        let voice = self.voices.get(index).filter(|voice| voice.stream.is_new())?;
        let last = self.pen.last.as_ref().filter(|last| last.voice != voice.id && !last.pauses)?;
        // Who had nothing to say at last had not begun to.
        if opus::is_silent(&last.packet, None) {
            return None;
        }
        if self.voices.lives_beside(last.voice, voice.track) {
            return None;
        }
        let announced = self.announced.iter().find(|(track, _)| *track == voice.track).map(|(_, at)| *at);
        let until = if last.track? == voice.track { place.at } else { announced? };
        Some(until.min(place.at))
    }

    /// Makes up for the difference between the sender's clock and the wall. False: the packet was left out.
    fn keep_pace(&mut self, taken: &Taken, at: i64, presence: &Presence, pieces: &mut Vec<Piece>) -> bool {
        match self.pace.judge(&taken.packet, self.pen.cursor, at) {
            Step::On => {}
            Step::LeaveOut => {
                self.pen.leave_out(&taken.packet);
                return false;
            }
            Step::Insert => self.pen.insert(pieces),
            Step::Fill => self.pen.close(at, Kind::Stall, true, presence, pieces),
        }
        true
    }

    /// A packet whose place is written already.
    fn miss(&mut self, taken: &Taken, place: Place, runs_on: bool) {
        let duration = taken.packet.duration;
        if place.at + duration / 2 <= 0 {
            self.pen.account.fate(Fate::BeforeStart, 1, duration);
        } else if place.anew && runs_on && taken.lost == 0 {
            self.pen.leave_out(&taken.packet);
        } else {
            self.pen.miss(place.at, duration, !taken.packet.sounds());
        }
    }

    /// The first packet of a voice, where packets are missing before it and it holds a copy of the last of them; and how much that is.
    fn recoverable(&self, index: usize) -> Option<(Bytes, i64)> {
        let voice = self.voices.get(index).filter(|voice| voice.coding == Coding::Opus)?;
        let stream = &voice.stream;
        let last = self.pen.last.as_ref().filter(|last| voice.id == last.voice);
        let next = &stream.peek().filter(|_| stream.lost_before_head() > 0)?.payload;
        let length = hole::recoverable(last, next);
        (length > 0).then(|| (next.clone(), length))
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.voices.restart_coders();
    }

    /// The recording has a mix and nothing else.
    pub(super) fn is_mixed_alone(&mut self) {
        self.pen.mix_alone = true;
    }

    /// What lies between the last sound and the first packet of a voice.
    fn kind(&self, index: usize, place: Place) -> Kind {
        let Some(voice) = self.voices.get(index) else {
            return Kind::Stall;
        };
        let same = self.pen.last.as_ref().filter(|last| last.voice == voice.id);
        match same {
            _ if voice.stream.lost_before_head() > 0 => Kind::Loss,
            Some(last) if opus::is_dtx(&last.packet) && !place.anew => Kind::Pause,
            _ => Kind::Stall,
        }
    }
}

/// How long the sound that was written last is.
fn length_of(last: &Last) -> i64 {
    opus::duration(&last.packet).map_or(0, |length| length.0 as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ssrc;

    const SECOND: i64 = 48_000;

    fn presence() -> Presence {
        let mut presence = Presence::new();
        presence.change(0, |state| (state.present, state.publishing) = (true, true));
        presence
    }

    fn packet(number: i64) -> Packet {
        Packet {
            track: TrackId(1),
            ssrc: Ssrc(1),
            sequence: number as u16,
            timestamp: (number * FRAME) as u32,
            marker: false,
            level: None,
            payload: Bytes::copy_from_slice(&[&[0x78][..], &number.to_be_bytes()].concat()),
        }
    }

    /// The sounds' places when packets `numbers` arrive in time and `late` ones then, and the timeline is written to its end.
    fn places(numbers: &[i64], end: i64) -> (Vec<i64>, Timeline) {
        let (mut timeline, mut pieces) = (Timeline::default(), Vec::new());
        numbers.iter().for_each(|number| timeline.offer(&packet(*number), TrackKind::default(), number * FRAME + 100));
        assert_eq!(timeline.write_out(end, true, &presence(), &mut pieces), None);
        timeline.finish(end, &presence(), &mut pieces);
        let mut cursor = 0;
        for piece in &pieces {
            assert_eq!(piece.at(), cursor, "pieces leave no hole");
            cursor = piece.end();
        }
        assert!((0..SHORTEST).contains(&(end - cursor)));
        let sounds = pieces.iter().filter(|piece| matches!(piece, Piece::Sound { .. }));
        (sounds.map(Piece::at).collect(), timeline)
    }

    #[test]
    fn packets_lie_at_their_arrival_less_what_no_filler_can_fill() {
        let (places, timeline) = places(&[50, 51, 52], 2 * SECOND);
        assert_eq!(places, [48_000, 48_960, 49_920], "the 100 ticks are carried");
        assert_eq!(timeline.pen.carried, 0, "and filled at the end");
    }

    #[test]
    fn a_hole_is_filled_to_its_length() {
        let (places, timeline) = places(&[50, 51, 60, 61], 3 * SECOND);
        assert_eq!(places.last(), Some(&(61 * FRAME)));
        let account = timeline.account().entry(&crate::units::Uid::new("1").unwrap(), None, &[]);
        assert_eq!((account.recorded_ms, account.concealed_ms, account.missing_ms), (80, 100, 60));
    }

    #[test]
    fn the_cursor_waits_for_what_is_not_decided_but_not_for_ever() {
        let (mut timeline, mut pieces) = (Timeline::default(), Vec::new());
        timeline.step((3 * SECOND, SECOND), true, &presence(), &mut pieces);
        assert_eq!(timeline.cursor(), SECOND);
        timeline.offer(&packet(0), TrackKind::default(), 3 * SECOND);
        timeline.step((4 * SECOND, 3 * SECOND + 1), true, &presence(), &mut pieces);
        assert_eq!(
            timeline.cursor(),
            2 * SECOND,
            "a first packet may be a second late, and is judged by those that follow it"
        );
        timeline.step((3 * SECOND + MAX_BEHIND, 5 * SECOND), true, &presence(), &mut pieces);
        assert!(timeline.cursor() > 3 * SECOND);
    }

    #[test]
    fn a_late_start_is_caught_up_with_in_steps() {
        let (mut timeline, mut pieces) = (Timeline::default(), Vec::new());
        timeline.step((9_000 * SECOND, 8_998 * SECOND), true, &presence(), &mut pieces);
        assert_eq!(timeline.cursor(), MAX_A_STEP);
    }
}
