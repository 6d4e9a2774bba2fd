//! What the playlists of a recording say where not everything is in its own bucket: in the second bucket, and in the final texts that
//! are handed over ahead of their segments.

use std::collections::BTreeSet;

use super::{Progress, Publication};
use crate::codec::container::Container;
use crate::codec::fmp4::Fragment;
use crate::codec::playlist::{Entry, Playlist};
use crate::recording::PlaylistId;
use crate::session::backup::Place;

/// A playlist's text for a second bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct CopyText {
    pub(in crate::session) name: String,
    pub(in crate::session) text: String,
    /// How many segments it lists, gaps too.
    pub(in crate::session) segments: usize,
    /// Whether it is the final one.
    pub(in crate::session) ended: bool,
}

impl Publication {
    /// Where a media file belongs that the bucket did not confirm yet.
    pub(in crate::session) fn place_of(&self, name: &str) -> Option<Place> {
        self.now.waiting.get(name).map(|waiting| (waiting.playlist.clone(), waiting.place))
    }

    /// Name of a playlist's init segment.
    pub(in crate::session) fn init_of(&self, playlist: &PlaylistId) -> String {
        self.plan.init_name(playlist)
    }

    /// How many segments a playlist has.
    pub(in crate::session) fn made(&self, playlist: &PlaylistId) -> usize {
        self.now.playlists.get(playlist).map_or(0, |progress| progress.segments.len())
    }

    /// The text for a bucket that holds the init segment and the segments at the places `held`: up to the first segment that neither
    /// bucket has. What only the recording's own bucket has is a gap. None when that is no more than `event_dedup`.
    pub(in crate::session) fn copy(
        &self,
        playlist: &PlaylistId,
        held: &BTreeSet<usize>,
        event_dedup: (usize, bool),
    ) -> Option<CopyText> {
        let progress = self.now.playlists.get(playlist)?;
        let somewhere = |(place, (_, home)): &(usize, &(Entry, bool))| *home || held.contains(place);
        let segments = progress.segments.iter().enumerate().take_while(somewhere).count();
        let ended = progress.closed && segments == progress.segments.len();
        if segments <= event_dedup.0 && (event_dedup.1 || !ended) {
            return None;
        }
        let mut text = self.text(playlist, progress, segments);
        text.ended = ended;
        let gaps = text.entries.iter().enumerate().filter(|(place, _)| !held.contains(place));
        text.gaps = gaps.map(|(_, entry)| entry.name.clone()).collect();
        Some(CopyText { name: self.plan.stem(playlist).playlist(), text: text.render(), segments, ended })
    }

    /// From here on the final texts count as given out, whatever is not stored yet: the queue puts each after what it names. Answers
    /// with names and texts of those that were not.
    pub(in crate::session) fn plan_copies(&mut self) -> Vec<(PlaylistId, String, String)> {
        self.promised = true;
        let open = self
            .now
            .playlists
            .iter()
            .filter(|(_, progress)| progress.closed && progress.rendered.as_ref().is_none_or(|(_, ended)| !ended));
        let whole = |(playlist, progress): (&PlaylistId, &Progress)| {
            let mut text = self.text(playlist, progress, progress.segments.len());
            text.ended = true;
            (playlist.clone(), self.plan.stem(playlist).playlist(), text.render())
        };
        open.map(whole).collect()
    }

    /// Whether that was done.
    pub(in crate::session) const fn is_promised(&self) -> bool {
        self.promised
    }

    /// The first `segments` of a playlist.
    pub(super) fn text(&self, playlist: &PlaylistId, progress: &Progress, segments: usize) -> Playlist {
        let map = if self.plan.container == Container::Ts { String::new() } else { self.plan.init_name(playlist) };
        let mut text = Playlist::new(self.plan.segment.as_secs().into(), map, self.start);
        text.entries = progress.segments[..segments].iter().map(|(entry, _)| entry.clone()).collect();
        if self.ranged.contains(playlist) {
            let one = |entry: &Entry| {
                let bytes = *self.sizes.get(&entry.name)?;
                Some((entry.name.clone(), vec![Fragment { duration: entry.duration, bytes }]))
            };
            text.fragments = text.entries.iter().filter_map(one).collect();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MIX, publication, segment};
    use super::*;

    #[test]
    fn a_copy_names_what_is_there_and_marks_what_is_only_at_home() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..4).map(|index| publication.add(&segment(index))).collect();
        assert_eq!(publication.place_of(&init), Some((MIX, None)));
        assert_eq!(publication.place_of(&names[2]), Some((MIX, Some(2))));
        publication.stored(&init);
        publication.stored(&names[0]);
        assert_eq!(publication.place_of(&names[0]), None);
        let copy = |publication: &Publication, held: &[usize]| {
            publication.copy(&MIX, &held.iter().copied().collect(), (0, false))
        };
        let event_dedup = copy(&publication, &[2]).unwrap();
        assert_eq!((event_dedup.segments, event_dedup.ended), (1, false), "the second one is nowhere");
        assert_eq!(event_dedup.text.matches("#EXT-X-GAP\n").count(), 1);
        let event_dedup = copy(&publication, &[1, 2]).unwrap();
        assert_eq!((event_dedup.segments, event_dedup.text.matches("#EXT-X-GAP").count()), (3, 1));
        publication.close(&MIX);
        assert!(!copy(&publication, &[1, 2]).unwrap().ended);
        let event_dedup = copy(&publication, &[1, 2, 3]).unwrap();
        assert!(event_dedup.ended && event_dedup.text.ends_with("#EXT-X-ENDLIST\n"));
        let all = (0..4).collect();
        assert!(
            publication.copy(&MIX, &all, (4, false)).is_some_and(|event_dedup| event_dedup.ended),
            "its end is more to say"
        );
        assert_eq!(publication.copy(&MIX, &all, (4, true)), None);
        let read = Playlist::parse(&event_dedup.text).unwrap();
        assert_eq!((read.entries.len(), read.gaps.into_iter().collect::<Vec<_>>()), (4, vec![names[0].clone()]));
    }

    #[test]
    fn what_was_promised_is_not_taken_back() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..2).map(|index| publication.add(&segment(index))).collect();
        publication.stored(&init);
        publication.close(&MIX);
        let (playlist, name, text) = publication.plan_copies().remove(0);
        assert_eq!((&playlist, publication.playlist_named(&name)), (&MIX, Some(MIX)));
        assert!(names.iter().all(|name| text.contains(name)) && text.ends_with("#EXT-X-ENDLIST\n"));
        publication.handed_over(&MIX, "final".into());
        assert!(publication.plan_copies().is_empty());
        for name in &names {
            assert_eq!(publication.stored(name).grown, None, "a shorter text would take the final one's place");
        }
        assert!(!publication.is_complete());
        publication.playlist_stored(&MIX, "final");
        assert!(publication.is_complete());
    }
}
