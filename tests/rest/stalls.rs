//! A worker that stands still: its recordings say so, do not end as idle because of it, and no new ones begin for a while.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::recording::{Input, StallCause};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::Ticks;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{Options, Task, TestEnv, World, until};

/// How long the only thread of a worker is blocked.
const STALL: Duration = Duration::from_millis(2_500);
const IDLE: Duration = Duration::from_secs(5);

/// The inputs of a recording whose time is of interest, with their own.
fn journalled(place: &TestEnv, task: &Task) -> Vec<(Ticks, Input)> {
    let files = place.journal();
    let records = files.iter().flat_map(|file| Reader::open(file).unwrap().map_while(Result::ok));
    let inputs = records.filter_map(|record| match record {
        Record::Input { sid, input } if sid.as_str() == task.sid => Some((input.at, input.input)),
        _ => None,
    });
    inputs.filter(|(_, input)| matches!(input, Input::Stalled { .. } | Input::ChannelLost { .. })).collect()
}

#[tokio::test]
async fn it_is_journalled_and_starts_wait() {
    let place = Arc::new(TestEnv::new().await);
    let world = World::at(Arc::clone(&place), Options::default()).await;
    let mut client = world.client();
    client["recordingConfig"]["maxIdleTime"] = json!(IDLE.as_secs());
    let begun = Instant::now();
    let task = world.record("mix", "room", "1", &client).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::thread::sleep(STALL);
    let resource = json!({ "cname": "other", "uid": "1", "clientRequest": {} });
    let refused = world.post(&format!("/v1/apps/{}/cloud_recording/acquire", crate::world::APP), resource).await;
    assert_eq!(
        (refused.status, &refused.body["fault"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"worker_stalled".into()),
        "{}",
        refused.body
    );
    let ready = world.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::from(false)));
    // Before the recording ends: its journal goes once everything is in the bucket.
    let stalls: Vec<_> = until(async || Some(journalled(&place, &task)).filter(|stalls| !stalls.is_empty())).await;
    let (at, Input::Stalled { from, cause: StallCause::WorkerStalled }) = stalls[0] else { panic!("{stalls:?}") };
    assert!((at - from).as_duration() >= STALL, "{stalls:?}");
    world.over(&task).await;
    assert!(begun.elapsed() >= IDLE + STALL, "it was idle after {:?}", begun.elapsed());
    let exit = world.log(&task).await.into_iter().find(|event| event["eventType"] == 41).unwrap();
    assert_eq!(exit["payload"]["details"]["leaveCode"], 4, "{exit}");
    // Nothing is recorded any more: nobody watches, and nothing has happened for a while.
    until(async || (world.get("/readyz").await.status == StatusCode::OK).then_some(())).await;
}

#[tokio::test]
async fn a_lost_channel_is_dated_from_its_last_sign_of_life() {
    let place = Arc::new(TestEnv::new().await);
    let world = World::at(Arc::clone(&place), Options::default()).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.down(9_000, 2_000).await;
    until(async || (world.query(&task).await.body["state"] == "recovering").then_some(())).await;
    scripted_channel.at(10_000, Input::ChannelUp).await;
    until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
    let lost = until(async || journalled(&place, &task).pop()).await;
    let (at, Input::ChannelLost { since }) = lost else { panic!("{lost:?}") };
    let seven = Ticks::from_secs(7);
    assert!((at - since).0.abs_diff(seven.0) < Ticks::from_ms(50).0, "{lost:?}");
}
