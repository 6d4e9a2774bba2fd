//! Tracks that go from one source of a uid to another, and what has to be known for it.

use super::super::Output;
use super::super::timeline::{Clash, Parted, Timeline};
use super::super::{Source, SourceId};
use super::Member;
use super::absence::Absence;
use super::history::Published;
use crate::units::{Ticks, TrackId};

/// Tracks that go from one source of a uid to another.
#[derive(Debug)]
pub(in crate::recording) struct Handover {
    tracks: Vec<(TrackId, bool)>,
    /// What of them waits; none where there is no timeline.
    parted: Option<Parted>,
    /// From where on their sound belongs there.
    from: i64,
    /// Where they were published since then.
    published: Vec<Published>,
}

impl Member {
    /// A further source of the same uid, of which nothing is published yet.
    pub(in crate::recording) fn another(&self, source: SourceId) -> Self {
        Self {
            presence: self.presence.of_another_source(),
            source: Some(source),
            kind: Some(source.kind()),
            ..Self::new(self.uid.clone(), self.selected)
        }
    }

    /// Lets a track go, or all of them, with what is not written yet; `at` is now.
    pub(in crate::recording) fn part(&mut self, track: Option<TrackId>, from: Option<i64>, at: i64) -> Handover {
        let goes = |known: &TrackId| track.is_none_or(|track| track == *known);
        let from = from.or_else(|| self.written()).unwrap_or(at);
        let parted = self.timeline.as_mut().map(|timeline| timeline.part(track));
        let tracks = self.tracks.extract_if(.., |(known, _)| goes(known)).collect();
        // What stays was all that was here since then.
        let history = self.history.part(|known| goes(&known), from, at);
        for (gone, left) in &history {
            self.presence.change_until(gone.from, gone.to, |state| {
                (state.publishing, state.muted) = (left.is_some(), left.unwrap_or_default());
            });
        }
        let published = history.into_iter().map(|(gone, _)| gone).collect();
        self.look(at);
        Handover { tracks, parted, from, published }
    }

    /// Takes in what another source of the uid let go. `segment`: with a playlist of its own.
    pub(in crate::recording) fn take_in(
        &mut self,
        handover: Handover,
        segment: Option<Ticks>,
        at: i64,
        out: &mut impl Extend<Output>,
    ) {
        let Handover { tracks, parted, from, published } = handover;
        let muted = tracks.iter().all(|(_, muted)| *muted);
        if tracks.is_empty() {
            // Only a rest of it is heard: the track is gone.
            self.presence.change_until(from, at, |state| state.publishing = true);
        } else {
            self.comes_back(muted, from);
            self.is_heard_again(from);
            self.presence.change(from, |state| {
                (state.present, state.dead, state.publishing, state.muted) = (true, false, true, muted);
            });
        }
        for Published { from, to, muted } in published {
            self.presence.change_until(from, to, |state| (state.publishing, state.muted) = (true, muted));
        }
        self.tracks.extend(tracks);
        if parted.is_some() {
            self.open(segment, out);
        }
        if let (Some(timeline), Some(parted)) = (&mut self.timeline, parted) {
            timeline.take_in(parted);
        }
        self.look(at);
    }

    /// Which of two of its tracks that sound at once goes: one that was removed, else the one that was published later.
    pub(in crate::recording) fn that_goes(&self, clash: Clash) -> TrackId {
        let place = |track: TrackId| self.tracks.iter().position(|(known, _)| *known == track);
        match (place(clash.track), place(clash.other)) {
            (Some(track), Some(other)) if track < other && !clash.written => clash.other,
            (Some(_), None) if !clash.written => clash.other,
            _ => clash.track,
        }
    }

    /// What one of its tracks is.
    pub(in crate::recording) fn kind_of(&self, track: TrackId) -> Source {
        let said = self.timeline.as_ref().and_then(|timeline| timeline.source_of(track));
        said.or(self.kind).unwrap_or_default()
    }

    /// Whether a track is one of its own.
    pub(in crate::recording) fn has(&self, track: TrackId) -> bool {
        self.tracks.iter().any(|(known, _)| *known == track)
    }

    /// Whether tracks of the uid that were published before the worker's restart are waited for here.
    pub(in crate::recording) fn is_missed(&self) -> bool {
        self.tracks.is_empty() && self.absence.as_ref().is_some_and(Absence::is_missed)
    }

    /// Whether packets wait.
    pub(in crate::recording) fn is_waiting(&mut self) -> bool {
        self.timeline.as_mut().is_some_and(Timeline::is_waiting)
    }
}
