//! Which of a uid's tracks belong to which of its sources. A source is a [`Member`]: it has a timeline, a playlist and an entry in the
//! ledger of its own, and the mix hears it beside the others.
//!
//! * A uid's own sound is its microphone, else what it published first. A track of another kind is a further source.
//! * If a microphone comes later, it is the uid's own sound from then on, and what was it before goes on as a further source. Nothing that
//!   was written moves.
//! * Of two tracks of one kind nobody knows whether the later takes the place of the earlier (published anew) or sounds beside it. They are
//!   one source until both sound at once: then the later one goes on as a further source.
//! * A source that is published again, or is back after the worker's restart, goes on where it was.

use super::{MAX_UIDS, Recorder};
use crate::recording::grid::FRAME;
use crate::recording::member::{MAX_TRACKS, Member};
use crate::recording::timeline::Clash;
use crate::recording::{MAX_SOURCES, Source, SourceId, TrackKind};
use crate::units::{Ticks, TrackId, Uid};

/// Most tracks of a uid that are known at a time though there is no source for them.
const MAX_REFUSED: usize = 64;

impl Recorder {
    /// `uid` publishes a track.
    pub(super) fn add(&mut self, track: TrackId, uid: &Uid, muted: bool, kind: TrackKind, at: i64) {
        self.remove(track, at);
        self.unknown_tracks.announced(track, at);
        let Some(own) = self.member(uid) else { return };
        for source in self.sources_of(uid) {
            self.members[source].joined(at);
        }
        if kind.coding.unreadable().is_some() {
            self.add_unreadable(track, own, muted, kind, at);
            return self.hush(uid, at);
        }
        self.members[own].can_be_read(kind.source);
        match self.source_for(uid, own, kind.source) {
            Some(source) => {
                self.tracks.insert(track, source);
                self.kinds.insert(track, kind);
                self.members[source].kind = Some(kind.source);
                self.members[source].add(track, muted, at);
                self.begin(source);
            }
            // Its packets are missing, and said to be.
            None if self.is_room_to_refuse(uid) => _ = self.tracks.insert(track, own),
            None => {}
        }
        self.hush(uid, at);
    }

    /// What can't be read is told of a uid's own sound.
    fn add_unreadable(&mut self, track: TrackId, own: usize, muted: bool, kind: TrackKind, at: i64) {
        self.tracks.insert(track, own);
        if let Some(oldest) = self.members[own].add_unreadable(track, kind, muted, at, &mut self.out) {
            self.tracks.remove(&oldest);
            self.unknown_tracks.removed(oldest, at);
        }
        self.begin(own);
    }

    /// If no packet is to come from a uid any more, none is received.
    pub(super) fn hush(&mut self, uid: &Uid, at: i64) {
        let sources = self.sources_of(uid);
        let Some(own) = sources.first() else { return };
        if !self.members[*own].selected || sources.iter().all(|source| self.members[*source].is_hushed()) {
            self.members[*own].receives_no_more(at, &mut self.out);
        }
    }

    /// The sources of a uid that is known, its own sound first.
    pub(super) fn sources_of(&self, uid: &Uid) -> Vec<usize> {
        self.uids.get(uid).cloned().unwrap_or_default()
    }

    /// The own sound of a uid, made if it is new; `None` past [`MAX_UIDS`].
    pub(super) fn member(&mut self, uid: &Uid) -> Option<usize> {
        if let Some(sources) = self.uids.get(uid) {
            return sources.first().copied();
        }
        (self.uids.len() < MAX_UIDS).then(|| self.push_member(Member::new(uid.clone(), self.selection.includes(uid))))
    }

    /// Two tracks of a source sound at once: one of them goes to another. Whether there is room for it.
    pub(super) fn resolve(&mut self, source: usize, clash: Clash) -> bool {
        let goes = self.members[source].that_goes(clash);
        let kind = self.members[source].kind_of(goes);
        let uid = self.members[source].uid.clone();
        // It is written next, and not so far yet that what comes would be late.
        let free = |index: &usize| {
            let member = &self.members[*index];
            let in_time = member.written().is_none_or(|written| written <= clash.from + FRAME / 2);
            *index > source && in_time && self.is_of(*index, kind) && member.tracks.is_empty()
        };
        let free = self.sources_of(&uid).into_iter().find(free);
        let Some(target) = free.or_else(|| self.another(&uid, kind)) else {
            return false;
        };
        self.hand_over(source, target, Some(goes), Some(clash.at));
        true
    }

