//! A PUT that was given up takes effect in the store after its successor did. The newest text wins in the end.

use std::time::Duration;

use crate::fault_proxy::ErrorClass;
use crate::upload_run::{RETRY, TIMEOUT, UploadRun};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_playlist_that_lands_late_does_not_stay() {
    let mut upload_run = UploadRun::new(1, RETRY).await;
    upload_run.recording.go_on(2).await;
    upload_run.until(|observed| observed.confirmed >= 6).await;
    // Past the attempt's time, and within the doubt.
    upload_run.proxy.set(ErrorClass::LatePlaylists(TIMEOUT.attempt + TIMEOUT.unacked_put / 2));
    upload_run.recording.go_on(1).await;
    upload_run.until(|observed| observed.codes.contains(&("bucket_timeout", true))).await;
    upload_run.proxy.set(ErrorClass::None);
    let begun = tokio::time::Instant::now();
    let proxy = upload_run.proxy.clone();
    let seen = async {
        let mut shrunk = Vec::new();
        while shrunk.is_empty() && begun.elapsed() < Duration::from_secs(30) {
            shrunk = proxy.shrunk();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shrunk
    };
    // The closed playlists follow at once: they are there before the late one.
    let (observed, shrunk) = tokio::join!(upload_run.finish(), seen);
    assert!(!shrunk.is_empty(), "the older text landed over the newer one");
    assert!(observed.confirmed > 12, "and the newer one was put again: {observed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlists_only_grow_where_nothing_is_late() {
    let mut upload_run = UploadRun::new(1, RETRY).await;
    upload_run.proxy.set(ErrorClass::Some(40));
    upload_run.recording.go_on(10).await;
    let proxy = upload_run.proxy.clone();
    upload_run.finish().await;
    assert_eq!(proxy.shrunk(), Vec::<String>::new());
}
