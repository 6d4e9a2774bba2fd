//! A worker that is told to go waits for recordings to end, takes no new ones, and hands the rest to its next run, which goes on
//! with them; nobody hears of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, TestEnv, World, run_that_dies};

#[test]
fn what_runs_goes_on_with_the_next_run() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (task, log) = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("individual", "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 5000).await;
        let log = world.log(&task).await;
        world.sessions.drain(Duration::from_millis(100)).await;
        scripted_channel.left().await;
        let answer = world.query(&task).await;
        assert_eq!(answer.status, StatusCode::OK, "404 would mean that it is over: {}", answer.body);
        assert_eq!(answer.body["serverResponse"]["status"], 5);
        (task, log.len())
    });
    let known =
        run_that_dies(&place, Options { ahead: Duration::from_secs(6), ..Options::default() }, async |world: World| {
            let scripted_channel = world.scripted_channel(&task).await;
            scripted_channel.enter(0, "7", 1).await;
            scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 3000).await;
            assert_eq!(world.stop(&task).await.status, StatusCode::OK);
            let told = world.log(&task).await;
            assert!(told[log..].iter().all(|event| event["eventType"] != 1), "{told:#?}");
            assert_eq!(told.iter().filter(|event| event["eventType"] == 41).count(), 1);
            world.over(&task).await
        });
    assert_eq!(known["state"], "ended");
    let gaps = known["ledger"]["uids"][0]["gaps"].as_array().unwrap().clone();
    let gap = gaps.iter().find(|gap| gap["cause"] == "worker_restart").unwrap();
    let (from, to) = (gap["from"].as_u64().unwrap() / 48, gap["to"].as_u64().unwrap() / 48);
    assert!(from.abs_diff(4980) <= 20, "nothing that had arrived is lost: {gaps:?}");
    let sound = media::decode(&place.objects().join(known["fileList"][0]["fileName"].as_str().unwrap()));
    assert!(tone(sound.part(3000, 4900), 440.0) > 0.1 && tone(sound.part(to + 500, to + 2500), 660.0) > 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_takes_nothing_new_and_waits_for_what_runs() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let resource = world.acquire("room", "2").await;
    let sessions = world.sessions.clone();
    let begun = Instant::now();
    let draining = tokio::spawn(async move { sessions.drain(Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = world.start(&resource, "mix", "room", "2", &world.client()).await;
    assert_eq!(
        (answer.status, &answer.body["retry"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(true)),
        "{}",
        answer.body
    );
    assert_eq!(world.query(&task).await.body["state"], "recording");
    assert!(!draining.is_finished());
    assert_eq!(world.stop(&task).await.body["code"], 435);
    draining.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
}