    /// Where a new track of a kind belongs.
    fn source_for(&mut self, uid: &Uid, own: usize, kind: Source) -> Option<usize> {
        let sources = self.sources_of(uid);
        if self.members[own].kind.is_none() {
            return Some(own);
        }
        let missed = |index: &usize| self.is_of(*index, kind) && self.members[*index].is_missed();
        let of_kind = |index: &usize| self.is_of(*index, kind) && self.members[*index].tracks.len() < MAX_TRACKS;
        if let Some(known) = sources.iter().copied().find(missed).or_else(|| sources.iter().copied().find(of_kind)) {
            return Some(known);
        }
        if kind == Source::Microphone && !self.is_of(own, kind) {
            self.give_way(uid, own);
            return Some(own);
        }
        self.another(uid, kind)
    }

    /// A microphone comes: what was a uid's own sound goes on as a further source, if there is room for one.
    fn give_way(&mut self, uid: &Uid, own: usize) {
        let kind = self.members[own].kind.replace(Source::Microphone).unwrap_or_default();
        if self.members[own].tracks.is_empty() && !self.members[own].is_waiting() {
            return;
        }
        let free = |index: &usize| self.is_of(*index, kind) && self.members[*index].tracks.is_empty();
        let free = self.sources_of(uid).into_iter().find(free);
        if let Some(target) = free.or_else(|| self.another(uid, kind)) {
            self.hand_over(own, target, None, None);
        }
    }

    /// A track of one source, or all of them, goes on as another source of the same uid.
    fn hand_over(&mut self, source: usize, target: usize, track: Option<TrackId>, from: Option<i64>) {
        let (now, segment) = (self.now, self.segment());
        for (known, owner) in &mut self.tracks {
            let goes = self.members[source].has(*known) && track.is_none_or(|track| track == *known);
            if *owner == source && goes {
                *owner = target;
            }
        }
        let going = self.members[source].part(track, from, now);
        self.members[target].take_in(going, segment, now, &mut self.out);
    }

    /// One more source of a uid; `None` past [`MAX_SOURCES`].
    fn another(&mut self, uid: &Uid, kind: Source) -> Option<usize> {
        let sources = self.sources_of(uid);
        let own = *sources.first().filter(|_| sources.len() < MAX_SOURCES)?;
        let taken = |source: &SourceId| sources.iter().any(|index| self.members[*index].source == Some(*source));
        // The uid's own sound is the first of its kind.
        let first = if self.is_of(own, kind) { 2 } else { 1 };
        let numbers = (first..=MAX_SOURCES as u8).filter_map(|number| SourceId::new(kind, number));
        let source = numbers.into_iter().find(|source| !taken(source))?;
        let another = self.members[own].another(source);
        Some(self.push_member(another))
    }

    fn push_member(&mut self, member: Member) -> usize {
        let index = self.members.len();
        self.uids.entry(member.uid.clone()).or_default().push(index);
        self.members.push(member);
        index
    }

    fn is_room_to_refuse(&self, uid: &Uid) -> bool {
        let sources = self.sources_of(uid);
        let accepted: usize = sources.iter().map(|source| self.members[*source].tracks.len()).sum();
        self.tracks.values().filter(|owner| sources.contains(owner)).count() < accepted + MAX_REFUSED
    }

    /// How long the segments of playlists of one uid each are; `None`: there are none.
    fn segment(&self) -> Option<Ticks> {
        self.spec.mode.keeps_individuals().then(|| self.spec.segment.ticks())
    }

    /// Begins the timeline of a source, if it is time to.
    pub(super) fn begin(&mut self, source: usize) {
        let segment = self.segment();
        self.members[source].begin(segment, &mut self.out);
    }

    fn is_of(&self, index: usize, kind: Source) -> bool {
        self.members[index].kind == Some(kind)
    }
}
