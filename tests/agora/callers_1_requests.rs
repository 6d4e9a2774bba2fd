//! docs/protocol/callers.md section 1: the lines that tests/rest/odd_requests.rs leaves open.

use std::sync::Arc;

use axum::http::Method;
use cloud_recorder::storage::vendor::destination;
use serde_json::json;

use crate::contract::{accepted, bare, path, refused, turned_away};
use crate::world::{Options, TestEnv, World};

/// A GET on update and updateLayout, without body and credentials.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_without_credentials_get_json() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    for action in ["update", "updateLayout"] {
        let answer = world.send(bare("GET", &task.path(action))).await;
        turned_away(&format!("callers.md 1, GET on {action}"), &answer, 404, "no Route matched with those values");
    }
    let posted = world.call(Method::POST, &task.path("query"), "{}").await;
    assert!(posted.status.is_client_error(), "callers.md 1, POST on query");
}

/// No storageConfig, or vendor 0 with empty bucket and keys: the app's default storage is used where one is configured.
#[tokio::test(flavor = "multi_thread")]
async fn the_apps_default_storage_is_used() {
    let place = Arc::new(TestEnv::new().await);
    let parts = serde_json::from_value(place.storage(&["default"])).unwrap();
    let options = Options { storage: Some(destination(&parts).unwrap()), ..Options::default() };
    let world = World::at(place, options).await;
    let empty = json!({ "vendor": 0, "region": 0, "bucket": "", "accessKey": "", "secretKey": "" });
    for (uid, client) in
        [("1", json!({})), ("2", json!({ "storageConfig": empty })), ("3", json!({ "storageConfig": null }))]
    {
        let task = world.record("mix", "room", uid, &client).await;
        let name = world.query(&task).await.body["serverResponse"]["fileList"].clone();
        assert_eq!(name, format!("default/{}_room.m3u8", task.sid), "callers.md 1, whole blocks missing: {client}");
    }
}

/// A channel's name or a meeting's title as a prefix, and bodies with blank lines in front.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_prefixes_as_they_come() {
    let world = World::new().await;
    let mut client = world.client();
    client["storageConfig"] = world.storage(&["Team call: Q4 (draft)", "会議", "room_1-a", "2026-11-21"]);
    let resource = world.acquire("room", "1").await;
    let body = json!({ "cname": "room", "uid": 1, "clientRequest": client });
    let pretty = format!("\n\n\t{}\n", serde_json::to_string_pretty(&body).unwrap());
    let start = path(&format!("resourceid/{resource}/mode/mix/start"));
    accepted("callers.md 1, pretty-printed", &world.call(Method::POST, &start, pretty).await);
}

/// The uid 0 and scene 2, in one acquire as one of them sends it; one resource never gives two recordings.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_repeated_at_once_is_one_recording() {
    let world = World::new().await;
    let body = json!({ "cname": "room", "uid": "0", "clientRequest": { "scene": 2 } });
    let acquired = world.post(&path("acquire"), body).await;
    accepted("callers.md 1, uid 0", &acquired);
    let resource = acquired.body["resourceId"].as_str().unwrap();
    let client = world.client();
    let starts = (0..4).map(|_| world.start(resource, "individual", "room", "0", &client));
    let answers = futures_util::future::join_all(starts).await;
    for answer in &answers {
        accepted("callers.md 1, start is repeated", answer);
        assert_eq!(answer.body["sid"], answers[0].body["sid"]);
    }
    assert_eq!(world.joins(), 1);
}

/// A caller posts layouts to `/update`: what is no layout at all is refused there by name.
#[tokio::test(flavor = "multi_thread")]
async fn layouts_are_not_judged_on_update() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let absurd = json!({ "mixedVideoLayout": 9, "backgroundColor": "red", "layoutConfig": "x", "fps": 0 });
    accepted("callers.md 1, layouts on update", &world.post(&task.path("update"), task.body(&absurd)).await);
    let judged = world.post(&task.path("updateLayout"), task.body(&absurd)).await;
    refused("1.5 mixedVideoLayout", &judged, 400, 2, "mixedVideoLayout");
}
