//! The journal is gone when the worker comes back. What the bucket holds stays, and what was said since is missing of those who were
//! being heard, by name; where nobody knows their names, of nobody knows whom.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{APP, Options, Task, TestEnv, World, run_that_dies, until};

/// How long the worker is away, beside what the test takes.
const AWAY: Duration = Duration::from_secs(12);

/// What is recorded, and who talks.
#[derive(Clone, Copy, Debug)]
struct Scene {
    mode: &'static str,
    also_individual: bool,
    /// Uid 7 talks for nine seconds; 8 for three, and leaves.
    talked: bool,
    /// Somebody is there again when the worker is back.
    returns: bool,
}

impl Scene {
    /// How the recording ends whose journal is lost at 9 s.
    fn play(self) -> (Value, Vec<Value>) {
        let outside = Runtime::new().unwrap();
        let place = Arc::new(outside.block_on(TestEnv::new()));
        let task = run_that_dies(&place, Options::default(), async |world: World| {
            let mut client = world.client();
            if self.also_individual {
                client["recordingConfig"]["alsoIndividual"] = json!(true);
            }
            let task = world.record(self.mode, "room", "1", &client).await;
            let scripted_channel = world.scripted_channel(&task).await;
            if self.talked {
                scripted_channel.enter(0, "7", 1).await;
                scripted_channel.enter(0, "8", 2).await;
                let mut talkers = [Talker::new(1, 440.0), Talker::new(2, 660.0)];
                scripted_channel.talk(&mut talkers, 0, 3000).await;
                scripted_channel.leave(3000, "8").await;
                scripted_channel.talk(&mut talkers[..1], 3000, 9000).await;
                until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(3)).then_some(()))
                    .await;
            }
            world.durable(&task).await;
            task
        });
        std::fs::remove_dir_all(place.journal()[0].parent().unwrap()).unwrap();
        run_that_dies(&place, Options { ahead: AWAY, ..Options::default() }, async |world: World| {
            self.go_on(&world, &task).await;
            assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
            let known = world.over(&task).await;
            let path = format!("/v1/apps/{APP}/recordings/{}/events", task.sid);
            let events = world.get(&path).await.body["events"].as_array().unwrap().clone();
            (known, events)
        })
    }

    async fn go_on(self, world: &World, task: &Task) {
        let scripted_channel = world.scripted_channel(task).await;
        if self.returns {
            scripted_channel.enter(0, "7", 1).await;
            scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 4000).await;
            until(async || (world.query(task).await.body["state"] == "recording").then_some(())).await;
        }
    }
}

/// The one gap of a cause, in milliseconds.
fn gap(account: &Value, cause: &str) -> (u64, u64) {
    let gaps: Vec<_> = account["gaps"].as_array().unwrap().iter().filter(|gap| gap["cause"] == cause).collect();
    assert_eq!(gaps.len(), 1, "{cause}: {account}");
    (gaps[0]["from"].as_u64().unwrap() / 48, gaps[0]["to"].as_u64().unwrap() / 48)
}

fn uid<'a>(known: &'a Value, uid: &str) -> &'a Value {
    let uids = known["ledger"]["uids"].as_array().unwrap();
    uids.iter().find(|entry| entry["uid"] == uid).unwrap_or_else(|| panic!("{uid} is not in {}", known["ledger"]))
}

#[test]
fn who_was_being_heard_misses_what_was_said_since() {
    for (mode, also_individual) in [("individual", false), ("mix", false), ("mix", true)] {
        for returns in [true, false] {
            let scene = Scene { mode, also_individual, talked: true, returns };
            let (known, events) = scene.play();
            assert_eq!(known["verdict"], "partial", "{scene:?}: {known}");
            let seven = uid(&known, "7");
            let (from, to) = gap(seven, "worker_restart");
            assert!((5_000..=9_000).contains(&from), "{scene:?}: from {from} ms");
            assert!(to > AWAY.as_millis() as u64, "{scene:?}: until {to} ms");
            let missing = seven["missingMs"].as_u64().unwrap();
            assert!((to - from..=to - from + 3_500).contains(&missing), "{scene:?}: {missing} ms, {seven}");
            let recorded = seven["recordedMs"].as_u64().unwrap();
            assert!(recorded >= if returns { 8_000 } else { 4_500 }, "{scene:?}: {recorded} ms, {seven}");
            let eight = uid(&known, "8");
            let missing = eight["missingMs"].as_u64().unwrap();
            assert!(missing <= 500, "{scene:?}: who had left misses nothing since: {eight}");
            assert_eq!(known["ledger"]["unattributed"], Value::Null, "{scene:?}");
            assert!(
                events.iter().any(|event| event["eventType"] == 12),
                "{scene:?}: the log says that the worker died"
            );
        }
    }
}

#[test]
fn where_nobody_is_known_it_is_missing_of_nobody_knows_whom() {
    for returns in [true, false] {
        let scene = Scene { mode: "mix", also_individual: false, talked: false, returns };
        let (known, events) = scene.play();
        assert_eq!(known["verdict"], "partial", "{scene:?}: {known}");
        let nobodys = &known["ledger"]["unattributed"];
        let (from, to) = gap(nobodys, "worker_restart");
        assert!(from < 5_000 && to > AWAY.as_millis() as u64, "{scene:?}: {nobodys}");
        assert_eq!(nobodys["missingMs"].as_u64().unwrap(), to - from, "{nobodys}");
        assert!(events.iter().any(|event| event["eventType"] == 12), "{scene:?}");
    }
}
