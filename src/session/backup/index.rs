//! Which media files of a recording a second bucket holds for sure, by playlist and place. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::recording::PlaylistId;

/// Where a media file belongs: its playlist, and the segment's place in it; none for its init segment.
pub(in crate::session) type Place = (PlaylistId, Option<usize>);

/// What is there of all playlists.
#[derive(Debug, Default)]
pub(in crate::session) struct ObjectIndex(BTreeMap<PlaylistId, ObjectSource>);

/// What is there of one playlist.
#[derive(Debug, Default)]
pub(in crate::session) struct ObjectSource {
    pub(in crate::session) init: bool,
    /// Places of its segments.
    pub(in crate::session) segments: BTreeSet<usize>,
}

impl ObjectIndex {
    /// A media file is there.
    pub(in crate::session) fn put(&mut self, (playlist, place): &Place) {
        let index = self.0.entry(playlist.clone()).or_default();
        match place {
            None => index.init = true,
            Some(place) => _ = index.segments.insert(*place),
        }
    }

    /// The segments of a playlist from this place on are others now.
    pub(in crate::session) fn forget_from(&mut self, playlist: &PlaylistId, place: usize) {
        if let Some(index) = self.0.get_mut(playlist) {
            index.segments.split_off(&place);
        }
    }

    /// What is there of a playlist, if anything is.
    pub(in crate::session) fn of(&self, playlist: &PlaylistId) -> Option<&ObjectSource> {
        self.0.get(playlist)
    }

    /// Whether a playlist's init segment is there.
    pub(in crate::session) fn has_init(&self, playlist: &PlaylistId) -> bool {
        self.of(playlist).is_some_and(|index| index.init)
    }
}
