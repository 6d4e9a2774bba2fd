//! Event 3: a call that does not fit what a recording is doing, such as a second start, is told to the receiver too
//! (docs/protocol/agora.md section 5.1, row 3); a caller that repeats itself does not fill the log.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_is_told_once_in_a_while() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let mut other = world.client();
    other["recordingConfig"]["maxIdleTime"] = json!(99);
    for _ in 0..5 {
        let refused = world.start(&task.resource, "mix", "room", "1", &other).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CREATED, &json!(7)));
    }
    let resource = world.acquire("room", "1").await;
    assert_eq!(world.start(&resource, "mix", "room", "1", &world.client()).await.body["code"], 53);
    let told = until(async || Some(updates(&world.log(&task).await)).filter(|told| !told.is_empty())).await;
    let list = format!("rec/{}_room.m3u8", task.sid);
    assert_eq!(
        told[0].to_string(),
        json!({
            "msgName": "cloud_recording_status_update", "status": 5, "recordingMode": 1, "fileList": list,
            "reason": "already_started",
        })
        .to_string()
    );
    world.stop(&task).await;
    world.over(&task).await;
    assert_eq!(updates(&world.log(&task).await).len(), 1, "at most one a minute");
}

fn updates(log: &[Value]) -> Vec<Value> {
    let events = log.iter().filter(|event| event["eventType"] == 3);
    events.map(|event| event["payload"]["details"].clone()).collect()
}
