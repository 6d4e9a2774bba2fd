//! What of a recording the bucket holds, and what its playlists may say. Pure.
//!
//! Invariant 1 lives here: a playlist names a segment only after the bucket confirmed it and all before it, and its init segment.
//! In a write-once bucket a playlist has one text, the final one. A playlist never becomes shorter either: while a recording is made again from its journal, none is given out before it is
//! as long as it can have been.

mod elsewhere;
mod tail;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use self::elsewhere::CopyText;
pub(super) use self::tail::OpenTail;
use super::health::WaitingBytes;
use super::objects::Objects;
use super::plan::Plan;
use crate::codec::playlist::Entry;
use crate::codec::silent;
use crate::recording::{PlaylistId, Segment};
use crate::units::{Ticks, WallMs};

/// The playlists of one recording.
#[derive(Debug)]
pub(super) struct Publication {
    plan: Plan,
    start: WallMs,
    now: Standing,
    /// Whether what is made was made before, by an earlier run of the worker.
    again: bool,
    /// Whether the final texts are handed over, whatever is stored.
    promised: bool,
    /// Playlists that list an object by byte ranges. What follows it there is listed so too, as one range: a player that keeps its
    /// connection may else ask for the next file with the range's end (ffmpeg 5.1 does, and waits for the bytes that are not there).
    ranged: BTreeSet<PlaylistId>,
    /// Bytes of the segments that follow such an object.
    sizes: BTreeMap<String, u64>,
}

/// How the playlists stand; part of a session's checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    playlists: BTreeMap<PlaylistId, Progress>,
    /// Media files by name.
    waiting: BTreeMap<String, Waiting>,
    made: u64,
    stored: u64,
}

/// A media file that the bucket did not confirm yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    playlist: PlaylistId,
    /// The segment's place in it; none for its init segment.
    place: Option<usize>,
    /// Bytes.
    size: u64,
}

/// How far a playlist is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    init_stored: bool,
    segments: Vec<(Entry, bool)>,
    /// How many segments, from the first on, are stored without a hole.
    prefix: usize,
    /// No more segments come.
    closed: bool,
    /// Digest of the last text that was given out, and whether it was the final one.
    rendered: Option<(String, bool)>,
    /// Whether some text of it is in the bucket.
    listed: bool,
    /// Whether the final text is in the bucket.
    finished: bool,
    /// How many segments an earlier run may have named: no shorter text is given out.
    floor: usize,
    /// Where its bytes are.
    stock: WaitingBytes,
}

/// What a confirmation led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// This playlist has more to say: upload it anew.
    pub(super) grown: Option<PlaylistId>,
    /// This playlist is in the bucket for the first time.
    pub(super) listed: Option<PlaylistId>,
}

impl Publication {
    /// Nothing is made yet; tick 0 is at `start`.
    pub(super) fn new(plan: Plan, start: WallMs) -> Self {
        Self {
            plan,
            start,
            now: Standing::default(),
            again: false,
            promised: false,
            ranged: BTreeSet::new(),
            sizes: BTreeMap::new(),
        }
    }

    /// How the playlists stand.
    pub(super) const fn standing(&self) -> &Standing {
        &self.now
    }

    /// Goes on from there. What follows until [`Self::caught_up`] was made before.
    pub(super) fn go_on(&mut self, standing: Standing, objects: &Objects) {
        self.now = standing;
        let length = self.plan.segment.ticks();
        for (playlist, progress) in &self.now.playlists {
            let is_silent = |entry: &Entry| silent::is_silent_object(entry.duration, length);
            let mut following = progress.segments.iter().map(|(entry, _)| entry).skip_while(|entry| !is_silent(entry));
            if following.next().is_some() {
                self.ranged.insert(playlist.clone());
            }
            for entry in following.filter(|entry| !is_silent(entry)) {
                let waiting = self.now.waiting.get(&entry.name).map(|waiting| waiting.size);
                // Of more segments than are remembered nobody knows the size.
                let size = waiting.or_else(|| Some(objects.size(&entry.name)).filter(|size| *size > 0));
                self.sizes.extend(size.map(|size| (entry.name.clone(), size)));
            }
        }
        for progress in self.now.playlists.values_mut() {
            progress.floor = usize::MAX;
            progress.rendered = None;
            progress.finished = false;
        }
    }

