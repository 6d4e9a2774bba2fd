//! A worker comes back and finds nobody, or no channel: the recording ends `maxIdleTime` after the worker died, properly, and not hours
//! later. What was said until then is not known, and missing for who was speaking.

use std::sync::Arc;
use std::time::Duration;

use cloud_recorder::channel::EndReason;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::channel::JoinAnswer;
use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

/// `maxIdleTime`, in milliseconds.
const IDLE_MS: u64 = 5_000;
/// The worker is away for an hour.
const AN_HOUR: Duration = Duration::from_secs(3600);

#[test]
fn nobody_comes_back() {
    let (outside, place, task) = dies_in_the_middle();
    let known = comes_back(&place, Vec::new(), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.at(10, cloud_recorder::recording::Input::ChannelDown).await;
        scripted_channel.at(20, cloud_recorder::recording::Input::ChannelUp).await;
        over(&world, &task).await
    });
    check(&place, &known, "ended", 4);
    assert_eq!(known["state"], "ended");
    drop(outside);
}

#[test]
fn the_channel_is_closed() {
    let (outside, place, task) = dies_in_the_middle();
    let known = comes_back(&place, Vec::new(), async |world: World| {
        world.scripted_channel(&task).await.end(EndReason::ChannelClosed).await;
        over(&world, &task).await
    });
    check(&place, &known, "ended", 4);
    drop(outside);
}

#[test]
fn the_channel_can_not_be_reached() {
    let (outside, place, task) = dies_in_the_middle();
    let doors = [JoinAnswer::Dead, JoinAnswer::Refuses].iter().cloned().cycle().take(1000).collect();
    let known = comes_back(&place, doors, async |world: World| {
        assert_eq!(world.query(&task).await.body["state"], "recovering");
        let known = over(&world, &task).await;
        assert!(known["log"].as_array().unwrap().iter().any(|event| event["eventType"] == 1));
        known
    });
    check(&place, &known, "failed", 2);
    assert!(known["failure"].as_str().unwrap().contains("could not rejoin"), "{known}");
    drop(outside);
}

#[test]
fn a_worker_that_was_away_for_a_day_does_not_come_back_as_a_surprise() {
    let (outside, place, task) = dies_in_the_middle();
    let known = run_that_dies(&place, Options { ahead: 24 * AN_HOUR, ..Options::default() }, async |world: World| {
        let known = over(&world, &task).await;
        assert_eq!(world.joins(), 0);
        known
    });
    check(&place, &known, "failed", 2);
    drop(outside);
}

fn dies_in_the_middle() -> (Runtime, Arc<TestEnv>, Task) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["maxIdleTime"] = json!(5);
        let task = world.record("individual", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        world.durable(&task).await;
        task
    });
    (outside, place, task)
}

fn comes_back<F: Future<Output = Value>>(
    place: &Arc<TestEnv>,
    doors: Vec<JoinAnswer>,
    story: impl FnOnce(World) -> F,
) -> Value {
    run_that_dies(place, Options { ahead: AN_HOUR, doors, ..Options::default() }, story)
}

/// What is known in the end, with the log beside it.
async fn over(world: &World, task: &Task) -> Value {
    let mut known = world.over(task).await;
    known["log"] = world.log(task).await.into();
    known
}

fn check(place: &TestEnv, known: &Value, state: &str, leave_code: u64) {
    assert_eq!(known["state"], state, "{known}");
    let length = known["durationMs"].as_u64().unwrap();
    assert!(length.abs_diff(8980 + IDLE_MS) <= 20, "{length}");
    let account = &known["ledger"]["uids"][0];
    assert!(account["missingMs"].as_u64().unwrap().abs_diff(IDLE_MS) <= 40, "{account}");
    let causes: Vec<&str> =
        account["gaps"].as_array().unwrap().iter().filter_map(|gap| gap["cause"].as_str()).collect();
    assert!(causes.contains(&"worker_restart"), "{causes:?}");
    assert_eq!(known["verdict"], "partial");
    let playlist = place.objects().join(known["fileList"][0]["fileName"].as_str().unwrap());
    assert!(std::fs::read_to_string(&playlist).unwrap().ends_with("#EXT-X-ENDLIST\n"));
    let sound = media::decode(&playlist);
    assert!(sound.ms().abs_diff(length) <= 20);
    assert!(tone(sound.part(7000, 8500), 440.0) > 0.1);
    let log = known["log"].as_array().unwrap();
    let of = |event_type: u64| log.iter().filter(move |event| event["eventType"] == event_type).collect::<Vec<_>>();
    for once in [40, 30, 42, 4, 41, 31, 11] {
        assert_eq!(of(once).len(), 1, "{once} in {log:#?}");
    }
    assert_eq!(of(41)[0]["payload"]["details"]["leaveCode"], leave_code);
    assert_eq!(of(11)[0]["payload"]["details"]["exitStatus"], u64::from(state == "failed"));
    assert_eq!(log.last(), Some(of(11)[0]));
}
