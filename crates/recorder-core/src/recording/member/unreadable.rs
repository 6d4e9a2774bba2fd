//! The tracks of a member that can't be read: end-to-end encrypted ones, and those of a codec that is not recorded.
//!
//! * From its publication to its end such a track is missing while it is not muted: nothing says that it was silent. Two of them at once
//!   count once. What the member's other tracks give is recorded as ever; the two sums don't touch each other.
//! * After the worker's restart a track counts as there, as it was, until it is announced again, its member leaves, or the patience is
//!   over. If the worker turns out to have been dead when that was, nothing was given up.
//! * Each is told once. One that is met again after a restart is the same.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::timeline::Timeline;
use super::super::{Cause, Output, Source, TrackKind};
use super::{MAX_TRACKS, Member};
use crate::units::{Ticks, TrackId};

/// Most changes between what is written and the present that are remembered; past it the oldest is forgotten.
const MAX_CHANGES: usize = 1_024;

/// See the module's documentation. Times in ticks.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Unreadable {
    tracks: Vec<Track>,
    /// What they make of the member, each from a tick on: [`Cause::Muted`], or why what it says is missing.
    states: VecDeque<(i64, Option<Cause>)>,
    /// How many of each kind were published.
    published: Vec<(TrackKind, u64)>,
    /// Since when the tracks that were not met again count as gone, and they.
    given_up: Option<(i64, Vec<Track>)>,
    /// How far what a timeline wrote is booked.
    booked: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Track {
    /// `None`: it was there before the worker's restart and is not announced again yet.
    id: Option<TrackId>,
    kind: TrackKind,
    muted: bool,
    told: bool,
}

impl Unreadable {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// Whether a track is one of them.
    pub(super) fn holds(&self, track: TrackId) -> bool {
        self.tracks.iter().any(|known| known.id == Some(track))
    }

    /// The publication ended.
    pub(super) fn remove(&mut self, track: TrackId) {
        self.tracks.retain(|known| known.id != Some(track));
    }

    /// All publications ended.
    pub(super) fn clear(&mut self) {
        self.tracks.clear();
        self.given_up = None;
    }

    /// Muted or unmuted.
    pub(super) fn mute(&mut self, track: TrackId, muted: bool) {
        for known in self.tracks.iter_mut().filter(|known| known.id == Some(track)) {
            known.muted = muted;
        }
    }

    /// Brings the states in line with the tracks.
    pub(super) fn look(&mut self, selected: bool, at: i64) {
        let spoken = self.tracks.iter().filter(|track| !track.muted).find_map(|track| track.kind.coding.unreadable());
        let muted = (!self.tracks.is_empty()).then_some(Cause::Muted);
        let now = spoken.or(muted).filter(|_| selected);
        if self.states.back().is_none_or(|(_, state)| *state != now) {
            self.states.push_back((at, now));
        }
        while self.states.len() > MAX_CHANGES {
            self.states.pop_front();
        }
    }

    /// Books what is missing of what a timeline wrote since it was asked last.
    pub(super) fn book(&mut self, timeline: &mut Timeline) {
        let to = timeline.cursor();
        let from = std::mem::replace(&mut self.booked, to);
        for (index, (start, state)) in self.states.iter().enumerate() {
            let end = self.states.get(index + 1).map_or(i64::MAX, |(at, _)| *at);
            let (start, end) = ((*start).max(from), end.min(to));
            match state {
                Some(Cause::Muted) if start < end => timeline.unread_muted(start, end),
                Some(cause) if start < end => timeline.unread(start, end, *cause),
                _ => {}
            }
        }
        self.forget(to);
    }

    /// Forgets what is not needed from `position` on.
    pub(super) fn forget(&mut self, position: i64) {
        while self.states.get(1).is_some_and(|(at, _)| *at <= position) {
            self.states.pop_front();
        }
    }

    /// The worker was dead `from..at`: the tracks are there as they were until more is known. The stretch that was booked as if they had
    /// gone while the worker was dead, if there is one, and why it is missing.
    pub(super) fn restarted(&mut self, from: i64, at: i64) -> Option<(i64, i64, Cause)> {
        self.tracks.iter_mut().for_each(|track| track.id = None);
        let (since, tracks) = self.given_up.take().filter(|(since, _)| *since >= from)?;
        self.tracks.extend(tracks);
        self.tracks.truncate(MAX_TRACKS);
        let cause = self.tracks.iter().filter(|track| !track.muted).find_map(|track| track.kind.coding.unreadable())?;
        // What is written already is booked now, the rest when it is written.
        self.states.retain(|(at, _)| *at < since);
        self.states.push_back((since, Some(cause)));
        Some((since, at, cause))
    }

    /// The end of the patience after the worker's restart, at `at`.
    pub(super) fn give_up(&mut self, selected: bool, at: i64) {
        let gone: Vec<Track> = self.tracks.extract_if(.., |track| track.id.is_none()).collect();
        if !gone.is_empty() {
            self.given_up = Some((at, gone));
            self.look(selected, at);
        }
    }

    /// A new publication; the one that gives way to it.
    fn add(&mut self, id: TrackId, kind: TrackKind, muted: bool) -> Option<TrackId> {
        let known = self.tracks.iter_mut().find(|track| track.id.is_none() && track.kind == kind);
        if let Some(known) = known {
            (known.id, known.muted) = (Some(id), muted);
            return None;
        }
        let oldest = (self.tracks.len() >= MAX_TRACKS).then(|| self.tracks.remove(0).id).flatten();
        self.tracks.push(Track { id: Some(id), kind, muted, told: false });
        oldest
    }

    /// The number of one more publication of a kind.
    fn count(&mut self, kind: TrackKind) -> u64 {
        let known = self.published.iter().position(|(known, _)| *known == kind);
        let index = known.unwrap_or_else(|| {
            self.published.push((kind, 0));
            self.published.len() - 1
        });
        self.published[index].1 += 1;
        self.published[index].1
    }
}

impl Member {
    /// Publishes a track that can't be read; the track that gives way.
    pub(in crate::recording) fn add_unreadable(
        &mut self,
        track: TrackId,
        kind: TrackKind,
        muted: bool,
        at: i64,
        out: &mut impl Extend<Output>,
    ) -> Option<TrackId> {
        self.joined(at);
        let oldest = self.unreadable.add(track, kind, muted);
        self.look(at);
        self.report_unreadable(at, out);
        oldest
    }

    /// What it publishes and can't be read.
    pub(in crate::recording) fn unreadable(&self) -> Vec<TrackKind> {
        self.unreadable.tracks.iter().map(|track| track.kind).collect()
    }

    /// It publishes something from `source` that can be read: what was there before the worker's restart has gone.
    pub(in crate::recording) fn can_be_read(&mut self, source: Source) {
        self.unreadable.tracks.retain(|track| track.id.is_some() || track.kind.source != source);
    }

    /// Tells of the tracks that were not told yet, if the member is to be recorded.
    pub(super) fn report_unreadable(&mut self, at: i64, out: &mut impl Extend<Output>) {
        for index in 0..self.unreadable.tracks.len() {
            let Track { kind, told, .. } = self.unreadable.tracks[index];
            if self.selected && !told {
                self.unreadable.tracks[index].told = true;
                let number = self.unreadable.count(kind);
                out.extend([Output::Unreadable { uid: self.uid.clone(), kind, number, at: Ticks(at as u64) }]);
            }
        }
    }
}
