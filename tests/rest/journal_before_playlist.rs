//! The disk takes nothing, and the keys may write and not read: then nobody but the journal could tell another run of the worker what a
//! playlist names, so the playlist waits until the recording ends. Where the keys may read, it goes on.

use axum::http::StatusCode;
use serde_json::json;

use crate::media;
use crate::talker::Talker;
use crate::world::{Options, Task, World, until};
use crate::write_once::{Policy, WriteOnce};

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bucket_cannot_be_read() {
    record(true, "fmp4").await;
}

#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread")]
async fn and_in_ts_too() {
    record(true, "ts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_goes_on_where_it_can() {
    record(false, "fmp4").await;
}

/// A recording whose journal refuses everything.
async fn record(write_only: bool, container: &str) {
    let world = World::with(Options { journal_buffer_bytes: 0, ..Options::default() }).await;
    let mut client = world.client();
    if write_only {
        let endpoint = client["storageConfig"]["extensionParams"]["endpoint"].as_str().unwrap().to_owned();
        let bucket = WriteOnce::start(&endpoint, Policy::WriteOnly).await;
        client["storageConfig"]["extensionParams"]["endpoint"] = json!(bucket.endpoint);
    }
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    client["recordingFileConfig"]["container"] = json!(container);
    let resource = world.acquire("room", "1").await;
    let started = world.start(&resource, "mix", "room", "1", &client).await;
    assert_eq!(started.status, StatusCode::OK, "{}", started.body);
    let sid = started.body["sid"].as_str().unwrap().to_owned();
    let task = Task { cname: "room".into(), uid: "1".into(), mode: "mix".into(), resource, sid };
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
    until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(6)).then_some(())).await;
    let mix = world.objects().join("rec").join(format!("{}_room.m3u8", task.sid));
    if write_only {
        assert!(!mix.exists(), "it would name what only the bucket knows");
    } else {
        until(async || mix.exists().then_some(())).await;
    }
    let stopped = world.stop(&task).await;
    assert_eq!((stopped.status, &stopped.body["verdict"]), (StatusCode::OK, &json!("complete")), "{}", stopped.body);
    let text = std::fs::read_to_string(&mix).unwrap();
    let ending = if container == "ts" { ".ts\n" } else { ".m4s\n" };
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && text.matches(ending).count() >= 3, "{text}");
    until(async || (world.spooled() == 0).then_some(())).await;
    media::verify(&world.objects().join("rec").join(format!("{}_room_manifest.json", task.sid)));
}
