//! A track goes from one timeline of a uid to another, with all of it that is not written yet.

use super::super::account::Fate;
use super::super::voice::Voice;
use super::super::{Cause, Source};
use super::Timeline;
use crate::units::TrackId;

/// What goes.
#[derive(Debug)]
pub(in crate::recording) struct Parted {
    voices: Vec<Voice>,
    announced: Vec<(TrackId, i64)>,
    packets: u64,
    sound: i64,
}

impl Timeline {
    /// Takes out a track, or all of them. What is missing of it before its first packet that waits stays here.
    pub(in crate::recording) fn part(&mut self, track: Option<TrackId>) -> Parted {
        let mut parted = Parted { voices: self.voices.part(track), announced: Vec::new(), packets: 0, sound: 0 };
        for voice in &mut parted.voices {
            let length = voice.stream.peek().map_or(0, |packet| packet.duration);
            self.pen.account.overlay(voice.stream.part() * length, Cause::NetworkLoss);
            let (packets, sound) = voice.stream.waiting();
            (parted.packets, parted.sound) = (parted.packets + packets, parted.sound + sound);
            if let Some(last) = self.pen.last.as_mut().filter(|last| last.voice == voice.id) {
                last.track = None;
            }
        }
        let goes = |known: &TrackId| track.is_none_or(|track| track == *known);
        parted.announced = self.announced.extract_if(.., |(known, _)| goes(known)).collect();
        self.pen.account.part(parted.packets, parted.sound);
        parted
    }

    /// Takes in what left another timeline.
    pub(in crate::recording) fn take_in(&mut self, parted: Parted) {
        let account = &mut self.pen.account;
        account.fate(Fate::Received, parted.packets, parted.sound);
        let mut last = self.pen.last.as_mut().and_then(|last| last.track.as_mut());
        let (packets, sound) = self.voices.take_in(parted.voices, |before, now| {
            if let Some(track) = last.as_deref_mut().filter(|track| **track == before) {
                *track = now;
            }
        });
        account.fate(Fate::Overflow, packets, sound);
        account.overlay(sound, Cause::Overflow);
        self.announced.extend(parted.announced);
    }

    /// What a track is of which packets came.
    pub(in crate::recording) fn source_of(&self, track: TrackId) -> Option<Source> {
        self.voices.of_track(track).next().map(|voice| voice.source)
    }

    /// Whether packets wait.
    pub(in crate::recording) fn is_waiting(&mut self) -> bool {
        self.voices.iter_mut().any(|voice| !voice.stream.is_empty())
    }
}
