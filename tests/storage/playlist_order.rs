//! A store that refuses, forgets to answer and breaks connections at random: no playlist reaches it before what it names, and at
//! the end everything is there and nothing in the spool.

use crate::fault_proxy::ErrorClass;
use crate::upload_run::{RETRY, UploadRun};

async fn record_through_faults(seed: u64, faults: u32) {
    let mut upload_run = UploadRun::new(seed, RETRY).await;
    upload_run.proxy.set(ErrorClass::Some(faults));
    upload_run.recording.go_on(15).await;
    let proxy = upload_run.proxy.clone();
    let observed = upload_run.finish().await;
    assert!(observed.failed > 5 && observed.recovered > 0, "{observed:?}");
    assert_eq!(proxy.seen().faults.len(), 5, "every kind of fault happened: {:?}", proxy.seen().faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_third_of_the_requests_failing() {
    for seed in 0..3 {
        record_through_faults(seed, 33).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_most_requests_failing() {
    record_through_faults(7, 75).await;
}