    /// What follows until [`Self::caught_up`] was made before.
    pub(super) const fn replay(&mut self) {
        self.again = true;
    }

    /// Everything that an earlier run can have made is made again. The playlists that can be given out now.
    pub(super) fn caught_up(&mut self) -> Vec<PlaylistId> {
        self.again = false;
        for progress in self.now.playlists.values_mut() {
            progress.floor = progress.segments.len();
        }
        let once = self.plan.is_written_once();
        let sayable = |progress: &Progress| progress.is_whole() && (progress.closed || (progress.prefix > 0 && !once));
        let ready = self.now.playlists.iter().filter(|(_, progress)| sayable(progress));
        ready.map(|(playlist, _)| playlist.clone()).collect()
    }

    /// A playlist is in the bucket since an earlier run.
    pub(super) fn is_there(&mut self, playlist: &PlaylistId) {
        if let Some(progress) = self.now.playlists.get_mut(playlist) {
            progress.listed = true;
        }
    }

    /// A playlist begins; the name of its init segment, which has `size` bytes.
    pub(super) fn begin(&mut self, playlist: &PlaylistId, size: u64) -> String {
        let again = self.again;
        let progress = self.now.playlists.entry(playlist.clone()).or_insert_with(|| Progress::new(again));
        progress.stock.bytes_spooled += size;
        let name = self.plan.init_name(playlist);
        self.now.waiting.insert(name.clone(), Waiting { playlist: playlist.clone(), place: None, size });
        name
    }

    /// A playlist begins that has no init segment.
    pub(super) fn begin_bare(&mut self, playlist: &PlaylistId) {
        let again = self.again;
        let progress = self.now.playlists.entry(playlist.clone()).or_insert_with(|| Progress::new(again));
        progress.init_stored = true;
    }

    /// A segment was made; its name.
    pub(super) fn add(&mut self, segment: &Segment) -> String {
        let name = self.plan.stem(&segment.playlist).segment(self.start.plus(segment.start), self.plan.container);
        let entry = Entry { name: name.clone(), start: segment.start, duration: segment.duration };
        self.add_entry(&segment.playlist, entry, segment.bytes.len() as u64);
        name
    }

    /// A segment of `size` bytes follows in a playlist.
    pub(super) fn add_entry(&mut self, playlist: &PlaylistId, entry: Entry, size: u64) {
        let again = self.again;
        if silent::is_silent_object(entry.duration, self.plan.segment.ticks()) {
            self.ranged.insert(playlist.clone());
        } else if self.ranged.contains(playlist) {
            self.sizes.insert(entry.name.clone(), size);
        }
        let progress = self.now.playlists.entry(playlist.clone()).or_insert_with(|| Progress::new(again));
        let (playlist, place) = (playlist.clone(), Some(progress.segments.len()));
        self.now.waiting.insert(entry.name.clone(), Waiting { playlist, place, size });
        progress.segments.push((entry, false));
        progress.stock.bytes_spooled += size;
        self.now.made += 1;
    }

    /// No more segments come for a playlist. True when its text changes by that now; else the confirmation of its last
    /// segment will say so.
    pub(super) fn close(&mut self, playlist: &PlaylistId) -> bool {
        let Some(progress) = self.now.playlists.get_mut(playlist) else { return false };
        progress.closed = true;
        !self.again && progress.is_whole()
    }

