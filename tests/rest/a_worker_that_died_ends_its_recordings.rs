//! A worker dies in the middle; its next run ends what was left open: everything it had received is in the bucket, the timeline
//! is whole, the log says what happened.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Place, Task, Wishes, World, until};

/// Longer than the journal waits before it writes.
const DURABLE: Duration = Duration::from_millis(1500);

#[test]
fn what_was_received_is_in_the_bucket_after_a_crash() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(Place::new()));

    let first_run = Runtime::new().unwrap();
    let at = Arc::clone(&place);
    let task = first_run.block_on(async move {
        let world = World::at(at, Wishes::default()).await;
        let task = world.record("individual", "room", "1", &world.client()).await;
        let stage = world.channel.stage(&task.sid);
        stage.enter(0, "7", 1).await;
        stage.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        tokio::time::sleep(DURABLE).await;
        task
    });
    first_run.shutdown_background();

    let second_run = Runtime::new().unwrap();
    second_run.block_on(async move {
        let world = World::at(place, Wishes::default()).await;
        ends_honestly(&world, &task).await;
    });
}

async fn ends_honestly(world: &World, task: &Task) {
    let known = world.over(task).await;
    assert_eq!(known["state"], "failed");
    assert!(known["failure"].as_str().unwrap().contains("the worker stopped"));
    let length = known["durationMs"].as_u64().unwrap();
    assert!(length.abs_diff(8980) <= 20, "{length}");
    let key = known["fileList"][0]["fileName"].as_str().unwrap();
    let text = std::fs::read_to_string(world.objects().join(key)).unwrap();
    assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    let sound = media::decode(&world.objects().join(key));
    assert!(sound.ms().abs_diff(length) <= 20);
    assert!(tone(sound.part(7000, 8500), 440.0) > 0.1);

    let log = world.log(task).await;
    let types: Vec<u64> = log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
    for once in [40, 30, 42, 4, 41, 31, 11] {
        assert_eq!(types.iter().filter(|event| **event == once).count(), 1, "{once} in {types:?}");
    }
    assert!(types.contains(&1) && types.last() == Some(&11), "{types:?}");
    assert_eq!(log.last().unwrap()["payload"]["details"]["exitStatus"], 1);
    let answer = world.stop(task).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::NOT_FOUND, &json!(404)));
}
