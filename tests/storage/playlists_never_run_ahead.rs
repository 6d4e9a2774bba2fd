//! A store that refuses, forgets to answer and breaks connections: no playlist reaches it before what it names, and at the end
//! everything is there and nothing in the spool.

use std::collections::HashMap;
use std::time::Duration;

use cloud_recorder::storage::{Bucket, ObjectKind, RetryPolicy, Spool, UploadReport, Uploader};
use cloud_recorder::units::Sid;

use crate::fault_proxy;
use crate::recording::{assert_bucket_holds, make};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, destination};

async fn record_through_faults(seed: u64, faults: u32) {
    let server = Server::start().await;
    let (endpoint, seen) = fault_proxy::start(server.server.endpoint(), seed, faults).await;
    let retry = RetryPolicy { first: Duration::from_millis(1), longest: Duration::from_millis(8) };
    let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
    let session = spool.session(&Sid::from_random([1; 16])).unwrap();
    let bucket = Bucket::connect(&destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
    let (queue, mut reports) = Uploader::new(retry, seed).spawn(bucket, session.clone());

    let reading = tokio::spawn(async move {
        let (mut confirmed, mut retries, mut recoveries) = (HashMap::<String, usize>::new(), 0, 0);
        while let Some(report) = reports.recv().await {
            match report {
                UploadReport::Confirmed { name, kind: ObjectKind::Segment, .. } => {
                    *confirmed.entry(name).or_default() += 1
                }
                UploadReport::Confirmed { .. } => (),
                UploadReport::Retrying { .. } => retries += 1,
                UploadReport::Recovered => recoveries += 1,
            }
        }
        (confirmed, retries, recoveries)
    });
    let objects = make(&queue, &session, 3, 15).await;
    queue.drained().await;
    let progress = queue.progress();
    assert_eq!((progress.waiting_objects, progress.waiting_bytes, progress.trouble), (0, 0, None));
    drop(queue);
    let (confirmed, retries, recoveries) = reading.await.unwrap();

    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.ahead.is_empty(), "{:?}", seen.ahead);
    assert_eq!(seen.fates.len(), 5, "every kind of fault happened: {:?}", seen.fates);
    assert!(retries > 0 && recoveries > 0);
    assert_eq!(confirmed.len(), 45);
    assert!(confirmed.values().all(|times| *times == 1), "each segment is confirmed once");
    assert_bucket_holds(&server.client(), BUCKET, &objects).await;
    assert!(session.list().await.unwrap().is_empty());
    assert_eq!(spool.bytes(), 0);
}

#[tokio::test]
async fn with_a_third_of_the_requests_failing() {
    for seed in 0..3 {
        record_through_faults(seed, 33).await;
    }
}

#[tokio::test]
async fn with_most_requests_failing() {
    record_through_faults(7, 75).await;
}
