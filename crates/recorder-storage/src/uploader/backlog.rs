//! What waits for upload, and what may go next. Time is a parameter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use crate::bucket::Earlier;
use crate::spool::{ObjectKind, SpooledObject};

/// How many of the oldest objects are looked at for the next one to go.
const WINDOW: usize = 1024;

/// The objects of a session that are not confirmed yet, by their order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: BTreeMap<u64, Entry>,
    /// The newest object of each name: of a segment too there are two, when a worker that came back made it again.
    newest: HashMap<String, u64>,
    /// The names in flight: few, and each once.
    flying: Vec<String>,
    /// The whole file in flight, by its order.
    whole: Option<u64>,
    /// Objects whose names are taken, by their order: they stay in flight until somebody decides.
    parked: BTreeSet<u64>,
}

#[derive(Debug)]
struct Entry {
    object: SpooledObject,
    since: Instant,
    in_flight: bool,
    failures: u32,
    timeouts: u32,
    wait: Option<Wait>,
    earlier: Earlier,
    /// Whether everything that it names is in the bucket.
    ready: bool,
}

/// An object that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) object: SpooledObject,
    /// Since when it waits.
    pub(super) since: Instant,
    /// How many of its attempts took too long.
    pub(super) timeouts: u32,
    /// What became of them.
    pub(super) earlier: Earlier,
}

/// What an attempt ended with that did not succeed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// It is not tried again before.
    pub(super) until: Instant,
    /// Whether a success of another object is no reason to try earlier.
    pub(super) alone: bool,
    /// Whether it took too long.
    pub(super) timeout: bool,
    /// What became of the attempt.
    pub(super) leaves: Earlier,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    until: Instant,
    alone: bool,
}

impl Backlog {
    /// Adds an object. Answers with the waiting one whose place it takes; one in flight is left to its end.
    pub(super) fn submit(&mut self, object: SpooledObject, now: Instant) -> Option<SpooledObject> {
        let order = object.order;
        let before = self.newest.insert(object.name.clone(), order).filter(|before| *before != order);
        let superseded = before.filter(|before| self.entries.get(before).is_some_and(|entry| !entry.in_flight));
        let entry = Entry {
            object,
            since: now,
            in_flight: false,
            failures: 0,
            timeouts: 0,
            wait: None,
            earlier: Earlier::None,
            ready: false,
        };
        self.entries.insert(order, entry);
        superseded.and_then(|order| self.entries.remove(&order)).map(|entry| entry.object)
    }

    /// An earlier run of the worker may have sent it.
    pub(super) fn was_left(&mut self, order: u64) {
        if let Some(entry) = self.entries.get_mut(&order) {
            entry.earlier = Earlier::MayBeThere;
        }
    }

    /// Everything that this playlist names is in the bucket: no media before it hold it back.
    pub(super) fn mark_ready(&mut self, order: u64) {
        if let Some(entry) = self.entries.get_mut(&order) {
            entry.ready = true;
        }
    }

    /// Takes the next object that may go at `now`: the one that failed least, then the oldest; a whole file when nothing else may
    /// go, and where the bucket is not `well`, when no media and no playlist wait.
    pub(super) fn start(&mut self, now: Instant, well: bool) -> Option<Next> {
        let due = self.free(well).filter(|entry| entry.wait.is_none_or(|wait| wait.until <= now));
        let next = due.min_by_key(|entry| (entry.object.kind.is_whole(), entry.failures, entry.object.order))?;
        let (order, whole) = (next.object.order, next.object.kind.is_whole());
        self.whole = if whole { Some(order) } else { self.whole };
        let entry = self.entries.get_mut(&order)?;
        entry.in_flight = true;
        self.flying.push(entry.object.name.clone());
        Some(Next {
            object: entry.object.clone(),
            since: entry.since,
            timeouts: entry.timeouts,
            earlier: entry.earlier,
        })
    }

    /// Whether a whole file is on its way.
    pub(super) const fn whole_flies(&self) -> bool {
        self.whole.is_some()
    }

    /// When the first object that only waits for the time may go.
    pub(super) fn wake(&self, well: bool) -> Option<Instant> {
        self.free(well).filter_map(|entry| entry.wait).map(|wait| wait.until).min()
    }

    /// The bucket confirmed it.
    pub(super) fn confirmed(&mut self, object: &SpooledObject) {
        self.landed(object);
        self.remove(object);
    }

