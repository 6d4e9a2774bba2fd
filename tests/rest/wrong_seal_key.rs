//! A worker is started with another sealing key than the one before it had: it says what it can't open and what to do, serves
//! everybody else, and loses nothing. With the right key the recording goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{APP, Options, TestEnv, World, run_that_dies, until};

#[test]
fn what_does_not_open_waits_for_the_right_key() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 5000).await;
        world.durable(&task).await;
        task
    });

    let another = Options { seal_key: "a7", ahead: Duration::from_secs(6), ..Options::default() };
    run_that_dies(&place, another, async |world: World| {
        let words = until(async || world.query(&task).await.body["failure"].as_str().map(str::to_owned)).await;
        assert!(words.contains("sealed with another key") && words.contains("server.seal_key"), "{words}");
        let known = world.query(&task).await;
        assert_eq!((known.status, &known.body["state"]), (StatusCode::OK, &json!("recovering")));
        assert_eq!(world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await.status, StatusCode::OK);
        assert!(!world.log(&task).await.is_empty(), "the log holds no secrets and is told");

        let fresh = world.record("mix", "another room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&fresh).await;
        scripted_channel.enter(0, "8", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 880.0)], 0, 3000).await;
        let stopped = world.stop(&fresh).await;
        assert_eq!(
            (stopped.status, &stopped.body["verdict"]),
            (StatusCode::OK, &json!("complete")),
            "{}",
            stopped.body
        );
    });

    let back = Options { ahead: Duration::from_secs(12), ..Options::default() };
    let known = run_that_dies(&place, back, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 4000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        let known = world.over(&task).await;
        let manifest = world.objects().join(format!("rec/{}_room_manifest.json", task.sid));
        tokio::task::spawn_blocking(move || media::verify(&manifest)).await.unwrap();
        known
    });
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")), "{known}");
    let playlist = place.objects().join(known["fileList"][0]["fileName"].as_str().unwrap());
    let sound = media::decode(&playlist);
    assert!(tone(sound.part(1000, 4000), 440.0) > 0.1, "what the first run heard");
    let end = sound.ms();
    assert!(tone(sound.part(end - 3000, end - 500), 660.0) > 0.1, "what the last run heard");
}
