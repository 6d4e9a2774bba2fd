//! docs/protocol/callers.md section 2: what is read from answers, as strictly as the strictest of them reads.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::channel::JoinAnswer;
use crate::contract::{accepted, path, speak};
use crate::world::{Answer, World};

/// A refusal has a numeric code and a string reason, or a message from a gateway: what the client from
/// Go does with it. That it is an object with an X-Request-Id, [`World::send`] asserts of every answer of these scenarios.
fn sorted(answer: &Answer) -> &'static str {
    let (code, reason) = (&answer.body["code"], &answer.body["reason"]);
    match (answer.status.as_u16(), code, reason) {
        (200, Value::Null, _) => "success",
        (_, Value::Null, _) if answer.body["message"].is_string() => "gateway error",
        (_, Value::Number(code), Value::String(reason)) if code.is_u64() && !reason.is_empty() => "error",
        _ => "nothing that a client knows",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_a_success_or_an_error_that_is_known() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let foreign = path("acquire").replace(crate::world::APP, crate::world::OTHER_APP);
    for (row, answer, kind) in [
        ("query", world.query(&task).await, "success"),
        ("an unknown path", world.get("/v2/nothing").await, "gateway error"),
        ("a wrong method", world.call(Method::DELETE, &path("acquire"), "").await, "gateway error"),
        ("another's app", world.post(&foreign, json!({})).await, "gateway error"),
        ("wrong keys", world.call_as("a:b", Method::POST, &path("acquire"), "").await, "gateway error"),
        ("an empty body", world.call(Method::POST, &path("acquire"), "").await, "error"),
        ("an empty sid", world.get(&path("resourceid//sid//mode/mix/query")).await, "error"),
        ("an empty resource", world.post(&path("resourceid//mode/mix/start"), json!({})).await, "error"),
        ("an empty stop", world.call(Method::POST, &task.path("stop"), "").await, "error"),
        ("after the end", world.query(&task).await, "error"),
    ] {
        assert_eq!(sorted(&answer), kind, "callers.md 2, {row}: {} {}", answer.status, answer.body);
    }
}

/// Clients query right after start, and wait for 10 s at most: start answers within 3 s, and a query right after it says 5.
#[tokio::test(flavor = "multi_thread")]
async fn start_is_quick_and_status_is_five_at_once() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    assert_eq!(world.query(&task).await.body["serverResponse"]["status"], 5, "callers.md 2, status");
    world.channel.next_door(JoinAnswer::Slow(Duration::from_secs(30)));
    let resource = world.acquire("room", "2").await;
    let asked = Instant::now();
    let answer = world.start(&resource, "mix", "room", "2", &world.client()).await;
    accepted("callers.md 2, a slow channel", &answer);
    assert!(asked.elapsed() < Duration::from_secs(10), "callers.md 2: {:?}", asked.elapsed());
    assert_eq!(answer.body["state"], "starting");
}

/// A 404 after the end is an interface: three ways to read it, and what is added to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_a_404_that_says_more() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    speak(&world, &task, "9", 3).await;
    world.stop(&task).await;
    for answer in [world.query(&task).await, world.stop(&task).await] {
        assert_eq!(answer.status.as_u16(), 404, "callers.md 2: by status");
        assert_eq!(answer.body["code"], 404, "callers.md 2: by code");
        assert_eq!(answer.body["reason"], "Failed to find worker.", "callers.md 2: by words");
        for known in ["state", "fileList", "durationMs", "verdict"] {
            assert!(answer.body.get(known).is_some(), "callers.md 2: {known} is added");
        }
    }
    let known = world.get(&format!("/v1/apps/{}/recordings/{}", crate::world::APP, task.sid)).await;
    accepted("callers.md 2, the additive resource", &known);
}

/// The types of uid, sid, status, sliceStartTime, isPlayable and mixedAllUser.
#[tokio::test(flavor = "multi_thread")]
async fn values_have_the_types_that_are_read() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    speak(&world, &task, "9", 5).await;
    let body = crate::world::until(async || {
        let body = world.query(&task).await.body;
        (!body["serverResponse"]["fileList"].as_array().unwrap().is_empty()).then_some(body)
    })
    .await;
    let (server, entry) = (&body["serverResponse"], &body["serverResponse"]["fileList"][0]);
    assert!(body["uid"].is_string() && body["sid"].is_string(), "{body}");
    assert!(server["status"].is_u64() && server["sliceStartTime"].is_u64(), "{server}");
    assert!(entry["sliceStartTime"].is_u64() && entry["uid"].is_string(), "{entry}");
    assert!(entry["isPlayable"].is_boolean() && entry["mixedAllUser"].is_boolean(), "{entry}");
}
