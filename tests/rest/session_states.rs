//! `state` in query tells apart what the vendor calls "failed to find worker" and a number: never started, starting, recording,
//! recovering, stopping, ended, failed.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::channel::EndReason;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::channel::JoinAnswer;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_says_where_it_is_in_its_life() {
    let world = World::new().await;
    let mut task = Task {
        cname: "room".into(),
        uid: "1".into(),
        mode: "mix".into(),
        resource: world.acquire("room", "1").await,
        sid: "0".repeat(32),
    };
    for sid in ["0".repeat(32), String::new(), "lost".into()] {
        task.sid = sid;
        expect(&world, &task, StatusCode::NOT_FOUND, "never_started").await;
    }
    let lost = Task { resource: String::new(), sid: "0".repeat(32), ..task.clone() };
    expect(&world, &lost, StatusCode::NOT_FOUND, "unknown").await;

    let open = Arc::new(Notify::new());
    world.channel.next_door(JoinAnswer::Held(Arc::clone(&open)));
    let answer = world.start(&task.resource, "mix", "room", "1", &world.client()).await;
    task.sid = answer.body["sid"].as_str().unwrap().to_owned();
    expect(&world, &task, StatusCode::OK, "starting").await;
    open.notify_one();
    until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
    expect(&world, &Task { sid: "0".repeat(32), ..task.clone() }, StatusCode::NOT_FOUND, "unknown").await;

    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    assert_eq!(world.post(&task.path("stop"), task.body(&json!({ "async_stop": true }))).await.status, StatusCode::OK);
    expect(&world, &task, StatusCode::OK, "stopping").await;
    std::fs::rename(&away, &there).unwrap();
    world.over(&task).await;
    expect(&world, &task, StatusCode::NOT_FOUND, "ended").await;

    let removed = world.record("mix", "room", "2", &world.client()).await;
    world.scripted_channel(&removed).await.end(EndReason::Removed).await;
    world.over(&removed).await;
    expect(&world, &removed, StatusCode::NOT_FOUND, "failed").await;
}

#[test]
fn a_recording_on_its_way_back_says_so() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        world.durable(&task).await;
        task
    });
    let doors = vec![JoinAnswer::Slow(Duration::from_secs(30))];
    run_that_dies(&place, Options { doors, ..Options::default() }, async |world: World| {
        expect(&world, &task, StatusCode::OK, "recovering").await;
    });
}

async fn expect(world: &World, task: &Task, status: StatusCode, state: &str) {
    let answer = world.query(task).await;
    assert_eq!((answer.status, &answer.body["state"]), (status, &json!(state)), "{}", answer.body);
    if status == StatusCode::NOT_FOUND {
        assert_eq!((&answer.body["code"], &answer.body["reason"]), (&json!(404), &json!("Failed to find worker.")));
    }
}
