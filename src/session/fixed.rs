//! Segments whose bytes are final: the bucket or the spool holds them from an earlier run of the worker. Pure.
//!
//! What a recovery makes again from the journal is cut around them ([`FixedSegments::cut`]), so that a confirmed segment is never made
//! anew and what lies between two of them is made to their exact borders. The core knows nothing of this.
//!
//! Invariant: the segments of a playlist do not overlap. Of two that would, the one that was inserted first stays.

use std::collections::BTreeMap;

use super::objects::Stored;
use crate::codec::playlist::Entry;
use crate::recording::PlaylistId;
use crate::units::Ticks;

/// Most segments that are known, over all playlists: as many as a manifest lists.
const MAX_FIXED: usize = 250_000;

/// A segment that is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FixedSegment {
    /// The playlist that it belongs to.
    pub(super) playlist: PlaylistId,
    /// Name and place.
    pub(super) entry: Entry,
    /// What its bytes are.
    pub(super) stored: Stored,
    /// Whether the bucket holds it; else the spool does.
    pub(super) in_bucket: bool,
    /// It holds silence because what was recorded could not be kept.
    pub(super) silenced: bool,
}

/// A stretch of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// To be made, `from..to`.
    Made(Ticks, Ticks),
    /// Held already, as a whole.
    Fixed(FixedSegment),
}

/// All final segments of a recording that are not in its playlists yet.
#[derive(Debug, Default)]
pub(super) struct FixedSegments(BTreeMap<PlaylistId, BTreeMap<Ticks, FixedSegment>>);

impl FixedSegments {
    /// One more. Whether it was taken: it must be longer than nothing and overlap none that is known.
    pub(super) fn insert(&mut self, segment: FixedSegment) -> bool {
        if segment.entry.duration == Ticks::ZERO || self.len() >= MAX_FIXED {
            return false;
        }
        if self.overlaps(&segment) {
            return false;
        }
        self.0.entry(segment.playlist.clone()).or_default().insert(segment.entry.start, segment);
        true
    }

    /// One that the bucket holds, instead of those that only the spool holds in its place; `None`: it was not taken, since others in
    /// the bucket are there.
    pub(super) fn insert_over(&mut self, segment: FixedSegment) -> Option<Vec<FixedSegment>> {
        let mut over = Vec::new();
        if let Some(known) = self.0.get_mut(&segment.playlist).filter(|_| segment.entry.duration > Ticks::ZERO) {
            let before = known.range(..segment.entry.end()).rev();
            let places: Vec<Ticks> =
                before.take_while(|(_, before)| before.entry.end() > segment.entry.start).map(|(at, _)| *at).collect();
            if places.iter().any(|at| known[at].in_bucket) {
                return None;
            }
            over.extend(places.iter().filter_map(|at| known.remove(at)));
        }
        self.insert(segment).then_some(over)
    }

    /// Whether another one lies in the place of this one.
    pub(super) fn overlaps(&self, segment: &FixedSegment) -> bool {
        let before = self.0.get(&segment.playlist).and_then(|known| known.range(..segment.entry.end()).next_back());
        before.is_some_and(|(_, before)| before.entry.end() > segment.entry.start)
    }

    /// The one that begins there.
    pub(super) fn at(&self, playlist: &PlaylistId, start: Ticks) -> Option<&FixedSegment> {
        self.0.get(playlist)?.get(&start)
    }

    /// The playlists that have any.
    pub(super) fn playlists(&self) -> impl Iterator<Item = &PlaylistId> {
        self.0.iter().filter(|(_, segments)| !segments.is_empty()).map(|(playlist, _)| playlist)
    }

    /// All of them, playlist by playlist, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FixedSegment> {
        self.0.values().flat_map(BTreeMap::values)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.playlists().next().is_none()
    }

    /// Where the last one of all ends.
    pub(super) fn end(&self) -> Ticks {
        let last =
            |segments: &BTreeMap<Ticks, FixedSegment>| segments.values().next_back().map(|last| last.entry.end());
        self.0.values().filter_map(last).max().unwrap_or_default()
    }

    /// Where the last one of a playlist ends.
    pub(super) fn end_of(&self, playlist: &PlaylistId) -> Ticks {
        let last = self.0.get(playlist).and_then(|segments| segments.values().next_back());
        last.map_or(Ticks::ZERO, |last| last.entry.end())
    }

    /// The stretches of a playlist from `from`, where the segments before end, to `to` at least: a final segment that begins before `to`
    /// is taken as a whole. What is answered is known no more.
    pub(super) fn cut(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) -> Vec<Stretch> {
        let (mut at, mut stretches) = (from, Vec::new());
        let Some(segments) = self.0.get_mut(playlist) else { return made(from, to) };
        while at < to {
            let Some(first) = segments.first_entry().filter(|first| *first.key() < to) else { break };
            let next = first.remove();
            // It lies under what the playlist has already.
            if next.entry.start < at {
                continue;
            }
            stretches.extend(made(at, next.entry.start));
            at = next.entry.end();
            stretches.push(Stretch::Fixed(next));
        }
        stretches.extend(made(at, to));
        stretches
    }

    fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

