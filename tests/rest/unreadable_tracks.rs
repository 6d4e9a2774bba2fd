//! A member whose track can't be read is told of (event 2) and missing, and the recording is never called complete; the same over a
//! worker that dies.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::recording::{Coding, Input, Source, TrackKind};
use cloud_recorder::units::{TrackId, Uid};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::channel::ScriptedChannel;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

async fn publish(scripted_channel: &ScriptedChannel, ms: u64, name: &str, track: u32, coding: Coding) {
    let (uid, kind) = (Uid::new(name).unwrap(), TrackKind { source: Source::Microphone, coding });
    scripted_channel.at(ms, Input::Joined { uid: uid.clone() }).await;
    scripted_channel.at(ms, Input::TrackAdded { track: TrackId(track), uid, muted: false, kind }).await;
}

/// The details of the events with this number.
async fn of(world: &World, task: &Task, number: u64) -> Vec<Value> {
    let log = world.log(task).await;
    let events = log.iter().filter(|event| event["eventType"] == number);
    events.map(|event| event["payload"]["details"].clone()).collect()
}

/// Event 2 as it is told of a track.
fn told(warning: &Value) -> Value {
    assert_eq!((&warning["msgName"], &warning["module"]), (&json!("cloud_recording_warning"), &json!(0)), "{warning}");
    assert_eq!((&warning["warnCode"], &warning["trackSource"]), (&json!(1), &json!("microphone")));
    assert!(warning["fromMs"].as_u64().is_some());
    json!([warning["streamUid"], warning["reason"], warning["number"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_talker_it_is_missing_and_told_once() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    publish(&scripted_channel, 0, "8", 2, Coding::Encrypted).await;
    publish(&scripted_channel, 0, "9", 3, Coding::Unsupported).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 5_000).await;
    let known = world.query(&task).await.body;
    assert_eq!(known["verdict"], "partial", "{known:#}");
    let told_of = |part: &str| known[part]["uids"].as_array().unwrap().clone();
    let unreadable: Vec<Value> = told_of("health").iter().map(|uid| uid["unreadable"].clone()).collect();
    let track = |reason: &str| json!([{ "trackSource": "microphone", "reason": reason }]);
    assert_eq!(unreadable, [Value::Null, track("encrypted"), track("unsupported_codec")], "{known:#}");
    for (account, reason) in told_of("ledger").iter().skip(1).zip(["encrypted", "unsupported_codec"]) {
        assert!(account["causesMs"][reason].as_u64() == account["missingMs"].as_u64(), "{account:#}");
    }
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    let over = world.over(&task).await;
    assert_eq!(over["verdict"], "partial", "{over:#}");
    let warnings: Vec<Value> = of(&world, &task, 2).await.iter().map(told).collect();
    assert_eq!(warnings, [json!(["8", "encrypted", 1]), json!(["9", "unsupported_codec", 1])]);
    assert_eq!(of(&world, &task, 11).await[0]["verdict"], "partial");
    let accounts = over["ledger"]["uids"].as_array().unwrap();
    let missing: Vec<u64> = accounts.iter().map(|uid| uid["missingMs"].as_u64().unwrap()).collect();
    assert!(missing[0] == 0 && missing[1] == missing[2] && missing[1] > 4_900, "{accounts:#?}");
    let causes = accounts[2]["gaps"].as_array().unwrap();
    assert!(causes.iter().any(|gap| gap["cause"] == "unsupported_codec"), "{accounts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_read_nothing_is_recorded_and_something_was_sent() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    publish(&world.channel.scripted_channel(&task.sid), 0, "8", 1, Coding::Encrypted).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let stopped = world.stop(&task).await;
    assert_eq!((stopped.status, &stopped.body["code"]), (StatusCode::PARTIAL_CONTENT, &json!(435)));
    assert_eq!(world.over(&task).await["verdict"], "partial");
}

#[test]
fn a_track_that_is_met_again_after_a_restart_is_not_told_again() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        publish(&world.scripted_channel(&task).await, 0, "8", 1, Coding::Encrypted).await;
        until(async || of(&world, &task, 2).await.first().map(|_| ())).await;
        world.durable(&task).await;
        task
    });
    let ahead = Duration::from_secs(10);
    run_that_dies(&place, Options { ahead, ..Options::default() }, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        publish(&scripted_channel, 0, "8", 1, Coding::Encrypted).await;
        publish(&scripted_channel, 100, "9", 2, Coding::Encrypted).await;
        until(async || of(&world, &task, 2).await.get(1).map(|_| ())).await;
        world.stop(&task).await;
        assert_eq!(world.over(&task).await["verdict"], "partial");
        let warnings: Vec<Value> = of(&world, &task, 2).await.iter().map(told).collect();
        assert_eq!(warnings, [json!(["8", "encrypted", 1]), json!(["9", "encrypted", 1])]);
    });
}
