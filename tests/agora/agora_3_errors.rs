//! docs/protocol/agora.md section 3: every error that can be caused, with its HTTP status, code and reason.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::channel::JoinAnswer;
use crate::contract::{path, refused, speak};
use crate::world::{APP, OTHER_APP, Options, World, until};

#[tokio::test]
async fn errors_of_acquire() {
    let world = World::with(Options { max_sessions: 0, ..Options::default() }).await;
    let body = json!({ "cname": "room", "uid": "1" });
    refused("3 acquire 400, 2", &world.post(&path("acquire"), json!({})).await, 400, 2, "cname");
    let name = json!({ "cname": "a/b", "uid": "1" });
    refused("3 acquire 400, 401", &world.post(&path("acquire"), name).await, 400, 401, "invalid_channel_name");
    refused("3 acquire 400, 406", &world.post(&path("acquire"), body.clone()).await, 400, 406, "vendor_over_load");
    let cut = world.call(Method::POST, &path("acquire"), "{\"cname\":").await;
    refused("3 code 8, the body is no JSON", &cut, 400, 8, "body is not JSON");

    let world = World::new().await;
    std::fs::remove_dir_all(world.disk()).unwrap();
    let full =
        until(async || Some(world.post(&path("acquire"), body.clone()).await).filter(|full| full.status != 200)).await;
    refused("3 acquire 500, 501 (503 here: clients repeat it)", &full, 503, 501, "no_worker_manager_available");
    assert!(full.headers.contains_key("retry-after"));

    let world = World::new().await;
    world.store.close().await;
    refused("3 acquire 500, 500", &world.post(&path("acquire"), body).await, 500, 500, "internal_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_start() {
    let world = World::new().await;
    let client = world.client();
    let resource = world.acquire("room", "1").await;
    let start = |resource: &str, cname: &'static str, uid: &'static str| {
        let (resource, world, client) = (resource.to_owned(), &world, &client);
        async move { world.start(&resource, "mix", cname, uid, client).await }
    };
    refused("3 432, another cname", &start(&resource, "other", "1").await, 400, 432, "cname");
    refused("3 432, another uid", &start(&resource, "room", "2").await, 400, 432, "uid");
    refused("3 1001, not to be read", &start("AAAA", "room", "1").await, 400, 1001, "resourceId");
    let acquire = path("acquire").replace(APP, OTHER_APP);
    let body = json!({ "cname": "room", "uid": "1" }).to_string();
    let foreign = world.call_as("other:secret", Method::POST, &acquire, body).await;
    let foreign = foreign.body["resourceId"].as_str().unwrap().to_owned();
    refused("3 1003, another app's", &start(&foreign, "room", "1").await, 400, 1003, "resourceId");
    let silent = json!({ "storageConfig": {
        "vendor": 11, "bucket": "calls", "accessKey": "a", "secretKey": "s", "extensionParams": { "endpoint": "http://127.0.0.1:1" }
    } });
    let answer = world.start(&resource, "mix", "room", "1", &silent).await;
    refused("3 start 500, 62", &answer, 500, 62, "request timeout");
    world.channel.next_door(JoinAnswer::Refuses);
    refused("3 start 500, 502", &start(&resource, "room", "1").await, 500, 502, "Failed to allocate worker");

    let old = world.acquire("room", "2").await;
    world.pass(Duration::from_secs(301));
    refused("3 433, after five minutes", &start(&old, "room", "2").await, 400, 433, "expired");

    let resource = world.acquire("room", "1").await;
    let first = start(&resource, "room", "1").await;
    assert_eq!(first.status.as_u16(), 200, "{}", first.body);
    let again = start(&resource, "room", "1").await;
    assert_eq!((again.status.as_u16(), &again.body["sid"]), (200, &first.body["sid"]), "callers.md 2, for 3 start 201");
    let mut other = client.clone();
    other["recordingConfig"]["maxIdleTime"] = json!(60);
    let answer = world.start(&resource, "mix", "room", "1", &other).await;
    refused("3 start 201, 7", &answer, 201, 7, "already started");
    let second = world.acquire("room", "1").await;
    refused("3 start 400, 53", &start(&second, "room", "1").await, 400, 53, "task conflict");
    assert_eq!(world.joins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_calls_on_a_task() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let wrong = world.post(&task.path("update"), task.body(&json!({ "streamSubscribe": 1 }))).await;
    refused("3 update 400, 2", &wrong, 400, 2, "clientRequest.streamSubscribe");
    assert_eq!(
        (&wrong.body["cname"], &wrong.body["sid"]),
        (&json!("room"), &json!(task.sid)),
        "3 shapes: the task's names"
    );
    let wrong = world.post(&task.path("stop"), task.body(&json!({ "async_stop": 1 }))).await;
    refused("3 stop 400, 2", &wrong, 400, 2, "clientRequest.async_stop");
    refused("3 stop 206, 435", &world.stop(&task).await, 206, 435, "no recorded data");
    let layout = json!({ "mixedVideoLayout": 1 });
    for (row, answer) in [
        ("3 query 404", world.query(&task).await),
        ("3 update 404", world.post(&task.path("update"), task.body(&layout)).await),
        ("3 updateLayout 404", world.post(&task.path("updateLayout"), task.body(&layout)).await),
        ("3 stop 404", world.stop(&task).await),
    ] {
        refused(row, &answer, 404, 404, "ailed to find worker");
        for name in ["cname", "uid", "resourceId", "sid"] {
            assert!(answer.body[name].is_string(), "callers.md 2, the 404 names the task: {row}: {}", answer.body);
        }
    }
    let spoken = world.record("mix", "room", "2", &world.client()).await;
    speak(&world, &spoken, "9", 3).await;
    let (one, two) = tokio::join!(world.stop(&spoken), world.stop(&spoken));
    let second = if one.status.as_u16() == 200 { two } else { one };
    refused("3 stop 400, 49", &second, 400, 49, "invalid operation");
    assert!(second.body["serverResponse"].is_object(), "3: the observed body of 49 has one");
}
