//! What is left to be done of a recording that is over, by this run of the worker or by a later one.
//!
//! Where it is away, what the spool holds comes home first, in its order: segments, the playlists that name them, manifest and log; then
//! event 31 is said. Then the event log is put into the bucket once more, now with its last lines (into a write-once bucket for the
//! first and only time), and when it is there the digest
//! object, which covers manifest and log: it is the last object of a recording, so a reader that finds it finds all that it covers. Then
//! the bucket's keys are forgotten: a row that is over and still has them says to the next run of the worker that this is to be done.

use super::event_log::EventLog;
use super::files_of;
use crate::callback::event::{PROGRESS_COMPLETE, RecordingEvent};
use crate::codec::names::{digest_name, events_name, manifest_name};
use crate::session::backup;
use crate::session::context::SessionContext;
use crate::session::event_dedup::EventDedup;
use crate::session::phase::Phase;
use crate::session::pipeline::name_taken;
use crate::session::upload::UploadWatch;
use crate::session::uploaded::{Failure, Uploaded, Uploads};
use crate::storage::{Bucket, ObjectKind, SpoolError, UploadReport};
use crate::store::{Sealed, SessionUpdate, StoreError};

/// What the last words need of a recording that is over.
pub(in crate::session) struct LastLog {
    context: SessionContext,
    /// The way to the bucket; what the spool holds is on it.
    uploads: Uploads,
    watch: UploadWatch,
    event_dedup: EventDedup,
    wait: Wait,
    /// SHA-256 of the log, where the one in the bucket is ours.
    log_sha256: Option<String>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The bucket has what the spool held.
    Home,
    /// It has the whole log.
    Log,
    /// It has the digest.
    Digest,
}

/// What happens meanwhile.
pub(in crate::session) enum Event {
    Uploaded(UploadReport),
    /// Nothing that was handed over is on its way.
    Drained,
}

/// Why the last objects are not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum Unwritten {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// How it ends: everything is there, or can't be.
pub(in crate::session) type Written = Result<(), Unwritten>;

impl Phase for LastLog {
    type Event = Event;
    type Exit = Written;

    async fn enter(&mut self) -> Result<(), Written> {
        if self.context.report.borrow().is_away() {
            return Ok(());
        }
        self.put_log().await
    }

