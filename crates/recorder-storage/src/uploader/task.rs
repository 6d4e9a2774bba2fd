//! The task of one session's upload.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::attempt::{Attempt, Context, Done};
use super::backlog::{Backlog, Failure};
use super::priority_limiter::Priority;
use super::retry::{AttemptTimes, Backoff};
use super::source::ObjectSource;
use super::unacked_put::{Guard, UnackedPuts};
use super::{Confirmed, Held, Inbox, Shared, Submitted, UploadError, UploadReport, WIDTH};
use crate::bucket::BucketError;
use crate::spool::SpooledObject;
use recorder_core::error_class::{Classify, ErrorClass};

/// What a worker that died had on its way is as old as the restart took: it is in doubt for this part of the time only.
const LEFT_PART: u32 = 12;

pub(super) struct Task {
    context: Context,
    shared: Arc<Shared>,
    reports: mpsc::Sender<UploadReport>,
    backoff: Backoff,
    patience: AttemptTimes,
    backlog: Backlog,
    unacked_puts: UnackedPuts,
    /// Confirmed texts that an older one may still lie over, by name.
    guards: HashMap<String, Guard>,
    attempts: JoinSet<Done>,
    /// Failures since the last success.
    streak: u32,
    /// Nothing is tried before this.
    pause: Option<Instant>,
    /// Objects that are needed no more, since the last reports.
    ended: u64,
    closed: bool,
    /// Whether it ends with its last queue, whatever waits then.
    brief: bool,
}

