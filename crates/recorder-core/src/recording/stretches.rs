//! Stretches of playlists that a recorder was told of: whose sound could not be kept, or was kept as the bucket held it. All positions
//! in ticks.
//!
//! Invariant: the stretches of a playlist are in order and apart from each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mode, PlaylistId};
use crate::units::Uid;

/// Most stretches that are remembered, over all playlists.
pub(super) const MAX_STRETCHES: usize = 4_096;

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(super) struct Stretches {
    playlists: BTreeMap<PlaylistId, Vec<(i64, i64)>>,
    /// Those of them in which a sender paused: no other playlist lacks anything there.
    pauses: BTreeMap<PlaylistId, Vec<(i64, i64)>>,
}

/// As it is written in a snapshot: pauses stand behind a playlist's stretches, end first.
#[derive(Serialize, Deserialize)]
struct Written(BTreeMap<PlaylistId, Vec<(i64, i64)>>);

impl From<Stretches> for Written {
    fn from(Stretches { mut playlists, pauses }: Stretches) -> Self {
        for (playlist, pauses) in pauses {
            playlists.entry(playlist).or_default().extend(pauses.into_iter().map(|(from, to)| (to, from)));
        }
        Self(playlists)
    }
}

impl From<Written> for Stretches {
    fn from(Written(mut playlists): Written) -> Self {
        let reversed = |stretches: &mut Vec<(i64, i64)>| -> Vec<_> {
            stretches.extract_if(.., |(from, to)| to < from).map(|(to, from)| (from, to)).collect()
        };
        let pauses = playlists.iter_mut().map(|(playlist, stretches)| (playlist.clone(), reversed(stretches)));
        let pauses = pauses.filter(|(_, pauses)| !pauses.is_empty()).collect();
        Self { playlists, pauses }
    }
}

impl Stretches {
    /// Adds `from..to` of a playlist; whether there was room.
    pub(super) fn add(&mut self, playlist: &PlaylistId, from: i64, to: i64) -> bool {
        if from >= to {
            return true;
        }
        let room = self.room();
        insert(&mut self.playlists, playlist, (from, to), room)
    }

    /// The same of a stretch in which the playlist's sender paused.
    pub(super) fn add_pause(&mut self, playlist: &PlaylistId, from: i64, to: i64) -> bool {
        if from >= to || !self.add(playlist, from, to) {
            return from >= to;
        }
        let room = self.room();
        insert(&mut self.pauses, playlist, (from, to), room)
    }

    fn room(&self) -> bool {
        let all: usize = self.playlists.values().chain(self.pauses.values()).map(Vec::len).sum();
        all < MAX_STRETCHES
    }

    /// The stretches that are in all playlists that hold a track's sound: its own, and the mix. A pause of its own is no sound.
    pub(super) fn in_all_of(&self, own: &PlaylistId, mode: Mode) -> Vec<(i64, i64)> {
        match mode {
            Mode::Mix => self.of_the_mix().to_vec(),
            Mode::Individual => self.of(own).to_vec(),
            Mode::Both => {
                let pauses = self.pauses.get(own).map_or(&[][..], Vec::as_slice);
                union(common(self.of(own), self.of_the_mix()), pauses)
            }
        }
    }

    /// The stretches of the mix.
    pub(super) fn of_the_mix(&self) -> &[(i64, i64)] {
        self.of(&PlaylistId::Mix)
    }

    /// The stretches of a playlist.
    pub(super) fn of(&self, playlist: &PlaylistId) -> &[(i64, i64)] {
        self.playlists.get(playlist).map_or(&[], Vec::as_slice)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.playlists.is_empty()
    }

    /// The playlists of one uid each that have stretches, whose they are, and these.
    pub(super) fn of_uids_alone(&self, mode: Mode) -> impl Iterator<Item = (&PlaylistId, &Uid, Vec<(i64, i64)>)> {
        let own = self.playlists.keys().filter_map(|playlist| Some((playlist, playlist.uid()?)));
        own.map(move |(playlist, uid)| (playlist, uid, self.in_all_of(playlist, mode)))
    }

