//! What an earlier run of the worker logged doesn't silence an alarm of this run: a bucket that refuses in the same way again, a call
//! that does not fit again. What a replay makes again is still logged once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[test]
fn a_bucket_that_refuses_again_and_a_call_that_does_not_fit_again_are_logged_again() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        trouble(&world, &task, 1).await;
        world.durable(&task).await;
        task
    });
    let ahead = Duration::from_secs(15);
    run_that_dies(&place, Options { ahead, ..Options::default() }, async |world: World| {
        trouble(&world, &task, 2).await;
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        assert_eq!(world.over(&task).await["state"], "ended");
        let log = world.log(&task).await;
        let alarms = refusals(&log);
        assert_eq!((alarms.len(), &alarms[0]), (2, &alarms[1]), "the same words: {log:#?}");
        for once in [40, 30, 4, 12, 41, 31, 11] {
            assert_eq!(of(&log, once).len(), 1, "{once} in {log:#?}");
        }
        let made_again: Vec<String> =
            [42, 43].iter().flat_map(|number| of(&log, *number)).map(|d| d.to_string()).collect();
        let different: HashSet<_> = made_again.iter().collect();
        assert_eq!(different.len(), made_again.len(), "{log:#?}");
    });
}

/// A conflicting start, then a bucket that is away for a while: `run` counts the alarms that the log holds afterwards.
async fn trouble(world: &World, task: &Task, run: usize) {
    let scripted_channel = world.scripted_channel(task).await;
    scripted_channel.enter(0, "7", 1).await;
    let mut talkers = [Talker::new(1, 440.0)];
    scripted_channel.talk(&mut talkers, 0, 500).await;
    until(async || (world.query(task).await.body["state"] == "recording").then_some(())).await;

    let mut other = world.client();
    other["recordingConfig"]["maxIdleTime"] = json!(99);
    let refused = world.start(&task.resource, "mix", "room", "1", &other).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CREATED, &json!(7)));
    logged(world, task, run, |log| of(log, 3)).await;

    let away = world.objects().with_extension("away");
    std::fs::rename(world.objects(), &away).unwrap();
    scripted_channel.talk(&mut talkers, 500, 5500).await;
    logged(world, task, run, refusals).await;
    std::fs::rename(&away, world.objects()).unwrap();
    logged(world, task, run, |log| of(log, 2).into_iter().filter(|warning| warning["state"] == "recovered").collect())
        .await;
}

/// Waits until the log holds this many events of a kind, and sees that it doesn't hold more.
async fn logged(world: &World, task: &Task, count: usize, kind: impl Fn(&[Value]) -> Vec<Value>) {
    let found = until(async || Some(kind(&world.log(task).await)).filter(|found| found.len() >= count)).await;
    assert_eq!(found.len(), count, "{found:#?}");
}

/// Events 1 about a bucket that refuses.
fn refusals(log: &[Value]) -> Vec<Value> {
    of(log, 1).into_iter().filter(|error| error["errorCode"] == 32).collect()
}

/// The details of the events with this number.
fn of(log: &[Value], number: u64) -> Vec<Value> {
    let events = log.iter().filter(|event| event["eventType"] == number);
    events.map(|event| event["payload"]["details"].clone()).collect()
}