    /// Its name is taken: it holds back what waits for it and is not tried again, until it is confirmed or let go.
    /// `false`: a newer object of its name follows, it is gone.
    pub(super) fn taken(&mut self, object: &SpooledObject) -> bool {
        self.landed(object);
        if self.newest.get(&object.name) != Some(&object.order) {
            self.entries.remove(&object.order);
            return false;
        }
        self.parked.insert(object.order);
        true
    }

    /// The session lets go of an object whose name is taken. Whether there was such an object.
    pub(super) fn let_go(&mut self, object: &SpooledObject) -> bool {
        let parked = self.parked.remove(&object.order);
        if parked {
            self.remove(object);
        }
        parked
    }

    /// An attempt failed. `true`: another follows; `false`: a newer object has taken its place, it is gone.
    pub(super) fn failed(&mut self, object: &SpooledObject, failure: Failure) -> bool {
        self.landed(object);
        if self.newest.get(&object.name) != Some(&object.order) {
            self.entries.remove(&object.order);
            return false;
        }
        if let Some(entry) = self.entries.get_mut(&object.order) {
            entry.in_flight = false;
            entry.failures = entry.failures.saturating_add(1);
            entry.timeouts = entry.timeouts.saturating_add(failure.timeout.into());
            // What was taken once may be there, whatever the attempts behind it say.
            entry.earlier = if failure.leaves == Earlier::None { entry.earlier } else { failure.leaves };
            entry.wait = Some(Wait { until: failure.until, alone: failure.alone });
        }
        true
    }

    /// How often the object failed.
    pub(super) fn failures(&self, object: &SpooledObject) -> u32 {
        self.entries.get(&object.order).map_or(0, |entry| entry.failures)
    }

    /// Forgets the waits that a success elsewhere makes pointless, or all of them.
    pub(super) fn hurry(&mut self, all: bool) {
        for entry in self.entries.values_mut() {
            entry.wait = entry.wait.filter(|wait| !all && wait.alone);
        }
    }

    /// Whether an object of this name is on its way.
    pub(super) fn follows(&self, name: &str) -> bool {
        self.newest.contains_key(name)
    }

