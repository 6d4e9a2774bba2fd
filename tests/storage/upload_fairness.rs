//! The worker's places for PUTs: sessions whose bucket hangs keep nobody waiting, and an old backlog does not either.

use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::storage::{AttemptTimes, Bucket, ObjectKind, Spool, UploadQueue, Uploader};
use cloud_recorder::units::Sid;
use tokio::time::Instant;

use crate::fault_proxy::{ErrorClass, Proxy};
use crate::recording::submit;
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, destination};
use crate::upload_run::{RETRY, TIMEOUT};

/// A worker with sessions that upload to different places.
struct Worker {
    server: Server,
    proxy: Proxy,
    spool: Spool,
    uploader: Uploader,
    sessions: u8,
}

impl Worker {
    async fn new(patience: AttemptTimes) -> Self {
        let server = Server::start().await;
        let proxy = Proxy::start(server.server.endpoint(), server.client(), 1).await;
        let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
        Self { server, proxy, spool, uploader: Uploader::new(RETRY, 1).with_patience(patience), sessions: 0 }
    }

    /// A session that has some segments to upload.
    async fn session(&mut self, endpoint: &str, segments: usize) -> UploadQueue {
        self.sessions += 1;
        let spool = self.spool.session(&app(), &Sid::from_random([self.sessions; 16])).unwrap();
        let bucket = Bucket::connect(&destination(endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
        let (queue, mut reports) = self.uploader.spawn(bucket, spool.clone());
        for segment in 0..segments {
            let name = format!("s{}_{segment}.m4s", self.sessions);
            submit(&queue, &spool, &name, ObjectKind::Segment, Bytes::from_static(b"sound")).await;
        }
        tokio::spawn(async move { while reports.recv().await.is_some() {} });
        queue
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_buckets_keep_no_other_waiting() {
    let hanging =
        AttemptTimes { attempt: Duration::from_secs(60), longest_attempt: Duration::from_secs(60), ..TIMEOUT };
    let mut worker = Worker::new(hanging).await;
    worker.proxy.set(ErrorClass::Silent);
    let (dead, well) = (worker.proxy.endpoint.clone(), worker.server.server.endpoint());
    let mut hung = Vec::new();
    // More attempts than there are places.
    for _ in 0..12 {
        hung.push(worker.session(&dead, 8).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let queue = worker.session(&well, 20).await;
    queue.drained().await;
    assert!(begun.elapsed() < Duration::from_secs(40), "none of the others has ended: {:?}", begun.elapsed());
    assert!(hung.iter().all(|queue| queue.progress().waiting_objects == 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_the_oldest_come_first_and_a_young_session_need_not_wait_for_all() {
    let mut worker = Worker::new(TIMEOUT).await;
    worker.proxy.set(ErrorClass::Answer(503, "SlowDown"));
    let endpoint = worker.proxy.endpoint.clone();
    let mut old = Vec::new();
    for _ in 0..10 {
        old.push(worker.session(&endpoint, 30).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let young = worker.session(&endpoint, 5).await;
    worker.proxy.set(ErrorClass::None);
    young.drained().await;
    let left: u64 = old.iter().map(|queue| queue.progress().waiting_objects).sum();
    assert!(left > 0, "the young one came in between");
    for queue in &old {
        queue.drained().await;
    }
}