    async fn next(&mut self) -> Event {
        let (queue, reports) = &mut self.uploads;
        tokio::select! {
            biased;
            Some(report) = reports.recv() => Event::Uploaded(report),
            () = queue.drained() => Event::Drained,
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Written> {
        let report = match event {
            Event::Uploaded(report) => Some(report),
            // An object counts as drained only after its report was sent.
            Event::Drained => self.uploads.1.try_recv().ok(),
        };
        match (report, self.wait) {
            (Some(report), _) => {
                self.uploaded(report).await;
                Ok(())
            }
            (None, Wait::Home) => {
                self.restored_to_primary().await;
                self.put_log().await
            }
            (None, Wait::Log) => self.put_digest().await,
            (None, Wait::Digest) => Err(Ok(())),
        }
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.uploads.0.use_bucket(bucket);
    }

    /// This run of the worker takes it as far as it gets.
    fn hand_over(&mut self) -> Result<(), Written> {
        Ok(())
    }
}

impl LastLog {
    /// What is left to be done of a recording that is over.
    pub(in crate::session) const fn new(
        context: SessionContext,
        uploads: Uploads,
        watch: UploadWatch,
        event_dedup: EventDedup,
    ) -> Self {
        Self { context, uploads, watch, event_dedup, wait: Wait::Home, log_sha256: None }
    }

    /// Waits until the worker ends: what is left may be left as it is at any moment.
    pub(in crate::session) fn worker_ends(&self) -> impl Future<Output = ()> + use<> {
        let tasks = self.context.tasks.clone();
        async move { tasks.ending().await }
    }

    /// Forgets what is needed no more; the next run of the worker does what this one could not.
    pub(in crate::session) async fn finish(self, written: Written) {
        let sid = self.context.plan.sid.clone();
        let closed = match written {
            Ok(()) => self.close().await,
            Err(unwritten) => Err(unwritten),
        };
        if let Err(error) = closed {
            tracing::warn!(%sid, "the event log in the bucket lacks its last lines, or its digest: {error}");
        }
    }

    async fn close(self) -> Result<(), Unwritten> {
        let sid = &self.context.plan.sid;
        let update = SessionUpdate { sealed: Sealed::Forget, ..SessionUpdate::default() };
        if let Err(error) = self.context.store.session_update(sid, &update).await {
            tracing::warn!(%sid, "the bucket's keys are forgotten later: {error}");
        }
        drop(self.uploads);
        Ok(self.context.spool.close().await?)
    }

    /// The bucket holds what the spool held: says so.
    async fn restored_to_primary(&mut self) {
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

    /// Takes note of what the uploader reports. Once all is at home the row is written, and nothing more is said.
    async fn uploaded(&mut self, report: UploadReport) {
        let (queue, _) = &self.uploads;
        let said = match self.watch.take(report, &self.context, &queue.progress()) {
            Uploaded::Confirmed { kind: ObjectKind::Segment, .. } => {
                self.context.report.send_modify(|report| report.segments_stored += 1);
                None
            }
            Uploaded::Confirmed { name, kind: ObjectKind::Playlist, .. } => self.listed(&name),
            Uploaded::Failed(Failure { said, .. }) | Uploaded::Recovered(said) => said,
            Uploaded::Taken { object, .. } => {
                tracing::warn!(sid = %self.context.plan.sid, name = %object.name, "the bucket holds another object of this name, which stays");
                let said = name_taken(self.context.plan.key(&object.name));
                queue.let_go(object);
                Some(said)
            }
            Uploaded::Confirmed { .. } | Uploaded::Unchanged => None,
        };
        if self.wait != Wait::Home {
            return;
        }
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
        let upload = self.watch.report(&self.uploads.0.progress(), self.context.spool.memory_bytes());
        self.context.report.send_modify(|report| {
            report.segments_stored = report.segments_stored.min(report.segments_made);
            report.upload = crate::session::Upload { backup: report.upload.backup.take(), ..upload };
        });
    }

    /// Hands over the whole log.
    async fn put_log(&mut self) -> Result<(), Written> {
        self.wait = Wait::Log;
        let (sid, cname) = (self.context.plan.sid.clone(), self.context.plan.cname.clone());
        let log = EventLog::read(&self.context.store, &sid).await.map_err(unwritten)?;
        if log.may_be_put(&self.uploads.0.bucket(), &events_name(&sid, &cname)).await {
            self.log_sha256 = Some(log.covered().sha256);
            return self.put(&events_name(&sid, &cname), log.text).await;
        }
        tracing::error!(%sid, "the event log in the bucket has events that the database lacks; it stays as it is");
        self.put_digest().await
    }

    /// Hands over the digest, where there can be one: a manifest that an older version wrote has none, and one that could not be kept.
    async fn put_digest(&mut self) -> Result<(), Written> {
        self.wait = Wait::Digest;
        let (sid, cname) = (self.context.plan.sid.clone(), self.context.plan.cname.clone());
        let manifest_sha256 = self.context.report.borrow().manifest_sha256.clone();
        let Some(manifest_sha256) = manifest_sha256 else { return Err(Ok(())) };
        let mut digest = format!("{manifest_sha256}  {}\n", manifest_name(&sid, &cname));
        if let Some(log_sha256) = &self.log_sha256 {
            digest.push_str(&format!("{log_sha256}  {}\n", events_name(&sid, &cname)));
        }
        self.put(&digest_name(&sid, &cname), digest).await
    }

    async fn put(&self, name: &str, text: String) -> Result<(), Written> {
        let kept = self.context.spool.put(name, ObjectKind::Document, text.into()).await.map_err(unwritten)?;
        self.uploads.0.submit(kept);
        Ok(())
    }
}

fn unwritten(error: impl Into<Unwritten>) -> Written {
    Err(error.into())
}
