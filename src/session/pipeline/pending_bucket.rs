//! A bucket that can't be asked what it holds when a recording is made again.
//!
//! While it is out of reach the journal's word of it counts. Where the journal may be poorer than the bucket that is not enough: what is
//! made now could take the place of what was confirmed. The recording then waits ([`crate::session::recovery`]): its bot is in the channel,
//! what it hears is in the journal, nothing is made. Query and log say so. After that wait it goes on, and what it makes stays on the disk
//! until the bucket has answered ([`super::unread_primary`]). Where the credentials may not read, nobody will ever know: the log says that too.

use tokio::time::Instant;

use super::copies::Fetched;
use super::{Pipeline, Trouble};
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module, RecordingEvent};
use crate::error_class::Classify;
use crate::session::in_bucket::{InBucket, Question};
use crate::storage::journal::StoredObject;
use crate::storage::{BucketError, SpooledObject, UploadError};
use crate::units::Ticks;

/// What is needed to ask again.
#[derive(Debug)]
pub(super) struct PendingBucket {
    /// The journal's word of what the bucket confirmed.
    pub(super) confirmed: Vec<StoredObject>,
    /// What the bucket, or the network, said last.
    pub(super) error: UploadError,
    pub(super) attempts: u32,
    /// What an earlier run left in the spool: the bucket may hold something else in its place.
    pub(super) left: Vec<SpooledObject>,
}

impl Pipeline {
    /// Whether the bucket could not be asked what it holds.
    pub(in crate::session) fn is_bucket_unasked(&self) -> bool {
        self.earlier_runs.as_ref().is_some_and(|earlier_runs| earlier_runs.pending_bucket.is_some())
    }

    /// Whether something that a checkpoint knows is neither in the spool nor confirmed, so that only a bucket can tell where it is.
    pub(in crate::session) fn needs_bucket(&self) -> bool {
        let lost = self.earlier_runs.as_ref().is_some_and(|earlier_runs| !earlier_runs.lost.is_empty());
        lost || (self.is_bucket_unasked() && self.is_anything_removed())
    }

    pub(super) fn is_unasked(&mut self, confirmed: Vec<StoredObject>, error: BucketError) {
        tracing::warn!(sid = %self.context.plan.sid, "what the bucket holds is not known: {error}");
        if let Some(earlier_runs) = &mut self.earlier_runs {
            earlier_runs.pending_bucket =
                Some(PendingBucket { confirmed, error: error.into(), attempts: 1, left: Vec::new() });
        }
    }

    /// Asks the bucket again; whether it answered. `Some`: where the recording ends, if the bucket has its end.
    pub(in crate::session) async fn ask_bucket(&mut self) -> Result<(bool, Option<Ticks>), Trouble> {
        let Some(pending_bucket) =
            self.earlier_runs.as_mut().and_then(|earlier_runs| earlier_runs.pending_bucket.take())
        else {
            return Ok((true, None));
        };
        let bucket = self.queue.bucket();
        let asked = Question::beside(&self.context.plan, &pending_bucket.confirmed, &self.publication);
        match InBucket::look(&bucket, &asked).await {
            Ok(held) => {
                let earlier_runs = self.earlier_runs.as_ref().is_some_and(|earlier_runs| earlier_runs.copies.is_some());
                let fetched = if earlier_runs {
                    self.fetch_copies(held.names(), &pending_bucket.confirmed).await
                } else {
                    Fetched::default()
                };
                let (ended, over) = self.take_held(held).await?;
                let left = self.without_useless(pending_bucket.left, &over).await;
                let (left, copies) = self.take_copies(fetched.copies, left).await;
                self.resume(left);
                self.resume(copies);
                self.resume_back();
                self.replay_until();
                Ok((true, ended.or_else(|| fetched.ended.map(|ended| ended.max(self.fixed_end())))))
            }
            Err(error) => {
                let attempts = pending_bucket.attempts.saturating_add(1);
                if let Some(earlier_runs) = &mut self.earlier_runs {
                    earlier_runs.pending_bucket =
                        Some(PendingBucket { error: error.into(), attempts, ..pending_bucket });
                }
                Ok((false, None))
            }
        }
    }