    /// The length of all stretches together.
    pub(super) fn length(&self) -> i64 {
        self.playlists.values().flatten().map(|(from, to)| to - from).sum()
    }
}

/// Adds a stretch; whether that was done. One that touches another needs no `room`.
fn insert(
    playlists: &mut BTreeMap<PlaylistId, Vec<(i64, i64)>>,
    playlist: &PlaylistId,
    (mut from, mut to): (i64, i64),
    room: bool,
) -> bool {
    let stretches = playlists.entry(playlist.clone()).or_default();
    let first = stretches.partition_point(|(_, end)| *end < from);
    let touched = stretches[first..].iter().take_while(|(start, _)| *start <= to).count();
    for (start, end) in stretches.drain(first..first + touched) {
        (from, to) = (from.min(start), to.max(end));
    }
    let room = touched > 0 || room;
    if room {
        stretches.insert(first, (from, to));
    }
    playlists.retain(|_, stretches| !stretches.is_empty());
    room
}

/// What is in either list, in order and apart.
fn union(mut one: Vec<(i64, i64)>, other: &[(i64, i64)]) -> Vec<(i64, i64)> {
    one.extend_from_slice(other);
    one.sort_unstable();
    let mut all: Vec<(i64, i64)> = Vec::with_capacity(one.len());
    for (from, to) in one {
        match all.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => all.push((from, to)),
        }
    }
    all
}

/// What is in both lists.
fn common(one: &[(i64, i64)], other: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let (mut both, mut others) = (Vec::new(), other.iter().peekable());
    for (from, to) in one {
        while let Some((start, end)) = others.peek() {
            if start.max(from) < end.min(to) {
                both.push((*start.max(from), *end.min(to)));
            }
            if end > to {
                break;
            }
            others.next();
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_one_and_their_number_is_bounded() {
        let mut stretches = Stretches::default();
        for (from, to) in [(10, 20), (40, 50), (20, 30), (25, 45), (60, 60)] {
            stretches.add(&PlaylistId::Mix, from, to);
        }
        assert_eq!((stretches.of_the_mix(), stretches.length()), (&[(10, 50)][..], 40));
        for number in 0..2 * MAX_STRETCHES as i64 {
            stretches.add(&PlaylistId::Mix, 100 + 2 * number, 101 + 2 * number);
        }
        assert_eq!(stretches.of_the_mix().len(), MAX_STRETCHES);
    }

    #[test]
    fn beside_a_mix_what_is_in_both_playlists_counts() {
        let uid = Uid::new("7").unwrap();
        let mut stretches = Stretches::default();
        for (from, to) in [(0, 10), (20, 30), (40, 50)] {
            stretches.add(&PlaylistId::Mix, from, to);
        }
        for (from, to) in [(5, 25), (28, 45)] {
            stretches.add(&PlaylistId::of(&uid, None), from, to);
        }
        let own = |uid: &str| PlaylistId::of(&Uid::new(uid).unwrap(), None);
        assert_eq!(stretches.in_all_of(&own("7"), Mode::Both), [(5, 10), (20, 25), (28, 30), (40, 45)]);
        assert_eq!(stretches.in_all_of(&own("7"), Mode::Individual), [(5, 25), (28, 45)]);
        assert_eq!(stretches.in_all_of(&own("8"), Mode::Both), []);
        for (from, to) in [(30, 36), (8, 12), (60, 70)] {
            assert!(stretches.add_pause(&own("7"), from, to));
        }
        let counted = [(5, 12), (20, 25), (28, 36), (40, 45), (60, 70)];
        assert_eq!(stretches.in_all_of(&own("7"), Mode::Both), counted, "in a pause the mix lacks nothing");
        assert_eq!(stretches.in_all_of(&own("7"), Mode::Individual), [(5, 25), (28, 45), (60, 70)]);
        let written = postcard::to_stdvec(&stretches).unwrap();
        assert_eq!(postcard::from_bytes::<Stretches>(&written).unwrap(), stretches);
    }
}
