//! A PUT that was given up takes effect in the store after its successor did. The newest text wins in the end.

use std::time::Duration;

use crate::fault_proxy::Fault;
use crate::rig::{PATIENCE, RETRY, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_playlist_that_lands_late_does_not_stay() {
    let mut rig = Rig::new(1, RETRY).await;
    rig.recording.go_on(2).await;
    rig.until(|told| told.confirmed >= 6).await;
    // Past the attempt's time, and within the doubt.
    rig.proxy.set(Fault::LatePlaylists(PATIENCE.attempt + PATIENCE.doubt / 2));
    rig.recording.go_on(1).await;
    rig.until(|told| told.codes.contains(&("bucket_timeout", true))).await;
    rig.proxy.set(Fault::None);
    let begun = tokio::time::Instant::now();
    let proxy = rig.proxy.clone();
    let seen = async {
        let mut shrunk = Vec::new();
        while shrunk.is_empty() && begun.elapsed() < Duration::from_secs(30) {
            shrunk = proxy.shrunk();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shrunk
    };
    // The closed playlists follow at once: they are there before the late one.
    let (told, shrunk) = tokio::join!(rig.finish(), seen);
    assert!(!shrunk.is_empty(), "the older text landed over the newer one");
    assert!(told.confirmed > 12, "and the newer one was put again: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlists_only_grow_where_nothing_is_late() {
    let mut rig = Rig::new(1, RETRY).await;
    rig.proxy.set(Fault::Some(40));
    rig.recording.go_on(10).await;
    let proxy = rig.proxy.clone();
    rig.finish().await;
    assert_eq!(proxy.shrunk(), Vec::<String>::new());
}