    /// Since when the oldest object waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.entries.values().next().map(|entry| entry.since)
    }

    /// Whether nothing waits, but for a decision.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.len() == self.parked.len()
    }

    fn remove(&mut self, object: &SpooledObject) {
        self.entries.remove(&object.order);
        if self.newest.get(&object.name) == Some(&object.order) {
            self.newest.remove(&object.name);
        }
    }

    fn landed(&mut self, object: &SpooledObject) {
        self.whole = self.whole.filter(|order| *order != object.order);
        self.flying.retain(|name| *name != object.name);
    }

    /// The oldest entries that no other entry holds back: a playlist is held by all media before it unless it is ready, a document by everything
    /// before it, a whole file by all media before it and by another one in flight, everything by its own name in flight.
    fn free(&self, well: bool) -> impl Iterator<Item = &Entry> {
        let (mut media_before, mut any_before) = (false, false);
        let smaller =
            |entry: &Entry| matches!(entry.object.kind, ObjectKind::Init | ObjectKind::Segment | ObjectKind::Playlist);
        let no_wholes = self.whole.is_some() || (!well && self.entries.values().any(smaller));
        self.entries.values().take(WINDOW).filter(move |entry| {
            let held = match entry.object.kind {
                ObjectKind::Init | ObjectKind::Segment => false,
                ObjectKind::Playlist => media_before && !entry.ready,
                ObjectKind::Mp4 | ObjectKind::Ogg => no_wholes || media_before,
                ObjectKind::Document => any_before,
            };
            media_before |= !entry.object.kind.follows();
            any_before = true;
            !held && !entry.in_flight && !self.flying.contains(&entry.object.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use ObjectKind::{Document, Mp4, Ogg, Playlist, Segment};

    fn object(order: u64, name: &str, kind: ObjectKind) -> SpooledObject {
        SpooledObject { order, name: name.into(), kind, size: 1 }
    }

    fn backlog(objects: &[(&str, ObjectKind)]) -> (Backlog, Vec<SpooledObject>) {
        let objects: Vec<_> = objects.iter().zip(0..).map(|((name, kind), order)| object(order, name, *kind)).collect();
        let mut backlog = Backlog::default();
        for object in &objects {
            backlog.submit(object.clone(), Instant::now());
        }
        (backlog, objects)
    }

    fn orders(backlog: &mut Backlog, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| backlog.start(now, true)).map(|next| next.object.order).collect()
    }

    #[tokio::test]
    async fn a_playlist_waits_for_the_media_before_it_and_a_document_for_everything() {
        let now = Instant::now();
        let (mut backlog, objects) =
            backlog(&[("1", Segment), ("a", Playlist), ("2", Segment), ("b", Playlist), ("d", Document)]);
        assert_eq!(orders(&mut backlog, now), [0, 2]);
        backlog.confirmed(&objects[0]);
        assert_eq!(orders(&mut backlog, now), [1]);
        backlog.confirmed(&objects[2]);
        assert_eq!(orders(&mut backlog, now), [3]);
        backlog.confirmed(&objects[1]);
        assert!(orders(&mut backlog, now).is_empty());
        backlog.confirmed(&objects[3]);
        assert_eq!(orders(&mut backlog, now), [4]);
        backlog.confirmed(&objects[4]);
        assert!(backlog.is_empty());
    }

    #[tokio::test]
    async fn whole_files_go_one_at_a_time_and_hold_nothing_back_but_documents() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[
            ("1", Segment),
            ("a.mp4", Mp4),
            ("a.ogg", Ogg),
            ("2", Segment),
            ("a", Playlist),
            ("d", Document),
        ]);
        assert_eq!(orders(&mut backlog, now), [0, 3], "a file is made of the segments before it");
        backlog.confirmed(&objects[0]);
        assert_eq!(orders(&mut backlog, now), [1]);
        backlog.confirmed(&objects[3]);
        assert_eq!(orders(&mut backlog, now), [4], "a playlist does not wait for a file");
        backlog.confirmed(&objects[4]);
        assert!(orders(&mut backlog, now).is_empty() && backlog.whole_flies());
        backlog.confirmed(&objects[1]);
        assert_eq!(orders(&mut backlog, now), [2]);
        backlog.confirmed(&objects[2]);
        assert_eq!(orders(&mut backlog, now), [5]);
    }

    #[tokio::test]
    async fn a_bucket_in_trouble_is_not_tried_with_a_whole_file_while_smaller_ones_wait() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("a.mp4", Mp4), ("1", Segment)]);
        assert_eq!(backlog.start(now, false).unwrap().object.order, 1);
        backlog.failed(
            &objects[1],
            Failure { until: now + Duration::from_secs(5), alone: false, timeout: false, leaves: Earlier::None },
        );
        assert_eq!((backlog.start(now, false), backlog.wake(false)), (None, Some(now + Duration::from_secs(5))));
        backlog.confirmed(&objects[1]);
        assert_eq!(backlog.start(now, false).unwrap().object.order, 0);
    }

    #[tokio::test]
    async fn a_later_playlist_takes_the_place_of_a_waiting_one() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("1", Segment), ("a", Playlist), ("2", Segment)]);
        assert_eq!(backlog.submit(object(3, "a", Playlist), now), Some(objects[1].clone()));
        assert_eq!(orders(&mut backlog, now), [0, 2]);
        backlog.confirmed(&objects[0]);
        assert!(orders(&mut backlog, now).is_empty(), "its second segment is not there");
        backlog.confirmed(&objects[2]);
        assert_eq!(orders(&mut backlog, now), [3]);
    }

    #[tokio::test]
    async fn a_playlist_of_what_is_in_the_bucket_does_not_wait_for_media_that_are_refused() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("1", Segment), ("a", Playlist), ("d", Document)]);
        assert_eq!(orders(&mut backlog, now), [0]);
        backlog.failed(
            &objects[0],
            Failure { until: now + Duration::from_secs(5), alone: true, timeout: false, leaves: Earlier::None },
        );
        assert!(orders(&mut backlog, now).is_empty());
        backlog.mark_ready(1);
        assert_eq!(orders(&mut backlog, now), [1]);
        backlog.confirmed(&objects[1]);
        assert!(orders(&mut backlog, now).is_empty(), "a document speaks of the segment");
    }

    #[tokio::test]
    async fn a_playlist_in_flight_is_left_to_its_end_and_not_retried_when_superseded() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("a", Playlist)]);
        assert_eq!(orders(&mut backlog, now), [0]);
        assert_eq!(backlog.submit(object(1, "a", Playlist), now), None);
        assert!(orders(&mut backlog, now).is_empty(), "never two of one name at a time");
        assert!(
            !backlog.failed(&objects[0], Failure { until: now, alone: false, timeout: false, leaves: Earlier::None })
        );
        assert_eq!(orders(&mut backlog, now), [1]);
    }

    #[tokio::test]
    async fn of_a_segment_that_was_made_again_the_newer_version_is_the_last_one() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("1", Segment)]);
        assert_eq!(orders(&mut backlog, now), [0]);
        assert_eq!(backlog.submit(object(1, "1", Segment), now), None);
        assert!(
            !backlog.failed(&objects[0], Failure { until: now, alone: false, timeout: false, leaves: Earlier::None }),
            "it is not tried again"
        );
        assert_eq!(backlog.submit(object(2, "1", Segment), now), Some(object(1, "1", Segment)));
        assert_eq!(orders(&mut backlog, now), [2]);
    }

    #[tokio::test]
    async fn what_failed_waits_and_the_others_go_first() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let (mut backlog, objects) = backlog(&[("1", Segment), ("2", Segment)]);
        assert_eq!(backlog.start(now, true).unwrap().object.order, 0);
        assert!(
            backlog.failed(
                &objects[0],
                Failure { until: later, alone: false, timeout: true, leaves: Earlier::MayBeThere }
            )
        );
        assert_eq!((backlog.failures(&objects[0]), backlog.wake(true)), (1, Some(later)));
        assert_eq!(backlog.start(later, true).unwrap().object.order, 1);
        assert_eq!(backlog.start(now, true), None);
        backlog.hurry(false);
        let again = backlog.start(now, true).unwrap();
        assert_eq!((again.object.order, again.timeouts), (0, 1));
    }

    #[tokio::test]
    async fn what_may_be_there_is_known_to_the_next_attempt() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("1", Segment)]);
        for (leaves, known) in [
            (Earlier::None, Earlier::None),
            (Earlier::MayBeThere, Earlier::MayBeThere),
            (Earlier::None, Earlier::MayBeThere),
            (Earlier::Altered, Earlier::Altered),
        ] {
            backlog.start(now, true).unwrap();
            backlog.failed(&objects[0], Failure { until: now, alone: false, timeout: false, leaves });
            assert_eq!(backlog.entries[&0].earlier, known);
        }
        backlog.submit(object(7, "7", Segment), now);
        backlog.was_left(7);
        assert_eq!(backlog.entries[&7].earlier, Earlier::MayBeThere);
    }

    #[tokio::test]
    async fn what_is_taken_holds_playlists_back_until_it_is_let_go() {
        let now = Instant::now();
        let (mut backlog, objects) = backlog(&[("1", Segment), ("a", Playlist)]);
        assert_eq!(orders(&mut backlog, now), [0]);
        backlog.taken(&objects[0]);
        assert!(orders(&mut backlog, now).is_empty() && !backlog.is_empty());
        backlog.submit(object(2, "2", Segment), now);
        assert_eq!(orders(&mut backlog, now), [2], "another name");
        backlog.submit(object(3, "1", Segment), now);
        assert_eq!(orders(&mut backlog, now), [3], "the same name once more");
        backlog.confirmed(&object(2, "2", Segment));
        backlog.confirmed(&object(3, "1", Segment));
        assert!(backlog.let_go(&objects[0]) && !backlog.let_go(&objects[0]));
        assert_eq!(orders(&mut backlog, now), [1]);
        backlog.taken(&objects[1]);
        assert!(backlog.is_empty(), "nothing waits but for a decision");
    }

    #[tokio::test]
    async fn a_success_elsewhere_is_no_reason_to_hurry_what_is_refused_for_itself() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let (mut backlog, objects) = backlog(&[("1", Segment)]);
        backlog.start(now, true).unwrap();
        backlog.failed(&objects[0], Failure { until: later, alone: true, timeout: false, leaves: Earlier::None });
        backlog.hurry(false);
        assert_eq!((backlog.start(now, true), backlog.wake(true)), (None, Some(later)));
        backlog.hurry(true);
        assert!(backlog.start(now, true).is_some());
    }
}
