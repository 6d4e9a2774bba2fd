//! What is left to be done of a recording that is over, by this run of the worker or by a later one.
//!
//! Where it is away, what the spool holds comes home first, in its order: segments, the playlists that name them, manifest and log; then
//! event 31 is said. Then the event log is put into the bucket once more, now with its last lines (into a write-once bucket for the
//! first and only time), and when it is there the digest
//! object, which covers manifest and log: it is the last object of a recording, so a reader that finds it finds all that it covers. Then
//! the bucket's keys are forgotten: a row that is over and still has them says to the next run of the worker that this is to be done.

use std::convert::Infallible;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::event_log::EventLog;
use super::files_of;
use crate::callback::event::{PROGRESS_COMPLETE, RecordingEvent};
use crate::codec::names::{digest_name, events_name, manifest_name};
use crate::error_class::Classify;
use crate::session::backup;
use crate::session::command::{Command, HandleCommand};
use crate::session::context::SessionContext;
use crate::session::event_dedup::EventDedup;
use crate::session::pipeline::name_taken;
use crate::session::upload::UploadWatch;
use crate::storage::{Bucket, ObjectKind, SpoolError, UploadQueue, UploadReport};
use crate::store::{Sealed, SessionUpdate, StoreError};

/// What the last words need of a recording that is over.
pub(in crate::session) struct LastLog {
    pub(in crate::session) context: SessionContext,
    /// The way to the bucket; what the spool holds is on it.
    pub(in crate::session) queue: UploadQueue,
    pub(in crate::session) confirmations: mpsc::Receiver<UploadReport>,
    pub(in crate::session) commands: mpsc::Receiver<Command>,
    pub(in crate::session) watch: UploadWatch,
    pub(in crate::session) event_dedup: EventDedup,
}

impl LastLog {
    /// Waits until the bucket holds everything, the whole log too; the next run of the worker does it if this one ends before.
    pub(in crate::session) async fn write(self) {
        let tasks = self.context.tasks.clone();
        tokio::select! {
            () = self.write_all() => {}
            () = tasks.ending() => {}
        }
    }

    async fn write_all(mut self) {
        if self.context.report.borrow().is_away() {
            self.restored_to_primary().await;
        }
        let sid = self.context.plan.sid.clone();
        if let Err(error) = self.upload().await {
            tracing::warn!(%sid, "the event log in the bucket lacks its last lines, or its digest: {error}");
        }
    }

    /// Waits until the bucket holds what the spool held, and says so.
    async fn restored_to_primary(&mut self) {
        let mut wishes = Wishes { queue: self.queue.clone(), deaf: false };
        loop {
            tokio::select! {
                biased;
                Some(events) = self.confirmations.recv() => self.uploaded(events).await,
                () = self.queue.drained() => match self.confirmations.try_recv() {
                    Ok(events) => self.uploaded(events).await,
                    Err(_) => break,
                },
                command = self.commands.recv(), if !wishes.deaf => {
                    let Ok(()) = wishes.handle(command).await;
                }
            }
        }
        tracing::info!(sid = %self.context.plan.sid, "a recording that was in the backup alone is in its own bucket");
        let mut report = self.context.report.borrow().clone();
        let since = report.upload.backup.as_ref().map(|backup| backup.since_ms);
        report.restored_to_primary();
        let mut events: Vec<_> = since.map(|since| backup::ended(since, None)).into_iter().collect();
        events.push(RecordingEvent::UploadingProgress(PROGRESS_COMPLETE));
        let files = files_of(&report, &report.files);
        events.push(RecordingEvent::Uploaded { files, verdict: Some(report.verdict()) });
        let summary = serde_json::to_value(&report).expect("a report has string keys and finite numbers only");
        let ended = Some((self.context.clock)());
        self.context
            .event_writer
            .record(SessionUpdate { ended, summary: Some(summary), ..SessionUpdate::default() }, events)
            .await;
        self.context.event_writer.flush().await;
        self.context.report.send_replace(report);
    }

