//! Dead letters and pending callbacks over REST: seen, paged, and delivered once more.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use cloud_recorder::callback::Settings;
use serde_json::{Value, json};

use crate::receiver::{Answer, Receiver};
use crate::world::{APP, OTHER_APP, Options, World, until};

/// A receiver that refuses the first attempts; what it refuses is given up at once.
async fn impatient(receiver: &Receiver) -> World {
    let patience = Settings { give_up_after: Duration::ZERO, ..Settings::default() };
    World::with(Options { callbacks: Some(receiver.url.clone()), delivery: patience, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_and_delivered_when_asked_for() {
    let receiver = Receiver::scripted(&[Answer::Status(500), Answer::Status(500)]).await;
    let world = impatient(&receiver).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    world.stop(&task).await;
    world.over(&task).await;
    let log = world.log(&task).await;
    until(async || (receiver.heard(&task.sid).len() == log.len()).then_some(())).await;
    let dead = until(async || Some(list(&world, "").await).filter(|dead| dead.len() == 2)).await;
    for (letter, line) in dead.iter().zip(&log) {
        assert_eq!(letter["sid"], task.sid.as_str());
        assert_eq!(letter["sequence"], line["payload"]["sequence"]);
        assert_eq!((&letter["noticeId"], &letter["eventType"]), (&line["noticeId"], &line["eventType"]));
        assert_eq!((&letter["state"], &letter["attempts"]), (&json!("dead"), &json!(1)));
        assert!(letter["lastError"].as_str().unwrap().contains("500") && letter["since"].as_u64().unwrap() > 0);
    }
    let first = world.get(&format!("/v1/apps/{APP}/callbacks?state=dead&limit=1")).await.body;
    assert_eq!(first["receiver"], true);
    let rest = list(&world, &format!("&limit=1&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&first["callbacks"][0], &rest[..]), (&dead[0], &dead[1..]), "pages follow each other");

    let before = receiver.attempts().len();
    let path = format!("/v1/apps/{APP}/callbacks/redeliver");
    assert_eq!(world.post(&path, json!({ "sid": "0".repeat(32) })).await.body["redelivered"], 0);
    let answer = world.post(&path, json!({ "sid": task.sid })).await;
    assert_eq!((&answer.body["redelivered"], &answer.body["more"]), (&json!(2), &json!(false)));
    until(async || (receiver.attempts().len() == before + 2).then_some(())).await;
    let again: Vec<Value> =
        receiver.attempts()[before..].iter().map(|attempt| attempt.json["noticeId"].clone()).collect();
    assert_eq!(again, [log[0]["noticeId"].clone(), log[1]["noticeId"].clone()], "in order, each with its noticeId");
    until(async || list(&world, "").await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_too_and_lists_are_an_apps_own() {
    let receiver = Receiver::always(Answer::Status(503)).await;
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), ..Options::default() }).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let pending = until(async || {
        let body = world.get(&format!("/v1/apps/{APP}/callbacks?state=pending")).await.body;
        let pending = body["callbacks"].as_array().unwrap().clone();
        (pending.len() >= 2 && pending[0]["attempts"] != 0).then_some(pending)
    })
    .await;
    assert_eq!((&pending[0]["state"], &pending[1]["state"]), (&json!("due"), &json!("waiting")));
    assert!(pending[0]["nextAttempt"].is_u64() && pending[1]["nextAttempt"].is_null());
    assert_eq!(
        pending[0]["lastError"],
        "the receiver answered 503 Service Unavailable; it has to answer 200 or another 2xx"
    );
    let other = world.call_as("other:secret", Method::GET, &format!("/v1/apps/{OTHER_APP}/callbacks"), "").await;
    assert_eq!(other.body, json!({ "receiver": false, "callbacks": [], "next": null }));
    for query in ["state=lost", "after=nonsense", "limit=0", "limit=501", "limit=x"] {
        let refused = world.get(&format!("/v1/apps/{APP}/callbacks?{query}")).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)), "{query}");
    }
    world.stop(&task).await;
}

async fn list(world: &World, more: &str) -> Vec<Value> {
    let answer = world.get(&format!("/v1/apps/{APP}/callbacks?state=dead{more}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["callbacks"].as_array().unwrap().clone()
}
