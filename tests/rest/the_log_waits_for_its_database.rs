//! Law 2 when somebody else holds the database for longer than a write waits: nothing of the log is lost, and nothing overtakes.

use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::talker::Talker;
use crate::world::{World, until};

/// Longer than a write waits for the database.
const HELD: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_it_is_held_is_told_in_order() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let stage = world.channel.stage(&task.sid);
    let file = SqliteConnectOptions::new().filename(world.database());
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let before = world.log(&task).await.len();
    for (uid, track) in [("7", 1), ("8", 2)] {
        stage.enter(0, uid, track).await;
    }
    stage.talk(&mut [Talker::new(1, 440.0), Talker::new(2, 660.0)], 0, 8000).await;
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
