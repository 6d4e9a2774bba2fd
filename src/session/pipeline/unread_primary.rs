//! A recording that goes on though its bucket did not say what it holds, where the journal may know less than that.
//!
//! What is made then is kept in the spool (and copied to a second bucket, where one is used), and none of it goes to the bucket before
//! that answers: what the bucket confirmed is final. Then the ends of the playlists that are not in the bucket are taken back and added
//! anew around what is ([`crate::session::fixed`]), and everything that is left is uploaded. A recording that is away in its second bucket
//! before that is uploaded as it is. Segments that are packed anew ([`super::packed`]) can't be cut: of them only those count that lie in the
//! same place ([`super::taken`]).

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::Pipeline;
use super::earlier_runs::silence;
use super::pending_bucket::PendingBucket;
use crate::codec::playlist::Entry;
use crate::error_class::Classify;
use crate::recording::{PlaylistId, Segment};
use crate::session::in_bucket::{InBucket, Question};
use crate::session::objects::Stored;
use crate::storage::{BucketError, ObjectKind, Progress, SpoolError, SpooledObject, UploadError};

/// How far apart two questions to the bucket are.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What the bucket said when it was asked what it holds.
pub(in crate::session) type Answer = Result<InBucket, BucketError>;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct UnreadPrimary {
    known: PendingBucket,
    since: Instant,
    ask_at: Instant,
    asking: Option<AbortOnDropHandle<Answer>>,
    /// Made since, and not handed over to the bucket.
    made: Vec<SpooledObject>,
    /// What a checkpoint calls unconfirmed and the spool has no more.
    gone: Vec<(String, Stored)>,
}

impl UnreadPrimary {
    pub(super) fn new(known: PendingBucket, gone: Vec<(String, Stored)>) -> Self {
        let now = Instant::now();
        Self { known, since: now, ask_at: now + ASK_EVERY, asking: None, made: Vec::new(), gone }
    }

    /// Waits until the bucket answers, or is to be asked. Cancelling loses nothing.
    pub(super) async fn next(unread_primary: &mut Option<Self>) -> Option<Answer> {
        let Some(unread_primary) = unread_primary else { return std::future::pending().await };
        match &mut unread_primary.asking {
            Some(asking) => {
                let answered = asking.await;
                unread_primary.asking = None;
                // One that was broken off told nothing.
                answered.ok()
            }
            None => {
                sleep_until(unread_primary.ask_at).await;
                None
            }
        }
    }

    /// What waits for the bucket's word counts as waiting for the bucket.
    fn add_to(&self, progress: &Progress) -> Progress {
        let waiting = || self.known.left.iter().chain(&self.made);
        Progress {
            waiting_objects: progress.waiting_objects + waiting().count() as u64,
            waiting_bytes: progress.waiting_bytes + waiting().map(|object| object.size).sum::<u64>(),
            oldest: Some(progress.oldest.map_or(self.since, |oldest| oldest.min(self.since))),
            trouble: Some(self.known.error.error_class()),
            ..progress.clone()
        }
    }
}

impl Pipeline {
    /// Whether the recording goes on without its bucket's word.
    pub(super) const fn is_primary_unread(&self) -> bool {
        self.unread_primary.is_some()
    }

    /// How far the way to the bucket is.
    pub(super) fn progress(&self) -> Progress {
        let progress = self.queue.progress();
        match &self.unread_primary {
            Some(unread_primary) => unread_primary.add_to(&progress),
            None => progress,
        }
    }

    /// Hands a spooled object over to the bucket, or keeps it back until that says what it holds.
    pub(super) fn hand_over(&mut self, kept: SpooledObject) {
        match &mut self.unread_primary {
            Some(unread_primary) => unread_primary.made.push(kept),
            None => self.queue.submit(kept),
        }
    }

    /// Asks the bucket, or takes what it answered.
    pub(super) async fn poll_unread_primary(&mut self, answer: Option<Answer>) {
        let Some(unread_primary) = &mut self.unread_primary else { return };
        unread_primary.ask_at = Instant::now() + ASK_EVERY;
        match answer {
            None => {
                let asked =
                    Question::beside_stored(&self.context.plan, &unread_primary.known.confirmed, &self.publication);
                let bucket = self.queue.bucket();
                let asking = tokio::spawn(async move { InBucket::look(&bucket, &asked).await });
                unread_primary.asking = Some(AbortOnDropHandle::new(asking));
            }
            Some(Err(error)) => {
                unread_primary.known.attempts = unread_primary.known.attempts.saturating_add(1);
                let (error, attempts) = (UploadError::from(error), unread_primary.known.attempts);
                self.trouble("what the bucket holds", &error, attempts).await;
                if let Some(unread_primary) = &mut self.unread_primary {
                    unread_primary.known.error = error;
                }
            }
            Some(Ok(held)) => {
                if let Err(error) = self.settle_unread_primary(held).await {
                    tracing::error!(sid = %self.context.plan.sid, "what the bucket holds could not be taken: {error}");
                }
                let events = self.watch.recovered(&self.queue.progress(), Instant::now());
                self.append_events(events.into_iter().collect()).await;
                if self.earlier_runs.is_none() {
                    self.account();
                }
            }
        }
    }

