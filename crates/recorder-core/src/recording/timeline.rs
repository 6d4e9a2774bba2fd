//! One wall timeline of a uid: what its streams give, in one line without a hole, written by its [`TimelineWriter`] as [`Chunk`]s. All
//! positions in ticks.
//!
//! Invariants:
//! * `cursor` only grows; everything before it is written. It follows the horizon (a look-ahead behind the present), and
//!   waits for a packet whose place is not decided yet, but never more than [`MAX_BEHIND`].
//! * A packet is written where its stream says it belongs, to one frame of its own. Packets that follow each other without a
//!   pause stay glued; [`Pace`] takes out the difference to the wall clock that grows meanwhile.
//! * At most one track sounds at a time. Two that do are told ([`Clash`]), and one of them goes to another timeline ([`arbitration`]).

mod arbitration;
mod parting;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) use self::arbitration::Clash;
use self::arbitration::{ArbitrationResult, Heads};
pub(super) use self::parting::Parted;
use super::grid::{FRAME, LOOKAHEAD, MAX_A_STEP, STEP};
use super::ledger_builder::{Due, Fate, LedgerBuilder};
use super::open_gap::{self, Chunk, Kind, Last};
use super::pace::{Pace, Step};
use super::presence::{GRACE, Presence};
use super::rtp_clock::{Head, Placement, WINDOW};
use super::rtp_source::{LONG_PAUSE, RtpSources};
use super::stream::{Offer, Taken};
use super::timeline_writer::{By, Next, SHORTEST, STALL, TimelineWriter};
use super::{Cause, Coding, Packet, TrackKind};
use crate::codec::opus::{self, PacketError};
use crate::units::TrackId;

/// The most that the cursor stays behind the present.
const MAX_BEHIND: i64 = LOOKAHEAD.0 as i64 + WINDOW + 2 * STEP.0 as i64;

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    rtp_sources: RtpSources,
    pace: Pace,
    timeline_writer: TimelineWriter,
    /// When each track was announced.
    #[serde(default)]
    announced: Vec<(TrackId, i64)>,
}

impl Timeline {
    /// First tick that is not written.
    pub(super) fn cursor(&self) -> i64 {
        self.timeline_writer.cursor
    }

    /// The ledger's numbers.
    pub(super) fn ledger_builder(&self) -> &LedgerBuilder {
        &self.timeline_writer.ledger_builder
    }

    /// Takes in a packet of a track that is to be recorded; `kind` is what the track is.
    pub(super) fn offer(&mut self, packet: &Packet, kind: TrackKind, arrival: i64) {
        let duration = kind.coding.duration(&packet.payload);
        let length = duration.unwrap_or_default().0 as i64;
        let (rtp_source, (packets, sound)) = self.rtp_sources.of(packet.track, packet.ssrc, kind.source);
        rtp_source.coding = kind.coding;
        let offer = rtp_source.stream.offer_as(packet, duration, arrival);
        let strays = rtp_source.stream.strays();
        let ledger_builder = &mut self.timeline_writer.ledger_builder;
        ledger_builder.fate(Fate::Malformed, strays.0, strays.1);
        ledger_builder.overlay(strays.1, Cause::Malformed);
        ledger_builder.fate(Fate::Received, 1, length);
        ledger_builder.fate(Fate::Overflow, packets, sound);
        ledger_builder.overlay(sound, Cause::Overflow);
        match offer {
            Offer::Queued if duration == Err(PacketError::Empty) => ledger_builder.fate(Fate::Padding, 1, 0),
            Offer::Queued => {}
            Offer::Duplicate => ledger_builder.fate(Fate::Duplicate, 1, length),
            Offer::Malformed(_) => ledger_builder.fate(Fate::Malformed, 1, 0),
            Offer::Overflow => {
                ledger_builder.fate(Fate::Overflow, 1, length);
                ledger_builder.overlay(length, Cause::Overflow);
            }
            Offer::Late { place, duration } => {
                self.timeline_writer.miss(place, duration, opus::is_silent(&packet.payload, packet.level));
            }
        }
    }

    /// A packet of a track that there is no timeline for.
    pub(super) fn refuse(&mut self, packet: &Packet) {
        let length = opus::duration(&packet.payload).map_or(0, |length| length.0 as i64);
        let ledger_builder = &mut self.timeline_writer.ledger_builder;
        ledger_builder.fate(Fate::Received, 1, length);
        ledger_builder.fate(if packet.payload.is_empty() { Fate::Padding } else { Fate::Superseded }, 1, length);
        if !opus::is_silent(&packet.payload, packet.level) {
            ledger_builder.overlay(length, Cause::TooManySources);
        }
    }

