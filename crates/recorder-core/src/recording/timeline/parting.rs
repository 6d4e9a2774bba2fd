//! A track goes from one timeline of a uid to another, with all of it that is not written yet.

use super::super::ledger_builder::Fate;
use super::super::rtp_source::RtpSource;
use super::super::{Cause, Source};
use super::Timeline;
use crate::units::TrackId;

/// What goes.
#[derive(Debug)]
pub(in crate::recording) struct Parted {
    rtp_sources: Vec<RtpSource>,
    announced: Vec<(TrackId, i64)>,
    packets: u64,
    sound: i64,
}

impl Timeline {
    /// Takes out a track, or all of them. What is missing of it before its first packet that waits stays here.
    pub(in crate::recording) fn part(&mut self, track: Option<TrackId>) -> Parted {
        let mut parted =
            Parted { rtp_sources: self.rtp_sources.part(track), announced: Vec::new(), packets: 0, sound: 0 };
        for rtp_source in &mut parted.rtp_sources {
            let length = rtp_source.stream.peek().map_or(0, |packet| packet.duration);
            self.timeline_writer.ledger_builder.overlay(rtp_source.stream.part() * length, Cause::NetworkLoss);
            let (packets, sound) = rtp_source.stream.waiting();
            (parted.packets, parted.sound) = (parted.packets + packets, parted.sound + sound);
            if let Some(last) = self.timeline_writer.last.as_mut().filter(|last| last.rtp_source == rtp_source.id) {
                last.track = None;
            }
        }
        let goes = |known: &TrackId| track.is_none_or(|track| track == *known);
        parted.announced = self.announced.extract_if(.., |(known, _)| goes(known)).collect();
        self.timeline_writer.ledger_builder.part(parted.packets, parted.sound);
        parted
    }

    /// Takes in what left another timeline.
    pub(in crate::recording) fn take_in(&mut self, parted: Parted) {
        let ledger_builder = &mut self.timeline_writer.ledger_builder;
        ledger_builder.fate(Fate::Received, parted.packets, parted.sound);
        let mut last = self.timeline_writer.last.as_mut().and_then(|last| last.track.as_mut());
        let (packets, sound) = self.rtp_sources.take_in(parted.rtp_sources, |before, now| {
            if let Some(track) = last.as_deref_mut().filter(|track| **track == before) {
                *track = now;
            }
        });
        ledger_builder.fate(Fate::Overflow, packets, sound);
        ledger_builder.overlay(sound, Cause::Overflow);
        self.announced.extend(parted.announced);
    }

    /// What a track is of which packets came.
    pub(in crate::recording) fn source_of(&self, track: TrackId) -> Option<Source> {
        self.rtp_sources.of_track(track).next().map(|rtp_source| rtp_source.source)
    }

    /// Whether packets wait.
    pub(in crate::recording) fn is_waiting(&mut self) -> bool {
        self.rtp_sources.iter_mut().any(|rtp_source| !rtp_source.stream.is_empty())
    }
}
