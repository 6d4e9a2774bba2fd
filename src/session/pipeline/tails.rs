//! The ends of playlists, taken back and added anew around what a bucket turned out to hold ([`super::unread_primary`]).
//!
//! What is taken back is what the recording's own bucket does not have, and no text named. Of two segments in one place the bucket's
//! counts, then what is on its way there, then what the second bucket has, then what an earlier run left in the spool, then what was made since.
//! What has to give way is cut ([`super::fixed`]), so nothing of it is lost that another does not hold. Segments that are packed anew
//! ([`super::packed`]) can't be cut: what they were made of is remembered in memory while they may have to be, for [`CORE_KIB`] of a worker. Past that
//! the recording waits no more.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::Pipeline;
use super::copies::Copy;
use super::packed::Core;
use super::unread_primary::UnreadPrimary;
use crate::codec::playlist::Entry;
use crate::recording::{PlaylistId, Segment};
use crate::session::fixed::FixedSegment;
use crate::session::in_bucket::InBucket;
use crate::session::objects::Stored;
use crate::session::publication::OpenTail;
use crate::storage::{ObjectKind, SpoolError, SpooledObject};

/// Memory for what segments that are packed anew were made of, over all recordings of a worker, in KiB: two hours of a mix.
const CORE_KIB: usize = 64 * 1024;

/// What of it is free.
static CORE_MEMORY: Semaphore = Semaphore::const_new(CORE_KIB);

/// The end of one playlist, while it is added anew.
struct Taken {
    playlist: PlaylistId,
    tail: OpenTail,
    /// Its segments that take their places as they are.
    kept: HashSet<String>,
}

impl Pipeline {
    /// What a segment is made of, where it may have to be cut later. `None` where that need not be remembered; an error where it can't be.
    pub(super) fn core_of(&self, segment: &Segment) -> Option<Result<Core, NoRoom>> {
        if !self.is_ts() || !self.is_primary_unread() {
            return None;
        }
        let before = self.recent_before(&segment.playlist, segment.start);
        let kib = (segment.bytes.len() + before.bytes()).div_ceil(1024);
        let memory = CORE_MEMORY.try_acquire_many(u32::try_from(kib).unwrap_or(u32::MAX));
        Some(memory.map_err(|_| NoRoom).map(|memory| Core {
            segment: segment.clone(),
            before,
            last: self.last,
            _memory: memory,
        }))
    }

    /// Remembers what the segment of this name was made of. Where that can't be, the bucket's word is waited for no more.
    pub(super) async fn keep_core(&mut self, name: &str, core: Option<Result<Core, NoRoom>>) -> Result<(), SpoolError> {
        match core {
            None => Ok(()),
            Some(Ok(core)) => {
                if let Some(unread_primary) = &mut self.unread_primary {
                    unread_primary.cores.insert(name.to_owned(), core);
                }
                Ok(())
            }
            Some(Err(NoRoom)) => {
                self.tell_that_it_waits_no_more().await;
                self.end_unread_primary().await
            }
        }
    }

    /// Takes what a bucket holds into the playlists: `held`, the recording's own, if that said so just now, and `copies` of the second one.
    pub(super) async fn settle(&mut self, held: Option<InBucket>, copies: Vec<Copy>) -> Result<(), SpoolError> {
        let copies = self.take_back(copies);
        if let Some(held) = &held {
            // Each playlist is given out anew, and an older text must not follow that.
            let texts = self.unread_primary.as_mut().map(|unread_primary| {
                let texts = unread_primary.left.extract_if(.., |object| object.kind == ObjectKind::Playlist);
                (texts.collect::<Vec<_>>(), std::mem::take(&mut unread_primary.gone))
            });
            let (texts, gone) = texts.unwrap_or_default();
            for text in texts {
                self.forget_spooled(Some(text.clone()), &text.name).await;
            }
            let lost = self.settle_removed_as(held, gone).await;
            self.unread_primary.iter_mut().for_each(|unread_primary| unread_primary.lost.extend(lost.iter().cloned()));
        }
        if let Some(unread_primary) = self.unread_primary.as_mut().filter(|unread_primary| unread_primary.is_over()) {
            let lost = std::mem::take(&mut unread_primary.lost);
            self.replace_all_lost(lost).await?;
        }
        let (segments, inits) = held.map_or_else(Default::default, |held| (held.segments, held.inits));
        self.objects.extend(inits);
        tracing::info!(sid = %self.context.plan.sid, own = segments.len(), copies = copies.len(), "a bucket says what it holds");
        let recent = self.recent.clone();
        let settled = self.settle_tails(segments, copies).await;
        self.recent = recent;
        settled
    }