    /// Takes note of what the uploader says of a recording on its way home.
    async fn uploaded(&mut self, report: UploadReport) {
        let said = match report {
            UploadReport::Confirmed { name, kind, confirmed } => {
                self.context.metrics.uploaded(confirmed.size);
                self.context.manifest_confirmed(&name, &confirmed.sha256);
                match kind {
                    ObjectKind::Segment => {
                        self.context.metrics.segment_confirmed();
                        self.context.report.send_modify(|report| report.segments_stored += 1);
                        None
                    }
                    ObjectKind::Playlist => self.listed(&name),
                    ObjectKind::Init | ObjectKind::Document | ObjectKind::Mp4 | ObjectKind::Ogg => None,
                }
            }
            UploadReport::Retrying { name, error, attempt } => {
                let (sid, code) = (&self.context.plan.sid, error.error_class().code);
                if self.watch.changes(code) {
                    tracing::warn!(%sid, name, code, "the bucket takes no uploads, they are tried again: {error}");
                } else {
                    tracing::debug!(%sid, name, code, attempt, "an upload is tried again: {error}");
                }
                self.context.metrics.upload_failed(code);
                let now = (Instant::now(), (self.context.clock)());
                self.watch.failed(&error, attempt, &self.queue.progress(), now)
            }
            UploadReport::Recovered => {
                tracing::info!(sid = %self.context.plan.sid, "the bucket takes uploads again");
                self.watch.recovered(&self.queue.progress(), Instant::now())
            }
            UploadReport::Taken { object, .. } => {
                let said = name_taken(self.context.plan.key(&object.name));
                self.queue.let_go(object);
                Some(said)
            }
            UploadReport::Settled { .. } | UploadReport::Gone { .. } => None,
        };
        self.refresh();
        if let Some(said) = said.filter(|said| self.event_dedup.is_new(said)) {
            let update = SessionUpdate { summary: Some(self.context.summary()), ..SessionUpdate::default() };
            self.context.event_writer.record(update, vec![said]).await;
        }
    }

    /// A playlist is in the bucket; what is to be said of that when it is for the first time.
    fn listed(&self, name: &str) -> Option<RecordingEvent> {
        let key = self.context.plan.key(name);
        let first = self.context.report.send_if_modified(|report| {
            let file = report.files.iter_mut().find(|file| file.key == key && !file.playable);
            file.map(|file| file.playable = true).is_some()
        });
        first.then_some(RecordingEvent::FileInfos { file_list: key })
    }

    fn refresh(&self) {
        let upload = self.watch.report(&self.queue.progress(), self.context.spool.memory_bytes());
        self.context.report.send_modify(|report| {
            report.segments_stored = report.segments_stored.min(report.segments_made);
            report.upload = crate::session::Upload { backup: report.upload.backup.take(), ..upload };
        });
    }

    async fn upload(mut self) -> Result<(), Unwritten> {
        let (sid, cname) = (self.context.plan.sid.clone(), self.context.plan.cname.clone());
        let log = EventLog::read(&self.context.store, &sid).await?;
        let log_sha256 = log.covered().sha256;
        let is_ours = log.may_be_put(&self.queue.bucket(), &events_name(&sid, &cname)).await;
        if is_ours {
            self.put(&events_name(&sid, &cname), log.text).await?;
        } else {
            tracing::error!(%sid, "the event log in the bucket has events that the database lacks; it stays as it is");
        }
        // A manifest that an older version wrote has no digest; one that could not be kept can't have one.
        let manifest_sha256 = self.context.report.borrow().manifest_sha256.clone();
        if let Some(manifest_sha256) = manifest_sha256 {
            let (manifest, events) = (manifest_name(&sid, &cname), events_name(&sid, &cname));
            let mut digest = format!("{manifest_sha256}  {manifest}\n");
            if is_ours {
                digest.push_str(&format!("{log_sha256}  {events}\n"));
            }
            self.put(&digest_name(&sid, &cname), digest).await?;
        }
        let update = SessionUpdate { sealed: Sealed::Forget, ..SessionUpdate::default() };
        if let Err(error) = self.context.store.session_update(&sid, &update).await {
            tracing::warn!(%sid, "the bucket's keys are forgotten later: {error}");
        }
        drop(self.queue);
        Ok(self.context.spool.close().await?)
    }

    /// Puts a document into the bucket, and waits until it and all before it are there.
    async fn put(&mut self, name: &str, text: String) -> Result<(), SpoolError> {
        self.queue.submit(self.context.spool.put(name, ObjectKind::Document, text.into()).await?);
        loop {
            tokio::select! {
                biased;
                Some(events) = self.confirmations.recv() => self.heed(events),
                // An object counts as drained only after its report was sent.
                () = self.queue.drained() => match self.confirmations.try_recv() {
                    Ok(events) => self.heed(events),
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    /// The row is written: of what the uploader says only the manifest's hash is still of use.
    fn heed(&self, report: UploadReport) {
        match report {
            UploadReport::Confirmed { name, confirmed, .. } => {
                self.context.manifest_confirmed(&name, &confirmed.sha256);
            }
            UploadReport::Taken { object, .. } => {
                tracing::warn!(sid = %self.context.plan.sid, name = %object.name, "the bucket holds another object of this name, which stays");
                self.queue.let_go(object);
            }
            UploadReport::Retrying { .. }
            | UploadReport::Recovered
            | UploadReport::Gone { .. }
            | UploadReport::Settled { .. } => {}
        }
    }
}

/// What is wanted of a recording on its way home: this run of the worker takes it as far as it gets.
struct Wishes {
    queue: UploadQueue,
    deaf: bool,
}

impl HandleCommand for Wishes {
    type Exit = Infallible;

    fn update_credentials(&mut self, bucket: Bucket) {
        self.queue.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn abandoned(&mut self) -> Result<(), Infallible> {
        self.deaf = true;
        Ok(())
    }
}

/// Why the last objects are not written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}
