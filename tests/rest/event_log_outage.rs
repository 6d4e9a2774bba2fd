//! Invariant 2 when somebody else holds the database for longer than a write waits: nothing of the log is lost, and nothing overtakes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{Options, TestEnv, World, run_that_dies, until};

/// Longer than a write waits for the database.
const HELD: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_it_is_held_is_told_in_order() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    let file = SqliteConnectOptions::new().filename(world.database());
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let before = world.log(&task).await.len();
    for (uid, track) in [("7", 1), ("8", 2)] {
        scripted_channel.enter(0, uid, track).await;
    }
    scripted_channel.talk(&mut [Talker::new(1, 440.0), Talker::new(2, 660.0)], 0, 8000).await;
    tokio::time::sleep(HELD).await;
    assert_eq!(world.log(&task).await.len(), before, "it is held");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    // Of each of the two: heard for the first time, first slice, playlist.
    let log = until(async || {
        let log = world.log(&task).await;
        (log.len() >= before + 6).then_some(log)
    })
    .await;
    let mut types: Vec<u64> = log[before..].iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
    types.sort_unstable();
    assert_eq!(types, [4, 4, 42, 42, 43, 43]);
    let sequences: Vec<u64> = log.iter().map(|event| event["payload"]["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (0..).take(log.len()).collect::<Vec<u64>>());
    world.stop(&task).await;
    assert_eq!(world.over(&task).await["verdict"], "complete");
}

/// What a checkpoint stands for is made no more, so nothing of it would be told again.
#[test]
fn no_checkpoint_stands_for_what_is_not_in_the_log() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let held: Arc<Mutex<Option<SqliteConnection>>> = Arc::default();
    let options = Options { journal_file_bytes: 4 << 10, ..Options::default() };
    let task = run_that_dies(&place, options.clone(), async |world: World| {
        let task = world.record("individual", "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        let (handle, held, database) = (outside.handle().clone(), Arc::clone(&held), world.database());
        let hold = move || {
            let mut other =
                handle.block_on(SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)));
            let begun = handle.block_on(sqlx::query("BEGIN IMMEDIATE").execute(other.as_mut().unwrap()));
            begun.unwrap();
            *held.lock().unwrap() = other.ok();
        };
        tokio::task::spawn_blocking(hold).await.unwrap();
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 8_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        task
    });
    let other = held.lock().unwrap().take();
    outside.block_on(other.unwrap().close()).unwrap();
    run_that_dies(&place, Options { ahead: Duration::from_secs(9), ..options }, async |world: World| {
        world.stop(&task).await;
        world.over(&task).await;
        let types: Vec<_> = world.log(&task).await.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
        for once in [42, 4, 41, 31, 11] {
            assert_eq!(types.iter().filter(|event| **event == once).count(), 1, "{once} in {types:?}");
        }
        assert!(types.contains(&43), "{types:?}");
    });
}
