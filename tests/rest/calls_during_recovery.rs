//! A worker is back and its bot is not in the channel yet: query, update and stop do what they always do, and who was to be
//! recorded before is to be recorded after.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::recording::Selection;
use cloud_recorder::units::Uid;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::channel::JoinAnswer;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[test]
fn a_stop_ends_what_is_on_its_way_back() {
    let (outside, place, task) = dies_in_the_middle();
    let options = Options { ahead: Duration::from_secs(10), ..slow(Duration::from_secs(30)) };
    run_that_dies(&place, options, async |world: World| {
        let known = world.query(&task).await;
        assert_eq!((known.status, &known.body["state"]), (StatusCode::OK, &json!("recovering")));
        assert_eq!(known.body["serverResponse"]["status"], 5);
        let again = world.start(&task.resource, &task.mode, &task.cname, &task.uid, &world.client()).await;
        assert_eq!((again.status, &again.body["sid"]), (StatusCode::OK, &json!(task.sid)), "{}", again.body);
        let answer = world.stop(&task).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["serverResponse"]["uploadingStatus"], "uploaded");
        assert_eq!(world.joins(), 0);
        let known = world.over(&task).await;
        assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")));
        // What was said since the worker died is missing, until the stop came.
        let (length, account) = (known["durationMs"].as_u64().unwrap(), &known["ledger"]["uids"][0]);
        assert!(length > 2980, "{known}");
        assert!(account["missingMs"].as_u64().unwrap().abs_diff(length - 2980) <= 60, "{account}");
        let log = world.log(&task).await;
        let of = |event_type: u64| log.iter().filter(|event| event["eventType"] == event_type).collect::<Vec<_>>();
        assert_eq!((of(12).len(), of(1).len()), (1, 1), "{log:#?}");
        assert_eq!(of(1)[0]["payload"]["details"]["reason"], "not_rejoined");
    });
    drop(outside);
}

#[test]
fn a_stop_that_was_answered_holds() {
    let (outside, place, task) = dies_in_the_middle();
    let at_once = task.body(&json!({ "async_stop": true }));
    run_that_dies(&place, slow(Duration::from_secs(30)), async |world: World| {
        assert_eq!(world.post(&task.path("stop"), at_once).await.status, StatusCode::OK);
    });
    run_that_dies(&place, Options::default(), async |world: World| {
        assert_eq!(world.over(&task).await["state"], "ended");
        assert_eq!(world.joins(), 0);
        let log = world.log(&task).await;
        let leave = log.iter().find(|event| event["eventType"] == 41).unwrap();
        assert_eq!(leave["payload"]["details"]["leaveCode"], 24);
    });
    drop(outside);
}

#[test]
fn a_stop_of_what_never_began_holds() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, slow(Duration::from_secs(30)), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        let sid = cloud_recorder::units::Sid::new(&task.sid).unwrap();
        world.store.session_stopping(&sid).await.unwrap();
        task
    });
    run_that_dies(&place, Options::default(), async |world: World| {
        let known = world.over(&task).await;
        assert_eq!((&known["state"], known.get("failure")), (&json!("ended"), None), "{known}");
        assert_eq!(world.joins(), 0);
    });
    drop(outside);
}

#[test]
fn an_update_reaches_the_bot_that_comes_back() {
    let (outside, place, task) = dies_in_the_middle();
    run_that_dies(&place, slow(Duration::from_millis(500)), async |world: World| {
        assert_eq!(select(&world, &task, "9").await, StatusCode::OK);
        let scripted_channel = world.scripted_channel(&task).await;
        until(async || (*scripted_channel.selection.borrow() == only("9")).then_some(())).await;
    });
    // The update was never journaled, because nobody was there.
    run_that_dies(&place, Options::default(), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        assert_eq!(*scripted_channel.selection.borrow(), only("9"));
        for (track, uid) in [(1, "7"), (2, "9")] {
            scripted_channel.enter(0, uid, track).await;
        }
        scripted_channel.talk(&mut [Talker::new(1, 440.0), Talker::new(2, 660.0)], 0, 4000).await;
        assert_eq!(select(&world, &task, "7").await, StatusCode::OK);
        until(async || (*scripted_channel.selection.borrow() == only("7")).then_some(())).await;
        world.durable(&task).await;
    });
    run_that_dies(&place, Options::default(), async |world: World| {
        assert_eq!(*world.scripted_channel(&task).await.selection.borrow(), only("7"));
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        let known = world.over(&task).await;
        let gaps =
            known["ledger"]["uids"].as_array().unwrap().iter().find(|uid| uid["uid"] == "7").unwrap()["gaps"].clone();
        assert!(gaps.as_array().unwrap().iter().any(|gap| gap["cause"] == "excluded"), "{gaps}");
    });
    drop(outside);
}

#[test]
fn a_start_that_was_under_way_is_finished() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, slow(Duration::from_secs(30)), async |world: World| {
        world.record("mix", "room", "1", &world.client()).await
    });
    run_that_dies(&place, Options::default(), async |world: World| {
        world.scripted_channel(&task).await;
        let log = until(async || Some(world.log(&task).await).filter(|log| log.len() >= 2)).await;
        assert_eq!(log.iter().map(|event| event["eventType"].clone()).collect::<Vec<_>>(), [40, 30]);
        assert_eq!(world.query(&task).await.body["state"], "recording");
    });
    drop(outside);
}

fn dies_in_the_middle() -> (Runtime, Arc<TestEnv>, Task) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("individual", "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        world.durable(&task).await;
        task
    });
    (outside, place, task)
}

fn slow(pause: Duration) -> Options {
    Options { doors: vec![JoinAnswer::Slow(pause)], ..Options::default() }
}

async fn select(world: &World, task: &Task, uid: &str) -> StatusCode {
    let lists = json!({ "streamSubscribe": { "audioUidList": { "subscribeAudioUids": [uid] } } });
    world.post(&task.path("update"), task.body(&lists)).await.status
}

fn only(uid: &str) -> Selection {
    Selection::Only(BTreeSet::from([Uid::new(uid).unwrap()]))
}
