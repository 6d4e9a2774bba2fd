//! Stops: waiting and at once, twice, with nothing recorded, by idleness, by the channel.

use axum::http::StatusCode;
use cloud_recorder::channel::EndReason;
use serde_json::{Value, json};

use crate::talker::Talker;
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_is_told_so_and_changes_nothing() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    let (one, two) = tokio::join!(world.stop(&task), world.stop(&task));
    let (first, second) = if one.status == StatusCode::OK { (one, two) } else { (two, one) };
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!((second.status, &second.body["code"]), (StatusCode::BAD_REQUEST, &json!(49)));
    assert_eq!(second.body["sid"], json!(task.sid));
    let third = world.stop(&task).await;
    assert_eq!((third.status, &third.body["code"]), (StatusCode::NOT_FOUND, &json!(404)));
    let types = event_types(&world.log(&task).await);
    assert_eq!(types.iter().filter(|event| **event == 41).count(), 1, "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_async_stop_answers_at_once_and_ends_all_the_same() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 2000).await;
    let answer = world.post(&task.path("stop"), task.body(&json!({ "async_stop": true }))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body["serverResponse"]["fileList"].is_string());
    assert_eq!(world.over(&task).await["state"], "ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_recorded_is_435() {
    let world = World::new().await;
    for (mode, uid, list) in [("mix", "1", "string"), ("individual", "2", "json")] {
        let task = world.record(mode, "room", uid, &world.client()).await;
        let answer = world.stop(&task).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::PARTIAL_CONTENT, &json!(435)),
            "{}",
            answer.body
        );
        assert_eq!(answer.body["reason"], "no recorded data");
        assert_eq!(answer.body["serverResponse"]["fileListMode"], list);
        assert!(!answer.body["serverResponse"]["fileList"].is_null());
        assert_eq!(answer.body["verdict"], "empty");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_when_nobody_is_left() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["maxIdleTime"] = json!(5);
    let task = world.record("mix", "room", "1", &client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 2000).await;
    scripted_channel.leave(2000, "1").await;
    assert_eq!(world.over(&task).await["state"], "ended");
    let log = world.log(&task).await;
    let leave = log.iter().find(|event| event["eventType"] == 41).unwrap();
    assert_eq!(leave["payload"]["details"]["leaveCode"], 4);
    let types = event_types(&log);
    assert_eq!(types.last(), Some(&11));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_end_is_the_recordings_end() {
    let world = World::new().await;
    for (uid, reason, state, exit) in
        [("1", EndReason::ChannelClosed, "ended", 0), ("2", EndReason::Removed, "failed", 1)]
    {
        let task = world.record("individual", "room", uid, &world.client()).await;
        let scripted_channel = world.channel.scripted_channel(&task.sid);
        scripted_channel.enter(0, "9", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        scripted_channel.end(reason).await;
        let known = world.over(&task).await;
        assert_eq!(known["state"], state);
        assert_eq!(known["fileList"][0]["isPlayable"], true, "what was recorded is there");
        let log = until(async || {
            let log = world.log(&task).await;
            (event_types(&log).last() == Some(&11)).then_some(log)
        })
        .await;
        assert_eq!(log.last().unwrap()["payload"]["details"]["exitStatus"], exit);
        assert_eq!(event_types(&log).contains(&1), exit == 1);
    }
}

fn event_types(log: &[Value]) -> Vec<u64> {
    log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect()
}