    /// A track was announced.
    pub(super) fn announce(&mut self, track: TrackId, at: i64) {
        self.announced.retain(|(known, _)| *known != track);
        self.announced.push((track, at));
    }

    /// A track is gone: what waits is still written. What it is called from now on.
    pub(super) fn remove(&mut self, track: TrackId) -> TrackId {
        let gone = self.rtp_sources.remove(track);
        if let Some(last) = self.timeline_writer.last.as_mut().filter(|last| last.track == Some(track)) {
            last.track = Some(gone);
        }
        self.announced.retain(|(known, _)| *known != track);
        gone
    }

    /// What was `taken_for` something else in `from..to` has a cause that is known now.
    pub(super) fn attribute(&mut self, from: i64, to: i64, taken_for: &[Cause], presence: &Presence) {
        self.timeline_writer.attribute(from, to, taken_for, presence);
    }

    /// What was booked in `from..to` for one of the causes in `taken_for` is missing, for this cause.
    pub(super) fn rebook(&mut self, from: i64, to: i64, taken_for: &[Cause], cause: Cause) {
        self.timeline_writer.ledger_builder.correct(
            from,
            to.min(self.timeline_writer.cursor),
            taken_for,
            cause,
            Due::Missing,
        );
    }

    /// Nothing came in `from..to`: what was taken for a pause after the last sound is missing, for this cause.
    pub(super) fn doubt(&mut self, from: i64, to: i64, cause: Cause) {
        self.timeline_writer.doubt(from, to, cause);
    }

    /// Whether the sender of the sound that was written last sends only while it has something to say.
    pub(super) fn pauses(&self) -> bool {
        self.timeline_writer.last.as_ref().is_some_and(|last| last.pauses)
    }

    /// This worker did not hear in `from..to`, for `cause`, as the presence knows.
    pub(super) fn deafen(&mut self, from: i64, to: i64, cause: Cause, presence: &Presence) {
        self.timeline_writer.attribute(from - GRACE, to + GRACE, STALL, presence);
        self.timeline_writer.deafen(from, to, cause, presence);
    }

    /// A track that can't be read was sending in `from..to`, as far as that is written.
    pub(super) fn unread(&mut self, from: i64, to: i64, cause: Cause) {
        let to = to.min(self.timeline_writer.cursor);
        if from < to {
            self.timeline_writer.ledger_builder.unread(from, to, cause);
        }
    }

    /// The only tracks in `from..to` could not be read and were muted.
    pub(super) fn unread_muted(&mut self, from: i64, to: i64) {
        self.timeline_writer.ledger_builder.rename(from, to, &[Cause::NotPublishing], Cause::Muted);
    }

    /// Takes note of a packet of a track that can't be read.
    pub(super) fn offer_unreadable(&mut self) {
        self.timeline_writer.ledger_builder.fate(Fate::Received, 1, 0);
        self.timeline_writer.ledger_builder.fate(Fate::Malformed, 1, 0);
    }

