//! Channels that refuse, are dead or slow: start says so, the log says so, and the resource is not lost.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::channel::JoinAnswer;
use crate::world::{APP, Task, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_join_fails_the_start_and_gives_the_resource_back() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    for (door, error_code) in [(JoinAnswer::Refuses, 110), (JoinAnswer::Dead, 52)] {
        world.channel.next_door(door);
        let answer = world.start(&resource, "mix", "room", "1", &world.client()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.body);
        assert_eq!(answer.body["code"], 502);
        assert_eq!(answer.body["reason"], "Failed to allocate worker");
        assert!(answer.body["detail"].as_str().unwrap().contains("check the app's channel"));
        let sid = world.store.sessions_recent(&cloud_recorder::units::AppId::new(APP).unwrap(), 1).await.unwrap();
        let task = Task {
            cname: "room".into(),
            uid: "1".into(),
            mode: "mix".into(),
            resource: resource.clone(),
            sid: sid[0].session.sid.to_string(),
        };
        let log = world.log(&task).await;
        assert_eq!(log[0]["payload"]["details"]["errorCode"], error_code);
        assert_eq!(log[1]["payload"]["details"]["exitStatus"], 1);
        assert_eq!(world.query(&task).await.body["state"], "failed");
    }
    assert_eq!(world.start(&resource, "mix", "room", "1", &world.client()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_channel_does_not_hold_start_up() {
    let world = World::new().await;
    world.channel.next_door(JoinAnswer::Slow(Duration::from_millis(2300)));
    let task = world.record("mix", "room", "1", &world.client()).await;
    let early = world.query(&task).await;
    assert_eq!((&early.body["state"], &early.body["serverResponse"]["status"]), (&json!("starting"), &json!(2)));
    assert_eq!(early.body["serverResponse"]["sliceStartTime"], 0);
    until(async || (world.query(&task).await.body["serverResponse"]["status"] == 5).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_calls_off_a_join() {
    let world = World::new().await;
    world.channel.next_door(JoinAnswer::Slow(Duration::from_secs(30)));
    let task = world.record("mix", "room", "1", &world.client()).await;
    let answer = world.stop(&task).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::PARTIAL_CONTENT, &json!(435)));
    assert_eq!(world.channel.joins(), 0);
    assert_eq!(world.query(&task).await.status, StatusCode::NOT_FOUND);
}
