//! A store behind a proxy between two lines, an upload on its way there, and somebody who reads the bucket all the time.
//!
//! `upload ── outer line ── proxy ── inner line ── store`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{
    AttemptTimes, Bucket, Destination, ObjectKind, RetryPolicy, SessionSpool, Spool, UploadQueue, UploadReport,
    Uploader,
};
use cloud_recorder::units::Sid;
use tokio::task::JoinHandle;

use crate::fault_proxy::Proxy;
use crate::faulty_line::FaultyLine;
use crate::recording::{Objects, Recording, assert_bucket_holds};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, destination};

/// Waits so short that a test is soon over, and an attempt's time so short that silence is soon noticed.
pub(crate) const RETRY: RetryPolicy =
    RetryPolicy { first: Duration::from_millis(1), longest: Duration::from_millis(20) };
pub(crate) const TIMEOUT: AttemptTimes = AttemptTimes {
    attempt: Duration::from_millis(300),
    longest_attempt: Duration::from_secs(5),
    unacked_put: Duration::from_millis(500),
};
/// For faults that answer: an attempt has all the time that a busy machine takes, so that its outcome is the store's word.
const PATIENT: AttemptTimes = AttemptTimes {
    attempt: Duration::from_secs(60),
    longest_attempt: Duration::from_secs(60),
    unacked_put: Duration::from_millis(500),
};
/// A limit for tests that would otherwise hang; no result depends on it.
const HANG_LIMIT: Duration = Duration::from_secs(120);

/// Everything that a scenario needs.
pub(crate) struct UploadRun {
    pub(crate) server: Server,
    pub(crate) outer: FaultyLine,
    pub(crate) proxy: Proxy,
    pub(crate) inner: FaultyLine,
    pub(crate) spool: Spool,
    pub(crate) session: SessionSpool,
    pub(crate) queue: UploadQueue,
    pub(crate) recording: Recording,
    observed: Arc<Mutex<Observed>>,
    reader: Reader,
}

/// What the upload said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) confirmed: usize,
    pub(crate) failed: u32,
    pub(crate) recovered: u32,
    segments: Vec<String>,
    /// Segments that were confirmed more than once.
    twice: Vec<String>,
    /// Code of each failure, and whether waiting helps.
    pub(crate) codes: BTreeSet<(&'static str, bool)>,
}

impl UploadRun {
    pub(crate) async fn new(seed: u64, retry: RetryPolicy) -> Self {
        Self::with(seed, retry, TIMEOUT).await
    }

    /// A rig whose upload calls nothing silent: what it says is what the store answers, on a slow machine too.
    pub(crate) async fn patient(seed: u64, retry: RetryPolicy) -> Self {
        Self::with(seed, retry, PATIENT).await
    }

