//! The task of one session's upload.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::backlog::{Backlog, Wait};
use super::retry::Backoff;
use super::{Bucket, Confirmed, Inbox, Shared, UploadError, UploadReport, WIDTH};
use crate::fault::{Explain, Fault};
use crate::storage::spool::{SessionSpool, SpooledObject};

/// What an attempt needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) bucket: Bucket,
    pub(super) spool: SessionSpool,
    pub(super) puts: Arc<Semaphore>,
    pub(super) probes: Arc<Semaphore>,
}

pub(super) struct Task {
    context: Context,
    shared: Arc<Shared>,
    reports: mpsc::Sender<UploadReport>,
    backoff: Backoff,
    backlog: Backlog,
    attempts: JoinSet<(SpooledObject, Result<Confirmed, UploadError>)>,
    /// Failures since the last success.
    streak: u32,
    /// Nothing is tried before this.
    pause: Option<Instant>,
    closed: bool,
}

impl Task {
    pub(super) fn new(
        context: Context,
        shared: Arc<Shared>,
        reports: mpsc::Sender<UploadReport>,
        backoff: Backoff,
    ) -> Self {
        let (backlog, attempts) = (Backlog::default(), JoinSet::new());
        Self { context, shared, reports, backoff, backlog, attempts, streak: 0, pause: None, closed: false }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !(self.closed && self.backlog.is_empty()) {
            let wake = self.start_what_may_go();
            tokio::select! {
                () = shared.news.notified() => self.take_news().await,
                Some(ended) = self.attempts.join_next() => {
                    let (object, result) = ended.expect("an attempt neither panics nor is it aborted");
                    self.ended(object, result).await;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => (),
            }
        }
    }

    /// Answers with when to look again, if only time is missing.
    fn start_what_may_go(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let width = if self.streak == 0 { WIDTH } else { 1 };
        if self.attempts.len() >= width {
            return None;
        }
        if let Some(pause) = self.pause.filter(|pause| *pause > now) {
            return (!self.backlog.is_empty()).then_some(pause);
        }
        while self.attempts.len() < width {
            let Some(object) = self.backlog.start(now) else { return self.backlog.wake() };
            let (context, probe) = (self.context.clone(), self.streak > 0);
            self.attempts.spawn(async move {
                let result = context.put(&object, probe).await;
                (object, result)
            });
        }
        None
    }

    async fn take_news(&mut self) {
        let Inbox { submitted, bucket, closed } = {
            let mut inbox = self.shared.inbox();
            Inbox { submitted: std::mem::take(&mut inbox.submitted), bucket: inbox.bucket.take(), closed: inbox.closed }
        };
        self.closed = closed;
        if let Some(bucket) = bucket {
            self.context.bucket = bucket;
            self.pause = None;
            self.backlog.hurry(true);
        }
        for object in submitted {
            if let Some(superseded) = self.backlog.submit(object) {
                self.forget(&superseded).await;
            }
        }
    }

    async fn ended(&mut self, object: SpooledObject, result: Result<Confirmed, UploadError>) {
        match result {
            Ok(confirmed) => self.confirmed(object, confirmed).await,
            Err(error) => self.failed(object, error).await,
        }
    }

    async fn confirmed(&mut self, object: SpooledObject, confirmed: Confirmed) {
        self.backlog.confirmed(&object);
        self.pause = None;
        if std::mem::take(&mut self.streak) > 0 {
            self.backlog.hurry(false);
            self.report(UploadReport::Recovered).await;
        }
        self.remove(&object).await;
        self.report(UploadReport::Confirmed { name: object.name, kind: object.kind, confirmed }).await;
        self.shared.progress.send_modify(|progress| {
            progress.waiting_objects -= 1;
            progress.waiting_bytes -= object.size;
            progress.confirmed_objects += 1;
            progress.confirmed_bytes += object.size;
            progress.trouble = None;
        });
    }

    async fn failed(&mut self, object: SpooledObject, error: UploadError) {
        let (now, fault) = (Instant::now(), error.fault());
        self.streak = self.streak.saturating_add(1);
        self.pause = Some(now + self.backoff.wait(Fault { retry: true, ..fault }, self.streak));
        let wait = self.backoff.wait(fault, self.backlog.failures(&object) + 1);
        tracing::debug!(name = %object.name, %error, attempt = self.streak, ?wait, "an upload failed");
        self.shared.progress.send_modify(|progress| progress.trouble = Some(fault));
        if !self.backlog.failed(&object, Wait { until: now + wait, passing: fault.retry }) {
            self.forget(&object).await;
        }
        let (name, attempt) = (object.name, self.streak);
        self.report(UploadReport::Retrying { name, error: Arc::new(error), attempt }).await;
    }

    /// A newer object took its place.
    async fn forget(&mut self, object: &SpooledObject) {
        self.remove(object).await;
        self.shared.progress.send_modify(|progress| {
            progress.waiting_objects -= 1;
            progress.waiting_bytes -= object.size;
        });
    }

    async fn remove(&self, object: &SpooledObject) {
        if let Err(error) = self.context.spool.remove(object).await {
            tracing::warn!(name = %object.name, %error, "an object that is no longer needed stays in the spool");
        }
    }

    async fn report(&self, report: UploadReport) {
        // A session that is gone needs no reports; what it spooled is uploaded all the same.
        let _ = self.reports.send(report).await;
    }
}

impl Context {
    async fn put(&self, object: &SpooledObject, probe: bool) -> Result<Confirmed, UploadError> {
        let places = if probe { &self.probes } else { &self.puts };
        let _place = places.acquire().await.expect("the semaphores are never closed");
        let bytes = self.spool.read(object).await?;
        Ok(self.bucket.put(&self.bucket.key(&object.name), bytes, object.kind).await?)
    }
}