    /// The bucket's word is waited for no more: what was made goes there as it is.
    pub(in crate::session) fn end_unread_primary(&mut self) {
        if let Some(UnreadPrimary { known, made, gone, .. }) = self.unread_primary.take() {
            self.settle_as_confirmed(gone);
            self.queue.resume(known.left);
            made.into_iter().for_each(|object| self.queue.submit(object));
        }
    }

    /// Takes what the bucket holds into the playlists, and hands over the rest.
    async fn settle_unread_primary(&mut self, held: InBucket) -> Result<(), SpoolError> {
        let Some(UnreadPrimary { mut known, made, gone, .. }) = self.unread_primary.take() else { return Ok(()) };
        // Each playlist is given out anew, and an older text must not follow that.
        let texts: Vec<_> = known.left.extract_if(.., |object| object.kind == ObjectKind::Playlist).collect();
        for text in texts {
            self.forget_spooled(Some(text.clone()), &text.name).await;
        }
        let mut left: HashMap<String, SpooledObject> =
            known.left.iter().chain(&made).map(|object| (object.name.clone(), object.clone())).collect();
        let settled = self.settle_around(held, gone, &mut left).await;
        let is_left = |object: &SpooledObject| left.get(&object.name).is_some_and(|left| left.order == object.order);
        self.queue.resume(known.left.into_iter().filter(&is_left).collect());
        made.into_iter().filter(&is_left).for_each(|object| self.queue.submit(object));
        settled
    }

    async fn settle_around(
        &mut self,
        held: InBucket,
        gone: Vec<(String, Stored)>,
        left: &mut HashMap<String, SpooledObject>,
    ) -> Result<(), SpoolError> {
        self.settle_removed_as(&held, gone).await?;
        self.objects.extend(held.inits);
        let count = held.segments.len();
        for segment in held.segments {
            self.fixed.insert(segment);
        }
        tracing::info!(sid = %self.context.plan.sid, count, "the bucket says what it holds");
        let known: Vec<_> = self.fixed.playlists().filter(|known| self.publication.is_begun(known)).cloned().collect();
        for playlist in known {
            self.settle_tail(&playlist, left).await?;
        }
        self.add_fixed_playlists().await?;
        if self.finished {
            self.close_fixed_playlists().await?;
        }
        Ok(())
    }

    /// Adds the end of a playlist anew, around what is final.
    async fn settle_tail(
        &mut self,
        playlist: &PlaylistId,
        left: &mut HashMap<String, SpooledObject>,
    ) -> Result<(), SpoolError> {
        let Some(tail) = self.publication.take_tail(playlist) else { return Ok(()) };
        self.backup.forget_from(playlist, tail.first);
        for entry in tail.entries {
            let spooled = left.get(&entry.name).cloned();
            let bytes = match &spooled {
                Some(object) => self.context.spool.read(object).await.ok(),
                None => None,
            };
            let Some(bytes) = bytes else {
                // It can't be read any more; what was said there is lost.
                self.recorder.lose(playlist, entry.start, entry.end());
                self.forget_spooled(left.remove(&entry.name), &entry.name).await;
                let bytes = silence(playlist, entry.start, entry.duration, &self.context.plan);
                self.add_around_fixed(segment_of(playlist, &entry, bytes, self)).await?;
                continue;
            };
            let segment = segment_of(playlist, &entry, bytes, self);
            if self.is_free(&segment) {
                self.publication.add_entry(playlist, entry, segment.bytes.len() as u64);
            } else {
                self.forget_spooled(left.remove(&entry.name), &entry.name).await;
                self.add_around_fixed(segment).await?;
            }
        }
        if tail.closed {
            self.add_fixed_rest(playlist).await?;
        }
        if self.publication.tail_is_back(playlist, tail.closed) {
            self.upload_playlist(playlist).await?;
        }
        Ok(())
    }

    async fn forget_spooled(&mut self, object: Option<SpooledObject>, name: &str) {
        self.unconfirmed.remove(name);
        let Some(object) = object else { return };
        if let Err(error) = self.context.spool.remove(&object).await {
            tracing::warn!(sid = %self.context.plan.sid, name, "a useless file stays in the spool: {error}");
        }
    }
}

fn segment_of(playlist: &PlaylistId, entry: &Entry, bytes: Bytes, pipeline: &Pipeline) -> Segment {
    let index = entry.start.0 / pipeline.context.plan.segment.ticks().0.max(1);
    Segment { playlist: playlist.clone(), index, start: entry.start, duration: entry.duration, bytes }
}
