//! A worker dies while its recording waits for a member. The next run waits for what is left of `maxIdleTime`, no longer; who comes in
//! that time is in the same recording, and nothing is missing for the time in which nobody was there.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::channel::ChannelUpdate;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

/// When the member left, and `maxIdleTime`, in milliseconds.
const LEFT_MS: u64 = 2_000;
const IDLE_MS: u64 = 60_000;

/// Somebody talks, leaves, and the worker dies.
fn dies_while_idle(outside: &Runtime) -> (Arc<TestEnv>, Task) {
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["maxIdleTime"] = json!(IDLE_MS / 1000);
        let task = world.record("individual", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, LEFT_MS).await;
        scripted_channel.leave(LEFT_MS, "7").await;
        until(async || Some(world.query(&task).await.body).filter(|body| body["idle"].is_object())).await;
        world.durable(&task).await;
        task
    });
    (place, task)
}

fn missing_ms(known: &Value) -> Vec<&Value> {
    known["ledger"]["uids"].as_array().unwrap().iter().map(|account| &account["missingMs"]).collect()
}

#[test]
fn the_rest_of_the_idle_time_counts() {
    let outside = Runtime::new().unwrap();
    let (place, task) = dies_while_idle(&outside);
    let options = Options { ahead: Duration::from_millis(IDLE_MS - 6_000), ..Options::default() };
    let (known, log) = run_that_dies(&place, options, async |world: World| {
        let begun = Instant::now();
        let known = world.over(&task).await;
        assert!(begun.elapsed() < Duration::from_secs(40), "not the whole time once more");
        (known, world.log(&task).await)
    });
    assert_eq!((&known["state"], &known["endReason"]), (&json!("ended"), &json!("idle")), "{known}");
    assert!(known["durationMs"].as_u64().unwrap().abs_diff(LEFT_MS + IDLE_MS) <= 40, "{}", known["durationMs"]);
    assert_eq!((missing_ms(&known), &known["verdict"]), (vec![&json!(0)], &json!("complete")), "{known}");
    assert!(!log.iter().any(|event| event["eventType"] == 1), "{log:#?}");
}

#[test]
fn a_worker_that_comes_back_too_late_looks_around_and_ends_it_where_it_ended() {
    let outside = Runtime::new().unwrap();
    let (place, task) = dies_while_idle(&outside);
    let options = Options { ahead: Duration::from_millis(10 * IDLE_MS), ..Options::default() };
    let known = run_that_dies(&place, options, async |world: World| world.over(&task).await);
    assert_eq!(known["endReason"], "idle", "{known}");
    assert!(known["durationMs"].as_u64().unwrap().abs_diff(LEFT_MS + IDLE_MS) <= 40, "{}", known["durationMs"]);
    assert_eq!(known["verdict"], "complete", "{known}");
}

#[test]
fn who_comes_in_that_time_is_in_the_same_recording() {
    let outside = Runtime::new().unwrap();
    let (place, task) = dies_while_idle(&outside);
    let options = Options { ahead: Duration::from_millis(20_000), ..Options::default() };
    run_that_dies(&place, options, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.tell(0, ChannelUpdate::Outside { deleted: true }).await;
        scripted_channel.tell(500, ChannelUpdate::Inside).await;
        scripted_channel.enter(500, "8", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 880.0)], 500, 4_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert!(world.query(&task).await.body["idle"].is_null());
        scripted_channel.leave(4_000, "8").await;
        until(async || Some(world.query(&task).await.body).filter(|body| body["idle"]["recorder"] == "inside")).await;
        let answer = world.stop(&task).await;
        assert_eq!((answer.status, &answer.body["endReason"]), (StatusCode::OK, &json!("stopped")), "{}", answer.body);
        assert_eq!(missing_ms(&answer.body), [&json!(0), &json!(0)], "{}", answer.body);
    });
}

#[test]
fn a_stop_in_that_time_is_answered_at_once() {
    let outside = Runtime::new().unwrap();
    let (place, task) = dies_while_idle(&outside);
    let options = Options { ahead: Duration::from_millis(20_000), ..Options::default() };
    run_that_dies(&place, options, async |world: World| {
        world.scripted_channel(&task).await.tell(0, ChannelUpdate::Outside { deleted: false }).await;
        let begun = Instant::now();
        let answer = world.stop(&task).await;
        assert_eq!((answer.status, &answer.body["endReason"]), (StatusCode::OK, &json!("stopped")), "{}", answer.body);
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(answer.body["verdict"], "complete", "{}", answer.body);
        let log = world.log(&task).await;
        assert!(!log.iter().any(|event| event["eventType"] == 1), "nobody was there to be missed: {log:#?}");
    });
}
