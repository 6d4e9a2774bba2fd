//! A recording that goes on after its worker died says so: event 12, and event 42 again for each playlist, with the end of its
//! last slice before (docs/protocol/agora.md section 5.1, rows 12 and 42).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

const AWAY: u64 = 12;

#[test]
fn each_failover_is_told_once() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "527", &world.client()).await;
        talk(&world, &task, 440.0).await;
        task
    });
    for run in 1..=2_u64 {
        let ahead = Duration::from_secs(run * AWAY);
        run_that_dies(&place, Options { ahead, ..Options::default() }, async |world: World| {
            talk(&world, &task, 660.0).await;
            let slices = until(async || {
                let slices = of(&world.log(&task).await, 42);
                (slices.len() as u64 > run).then_some(slices)
            })
            .await;
            let log = world.log(&task).await;
            let failovers = of(&log, 12);
            assert_eq!(failovers.len() as u64, run, "{failovers:#?}");
            let failover = failovers.last().unwrap();
            assert_eq!((&failover["msgName"], &failover["newUid"]), (&"session_failover".into(), &527.into()));
            let (interrupted, resumed) = (number(failover, "interruptedUtcMs"), number(failover, "resumedUtcMs"));
            assert!(resumed - interrupted > (AWAY - 8) * 1000, "{failover}");

            let slice = slices.last().unwrap();
            let (start, discontinue) = (number(slice, "startUtcMs"), number(slice, "discontinueUtcMs"));
            assert_eq!(discontinue, interrupted, "the last good slice ended when the worker died");
            assert!(
                start < resumed && start + 2100 > resumed,
                "the slice in which the sound goes on: {slice} {failover}"
            );
            let types: Vec<u64> = log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
            let last = |wanted| types.iter().rposition(|found| *found == wanted);
            assert!(last(12) < last(42), "{types:?}");
        });
    }
}

async fn talk(world: &World, task: &Task, hertz: f32) {
    let scripted_channel = world.scripted_channel(task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, hertz)], 0, 6000).await;
    world.durable(task).await;
}

/// The details of the events with this number.
fn of(log: &[Value], event_type: u64) -> Vec<Value> {
    let events = log.iter().filter(|event| event["eventType"] == event_type);
    events.map(|event| event["payload"]["details"].clone()).collect()
}

fn number(details: &Value, field: &str) -> u64 {
    details[field].as_u64().unwrap()
}
