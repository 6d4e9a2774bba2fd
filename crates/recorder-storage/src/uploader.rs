//! Brings spooled objects to the bucket, one task a session.
//!
//! * An object leaves the spool only after the bucket confirmed it, or after the session let it go; nothing is ever given up (invariant 1).
//! * A media object is never put over another one. Where its name is taken by other bytes ([`UploadReport::Taken`]) it waits for the
//!   session's decision, and so does every playlist that was submitted behind it.
//! * A playlist or document is put after everything that was submitted before it is confirmed, so it never names what is not
//!   there. A later one of the same name takes its place in the queue.
//! * Whole files go last: one at a time of a session, beside its segments and never in their place.
//! * Segments of a session are put side by side, at most [`WIDTH`] at a time; in trouble one at a time.
//! * A playlist or document whose earlier text may still land (its PUT had no answer) is watched until that is over: whatever
//!   comes late, the newest text lies in the bucket in the end. Until then it counts as waiting and stays in the spool.
//! * Oldest first: the worker's places go to the objects that wait longest, whosever they are, and nobody starves.
//! * The queue holds one entry for each file in the session's spool, so the disk bounds it.
//! * Copies for a second bucket ([`CopyQueue`]) go the same way with places of their own and take nothing from the spool.
//! * No timer runs while there is nothing to do.

mod attempt;
mod backlog;
mod priority_limiter;
mod retry;
mod source;
mod task;
mod unacked_put;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::bucket::{Bucket, BucketError, Confirmed, Destinations, Earlier, Held};
use super::spool::{ObjectKind, SessionSpool, SpoolError, SpooledObject};
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_edge::metrics::Metrics;

use priority_limiter::PriorityLimiter;
use source::{Copies, ObjectSource};

pub use retry::{AttemptTimes, RetryPolicy};

/// Most PUTs of a worker at a time, over all sessions whose bucket is well; one that takes long is not counted any more.
pub const MAX_PUTS: usize = 32;
/// The same over all sessions whose bucket failed last: a dead bucket takes no place from the others.
pub const MAX_PROBES: usize = 8;
/// The same over all copies for second buckets: they take no place from the first ones.
pub const MAX_COPIES: usize = 8;
/// Most PUTs of whole files of a worker at a time, beside the others: they are large, and segments must not wait behind them.
pub const MAX_WHOLES: usize = 4;
/// Most PUTs of a session at a time; one of a whole file is not counted, and is the only one of its kind.
pub const WIDTH: usize = 4;
/// Reports that may wait for the session; when it does not read them, the upload waits for it.
pub const MAX_REPORTS: usize = 256;

/// What all uploads of a worker share.
#[derive(Debug)]
pub struct Uploader {
    puts: Arc<PriorityLimiter>,
    probes: Arc<PriorityLimiter>,
    copies: Arc<PriorityLimiter>,
    wholes: Arc<PriorityLimiter>,
    retry: RetryPolicy,
    patience: AttemptTimes,
    seed: AtomicU64,
    destinations: Destinations,
    metrics: Metrics,
}

impl Uploader {
    /// `seed` is where the jitter of the back-offs comes from.
    pub fn new(retry: RetryPolicy, seed: u64) -> Self {
        Self {
            puts: PriorityLimiter::new(MAX_PUTS),
            probes: PriorityLimiter::new(MAX_PROBES),
            copies: PriorityLimiter::new(MAX_COPIES),
            wholes: PriorityLimiter::new(MAX_WHOLES),
            retry,
            patience: AttemptTimes::default(),
            seed: AtomicU64::new(seed),
            destinations: Destinations::default(),
            metrics: Metrics::default(),
        }
    }

    /// The same, with its attempts counted here.
    #[must_use]
    pub fn with_meters(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// What the worker knows of the destinations that it met.
    pub const fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: AttemptTimes) -> Self {
        Self { patience, ..self }
    }

    /// Starts a session's upload. What is left in the spool from before has to be submitted like anything new. The task ends
    /// when all queues are dropped and everything is confirmed.
    pub fn spawn(&self, bucket: Bucket, spool: SessionSpool) -> (UploadQueue, mpsc::Receiver<UploadReport>) {
        let (puts, probes, wholes) = (Arc::clone(&self.puts), Arc::clone(&self.probes), Arc::clone(&self.wholes));
        self.run(attempt::Context {
            bucket,
            source: ObjectSource::Spool(spool),
            puts,
            probes,
            wholes,
            metrics: self.metrics.clone(),
        })
    }

