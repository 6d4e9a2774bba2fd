//! docs/protocol/agora.md section 1.1: acquire, field by field, and what a resource is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::contract::{accepted, fields, noted, path, refused};
use crate::world::{Answer, Task, World};

async fn acquire(world: &World, body: Value) -> Answer {
    world.post(&path("acquire"), body).await
}

fn with(client: Value) -> Value {
    let mut body = json!({ "cname": "room", "uid": "527" });
    body["clientRequest"] = client;
    body
}

#[tokio::test]
async fn fields_that_are_taken() {
    let world = World::new().await;
    let start = json!({ "recordingConfig": { "streamTypes": 0 } });
    for (row, body) in [
        ("1.1 uid, the largest", json!({ "cname": "room", "uid": "4294967295", "clientRequest": {} })),
        ("1.1 uid, 2^31-1 as support says", json!({ "cname": "room", "uid": "2147483647", "clientRequest": {} })),
        ("1.1 clientRequest, missing", json!({ "cname": "room", "uid": "527" })),
        ("1.1 clientRequest, empty", with(json!({}))),
        ("1.1 scene 0", with(json!({ "scene": 0 }))),
        ("1.1 scene 2", with(json!({ "scene": 2 }))),
        ("1.1 resourceExpiredHour, the least", with(json!({ "resourceExpiredHour": 1 }))),
        ("1.1 resourceExpiredHour, the most", with(json!({ "resourceExpiredHour": 720 }))),
        ("1.1 startParameter", with(json!({ "startParameter": start }))),
        ("1.1 startParameter, invalid", with(json!({ "startParameter": { "recordingConfig": { "streamTypes": 1 } } }))),
        ("1.1 startParameter, no object", with(json!({ "startParameter": "x" }))),
        ("1.1 excludeResourceIds", with(json!({ "excludeResourceIds": ["another"] }))),
        ("1.1 regionAffinity 0", with(json!({ "regionAffinity": 0 }))),
        ("1.1 regionAffinity 4", with(json!({ "regionAffinity": 4 }))),
    ] {
        let answer = acquire(&world, body).await;
        accepted(row, &answer);
        assert_eq!(fields(&answer.body), ["cname", "resourceId", "uid"], "{row}");
        assert_eq!(answer.body["cname"], "room", "{row}");
        assert!(answer.body["uid"].is_string(), "{row}");
    }
    for region in ["CN", "AP", "EU", "NA"] {
        let answer = acquire(&world, with(json!({ "region": region }))).await;
        accepted("1.1 region", &answer);
        assert!(noted(&answer, "region has no effect"), "1.1 region {region}: {}", answer.body);
    }
}

#[tokio::test]
async fn fields_that_are_refused() {
    let world = World::new().await;
    let hours = "Acquire: invalid resourceExpiredHour value!";
    for (row, body, code, reason) in [
        ("1.1 cname, required", json!({ "uid": "527" }), 2, "cname"),
        ("3 acquire 401", json!({ "cname": "a/b", "uid": "527" }), 401, "invalid_channel_name"),
        ("8.4 channel name, 65 bytes", json!({ "cname": "x".repeat(65), "uid": "5" }), 401, "invalid_channel_name"),
        ("1.1 uid, required", json!({ "cname": "room" }), 2, "uid"),
        ("1.1 uid, above 2^32", json!({ "cname": "room", "uid": "8810546176" }), 2, "uid"),
        ("1.1 uid, no integer", json!({ "cname": "room", "uid": "alice" }), 2, "uid"),
        ("1.1 scene 1", with(json!({ "scene": 1 })), 2, "clientRequest.scene"),
        ("1.1 scene, out of range", with(json!({ "scene": 3 })), 2, "clientRequest.scene"),
        ("1.1 resourceExpiredHour 0", with(json!({ "resourceExpiredHour": 0 })), 2, hours),
        ("1.1 resourceExpiredHour 721", with(json!({ "resourceExpiredHour": 721 })), 2, hours),
        ("1.1 resourceExpiredHour, a string", with(json!({ "resourceExpiredHour": "72" })), 2, hours),
        ("1.1 excludeResourceIds, no list", with(json!({ "excludeResourceIds": "x" })), 2, "excludeResourceIds"),
        ("1.1 region, no string", with(json!({ "region": 1 })), 2, "clientRequest.region"),
        ("1.1 regionAffinity 5", with(json!({ "regionAffinity": 5 })), 2, "clientRequest.regionAffinity"),
    ] {
        refused(row, &acquire(&world, body).await, 400, code, reason);
    }
    let answer = acquire(&world, with(json!({ "resourceExpiredHour": 0 }))).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("clientRequest.resourceExpiredHour") && detail.contains("1 to 720"), "{detail}");
}

#[tokio::test]
async fn every_call_returns_a_new_id_that_fits_into_a_path() {
    let world = World::new().await;
    let (one, two) = (world.acquire("room", "1").await, world.acquire("room", "1").await);
    assert_ne!(one, two, "1.1 rules: every acquire call returns a new id");
    assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "1.1 rules: {one}");
}

/// 1.1 startParameter: an invalid one fails the start, and so does another start than the promised one.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_is_judged_at_the_start() {
    let world = World::new().await;
    let mut wrong = world.client();
    wrong["recordingConfig"]["streamTypes"] = json!(1);
    let answer = acquire(&world, with(json!({ "startParameter": wrong }))).await;
    accepted("1.1 startParameter", &answer);
    let resource = answer.body["resourceId"].as_str().unwrap();
    let kept = world.start(resource, "mix", "room", "527", &wrong).await;
    refused("1.1 startParameter, kept", &kept, 400, 2, "recordingConfig.streamTypes");
    let broken = world.start(resource, "mix", "room", "527", &world.client()).await;
    refused("1.1 startParameter, broken", &broken, 400, 2, "request_hash mismatch!");
}

/// 1.1 resourceExpiredHour: 72 hours from the start where acquire said nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_good_for_72_hours() {
    let world = World::new().await;
    let task: Task = world.record("mix", "room", "1", &world.client()).await;
    world.pass(Duration::from_secs(72 * 3600 - 60));
    accepted("1.1 resourceExpiredHour, default", &world.query(&task).await);
    world.pass(Duration::from_secs(120));
    refused("3 reasons of code 2", &world.query(&task).await, 400, 433, "resourceId exceeded time limit!");
}