    async fn settle_tails(&mut self, segments: Vec<FixedSegment>, copies: Vec<Copy>) -> Result<(), SpoolError> {
        let concerned = segments.iter().chain(copies.iter().map(|(segment, _)| segment));
        let concerned: BTreeSet<PlaylistId> = concerned.map(|segment| segment.playlist.clone()).collect();
        let mut taken = Vec::new();
        for playlist in concerned {
            let objects = &self.objects;
            if let Some(tail) = self.publication.take_tail(&playlist, |name| objects.size(name)) {
                self.backup.forget_from(&playlist, tail.first);
                taken.push(Taken { playlist, tail, kept: HashSet::new() });
            }
        }
        let spooled = self.kept_back();
        let is_left = |name: &str| spooled.get(name).is_some_and(|(_, made)| !made);
        let is_made = |name: &str| spooled.get(name).is_some_and(|(_, made)| *made);
        self.fix(&mut taken, |_, stored| stored);
        for segment in segments {
            if self.publication.end_of(&segment.playlist) <= segment.entry.start {
                self.fixed.insert(segment);
            }
        }
        self.fix(&mut taken, |name, stored| !stored && !spooled.contains_key(name));
        let mut useless = Vec::new();
        for (segment, object) in copies {
            let behind = self.publication.end_of(&segment.playlist) <= segment.entry.start;
            if behind && self.fixed.insert(segment) {
                self.copies.insert(object.name.clone(), object);
            } else {
                useless.push(object);
            }
        }
        self.fix(&mut taken, |name, _| is_left(name));
        self.fix(&mut taken, |name, _| is_made(name));
        for taken in taken {
            self.add_tail(taken, &spooled).await?;
        }
        self.add_fixed_playlists().await?;
        if self.finished {
            self.close_fixed_playlists().await?;
        }
        for (name, object) in std::mem::take(&mut self.copies) {
            match self.publication.place_of(&name) {
                Some(place) => {
                    self.backup.holds_now(&place);
                    self.hand_over(object);
                }
                None => useless.push(object),
            }
        }
        for object in useless {
            self.forget_spooled(Some(object.clone()), &object.name).await;
        }
        Ok(())
    }

    /// What a checkpoint knows and the second bucket had is in the spool again. Answers with the rest.
    fn take_back(&mut self, copies: Vec<Copy>) -> Vec<Copy> {
        let Some(unread_primary) = &mut self.unread_primary else { return copies };
        let mut rest = Vec::new();
        for (segment, object) in copies {
            let name = &segment.entry.name;
            let is_it = |(known, stored): &mut (String, Stored)| known == name && *stored == segment.stored;
            let back = unread_primary
                .gone
                .extract_if(.., is_it)
                .next()
                .or_else(|| unread_primary.lost.extract_if(.., is_it).next());
            match back {
                Some((name, stored)) => {
                    self.unconfirmed.insert(name, stored);
                    unread_primary.left.push(object);
                }
                None => rest.push((segment, object)),
            }
        }
        rest
    }

    /// What is kept back in the spool, by name, and whether it was made since.
    fn kept_back(&self) -> HashMap<String, (SpooledObject, bool)> {
        let Some(UnreadPrimary { left, made, .. }) = &self.unread_primary else { return HashMap::new() };
        let left = left.iter().map(|object| (object, false));
        let all = left.chain(made.iter().map(|object| (object, true)));
        all.map(|(object, made)| (object.name.clone(), (object.clone(), made))).collect()
    }

    /// Segments of the tails that are `such`, by their name and whether the bucket has them, count as final if nothing is in their place.
    fn fix(&mut self, taken: &mut [Taken], such: impl Fn(&str, bool) -> bool) {
        for Taken { playlist, tail, kept } in taken {
            for (entry, stored) in tail.entries.iter().filter(|(entry, stored)| such(&entry.name, *stored)) {
                let Some(known) = self.known(&entry.name, *stored) else { continue };
                let segment = FixedSegment {
                    playlist: playlist.clone(),
                    entry: entry.clone(),
                    stored: known,
                    in_bucket: *stored,
                    silenced: self.silenced.contains(&entry.name),
                };
                let same = self
                    .fixed
                    .at(playlist, entry.start)
                    .is_some_and(|other| other.entry == *entry && other.stored.sha256 == segment.stored.sha256);
                if same || self.fixed.insert(segment) {
                    kept.insert(entry.name.clone());
                }
            }
        }
    }