    /// Starts a session's copies into a second bucket. The task ends with the queue, whatever waits then: the spool has it.
    pub fn spawn_copies(&self, bucket: Bucket, spool: SessionSpool) -> (CopyQueue, mpsc::Receiver<UploadReport>) {
        let copies = Copies::of(spool);
        let [puts, probes, wholes] = std::array::from_fn(|_| Arc::clone(&self.copies));
        let source = ObjectSource::Copies(copies.clone());
        let (queue, reports) =
            self.run(attempt::Context { bucket, source, puts, probes, wholes, metrics: self.metrics.clone() });
        (CopyQueue { queue, copies }, reports)
    }

    fn run(&self, context: attempt::Context) -> (UploadQueue, mpsc::Receiver<UploadReport>) {
        let (reports, receiver) = mpsc::channel(MAX_REPORTS);
        let shared = Arc::new(Shared {
            bucket: Mutex::new(context.bucket.clone()),
            inbox: Mutex::default(),
            news: Notify::new(),
            progress: watch::Sender::default(),
            pending: watch::Sender::default(),
        });
        let random = StdRng::seed_from_u64(self.seed.fetch_add(1, Ordering::Relaxed));
        let task = task::Task::new(
            context,
            Arc::clone(&shared),
            reports,
            retry::Backoff::new(self.retry, random),
            self.patience,
        );
        tokio::spawn(task.run());
        (UploadQueue(Arc::new(Handle(shared))), receiver)
    }
}

/// The way into a session's upload. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UploadQueue(Arc<Handle>);

impl UploadQueue {
    /// Queues a spooled object. What a playlist names has to be submitted before it.
    pub fn submit(&self, object: SpooledObject) {
        self.add(Submitted { object, left: false, ready: false });
    }

    /// Queues a spooled playlist that names only what is in the bucket: no media submitted before it hold it back.
    pub fn submit_ready(&self, object: SpooledObject) {
        self.add(Submitted { object, left: false, ready: true });
    }

    /// Queues what an earlier run of the worker left in the spool, in its order. Each of it may have been on its way.
    pub fn resume(&self, left: Vec<SpooledObject>) {
        left.into_iter().for_each(|object| self.add(Submitted { object, left: true, ready: false }));
    }

    fn add(&self, submitted: Submitted) {
        let shared = &self.0.0;
        shared.progress.send_modify(|progress| {
            progress.waiting_objects += 1;
            progress.waiting_bytes += submitted.object.size;
            progress.oldest.get_or_insert_with(Instant::now);
        });
        shared.pending.send_modify(|pending| *pending += 1);
        shared.inbox().submitted.push(submitted);
        shared.news.notify_one();
    }

    /// Decides about an object of [`UploadReport::Taken`]: the bucket's object stays, or the bytes were submitted under another name.
    /// The object leaves queue and spool.
    pub fn let_go(&self, object: SpooledObject) {
        let shared = &self.0.0;
        shared.inbox().let_go.push(object);
        shared.news.notify_one();
    }

    /// Goes on with another bucket handle (new credentials), at once.
    pub fn use_bucket(&self, bucket: Bucket) {
        let shared = &self.0.0;
        *shared.bucket.lock().unwrap_or_else(PoisonError::into_inner) = bucket.clone();
        shared.inbox().bucket = Some(bucket);
        shared.news.notify_one();
    }

    /// The bucket that it writes to now.
    pub fn bucket(&self) -> Bucket {
        self.0.0.bucket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the upload is.
    pub fn progress(&self) -> Progress {
        self.0.0.progress.borrow().clone()
    }

    /// Answers when everything that was submitted is confirmed for good, superseded or let go, and reported. Go on reading reports
    /// meanwhile: the upload waits for its reader.
    pub async fn drained(&self) {
        let mut pending = self.0.0.pending.subscribe();
        // The sender lives in `self`, so the channel is open.
        let _ = pending.wait_for(|pending| *pending == 0).await;
    }
}

/// The way of copies into a second bucket. What was copied stays in the spool for the first one.
#[derive(Debug)]
pub struct CopyQueue {
    queue: UploadQueue,
    copies: Copies,
}

impl CopyQueue {
    /// Copies a spooled object, unless it leaves the spool before.
    pub fn copy(&self, object: &SpooledObject) {
        self.queue.submit(self.copies.copy(object));
    }

    /// Puts an object that is not in the spool; it is held in memory until it is confirmed or a later one took its place.
    pub fn put(&self, name: &str, kind: ObjectKind, bytes: Bytes) {
        self.queue.submit(self.copies.hold(name, kind, bytes));
    }