    /// The bucket holds a media file.
    pub(super) fn stored(&mut self, name: &str) -> Change {
        let Some(Waiting { playlist, place, size }) = self.now.waiting.remove(name) else { return Change::default() };
        let progress = self.now.playlists.get_mut(&playlist).expect("waiting names playlists that were begun");
        let before = progress.sayable();
        progress.stock.bytes_spooled -= size;
        progress.stock.bytes_safe += size;
        match place {
            None => progress.init_stored = true,
            Some(place) => {
                progress.segments[place].1 = true;
                self.now.stored += 1;
                while progress.segments.get(progress.prefix).is_some_and(|(_, stored)| *stored) {
                    progress.prefix += 1;
                }
            }
        }
        let last = !self.again && progress.closed && progress.is_whole();
        let grown = last || (progress.sayable() > before && !self.plan.is_written_once());
        let grown = grown && !self.promised;
        Change { grown: grown.then_some(playlist), listed: None }
    }

    /// The bucket holds a playlist's text with this digest.
    pub(super) fn playlist_stored(&mut self, playlist: &PlaylistId, digest: &str) -> Change {
        let Some(progress) = self.now.playlists.get_mut(playlist) else { return Change::default() };
        let first = !progress.listed;
        progress.listed = true;
        progress.finished |= progress.rendered.as_ref().is_some_and(|(last, ended)| *ended && last == digest);
        Change { grown: None, listed: first.then(|| playlist.clone()) }
    }

    /// The bucket holds another text of a playlist, and nothing is put over it.
    pub(super) fn playlist_kept(&mut self, playlist: &PlaylistId) -> Change {
        let Some(progress) = self.now.playlists.get_mut(playlist) else { return Change::default() };
        progress.finished |= progress.rendered.as_ref().is_some_and(|(_, ended)| *ended);
        let first = !std::mem::replace(&mut progress.listed, true);
        Change { grown: None, listed: first.then(|| playlist.clone()) }
    }

    /// The text of a playlist as it may be uploaded now, and its name.
    pub(super) fn render(&self, playlist: &PlaylistId) -> Option<(String, String)> {
        let progress = self.now.playlists.get(playlist)?;
        let mut text = self.text(playlist, progress, progress.sayable());
        text.ended = progress.closed && progress.is_whole();
        Some((self.plan.stem(playlist).playlist(), text.render()))
    }

    /// Whether that text is the final one.
    pub(super) fn has_ended(&self, playlist: &PlaylistId) -> bool {
        self.now.playlists.get(playlist).is_some_and(|progress| progress.closed && progress.is_whole())
    }

    /// The text that [`Self::render`] gave was handed over for upload.
    pub(super) fn handed_over(&mut self, playlist: &PlaylistId, digest: String) {
        if let Some(progress) = self.now.playlists.get_mut(playlist) {
            let ended = progress.closed && (self.promised || progress.is_whole());
            progress.rendered = Some((digest, ended));
        }
    }

    /// Which playlist has this file name.
    pub(super) fn playlist_named(&self, name: &str) -> Option<PlaylistId> {
        self.now.playlists.keys().find(|playlist| self.plan.stem(playlist).playlist() == name).cloned()
    }

    /// Whether all that was made, and each final playlist, is in the bucket.
    pub(super) fn is_complete(&self) -> bool {
        self.now.waiting.is_empty() && self.now.playlists.values().all(|progress| progress.finished)
    }

    /// All playlists, the mix first.
    pub(super) fn playlists(&self) -> impl Iterator<Item = &PlaylistId> {
        self.now.playlists.keys()
    }