    /// Hands over what an earlier run left in the spool, or keeps it until the bucket says what it holds.
    pub(super) fn resume(&mut self, left: Vec<SpooledObject>) {
        let Some(earlier_runs) = &mut self.earlier_runs else { return self.queue.resume(left) };
        if let Some(pending_bucket) = &mut earlier_runs.pending_bucket {
            pending_bucket.left.extend(left);
        } else if earlier_runs.copies.is_some() {
            earlier_runs.kept_back.extend(left);
        } else {
            self.queue.resume(left);
        }
    }

    /// The recording waits for its bucket: event 1, and what query says.
    pub(in crate::session) async fn emit_waiting(&mut self) {
        self.emit_wait(
            ErrorReason::WaitsForBucket,
            ErrorLevel::Medium,
            "the recording is heard and kept on the disk, and nothing of it is made until then",
        )
        .await;
    }

    /// Brings what query says of the way to the bucket up to now.
    pub(in crate::session) fn look_at_wait(&mut self) {
        let Some(pending_bucket) =
            self.earlier_runs.as_ref().and_then(|earlier_runs| earlier_runs.pending_bucket.as_ref())
        else {
            return;
        };
        let (progress, now) = (self.progress(), (Instant::now(), (self.context.clock)()));
        // What is to be said of it is said in words of its own.
        let _told = self.watch.failed(&pending_bucket.error, pending_bucket.attempts, &progress, now);
        let upload = self.watch.report(&progress, self.context.spool.memory_bytes());
        self.note(|report| report.upload = upload);
    }

    /// The bucket said what it holds.
    pub(in crate::session) fn wait_is_over(&mut self) {
        let progress = self.queue.progress();
        let _told = self.watch.recovered(&progress, Instant::now());
        let upload = self.watch.report(&progress, self.context.spool.memory_bytes());
        self.note(|report| report.upload = upload);
    }

    /// The journal lacks a part of the recording, and the credentials of its bucket may not read: says once that what was confirmed there
    /// may be in no playlist.
    pub(in crate::session) async fn emit_unknown_tail(&mut self) {
        if !self.earlier_runs.as_mut().is_some_and(|earlier_runs| std::mem::take(&mut earlier_runs.blind)) {
            return;
        }
        let text = "the worker's journal lacks a part of this recording, and the credentials of its bucket may not read or list; \
                    segments that were confirmed and that the journal does not know stay in the bucket, and may be in no playlist";
        tracing::error!(sid = %self.context.plan.sid, "{text}");
        let said = ErrorEvent::new(Module::Uploader, ErrorLevel::Major, ErrorCode::StorageConfiguration, text);
        self.append_events(vec![RecordingEvent::Error(said.because(ErrorReason::BucketNotReadable))]).await;
    }

    pub(super) async fn emit_wait(&mut self, reason: fn(&'static str) -> ErrorReason, level: ErrorLevel, what: &str) {
        let Some(pending_bucket) =
            self.earlier_runs.as_ref().and_then(|earlier_runs| earlier_runs.pending_bucket.as_ref())
        else {
            return;
        };
        let (error_class, cause) = (pending_bucket.error.error_class(), pending_bucket.error.to_string());
        let text = format!(
            "the worker's journal lacks a part of this recording, and its bucket can't be asked what it holds ({cause}); {what}"
        );
        tracing::error!(sid = %self.context.plan.sid, "{text}");
        let said = ErrorEvent::new(Module::Uploader, level, ErrorCode::StorageConfiguration, text);
        self.append_events(vec![RecordingEvent::Error(said.because(reason(error_class.code)))]).await;
        self.look_at_wait();
    }
}
