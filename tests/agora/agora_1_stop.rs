//! docs/protocol/agora.md section 1.6: stop, waiting and at once.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::contract::{accepted, refused, speak};
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_stop_says_uploaded() {
    let world = World::new().await;
    for (row, mode, list) in [("1.6 mix", "mix", "string"), ("1.6 individual", "individual", "json")] {
        let task = world.record(mode, mode, "1", &world.client()).await;
        speak(&world, &task, "9", 3).await;
        let answer = world.stop(&task).await;
        accepted(row, &answer);
        let server = &answer.body["serverResponse"];
        assert_eq!((&server["fileListMode"], &server["uploadingStatus"]), (&json!(list), &json!("uploaded")), "{row}");
        for name in ["cname", "uid", "resourceId", "sid"] {
            assert!(answer.body[name].is_string(), "{row}: {name}");
        }
        let again = world.start(&task.resource, mode, mode, "1", &world.client()).await;
        refused("1.6 a new acquire is needed", &again, 201, 7, "already started");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_async_stop_answers_at_once() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    speak(&world, &task, "9", 3).await;
    let answer = world.post(&task.path("stop"), task.body(&json!({ "async_stop": true }))).await;
    accepted("1.6 async_stop", &answer);
    assert!(answer.body["serverResponse"]["fileList"].is_array(), "11: serverResponse is there all the same");
    let answer = world.post(&task.path("stop"), task.body(&json!({ "async_stop": "true" }))).await;
    assert!([400, 404].contains(&answer.status.as_u16()), "1.6 async_stop, no boolean: {}", answer.body);
    world.over(&task).await;
}

/// 1.6 and callers.md 2: callers give up after ten seconds, so eight is what a stop may take, and then it says what is true.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_can_not_finish_answers_within_eight_seconds() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    speak(&world, &task, "9", 3).await;
    until(async || (world.query(&task).await.body["segments"]["made"].as_u64() >= Some(1)).then_some(())).await;
    let asked = Instant::now();
    let answer = world.stop(&task).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    refused("3 stop 206", &answer, 206, 65, "request not completed");
    assert_eq!(answer.body["serverResponse"]["uploadingStatus"], "unknown", "1.6 uploadingStatus");
    refused("3 stop 400, repeated", &world.stop(&task).await, 400, 49, "invalid operation");
    std::fs::rename(&away, &there).unwrap();
    assert_eq!(world.over(&task).await["verdict"], "complete");
}
