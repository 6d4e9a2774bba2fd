//! The end of a playlist, from its first segment on that is not in the bucket, taken back: a bucket turns out to hold other segments there.

use super::Publication;
use crate::codec::playlist::Entry;
use crate::recording::PlaylistId;

/// What was taken back of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct OpenTail {
    /// The place of its first segment.
    pub(in crate::session) first: usize,
    /// Its segments, in order, and whether the bucket has them.
    pub(in crate::session) entries: Vec<(Entry, bool)>,
    /// No more segments were to come.
    pub(in crate::session) closed: bool,
}

impl Publication {
    /// Takes back the segments from the first one on that is not in the bucket: no text named one of them. `size`: of those that are there.
    /// Until [`Self::tail_is_back`] no text is given out.
    pub(in crate::session) fn take_tail(
        &mut self,
        playlist: &PlaylistId,
        size: impl Fn(&str) -> u64,
    ) -> Option<OpenTail> {
        let progress = self.now.playlists.get_mut(playlist)?;
        let first = progress.prefix;
        let entries = progress.segments.split_off(first);
        for (entry, stored) in &entries {
            if let Some(waiting) = self.now.waiting.remove(&entry.name) {
                progress.stock.bytes_spooled -= waiting.size;
            }
            if *stored {
                progress.stock.bytes_safe = progress.stock.bytes_safe.saturating_sub(size(&entry.name));
                self.now.stored -= 1;
            }
            self.sizes.remove(&entry.name);
        }
        self.now.made -= entries.len() as u64;
        progress.floor = usize::MAX;
        let closed = std::mem::replace(&mut progress.closed, false);
        Some(OpenTail { first, entries, closed })
    }

    /// What takes the tail's place was added. Whether a text can be given out: none is that does not name all that the bucket has; where that
    /// is not `said`, all that was made.
    pub(in crate::session) fn tail_is_back(&mut self, playlist: &PlaylistId, closed: bool, said: bool) -> bool {
        let once = self.plan.is_written_once();
        let Some(progress) = self.now.playlists.get_mut(playlist) else { return false };
        let last = progress.segments.iter().rposition(|(_, stored)| *stored).map_or(0, |last| last + 1);
        progress.floor = if said { last } else { progress.segments.len() };
        progress.closed = closed;
        !self.promised && ((closed && progress.is_whole()) || (progress.sayable() > 0 && !once))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MIX, publication, segment};
    use super::*;

    #[test]
    fn a_tail_is_taken_back_and_no_text_is_given_out_before_it_names_what_is_there() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..4).map(|index| publication.add(&segment(index))).collect();
        publication.stored(&init);
        publication.stored(&names[0]);
        publication.close(&MIX);
        let tail = publication.take_tail(&MIX, |_| 1).unwrap();
        assert_eq!((tail.first, tail.entries.len(), tail.closed), (1, 3, true));
        assert_eq!((publication.counts(), publication.place_of(&names[1])), ((1, 1), None));
        let bytes = publication.waiting_by_uid().map(|(_, stock)| stock.bytes_spooled).sum::<u64>();
        assert_eq!(bytes, 0);
        // The bucket has the third one, and one that is not ours where the second one was.
        let other = Entry { name: "other.m4s".into(), ..tail.entries[0].0.clone() };
        for entry in [&other, &tail.entries[1].0, &tail.entries[2].0] {
            publication.add_entry(&MIX, entry.clone(), 1);
        }
        assert_eq!(publication.stored(&names[2]).grown, None);
        assert!(!publication.tail_is_back(&MIX, tail.closed, true), "the one before it is on its way");
        assert_eq!(publication.stored("other.m4s").grown, Some(MIX));
        assert!(publication.render(&MIX).unwrap().1.contains("other.m4s"));
        assert_eq!(publication.stored(&names[3]).grown, Some(MIX));
        assert!(publication.render(&MIX).unwrap().1.ends_with("#EXT-X-ENDLIST\n"));
    }
    #[test]
    fn what_the_bucket_has_behind_a_hole_is_taken_back_too() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..3).map(|index| publication.add(&segment(index))).collect();
        publication.stored(&init);
        publication.stored(&names[2]);
        let tail = publication.take_tail(&MIX, |_| 1).unwrap();
        let stored: Vec<bool> = tail.entries.iter().map(|(_, stored)| *stored).collect();
        assert_eq!((tail.first, stored, publication.counts()), (0, vec![false, false, true], (0, 0)));
        for (entry, stored) in &tail.entries {
            publication.add_entry(&MIX, entry.clone(), 1);
            if *stored {
                publication.stored(&entry.name);
            }
        }
        assert!(!publication.tail_is_back(&MIX, false, true));
        assert_eq!(publication.stored(&names[0]).grown, None, "a hole is before what is there");
        assert_eq!((publication.stored(&names[1]).grown, publication.counts()), (Some(MIX), (3, 3)));
    }
}