    async fn with(seed: u64, retry: RetryPolicy, patience: AttemptTimes) -> Self {
        let server = Server::start().await;
        let inner = FaultyLine::to(&server.server.endpoint()).await;
        let proxy = Proxy::start(inner.endpoint.clone(), server.client(), seed).await;
        let outer = FaultyLine::to(&proxy.endpoint).await;
        let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
        let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
        let uploader = Uploader::new(retry, seed).with_patience(patience);
        let bucket = Bucket::connect(&destination(&outer.endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
        // As at start: what the store can do is known from here on.
        bucket.prove().await.unwrap();
        let (queue, mut reports) = uploader.spawn(bucket, session.clone());
        let observed = Arc::<Mutex<Observed>>::default();
        let listening = Arc::clone(&observed);
        tokio::spawn(async move {
            while let Some(report) = reports.recv().await {
                listening.lock().unwrap().hear(&report);
            }
        });
        let recording = Recording::new(&queue, &session, 2);
        let reader = Reader::of(server.dir.path().join("buckets").join(BUCKET).join("recordings/room_1"));
        Self { server, outer, proxy, inner, spool, session, queue, recording, observed, reader }
    }

    /// Where the upload goes, as it is named in a storageConfig.
    pub(crate) fn destination(&self) -> Destination {
        destination(&self.outer.endpoint, BUCKET, ACCESS_KEY, SECRET_KEY)
    }

    pub(crate) fn observed(&self) -> Observed {
        self.observed.lock().unwrap().clone()
    }

    /// Waits until the upload has said something.
    pub(crate) async fn until(&self, said: impl Fn(&Observed) -> bool) {
        let said = async {
            while !said(&self.observed()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(HANG_LIMIT, said).await.unwrap_or_else(|_| panic!("never said: {:?}", self.observed()));
    }

    /// Ends the recording; fails unless the bucket is complete, was never ahead of itself, and nothing waits.
    pub(crate) async fn finish(self) -> Observed {
        let objects = self.recording.finish().await;
        tokio::time::timeout(HANG_LIMIT, self.queue.drained()).await.expect("everything is uploaded in the end");
        assert_complete(&self.server, &objects).await;
        assert!(self.session.list().await.unwrap().is_empty(), "the spool is empty");
        assert_eq!((self.spool.bytes(), self.spool.memory_bytes(), self.session.bytes()), (0, 0, 0));
        let progress = self.queue.progress();
        assert_eq!((progress.waiting_objects, progress.waiting_bytes, progress.trouble), (0, 0, None));
        let seen = self.proxy.seen();
        assert!(seen.ahead.is_empty(), "invariant 1: {:?}", seen.ahead);
        assert_eq!(seen.multipart, 0, "objects are put whole");
        let observed = self.observed.lock().unwrap().clone();
        assert_eq!(self.reader.stop().await, Vec::<String>::new());
        assert!(observed.twice.is_empty(), "each segment is confirmed once: {:?}", observed.twice);
        observed
    }
}

/// The bucket holds these objects, and nothing half beside them.
pub(crate) async fn assert_complete(server: &Server, objects: &Objects) {
    assert_bucket_holds(&server.client(), BUCKET, objects).await;
}

impl Observed {
    fn hear(&mut self, report: &UploadReport) {
        match report {
            UploadReport::Confirmed { name, kind, .. } => {
                self.confirmed += 1;
                if *kind == ObjectKind::Segment {
                    let known = if self.segments.contains(name) { &mut self.twice } else { &mut self.segments };
                    known.push(name.clone());
                }
            }
            UploadReport::Retrying { error, .. } => {
                self.failed += 1;
                self.codes.insert((error.error_class().code, error.error_class().retry));
            }
            UploadReport::Recovered => self.recovered += 1,
            UploadReport::Settled { .. } | UploadReport::Gone { .. } => (),
            UploadReport::Taken { object, held } => panic!("{object:?} {held:?}"),
        }
    }
}

/// Reads every playlist in the bucket, over and over, and looks for what it names.
struct Reader {
    done: Arc<AtomicBool>,
    reading: Option<JoinHandle<Vec<String>>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Reader {
    fn of(folder: PathBuf) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&done);
        let reading = tokio::task::spawn_blocking(move || {
            let mut wrong = Vec::new();
            while !over.load(Ordering::Relaxed) {
                read(&folder, &mut wrong);
                std::thread::sleep(Duration::from_millis(5));
            }
            wrong
        });
        Self { done, reading: Some(reading) }
    }

    /// What was wrong at any moment.
    async fn stop(mut self) -> Vec<String> {
        self.done.store(true, Ordering::Relaxed);
        self.reading.take().unwrap().await.unwrap()
    }
}

fn read(folder: &Path, wrong: &mut Vec<String>) {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in names.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "m3u8")) {
        // A bucket can be taken away while it is read.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let named = text.lines().filter(|line| !line.starts_with('#'));
        let missing = named.filter(|name| !folder.join(name).exists() && folder.exists());
        wrong.extend(missing.map(|name| format!("{} names {name}, which is not there", path.display())));
    }
}