    /// All segments made, playlist by playlist.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.now.playlists.values().flat_map(|progress| progress.segments.iter().map(|(entry, _)| entry))
    }

    /// Those of them that are known to be in the bucket.
    pub(super) fn stored_entries(&self) -> impl Iterator<Item = &Entry> {
        let segments = self.now.playlists.values().flat_map(|progress| &progress.segments);
        segments.filter(|(_, stored)| *stored).map(|(entry, _)| entry)
    }

    /// The segments of a playlist that are in the bucket, from `first` on as far as there is no hole.
    pub(super) fn stored_from(&self, playlist: &PlaylistId, first: usize) -> impl Iterator<Item = &Entry> {
        let segments = self.now.playlists.get(playlist).map_or(&[][..], |known| &known.segments[..known.prefix]);
        segments.iter().skip(first).map(|(entry, _)| entry)
    }

    /// Whether a playlist is in the bucket.
    pub(super) fn is_listed(&self, playlist: &PlaylistId) -> bool {
        self.now.playlists.get(playlist).is_some_and(|progress| progress.listed)
    }

    /// Where the bytes of each playlist are.
    pub(super) fn waiting_by_uid(&self) -> impl Iterator<Item = (&PlaylistId, WaitingBytes)> {
        self.now.playlists.iter().map(|(playlist, progress)| (playlist, progress.stock))
    }

    /// Segments made, and segments in the bucket.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.now.made, self.now.stored)
    }

    /// Where the segments of a playlist end.
    pub(super) fn end_of(&self, playlist: &PlaylistId) -> Ticks {
        let last = self.now.playlists.get(playlist).and_then(|progress| progress.segments.last());
        last.map_or(Ticks::ZERO, |(entry, _)| entry.end())
    }

    /// The last segment of a playlist.
    pub(super) fn last_of(&self, playlist: &PlaylistId) -> Option<&Entry> {
        self.now.playlists.get(playlist)?.segments.last().map(|(entry, _)| entry)
    }

    /// Whether a playlist was begun.
    pub(super) fn is_begun(&self, playlist: &PlaylistId) -> bool {
        self.now.playlists.contains_key(playlist)
    }

    /// The playlists to which more segments may come.
    pub(super) fn unclosed(&self) -> Vec<PlaylistId> {
        let open = self.now.playlists.iter().filter(|(_, progress)| !progress.closed);
        open.map(|(playlist, _)| playlist.clone()).collect()
    }

    /// The segment of this name that the bucket did not confirm yet.
    pub(super) fn waiting_entry(&self, name: &str) -> Option<(&PlaylistId, Option<&Entry>)> {
        let Waiting { playlist, place, .. } = self.now.waiting.get(name)?;
        let progress = self.now.playlists.get(playlist)?;
        Some((playlist, place.and_then(|place| progress.segments.get(place)).map(|(entry, _)| entry)))
    }

    /// The object of this name has another size than what was made for it.
    pub(super) fn resized(&mut self, name: &str, bytes: u64) {
        self.sizes.entry(name.to_owned()).and_modify(|size| *size = bytes);
    }

    /// Another name for a segment that the bucket did not confirm: its own is taken there by something else. `None` for a segment that
    /// does not wait.
    pub(super) fn rename(&mut self, name: &str) -> Option<String> {
        let waiting = self.now.waiting.get(name).filter(|waiting| waiting.place.is_some())?.clone();
        let plain = name.strip_prefix("bak").and_then(|rest| rest.split_once('_'));
        let numbered = plain.and_then(|(number, rest)| Some((number.parse::<u32>().ok()?, rest)));
        let (number, rest) = numbered.map_or((1, name), |(number, rest)| (number.saturating_add(1), rest));
        let other = format!("bak{number}_{rest}");
        let progress = self.now.playlists.get_mut(&waiting.playlist)?;
        progress.segments.get_mut(waiting.place?)?.0.name.clone_from(&other);
        self.now.waiting.remove(name);
        let size = self.sizes.remove(name);
        self.sizes.extend(size.map(|size| (other.clone(), size)));
        self.now.waiting.insert(other.clone(), waiting);
        Some(other)
    }

    /// Where the longest playlist ends.
    pub(super) fn end(&self) -> Ticks {
        let last = |progress: &Progress| progress.segments.last().map_or(Ticks::ZERO, |(entry, _)| entry.end());
        self.now.playlists.values().map(last).max().unwrap_or_default()
    }
}