    /// Puts a playlist that is not in the spool and names only what this bucket has, as [`UploadQueue::submit_ready`].
    pub fn put_playlist(&self, name: &str, bytes: Bytes) {
        self.queue.submit_ready(self.copies.hold(name, ObjectKind::Playlist, bytes));
    }

    /// As [`UploadQueue::let_go`].
    pub fn let_go(&self, object: SpooledObject) {
        self.queue.let_go(object);
    }

    /// How far the copies are.
    pub fn progress(&self) -> Progress {
        self.queue.progress()
    }

    /// As [`UploadQueue::drained`].
    pub async fn drained(&self) {
        self.queue.drained().await;
    }
}

/// How far a session's upload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects submitted and not yet confirmed for good.
    pub waiting_objects: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Objects confirmed; each confirmed version of a playlist counts.
    pub confirmed_objects: u64,
    /// Their bytes.
    pub confirmed_bytes: u64,
    /// The last attempt's fault, while nothing succeeded since.
    pub trouble: Option<ErrorClass>,
    /// Since when the oldest of the unconfirmed objects waits, in this run of the worker.
    pub oldest: Option<Instant>,
}

/// What an upload reports.
#[derive(Clone, Debug)]
pub enum UploadReport {
    /// An object is in the bucket. It has left the spool, unless an older text of its name may still land:
    /// [`UploadReport::Settled`] follows then, or another confirmation of the name.
    Confirmed {
        /// Its name, without prefix.
        name: String,
        /// What it is.
        kind: ObjectKind,
        /// What the store confirmed.
        confirmed: Confirmed,
    },
    /// An attempt failed; another follows.
    Retrying {
        /// Which object.
        name: String,
        /// Why; its [`Classify::error_class`] tells passing from permanent.
        error: Arc<UploadError>,
        /// Failed attempts in a row, over all objects of the session.
        attempt: u32,
    },
    /// An attempt succeeded after [`UploadReport::Retrying`].
    Recovered,
    /// An object left the spool before it could be copied: the first bucket has it. Of copies only.
    Gone {
        /// Its name, without prefix.
        name: String,
    },
    /// The bucket holds another object of this name, which is left as it is. This one stays in queue and spool, and everything that waits
    /// for it waits on, until [`UploadQueue::let_go`]. In a write-once bucket it may be a playlist or a document too.
    Taken {
        /// What was to be put.
        object: SpooledObject,
        /// What is there; none where it may not be read.
        held: Option<Held>,
    },
    /// Nothing can take the place of a confirmed text any more.
    Settled {
        /// Its name, without prefix.
        name: String,
    },
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The bucket did not take it.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The spool did not give it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Classify for UploadError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Bucket(error) => error.error_class(),
            Self::Spool(error) => error.error_class(),
        }
    }
}

impl UploadError {
    /// Whether the attempt may take effect after all.
    pub fn may_still_land(&self) -> bool {
        matches!(self, Self::Bucket(error) if error.may_still_land())
    }

    /// What became of the attempt, for the next one.
    fn leaves(&self) -> Earlier {
        match self {
            Self::Bucket(BucketError::Altered { .. }) => Earlier::Altered,
            Self::Bucket(error) if error.may_be_there() => Earlier::MayBeThere,
            Self::Bucket(_) | Self::Spool(_) => Earlier::None,
        }
    }

    /// Whether it is about all objects of the session, and not about the one that was tried.
    pub const fn is_everywhere(&self) -> bool {
        matches!(self, Self::Bucket(error) if error.is_everywhere())
    }
}

/// What the handles and the task share.
#[derive(Debug)]
struct Shared {
    bucket: Mutex<Bucket>,
    inbox: Mutex<Inbox>,
    news: Notify,
    progress: watch::Sender<Progress>,
    /// Objects whose end was not reported yet.
    pending: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inbox {
    submitted: Vec<Submitted>,
    let_go: Vec<SpooledObject>,
    bucket: Option<Bucket>,
    closed: bool,
}

/// An object that is to be uploaded.
#[derive(Debug)]
struct Submitted {
    object: SpooledObject,
    /// Whether an earlier run left it.
    left: bool,
    /// Whether everything that it names is in the bucket.
    ready: bool,
}

impl Shared {
    fn inbox(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the task when the last queue is gone.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.inbox().closed = true;
        self.0.news.notify_one();
    }
}