    /// What was written in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        self.timeline_writer.lose(from, to);
    }

    /// Of what was written since it was asked last, what lies in one of these lists of stretches could not be kept.
    pub(super) fn lose_all(&mut self, lists: [&[(i64, i64)]; 2]) {
        lists.into_iter().for_each(|stretches| self.timeline_writer.lose_all(stretches));
        self.timeline_writer.asked();
    }

    /// Writes up to `horizon`, when everything that arrived before `now` has been taken in. If two tracks sound at once and there is
    /// `room` for another timeline, it stops there and says which; once one of them is gone it goes on when it is called again.
    pub(super) fn step(
        &mut self,
        (now, horizon): (i64, i64),
        room: bool,
        presence: &Presence,
        chunks: &mut Vec<Chunk>,
    ) -> Option<Clash> {
        let horizon = horizon.min(self.timeline_writer.cursor + MAX_A_STEP);
        loop {
            let heads = self.heads(now, false);
            let hold = heads.undecided.unwrap_or(horizon);
            let limit = horizon.min(hold.max(self.timeline_writer.cursor).max(now - MAX_BEHIND));
            match heads.first() {
                Some((rtp_source, place)) if place.at < limit => {
                    if let Some(clash) = self.take(rtp_source, place, &heads, room, presence, chunks) {
                        return Some(clash);
                    }
                }
                next => {
                    // What is to be left out, or to go elsewhere, says nothing of the hole before it.
                    let next = next.filter(|(rtp_source, place)| {
                        self.arbitration(*rtp_source, *place, &heads) == ArbitrationResult::Write
                    });
                    let next = next.map(|(rtp_source, place)| {
                        (place.at, self.kind(rtp_source, place), self.recoverable(rtp_source))
                    });
                    let next = next.as_ref().map(|(at, kind, recovers)| Next {
                        at: *at,
                        kind: *kind,
                        recovers: recovers.as_ref().map(|(packet, length)| (packet, *length)),
                    });
                    self.timeline_writer.fill(limit, next, presence, chunks);
                    return None;
                }
            }
        }
    }

    /// Whether there is nothing but silence to write, and the step at `now` wrote all of it.
    pub(super) fn is_still(&self, now: i64) -> bool {
        let behind = now - self.timeline_writer.cursor;
        self.rtp_sources.iter().all(|rtp_source| rtp_source.stream.is_empty())
            && self.timeline_writer.is_silent()
            && behind <= LOOKAHEAD.0 as i64 + super::source::MAX_SOURCES as i64 * FRAME
    }

    /// Writes everything that belongs before `end`; as [`Timeline::step`].
    pub(super) fn write_out(
        &mut self,
        end: i64,
        room: bool,
        presence: &Presence,
        chunks: &mut Vec<Chunk>,
    ) -> Option<Clash> {
        loop {
            let heads = self.heads(end, true);
            let (rtp_source, place) = heads.first().filter(|(_, place)| place.at + FRAME / 2 <= end)?;
            if let Some(clash) = self.take(rtp_source, place, &heads, room, presence, chunks) {
                return Some(clash);
            }
        }
    }

    /// Writes silence up to `end`, less than [`SHORTEST`] missing. What waits belongs behind it.
    pub(super) fn finish(&mut self, end: i64, presence: &Presence, chunks: &mut Vec<Chunk>) {
        for rtp_source in self.rtp_sources.iter_mut() {
            let (packets, sound) = rtp_source.stream.clear();
            self.timeline_writer.ledger_builder.fate(Fate::AfterEnd, packets, sound);
        }
        self.timeline_writer.close(end, Kind::Stall, false, presence, chunks);
        self.timeline_writer.end();
    }

    /// Format 1 counted no padding and no samples: what is not otherwise accounted for was padding, and samples are counted from here on.
    pub(super) fn is_of_format_1(&mut self) {
        let waiting = self.rtp_sources.iter_mut().map(|rtp_source| rtp_source.stream.waiting());
        let (packets, sound) = waiting.fold((0, 0), |sum, (packets, sound)| (sum.0 + packets, sum.1 + sound));
        self.timeline_writer.ledger_builder.is_of_format_1(packets, sound);
    }

    /// The first packets of all voices.
    fn heads(&mut self, now: i64, last_word: bool) -> Heads {
        let mut heads = Heads::default();
        for (index, rtp_source) in self.rtp_sources.iter_mut().enumerate() {
            loop {
                match rtp_source.stream.head(now, last_word) {
                    Head::Empty => {}
                    Head::Skip => {
                        let sound = rtp_source.stream.skip();
                        self.timeline_writer.ledger_builder.fate(Fate::Malformed, u64::from(sound > 0), sound);
                        continue;
                    }
                    Head::Undecided { earliest, resync } => {
                        let open =
                            [earliest, resync].into_iter().filter(|at| *at >= self.timeline_writer.cursor - FRAME);
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
        place: Placement,
        heads: &Heads,
        room: bool,
        presence: &Presence,
        chunks: &mut Vec<Chunk>,
    ) -> Option<Clash> {
        let arbitration = match self.arbitration(index, place, heads) {
            ArbitrationResult::Clash(clash) if room => return Some(clash),
            ArbitrationResult::Clash(clash) => self.turn_without_room(clash),
            arbitration => arbitration,
        };
        match arbitration {
            ArbitrationResult::Aside(cause) => self.set_aside(index, place, cause),
            _ => self.place(index, place, presence, chunks),
        }
        None
    }

    /// Takes the first packet of a voice and writes it, or leaves it out for the clocks' sake.
    fn place(&mut self, index: usize, place: Placement, presence: &Presence, chunks: &mut Vec<Chunk>) {
        let (kind, recovers) = (self.kind(index, place), self.recoverable(index));
        let tail = self.tail_before(index, place);
        let alone = self.rtp_sources.len() < 2;
        let Some(rtp_source) = self.rtp_sources.get_mut(index) else {
            return;
        };
        let waiting = rtp_source.stream.longest();
        let Some(taken) = rtp_source.stream.take(place) else {
            return;
        };
        let duration = taken.packet.duration;
        rtp_source.active_until = place.at + duration;
        // To look closely costs decoding a packet, and matters beside others only.
        let sounds = if alone { !opus::is_dtx(&taken.packet.payload) } else { taken.packet.sounds() };
        if sounds {
            rtp_source.sounded_until = rtp_source.active_until;
        }
        let before = self.timeline_writer.last.as_ref().filter(|last| last.rtp_source == rtp_source.id);
        let longest = before.map(|last| waiting.max(length_of(last))).or_else(|| (taken.lost > 0).then_some(waiting));
        let start = self.timeline_writer.hole_start();
        rtp_source.pauses |= before.is_some() && kind == Kind::Stall && place.at - start >= LONG_PAUSE;
        let by = By { rtp_source: rtp_source.id, track: rtp_source.track, pauses: rtp_source.pauses };
        let id = rtp_source.id;
        let runs_on = taken.pause.is_some_and(|pause| pause.abs() < SHORTEST);
        let follows = runs_on
            && self
                .timeline_writer
                .last
                .as_ref()
                .is_some_and(|last| last.end == self.timeline_writer.cursor && last.rtp_source == id);
        if follows && !place.resync {
            if !self.keep_pace(&taken, place.at, presence, chunks) {
                return;
            }
        } else if self.timeline_writer.cursor - place.at > FRAME.max(duration) / 2 {
            self.miss(&taken, place, runs_on);
            return;
        } else {
            let recovers = recovers.as_ref().map(|(packet, length)| (packet, *length));
            let recovered = self.timeline_writer.close_before(Next { at: place.at, kind, recovers }, presence, chunks);
            if taken.lost > 0 && taken.lost == taken.malformed {
                self.timeline_writer.is_malformed(start);
            }
            if let Some(longest) = longest {
                self.timeline_writer.acquit(
                    start,
                    self.timeline_writer.cursor,
                    taken.lost.saturating_mul(longest) - recovered,
                );
            } else if let Some(until) = tail {
                self.timeline_writer.nobody_knows(start, until, self.timeline_writer.cursor);
            }
            self.pace.restart();
        }
        self.pace.wrote(taken.packet.payload.len());
        let afresh = self.timeline_writer.is_after_silence();
        let rtp_source = self.rtp_sources.get_mut(index);
        match rtp_source
            .and_then(|rtp_source| Some((rtp_source.transcode(&taken.packet.payload, afresh)?, rtp_source.coding)))
        {
            Some((packets, coding)) => self.timeline_writer.transcoded(&taken.packet, packets, coding, by, chunks),
            None => self.timeline_writer.sound(taken.packet, by, chunks),
        }
    }

    /// Where the last sound's track ended, if the first packet of a voice shows that its sender came back as another stream.
    fn tail_before(&self, index: usize, place: Placement) -> Option<i64> {
        let rtp_source = self.rtp_sources.get(index).filter(|rtp_source| rtp_source.stream.is_new())?;
        let last =
            self.timeline_writer.last.as_ref().filter(|last| last.rtp_source != rtp_source.id && !last.pauses)?;
        // Who had nothing to say at last had not begun to.
        if opus::is_silent(&last.packet, None) {
            return None;
        }
        if self.rtp_sources.lives_beside(last.rtp_source, rtp_source.track) {
            return None;
        }
        let announced = self.announced.iter().find(|(track, _)| *track == rtp_source.track).map(|(_, at)| *at);
        let until = if last.track? == rtp_source.track { place.at } else { announced? };
        Some(until.min(place.at))
    }

    /// Makes up for the difference between the sender's clock and the wall. False: the packet was left out.
    fn keep_pace(&mut self, taken: &Taken, at: i64, presence: &Presence, chunks: &mut Vec<Chunk>) -> bool {
        match self.pace.estimate(&taken.packet, self.timeline_writer.cursor, at) {
            Step::On => {}
            Step::LeaveOut => {
                self.timeline_writer.leave_out(&taken.packet);
                return false;
            }
            Step::Insert => self.timeline_writer.insert(chunks),
            Step::Fill => self.timeline_writer.close(at, Kind::Stall, true, presence, chunks),
        }
        true
    }

    /// A packet whose place is written already.
    fn miss(&mut self, taken: &Taken, place: Placement, runs_on: bool) {
        let duration = taken.packet.duration;
        if place.at + duration / 2 <= 0 {
            self.timeline_writer.ledger_builder.fate(Fate::BeforeStart, 1, duration);
        } else if place.resync && runs_on && taken.lost == 0 {
            self.timeline_writer.leave_out(&taken.packet);
        } else {
            self.timeline_writer.miss(place.at, duration, !taken.packet.sounds());
        }
    }

    /// The first packet of a voice, where packets are missing before it and it holds a copy of the last of them; and how much that is.
    fn recoverable(&self, index: usize) -> Option<(Bytes, i64)> {
        let rtp_source = self.rtp_sources.get(index).filter(|rtp_source| rtp_source.coding == Coding::Opus)?;
        let stream = &rtp_source.stream;
        let last = self.timeline_writer.last.as_ref().filter(|last| rtp_source.id == last.rtp_source);
        let next = &stream.peek().filter(|_| stream.lost_before_head() > 0)?.payload;
        let length = open_gap::recoverable(last, next);
        (length > 0).then(|| (next.clone(), length))
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.rtp_sources.restart_coders();
    }

    /// The recording has a mix and nothing else.
    pub(super) fn is_mixed_alone(&mut self) {
        self.timeline_writer.mix_alone = true;
    }

    /// What lies between the last sound and the first packet of a voice.
    fn kind(&self, index: usize, place: Placement) -> Kind {
        let Some(rtp_source) = self.rtp_sources.get(index) else {
            return Kind::Stall;
        };
        let same = self.timeline_writer.last.as_ref().filter(|last| last.rtp_source == rtp_source.id);
        match same {
            _ if rtp_source.stream.lost_before_head() > 0 => Kind::Loss,
            Some(last) if opus::is_dtx(&last.packet) && !place.resync => Kind::Pause,
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
        let (mut timeline, mut chunks) = (Timeline::default(), Vec::new());
        numbers.iter().for_each(|number| timeline.offer(&packet(*number), TrackKind::default(), number * FRAME + 100));
        assert_eq!(timeline.write_out(end, true, &presence(), &mut chunks), None);
        timeline.finish(end, &presence(), &mut chunks);
        let mut cursor = 0;
        for chunk in &chunks {
            assert_eq!(chunk.at(), cursor, "pieces leave no hole");
            cursor = chunk.end();
        }
        assert!((0..SHORTEST).contains(&(end - cursor)));
        let sounds = chunks.iter().filter(|chunk| matches!(chunk, Chunk::Sound { .. }));
        (sounds.map(Chunk::at).collect(), timeline)
    }

    #[test]
    fn packets_lie_at_their_arrival_less_what_no_filler_can_fill() {
        let (places, timeline) = places(&[50, 51, 52], 2 * SECOND);
        assert_eq!(places, [48_000, 48_960, 49_920], "the 100 ticks are carried");
        assert_eq!(timeline.timeline_writer.carried, 0, "and filled at the end");
    }

    #[test]
    fn a_hole_is_filled_to_its_length() {
        let (places, timeline) = places(&[50, 51, 60, 61], 3 * SECOND);
        assert_eq!(places.last(), Some(&(61 * FRAME)));
        let ledger_builder = timeline.ledger_builder().entry(&crate::units::Uid::new("1").unwrap(), None, &[]);
        assert_eq!((ledger_builder.recorded_ms, ledger_builder.concealed_ms, ledger_builder.missing_ms), (80, 100, 60));
    }

    #[test]
    fn the_cursor_waits_for_what_is_not_decided_but_not_for_ever() {
        let (mut timeline, mut chunks) = (Timeline::default(), Vec::new());
        timeline.step((3 * SECOND, SECOND), true, &presence(), &mut chunks);
        assert_eq!(timeline.cursor(), SECOND);
        timeline.offer(&packet(0), TrackKind::default(), 3 * SECOND);
        timeline.step((4 * SECOND, 3 * SECOND + 1), true, &presence(), &mut chunks);
        assert_eq!(
            timeline.cursor(),
            2 * SECOND,
            "a first packet may be a second late, and is judged by those that follow it"
        );
        timeline.step((3 * SECOND + MAX_BEHIND, 5 * SECOND), true, &presence(), &mut chunks);
        assert!(timeline.cursor() > 3 * SECOND);
    }

    #[test]
    fn a_late_start_is_caught_up_with_in_steps() {
        let (mut timeline, mut chunks) = (Timeline::default(), Vec::new());
        timeline.step((9_000 * SECOND, 8_998 * SECOND), true, &presence(), &mut chunks);
        assert_eq!(timeline.cursor(), MAX_A_STEP);
    }
}