    /// What the bytes of a segment are.
    fn known(&self, name: &str, stored: bool) -> Option<Stored> {
        if stored {
            // Of more segments than are remembered nobody knows it.
            let unknown = || Stored { kind: ObjectKind::Segment, size: 0, sha256: String::new() };
            return Some(self.objects.get(name).cloned().unwrap_or_else(unknown));
        }
        let gone = self
            .unread_primary
            .iter()
            .flat_map(|unread_primary| unread_primary.gone.iter().chain(&unread_primary.lost));
        let gone = || gone.into_iter().find(|(gone, _)| gone == name).map(|(_, stored)| stored);
        self.unconfirmed.get(name).or_else(gone).cloned()
    }

    /// Adds the end of a playlist anew, around what is final.
    async fn add_tail(
        &mut self,
        Taken { playlist, tail, kept }: Taken,
        spooled: &HashMap<String, (SpooledObject, bool)>,
    ) -> Result<(), SpoolError> {
        for (entry, _) in tail.entries {
            let object = spooled.get(&entry.name).map(|(object, _)| object);
            if kept.contains(&entry.name) {
                self.add_without_core(&playlist, entry.end()).await?;
                match (object, self.publication.place_of(&entry.name)) {
                    (Some(object), Some(_)) => self.copy(object),
                    (Some(object), None) => self.forget_spooled(Some(object.clone()), &entry.name).await,
                    (None, _) => {}
                }
                continue;
            }
            let core = self.take_core(&playlist, &entry, object).await;
            self.forget_spooled(object.cloned(), &entry.name).await;
            let segment = core.unwrap_or_else(|| {
                // What was said there can't be cut, or not be read any more.
                self.recorder.lose(&playlist, entry.start, entry.end());
                Segment::silence_at(&playlist, entry.start, entry.duration, self.context.plan.segment.ticks())
            });
            self.add_around_fixed(segment).await?;
            self.last = false;
        }
        if tail.closed {
            self.add_fixed_rest(&playlist).await?;
        }
        let said = self.unread_primary.as_ref().is_none_or(UnreadPrimary::is_home_known);
        if self.publication.tail_is_back(&playlist, tail.closed, said) {
            self.upload_playlist(&playlist).await?;
        }
        Ok(())
    }

    /// What a segment was made of.
    async fn take_core(
        &mut self,
        playlist: &PlaylistId,
        entry: &Entry,
        object: Option<&SpooledObject>,
    ) -> Option<Segment> {
        if !self.is_ts() {
            let bytes = self.context.spool.read(object?).await.ok()?;
            return Some(self.segment_of(playlist, entry, bytes));
        }
        let Core { segment, before, last, .. } = self.unread_primary.as_mut()?.cores.remove(&entry.name)?;
        self.go_back_to(playlist, before);
        self.remember(&segment, last);
        Some(segment)
    }

    fn segment_of(&self, playlist: &PlaylistId, entry: &Entry, bytes: Bytes) -> Segment {
        let index = entry.start.0 / self.context.plan.segment.ticks().0.max(1);
        Segment { playlist: playlist.clone(), index, start: entry.start, duration: entry.duration, bytes }
    }

    /// Nobody needs an object in the spool any more.
    pub(super) async fn forget_spooled(&mut self, object: Option<SpooledObject>, name: &str) {
        self.unconfirmed.remove(name);
        let Some(object) = object else { return };
        if let Some(UnreadPrimary { left, made, cores, .. }) = &mut self.unread_primary {
            left.retain(|other| other.order != object.order);
            made.retain(|other| other.order != object.order);
            cores.remove(name);
        }
        if let Err(error) = self.context.spool.remove(&object).await {
            tracing::warn!(sid = %self.context.plan.sid, name, "a useless file stays in the spool: {error}");
        }
    }
}

/// There is no memory for what a segment was made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoom;
