//! Resources: five minutes to be started, their hours to be used, one app, one recording.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::world::{APP, Answer, World};

#[tokio::test]
async fn a_resource_lives_five_minutes() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    world.pass(Duration::from_secs(301));
    expect(&world.start(&resource, "mix", "room", "1", &world.client()).await, 433);
}

#[tokio::test]
async fn a_handle_lives_its_hours_and_a_fresh_one_takes_its_place() {
    let world = World::new().await;
    let body = json!({ "cname": "room", "uid": "1", "clientRequest": { "resourceExpiredHour": 1 } });
    let answer = world.post(&format!("/v1/apps/{APP}/cloud_recording/acquire"), body).await;
    let resource = answer.body["resourceId"].as_str().unwrap().to_owned();
    let answer = world.start(&resource, "mix", "room", "1", &world.client()).await;
    let mut task = crate::world::Task {
        cname: "room".into(),
        uid: "1".into(),
        mode: "mix".into(),
        resource,
        sid: answer.body["sid"].as_str().unwrap().to_owned(),
    };
    world.pass(Duration::from_secs(3601));
    let late = world.query(&task).await;
    expect(&late, 433);
    assert_eq!(late.body["reason"], "resourceId exceeded time limit!");
    let old = std::mem::replace(&mut task.resource, world.acquire("room", "2").await);
    let answer = world.query(&task).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["resourceId"], json!(old));
    assert_eq!(answer.body["mismatched"], json!(["resourceId"]));
}

#[tokio::test]
async fn a_resource_is_for_its_channel_and_uid() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    expect(&world.start(&resource, "mix", "other", "1", &world.client()).await, 432);
    expect(&world.start(&resource, "mix", "room", "2", &world.client()).await, 432);
    assert_eq!(world.start(&resource, "mix", "room", "1", &world.client()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_promised_at_acquire_has_to_be_sent() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let promise = json!({ "cname": "room", "uid": "1", "clientRequest": { "startParameter": world.client() } });
    let resource = world.post(&path, promise).await.body["resourceId"].as_str().unwrap().to_owned();
    let other = json!({ "storageConfig": world.storage(&[]) });
    let answer = world.start(&resource, "mix", "room", "1", &other).await;
    expect(&answer, 2);
    assert_eq!(answer.body["reason"], "request_hash mismatch!");
    assert_eq!(world.start(&resource, "mix", "room", "1", &world.client()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn broken_and_foreign_resources_are_told_apart() {
    let world = World::new().await;
    let client = world.client();
    for resource in ["x", "", "AAAA", "%2e%2e%2f"] {
        expect(&world.start(resource, "mix", "room", "1", &client).await, 1001);
    }
    let path = "/v1/apps/ffffffffffffffffffffffffffffffff/cloud_recording/acquire";
    let body = json!({ "cname": "room", "uid": "1" }).to_string();
    let foreign = world.call_as("other:secret", Method::POST, path, body).await;
    let foreign = foreign.body["resourceId"].as_str().unwrap().to_owned();
    expect(&world.start(&foreign, "mix", "room", "1", &client).await, 1003);
}

fn expect(answer: &Answer, code: u64) {
    assert_eq!((answer.status, answer.body["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(code)), "{}", answer.body);
    assert!(answer.body["reason"].is_string());
}
