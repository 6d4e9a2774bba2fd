//! A bucket that lets no object be put over another takes a whole recording: the answer to start says what that means, and every
//! object, playlists, manifest and event log too, is put once.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::media;
use crate::talker::Talker;
use crate::world::{BUCKET, Task, World, until};
use crate::write_once::{Policy, WriteOnce};

const NOTE: &str = "storageConfig: the bucket lets no object be replaced; playlists, manifest and event log are written once, at the end";

/// A recording into a bucket with this policy, from its start to its end.
async fn record_into(policy: Policy) {
    let world = World::new().await;
    let mut client = world.client();
    let endpoint = client["storageConfig"]["extensionParams"]["endpoint"].as_str().unwrap().to_owned();
    let bucket = WriteOnce::start(&endpoint, policy).await;
    client["storageConfig"]["extensionParams"]["endpoint"] = json!(bucket.endpoint);
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    let resource = world.acquire("room", "1").await;
    let started = world.start(&resource, "mix", "room", "1", &client).await;
    assert_eq!((started.status, &started.body["notes"]), (StatusCode::OK, &json!([NOTE])), "{}", started.body);
    let sid = started.body["sid"].as_str().unwrap().to_owned();
    let task = Task { cname: "room".into(), uid: "1".into(), mode: "mix".into(), resource, sid };

    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
    until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(6)).then_some(())).await;
    let early = bucket.held().await;
    assert!(!early.keys().any(|path| path.ends_with(".m3u8")), "{:?}", early.keys());
    let stopped = world.stop(&task).await;
    assert_eq!((stopped.status, &stopped.body["verdict"]), (StatusCode::OK, &json!("complete")), "{}", stopped.body);
    until(async || (world.spooled() == 0).then_some(())).await;

    let ours = |path: &str| path.contains(&task.sid);
    let refused: Vec<String> = bucket.refused().into_iter().filter(|line| ours(line)).collect();
    assert_eq!(refused, Vec::<String>::new(), "nothing was put twice");
    let held = bucket.held().await;
    let read = |end: &str| {
        let found: Vec<_> = held.iter().filter(|(path, _)| ours(path) && path.ends_with(end)).collect();
        found.into_iter().map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect::<Vec<_>>()
    };
    let playlists = read(".m3u8");
    assert_eq!(playlists.len(), 2);
    assert!(playlists.iter().all(|text| text.ends_with("#EXT-X-ENDLIST\n")));
    assert_eq!(read("_manifest.json").len(), 1);
    let log = read("_events.jsonl").remove(0);
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["eventType"], 11, "the log is whole: {last}");
    for (path, bytes) in held.iter().filter(|(path, _)| ours(path)) {
        let file = world.objects().join(path.trim_start_matches(&format!("/{BUCKET}/")));
        assert_eq!(&std::fs::read(file).unwrap(), bytes, "{path}");
    }
    media::verify(&world.objects().join("rec").join(format!("{}_room_manifest.json", task.sid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn that_denies_what_is_there() {
    record_into(Policy::Denies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_looks_at_the_condition_first() {
    record_into(Policy::ConditionFirst).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_requires_the_condition() {
    record_into(Policy::RequiresCondition).await;
}
