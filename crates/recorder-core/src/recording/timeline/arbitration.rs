//! Which of several tracks a timeline writes. A timeline has one sound at a time: a track follows another only where that is silent for
//! the whole look-ahead (a track that is published anew). Two that sound at once are two sources, and one of them goes to another timeline.
//!
//! What is silent beside a track that goes on is set aside: it costs nothing.

use super::super::Cause;
use super::super::ledger_builder::Fate;
use super::super::rtp_clock::Placement;
use super::super::rtp_source::{MAX_RTP_SOURCES, RtpSource};
use super::super::stream::Queued;
use super::{Timeline, length_of};
use crate::codec::opus;
use crate::recording::grid::FRAME;
use crate::units::TrackId;

/// Two tracks of a timeline sound at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recording) struct Clash {
    /// Where the packet belongs that shows it.
    pub(in crate::recording) at: i64,
    /// Where the first packet of either belongs.
    pub(in crate::recording) from: i64,
    /// Its track.
    pub(in crate::recording) track: TrackId,
    /// The other one.
    pub(in crate::recording) other: TrackId,
    /// The other's sound is written there already, so that `track` has to go.
    pub(in crate::recording) written: bool,
}

/// What is to be done with the first packet of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArbitrationResult {
    /// It is written.
    Write,
    /// It is left out, and missing for the cause.
    Aside(Option<Cause>),
    /// It sounds together with another track.
    Clash(Clash),
}

/// The first packets of all voices, as far as their places are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heads {
    places: [Option<Placement>; MAX_RTP_SOURCES],
    /// How early one whose place is not decided may be, as far as that is not written.
    pub(super) undecided: Option<i64>,
}

impl Heads {
    /// The place of voice `index`.
    pub(super) fn set(&mut self, index: usize, place: Placement) {
        if let Some(known) = self.places.get_mut(index) {
            *known = Some(place);
        }
    }

    /// The first packet. Of two at the same place the newer voice comes first, so that the older one sees that it gives way.
    pub(super) fn first(&self) -> Option<(usize, Placement)> {
        self.iter().fold(None, |first: Option<(usize, Placement)>, (index, place)| {
            let earlier = first.is_none_or(|(_, first)| place.at < first.at + FRAME / 2);
            if earlier { Some((index, place)) } else { first }
        })
    }

    fn iter(&self) -> impl Iterator<Item = (usize, Placement)> {
        self.places.iter().enumerate().filter_map(|(index, place)| Some((index, (*place)?)))
    }
}

impl Timeline {
    /// What is to be done with the first packet of voice `index`, which belongs at `place`.
    pub(super) fn arbitration(&self, index: usize, place: Placement, heads: &Heads) -> ArbitrationResult {
        let rtp_sources = &self.rtp_sources;
        let Some((rtp_source, packet)) =
            rtp_sources.get(index).and_then(|rtp_source| Some((rtp_source, rtp_source.stream.peek()?)))
        else {
            return ArbitrationResult::Write;
        };
        if rtp_sources.len() < 2 {
            return ArbitrationResult::Write;
        }
        if rtp_sources.is_superseded(rtp_source, place.at) {
            return ArbitrationResult::Aside(packet.sounds().then_some(Cause::Superseded));
        }
        if rtp_sources.beside(rtp_source).next().is_none() {
            return ArbitrationResult::Write;
        }
        let beside = self.sounding_beside(rtp_source, packet, place, heads);
        let current = self.timeline_writer.last.as_ref().and_then(|last| last.track);
        let current = current.filter(|track| rtp_sources.beside(rtp_source).any(|other| other.track == *track));
        if !packet.sounds() {
            let goes_on = current.is_some_and(|track| rtp_sources.of_track(track).any(|other| other.goes_on(place.at)));
            return if goes_on || beside.is_some() { ArbitrationResult::Aside(None) } else { ArbitrationResult::Write };
        }
        let clash = |other, from: i64, written| {
            let from = from.min(place.at);
            ArbitrationResult::Clash(Clash { at: place.at, from, track: rtp_source.track, other, written })
        };
        if let Some(other) = rtp_sources.beside(rtp_source).find(|other| other.sounded_until > place.at + FRAME / 2) {
            return clash(other.track, place.at, true);
        }
        if let Some(other) = current.filter(|_| self.is_written_over(packet, place)) {
            return clash(other, place.at, true);
        }
        let unfinished = |track: &TrackId| rtp_sources.of_track(*track).any(|other| other.stream.sounds());
        match beside.or_else(|| current.filter(unfinished).map(|track| (track, place.at))) {
            Some((other, from)) => clash(other, from, false),
            None => ArbitrationResult::Write,
        }
    }

    /// The same where no further timeline is to be had: who sounds already goes on.
    pub(super) fn turn_without_room(&self, clash: Clash) -> ArbitrationResult {
        let current = self.timeline_writer.last.as_ref().and_then(|last| last.track);
        let gives_way = current.map_or(clash.written, |current| current != clash.track && current == clash.other);
        if gives_way { ArbitrationResult::Aside(Some(Cause::TooManySources)) } else { ArbitrationResult::Write }
    }

    /// Takes the first packet of a voice and leaves it out.
    pub(super) fn set_aside(&mut self, index: usize, place: Placement, cause: Option<Cause>) {
        let Some(taken) = self.rtp_sources.get_mut(index).and_then(|rtp_source| rtp_source.stream.take(place)) else {
            return;
        };
        let duration = taken.packet.duration;
        self.timeline_writer.ledger_builder.fate(Fate::Superseded, 1, duration);
        if let Some(cause) = cause {
            self.timeline_writer.ledger_builder.overlay(duration, cause);
        }
    }

    /// Whether what was written last reaches too far into a packet's place for it to be written: packets lie up to half a frame from theirs.
    fn is_written_over(&self, packet: &Queued, place: Placement) -> bool {
        let over = self.timeline_writer.cursor - place.at;
        let last = self
            .timeline_writer
            .last
            .as_ref()
            .filter(|last| last.end == self.timeline_writer.cursor && !opus::is_dtx(&last.packet));
        over > FRAME.max(packet.duration) / 2 && last.is_some_and(|last| over <= length_of(last) + FRAME / 2)
    }

    /// A track whose first packet sounds and would begin before the end of this one, and where.
    fn sounding_beside(
        &self,
        rtp_source: &RtpSource,
        packet: &Queued,
        place: Placement,
        heads: &Heads,
    ) -> Option<(TrackId, i64)> {
        // What is silent would be written at the cursor, and lie in the way of what sounds from there on.
        let at = if packet.sounds() { place.at } else { place.at.max(self.timeline_writer.cursor) };
        let end = at + packet.duration - FRAME / 2;
        let beside = |(index, other): (usize, Placement)| {
            let known = self.rtp_sources.get(index).filter(|_| other.at < end)?;
            let beside = self.rtp_sources.beside(rtp_source).find(|beside| beside.id == known.id)?;
            beside.stream.peek().filter(|packet| packet.sounds()).map(|_| (beside.track, other.at))
        };
        heads.iter().find_map(beside)
    }
}