impl Progress {
    fn new(again: bool) -> Self {
        Self {
            init_stored: false,
            segments: Vec::new(),
            prefix: 0,
            closed: false,
            rendered: None,
            listed: false,
            finished: false,
            floor: if again { usize::MAX } else { 0 },
            stock: WaitingBytes::default(),
        }
    }

    /// How many segments may be named.
    const fn sayable(&self) -> usize {
        if self.init_stored && self.prefix >= self.floor { self.prefix } else { 0 }
    }

    /// Whether everything made so far is stored.
    fn is_whole(&self) -> bool {
        self.init_stored && self.prefix == self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::session::Note;
    use crate::session::objects::Stored;
    use crate::session::plan::tests::plan;
    use crate::storage::ObjectKind;

    pub(super) const MIX: PlaylistId = PlaylistId::Mix;

    pub(super) fn publication() -> Publication {
        Publication::new(plan(), WallMs(1_700_000_000_000))
    }

    pub(super) fn segment(index: u64) -> Segment {
        let (start, duration) = (Ticks::from_secs(6 * index), Ticks::from_secs(6));
        Segment { playlist: MIX, index, start, duration, bytes: Bytes::from_static(b"x") }
    }

    fn named(publication: &Publication) -> usize {
        publication.render(&MIX).unwrap().1.matches(".m4s\n").count()
    }

    #[test]
    fn what_follows_a_silent_object_is_listed_by_its_range() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let mut names = vec![publication.add(&segment(0))];
        let silent = Segment { duration: Ticks::from_secs(60), ..segment(1) };
        names.push(publication.add(&silent));
        names.push(publication.add(&segment(11)));
        names.iter().chain([&init]).for_each(|name| _ = publication.stored(name));
        let ranges = |publication: &Publication| {
            let text = publication.render(&MIX).unwrap().1;
            let ranges = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"));
            ranges.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((ranges(&publication).len(), ranges(&publication)[10].as_str()), (11, "1@0"));
        let mut objects = Objects::default();
        objects.insert(names[2].clone(), Stored { kind: ObjectKind::Segment, size: 77, sha256: String::new() });
        let mut other = Publication::new(plan(), WallMs(1_700_000_000_000));
        other.go_on(publication.standing().clone(), &objects);
        other.caught_up();
        assert_eq!(ranges(&other)[10], "77@0", "a checkpoint need not know it");
    }

    #[test]
    fn a_playlist_names_only_what_is_stored_without_a_hole() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..3).map(|index| publication.add(&segment(index))).collect();
        assert_eq!(named(&publication), 0);
        assert_eq!(publication.stored(&names[0]).grown, None, "the init segment is not there yet");
        assert_eq!(publication.stored(&init).grown, Some(MIX));
        assert_eq!(named(&publication), 1);
        assert_eq!(publication.stored(&names[2]).grown, None, "a hole is before it");
        assert_eq!(named(&publication), 1);
        assert_eq!(publication.stored(&names[1]).grown, Some(MIX));
        assert_eq!(named(&publication), 3);
        assert_eq!(publication.counts(), (3, 3));
    }

    #[test]
    fn it_is_complete_only_with_the_final_text_in_the_bucket() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let name = publication.add(&segment(0));
        publication.stored(&init);
        publication.stored(&name);
        publication.handed_over(&MIX, "running".into());
        assert_eq!(publication.playlist_stored(&MIX, "running").listed, Some(MIX));
        assert!(!publication.is_complete());
        assert!(publication.close(&MIX));
        assert!(publication.render(&MIX).unwrap().1.ends_with("#EXT-X-ENDLIST\n"));
        publication.handed_over(&MIX, "final".into());
        assert_eq!(publication.playlist_stored(&MIX, "running"), Change::default());
        assert!(!publication.is_complete(), "an older text is not the final one");
        publication.playlist_stored(&MIX, "final");
        assert!(publication.is_complete());
    }

    #[test]
    fn a_segment_whose_name_is_taken_has_another_one() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let name = publication.add(&segment(0));
        let other = publication.rename(&name).unwrap();
        assert_eq!(other, format!("bak1_{name}"));
        assert_eq!(publication.rename(&name), None);
        let other = publication.rename(&other).unwrap();
        assert_eq!(other, format!("bak2_{name}"));
        publication.stored(&init);
        assert_eq!(publication.stored(&other).grown, Some(MIX));
        assert!(publication.render(&MIX).unwrap().1.contains(&other));
        assert_eq!(publication.rename(&other), None, "what is confirmed keeps its name");
    }

    #[test]
    fn a_closed_playlist_waits_for_its_last_segment() {
        let mut publication = publication();
        let init = publication.begin(&MIX, 1);
        let name = publication.add(&segment(0));
        publication.stored(&init);
        assert!(!publication.close(&MIX));
        assert!(!publication.render(&MIX).unwrap().1.contains("ENDLIST"));
        assert_eq!(publication.stored(&name).grown, Some(MIX));
        assert!(publication.render(&MIX).unwrap().1.contains("ENDLIST"));
    }

    #[test]
    fn a_playlist_that_can_be_written_once_is_given_out_at_its_end() {
        let written_once = Plan { notes: vec![Note::WrittenOnce], ..plan() };
        for again in [false, true] {
            let mut publication = Publication::new(written_once.clone(), WallMs(1_700_000_000_000));
            if again {
                publication.replay();
            }
            let init = publication.begin(&MIX, 1);
            let names: Vec<String> = (0..2).map(|index| publication.add(&segment(index))).collect();
            assert_eq!(publication.stored(&init).grown, None);
            assert_eq!(publication.stored(&names[0]).grown, None);
            assert_eq!(publication.stored(&names[1]).grown, None);
            assert!(publication.caught_up().is_empty());
            assert!(publication.close(&MIX), "now it is whole");
            publication.handed_over(&MIX, "final".into());
            assert_eq!(publication.playlist_kept(&MIX).listed, Some(MIX));
            assert!(publication.is_complete(), "whatever text the bucket keeps");
        }
        let mut publication = Publication::new(written_once, WallMs(1_700_000_000_000));
        let init = publication.begin(&MIX, 1);
        let name = publication.add(&segment(0));
        publication.stored(&init);
        assert!(!publication.close(&MIX));
        assert_eq!(publication.stored(&name).grown, Some(MIX), "its last segment is there");
    }

    #[test]
    fn a_playlist_that_is_made_again_is_not_given_out_shorter_than_it_was() {
        let mut publication = publication();
        publication.replay();
        let init = publication.begin(&MIX, 1);
        let names: Vec<String> = (0..2).map(|index| publication.add(&segment(index))).collect();
        assert_eq!(publication.stored(&init).grown, None);
        assert_eq!(publication.stored(&names[0]).grown, None);
        assert!(publication.caught_up().is_empty(), "the second one may have been named");
        assert_eq!(publication.stored(&names[1]).grown, Some(MIX));
        assert_eq!(named(&publication), 2);
        let third = publication.add(&segment(2));
        assert_eq!(publication.stored(&third).grown, Some(MIX));
    }

    #[test]
    fn what_is_there_already_when_it_has_caught_up_is_given_out_at_once() {
        let mut publication = publication();
        publication.replay();
        let init = publication.begin(&MIX, 1);
        let name = publication.add(&segment(0));
        publication.stored(&init);
        publication.stored(&name);
        assert!(!publication.close(&MIX));
        assert_eq!(publication.caught_up(), [MIX]);
        assert!(publication.render(&MIX).unwrap().1.ends_with("#EXT-X-ENDLIST\n"));
    }
}