fn made(from: Ticks, to: Ticks) -> Vec<Stretch> {
    if from < to { vec![Stretch::Made(from, to)] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::ObjectKind;

    const MIX: PlaylistId = PlaylistId::Mix;

    fn segment(from: u64, to: u64) -> FixedSegment {
        let entry = Entry { name: format!("{from}.m4s"), start: Ticks(from), duration: Ticks(to - from) };
        let stored = Stored { kind: ObjectKind::Segment, size: 1, sha256: String::new() };
        FixedSegment { playlist: MIX, entry, stored, in_bucket: true, silenced: false }
    }

    fn ends(stretches: &[Stretch]) -> Vec<(u64, u64, bool)> {
        let ends = |stretch: &Stretch| match stretch {
            Stretch::Made(from, to) => (from.0, to.0, false),
            Stretch::Fixed(segment) => (segment.entry.start.0, segment.entry.end().0, true),
        };
        stretches.iter().map(ends).collect()
    }

    #[test]
    fn what_lies_between_final_segments_is_made_to_their_borders() {
        let mut fixed = FixedSegments::default();
        assert!(fixed.insert(segment(0, 6)) && fixed.insert(segment(8, 14)));
        assert!(!fixed.insert(segment(5, 8)) && !fixed.insert(segment(8, 10)));
        assert!(fixed.insert(segment(6, 7)));
        assert_eq!((fixed.end(), fixed.end_of(&MIX)), (Ticks(14), Ticks(14)));
        assert_eq!(ends(&fixed.cut(&MIX, Ticks(0), Ticks(6))), [(0, 6, true)]);
        assert_eq!(ends(&fixed.cut(&MIX, Ticks(6), Ticks(12))), [(6, 7, true), (7, 8, false), (8, 14, true)]);
        assert_eq!(ends(&fixed.cut(&MIX, Ticks(14), Ticks(12))), []);
        assert_eq!(ends(&fixed.cut(&MIX, Ticks(14), Ticks(18))), [(14, 18, false)]);
        assert_eq!(fixed.playlists().count(), 0);
    }

    #[test]
    fn what_the_bucket_holds_comes_before_what_only_the_spool_does() {
        let spooled = |from, to| FixedSegment { in_bucket: false, ..segment(from, to) };
        let mut fixed = FixedSegments::default();
        assert!(fixed.insert(spooled(0, 6)) && fixed.insert(spooled(6, 8)) && fixed.insert(spooled(8, 14)));
        let over = fixed.insert_over(segment(5, 8)).unwrap();
        assert_eq!(over, [spooled(6, 8), spooled(0, 6)]);
        assert_eq!(fixed.insert_over(segment(7, 9)), None, "the bucket has another one there");
        assert_eq!(fixed.insert_over(segment(0, 5)), Some(vec![]));
        assert_eq!(ends(&fixed.cut(&MIX, Ticks(0), Ticks(14))), [(0, 5, true), (5, 8, true), (8, 14, true)]);
    }

    proptest! {
        #[test]
        fn stretches_leave_no_hole_and_keep_every_segment(
            pieces in proptest::collection::vec((1_u64..30, any::<bool>()), 1..20),
            grid in 1_u64..40,
        ) {
            let (mut fixed, mut at, mut kept) = (FixedSegments::default(), 0, 0);
            for (length, is_fixed) in pieces {
                if is_fixed {
                    prop_assert!(fixed.insert(segment(at, at + length)));
                    kept += 1;
                }
                at += length;
            }
            let (mut cursor, mut seen) = (Ticks::ZERO, 0);
            for step in 1..=at.div_ceil(grid) {
                for stretch in fixed.cut(&MIX, cursor, Ticks(step * grid)) {
                    let (from, to) = match &stretch {
                        Stretch::Made(from, to) => (*from, *to),
                        Stretch::Fixed(segment) => {
                            seen += 1;
                            (segment.entry.start, segment.entry.end())
                        }
                    };
                    prop_assert_eq!(from, cursor);
                    cursor = to;
                }
                prop_assert!(cursor >= Ticks(step * grid));
            }
            prop_assert_eq!(seen, kept);
        }
    }
}