impl Task {
    pub(super) fn new(
        context: Context,
        shared: Arc<Shared>,
        reports: mpsc::Sender<UploadReport>,
        backoff: Backoff,
        patience: AttemptTimes,
    ) -> Self {
        Self {
            shared,
            reports,
            backoff,
            patience,
            backlog: Backlog::default(),
            unacked_puts: UnackedPuts::default(),
            guards: HashMap::new(),
            attempts: JoinSet::new(),
            streak: 0,
            pause: None,
            ended: 0,
            closed: false,
            brief: matches!(context.source, ObjectSource::Copies(_)),
            context,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !(self.closed && (self.brief || self.backlog.is_empty() && self.guards.is_empty())) {
            let wake = self.start_what_may_go();
            tokio::select! {
                () = shared.news.notified() => self.take_reports().await,
                Some(ended) = self.attempts.join_next() => {
                    match ended.expect("an attempt neither panics nor is it aborted") {
                        Done::Put(object, Ok(confirmed)) => self.confirmed(object, confirmed).await,
                        Done::Put(object, Err(UploadError::Bucket(BucketError::Taken { held, .. }))) => {
                            self.taken(object, held).await;
                        }
                        Done::Put(object, Err(error)) => self.failed(object, error).await,
                        Done::Gone(object) => self.remove(object).await,
                        Done::Looked { object, begun, held } => self.looked(&object, begun, held).await,
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => (),
            }
            self.report_age();
            let ended = std::mem::take(&mut self.ended);
            if ended > 0 {
                shared.pending.send_modify(|pending| *pending -= ended);
            }
        }
    }

    /// Answers with when to look again, if only time is missing.
    fn start_what_may_go(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let width = if self.streak == 0 { WIDTH } else { 1 };
        if self.abreast() >= width {
            return None;
        }
        if let Some(pause) = self.pause.filter(|pause| *pause > now) {
            return (!(self.backlog.is_empty() && self.guards.is_empty())).then_some(pause);
        }
        while self.abreast() < width {
            let Some(next) = self.backlog.start(now, self.streak == 0) else { return self.look(now) };
            let priority = Priority { streak: self.streak, since: next.since };
            let limit = self.patience.limit(next.timeouts, next.object.size);
            self.attempts.spawn(self.context.clone().run(Attempt::Put(next.object, next.earlier), priority, limit));
        }
        None
    }

    /// Attempts that count for the width.
    fn abreast(&self) -> usize {
        self.attempts.len() - usize::from(self.backlog.whole_flies())
    }

    /// Looks at the texts that are due for it, when there is nothing to put.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let newer = |guard: &Guard| self.backlog.follows(&guard.object.name);
        for guard in self.guards.values_mut().filter(|guard| guard.look().is_some_and(|at| at <= now)) {
            if newer(guard) {
                // Its confirmation will end this watch or begin another.
                guard.blind(guard.until().max(now + self.patience.attempt));
                continue;
            }
            guard.looking();
            let look = Attempt::Look(guard.object.clone(), guard.confirmed.clone());
            let priority = Priority { streak: self.streak, since: now };
            self.attempts.spawn(self.context.clone().run(look, priority, self.patience.attempt));
        }
        let looks = self.guards.values().filter_map(Guard::look);
        self.backlog.wake(self.streak == 0).into_iter().chain(looks).min()
    }

    async fn take_reports(&mut self) {
        let Inbox { submitted, let_go, bucket, closed } = {
            let mut inbox = self.shared.inbox();
            let (submitted, let_go) = (std::mem::take(&mut inbox.submitted), std::mem::take(&mut inbox.let_go));
            Inbox { submitted, let_go, bucket: inbox.bucket.take(), closed: inbox.closed }
        };
        self.closed = closed;
        if let Some(bucket) = bucket {
            self.context.bucket = bucket;
            self.pause = None;
            self.backlog.hurry(true);
        }
        let now = Instant::now();
        for Submitted { object, left, ready } in submitted {
            if left && object.kind.follows() {
                self.unacked_puts.unknown(&object, now + self.patience.unacked_put / LEFT_PART);
            }
            let order = object.order;
            if let Some(superseded) = self.backlog.submit(object, now) {
                self.forget(&superseded).await;
            }
            if left {
                self.backlog.was_left(order);
            }
            if ready {
                self.backlog.mark_ready(order);
            }
        }
        for object in let_go {
            if self.backlog.let_go(&object) {
                self.forget(&object).await;
            }
        }
    }

    async fn confirmed(&mut self, object: SpooledObject, confirmed: Confirmed) {
        let now = Instant::now();
        self.backlog.confirmed(&object);
        let recovered = self.is_well();
        if let Some(before) = self.guards.remove(&object.name) {
            self.forget(&before.object).await;
        }
        let unacked_put = self.unacked_puts.of(&object, now).filter(|_| object.kind.follows());
        match unacked_put {
            Some(until) => {
                let guard = Guard::new(object.clone(), confirmed.clone(), until, now);
                self.guards.insert(object.name.clone(), guard);
            }
            None => self.forget(&object).await,
        }
        self.shared.progress.send_modify(|progress| {
            progress.confirmed_objects += 1;
            progress.confirmed_bytes += object.size;
            progress.trouble = None;
        });
        self.report_age();
        if recovered {
            self.report(UploadReport::Recovered).await;
        }
        self.report(UploadReport::Confirmed { name: object.name, kind: object.kind, confirmed }).await;
    }

    /// The bucket answers as it should. Whether it did not before.
    fn is_well(&mut self) -> bool {
        self.pause = None;
        let recovered = std::mem::take(&mut self.streak) > 0;
        if recovered {
            self.backlog.hurry(false);
        }
        recovered
    }

    /// Another object has the name: the session decides.
    async fn taken(&mut self, object: SpooledObject, held: Option<Held>) {
        let newest = self.backlog.taken(&object);
        if self.is_well() {
            self.shared.progress.send_modify(|progress| progress.trouble = None);
            self.report(UploadReport::Recovered).await;
        }
        if !newest {
            return self.forget(&object).await;
        }
        tracing::warn!(name = %object.name, ?held, "the bucket holds another object of this name; it is left as it is");
        self.report(UploadReport::Taken { object, held }).await;
    }

    async fn failed(&mut self, object: SpooledObject, error: UploadError) {
        let (now, error_class) = (Instant::now(), error.error_class());
        if error.may_still_land() && object.kind.follows() {
            self.unacked_puts.unknown(&object, now + self.patience.unacked_put);
        }
        self.streak = self.streak.saturating_add(1);
        self.pause = Some(now + self.backoff.wait(ErrorClass { retry: true, ..error_class }, self.streak));
        let wait = self.backoff.wait(error_class, self.backlog.failures(&object) + 1);
        tracing::debug!(name = %object.name, %error, attempt = self.streak, ?wait, "an upload failed");
        self.shared.progress.send_modify(|progress| progress.trouble = Some(error_class));
        let timeout = matches!(&error, UploadError::Bucket(BucketError::TimedOut { .. }));
        let failure = Failure { until: now + wait, alone: !error.is_everywhere(), timeout, leaves: error.leaves() };
        if !self.backlog.failed(&object, failure) {
            self.forget(&object).await;
        }
        let (name, attempt) = (object.name, self.streak);
        self.report(UploadReport::Retrying { name, error: Arc::new(error), attempt }).await;
    }

    /// There is nothing to be copied any more.
    async fn remove(&mut self, object: SpooledObject) {
        self.backlog.confirmed(&object);
        self.forget(&object).await;
        self.report(UploadReport::Gone { name: object.name }).await;
    }

    /// Since when the oldest object waits, for who asks.
    fn report_age(&self) {
        let oldest = self.backlog.oldest();
        self.shared.progress.send_if_modified(|progress| std::mem::replace(&mut progress.oldest, oldest) != oldest);
    }

    /// Somebody looked whether a text is still the one in the bucket.
    async fn looked(&mut self, object: &SpooledObject, begun: Instant, held: Result<bool, BucketError>) {
        let now = Instant::now();
        let Some(guard) = self.guards.get_mut(&object.name).filter(|guard| guard.object.order == object.order) else {
            return;
        };
        let again = match held {
            Ok(true) => {
                if guard.seen(begun, now) {
                    self.guards.remove(&object.name);
                    self.forget(object).await;
                    self.report(UploadReport::Settled { name: object.name.clone() }).await;
                }
                false
            }
            Ok(false) => true,
            // Who may not look puts it once more when the doubt is over.
            Err(error) if !error.error_class().retry && guard.is_over(now) => true,
            Err(error) => {
                tracing::debug!(name = %object.name, %error, "whether a text is still there can't be seen");
                let wait = if error.error_class().retry {
                    self.backoff.wait(error.error_class(), self.streak + 1)
                } else {
                    guard.until() - now
                };
                guard.blind(now + wait);
                false
            }
        };
        if again && !self.backlog.follows(&object.name) {
            tracing::warn!(name = %object.name, "an older text was laid over the newest; it is put again");
            self.guards.remove(&object.name);
            self.backlog.submit(object.clone(), now);
            // It was there before, and what it names with it.
            self.backlog.mark_ready(object.order);
        }
    }

    /// An object is needed no more: it is in the bucket for good, or a newer one took its place.
    async fn forget(&mut self, object: &SpooledObject) {
        self.ended += 1;
        if let Err(error) = self.context.source.remove(object).await {
            tracing::warn!(name = %object.name, %error, "an object that is no longer needed stays in the spool");
        }
        self.shared.progress.send_modify(|progress| {
            progress.waiting_objects -= 1;
            progress.waiting_bytes -= object.size;
        });
    }

    async fn report(&self, report: UploadReport) {
        // A session that is gone needs no reports; what it spooled is uploaded all the same.
        let _ = self.reports.send(report).await;
    }
}
