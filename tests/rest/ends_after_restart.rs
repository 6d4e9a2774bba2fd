//! A recording that is over waits for its bucket for as long as it takes, also when the worker dies meanwhile: it says so once,
//! and in the end everything is there, the last line of the log included.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, unchained, until};

#[test]
fn an_upload_is_never_given_up() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (there, away) = bucket(&place);
    let impatient = Options { upload_patience: Duration::from_millis(300), ..Options::default() };
    let task = run_that_dies(&place, impatient.clone(), async |world: World| {
        let task = world.record("individual", "room", "1", &world.client()).await;
        std::fs::rename(&there, &away).unwrap();
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
        let stop = task.body(&json!({ "async_stop": true }));
        assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::OK);
        late(&world, &task).await;
        task
    });
    run_that_dies(&place, impatient.clone(), async |world: World| {
        let known = world.query(&task).await;
        assert_eq!((known.status, &known.body["state"]), (StatusCode::OK, &json!("stopping")));
        assert!(known.body["failure"].is_string(), "{}", known.body);
        // Longer than its patience.
        tokio::time::sleep(Duration::from_millis(600)).await;
        late(&world, &task).await;
        assert_eq!(world.stop(&task).await.body["code"], 49);
    });
    std::fs::rename(&away, &there).unwrap();
    run_that_dies(&place, impatient, async |world: World| {
        let known = world.over(&task).await;
        assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")), "{known}");
        assert!(known["durationMs"].as_u64().unwrap().abs_diff(6980) <= 20);
        let sound = media::decode(&there.join(known["fileList"][0]["fileName"].as_str().unwrap()));
        assert!(sound.ms().abs_diff(6980) <= 20);
        let log = world.log(&task).await;
        for once in [41, 31, 11] {
            assert_eq!(log.iter().filter(|event| event["eventType"] == once).count(), 1, "{once} in {log:#?}");
        }
        let errors = log.iter().filter(|event| event["eventType"] == 1);
        let codes: Vec<_> = errors.map(|event| event["payload"]["details"]["errorCode"].as_u64().unwrap()).collect();
        // Each run finds the bucket away; that the end takes too long is one fact.
        assert_eq!(codes.iter().filter(|code| **code == 50).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == 32).count(), 2, "{codes:?}");
        whole_log(&world, &task, &log).await;
        until(async || (world.spooled() == 0).then_some(())).await;
    });
}

#[test]
fn the_last_line_of_the_log_reaches_the_bucket_after_a_crash() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (there, away) = bucket(&place);
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 2000).await;
        let stop = task.body(&json!({ "async_stop": true }));
        assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::OK);
        let log = there.join(format!("rec/{}_room_events.jsonl", task.sid));
        while !log.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::fs::rename(&there, &away).unwrap();
        world.over(&task).await;
        task
    });
    std::fs::rename(&away, &there).unwrap();
    run_that_dies(&place, Options::default(), async |world: World| {
        assert_eq!(world.query(&task).await.status, StatusCode::NOT_FOUND);
        let log = world.log(&task).await;
        whole_log(&world, &task, &log).await;
        until(async || (world.spooled() == 0).then_some(())).await;
    });
}

fn bucket(place: &TestEnv) -> (PathBuf, PathBuf) {
    let there = place.objects();
    let away = there.with_extension("away");
    (there, away)
}

/// Waits until it is said that the bucket takes too long, and sees that it is said once.
async fn late(world: &World, task: &Task) {
    let said = until(async || {
        let log = world.log(task).await;
        let codes: Vec<_> = log.iter().map(|event| event["payload"]["details"]["errorCode"].clone()).collect();
        let late = codes.iter().filter(|code| **code == 50).count();
        (late > 0).then_some(late)
    });
    assert_eq!(said.await, 1);
}

/// Waits until the bucket's log is the whole log.
async fn whole_log(world: &World, task: &Task, log: &[Value]) {
    let text = until(async || {
        let text = std::fs::read_to_string(world.objects().join(format!("rec/{}_room_events.jsonl", task.sid))).ok()?;
        (text.lines().count() == log.len()).then_some(text)
    });
    let last = text.await.lines().last().map(unchained);
    assert_eq!(last.as_ref(), log.last());
    // The last object covers the log and the manifest.
    let manifest = world.objects().join(format!("rec/{}_room_manifest.json", task.sid));
    let digest = manifest.with_extension("sha256");
    until(async || digest.exists().then_some(())).await;
    tokio::task::spawn_blocking(move || media::verify(&manifest)).await.unwrap();
}
