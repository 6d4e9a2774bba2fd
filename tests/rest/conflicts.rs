//! Starts that meet others: two uids on one channel, the same start again, a different one, and the limit.

use axum::http::StatusCode;
use serde_json::json;

use crate::talker::Talker;
use crate::world::{Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn two_uids_make_two_recordings_of_one_channel() {
    let world = World::new().await;
    let one = world.record("individual", "room", "1", &world.client()).await;
    let two = world.record("individual", "room", "2", &world.client()).await;
    assert_ne!(one.sid, two.sid);
    for task in [&one, &two] {
        let scripted_channel = world.channel.scripted_channel(&task.sid);
        scripted_channel.enter(0, "9", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    }
    assert_eq!(world.stop(&one).await.status, StatusCode::OK);
    assert_eq!(world.query(&two).await.body["serverResponse"]["status"], 5, "the other goes on");
    assert_eq!(world.stop(&two).await.status, StatusCode::OK);
    for task in [&one, &two] {
        assert!(world.objects().join(format!("rec/{}_room__uid_s_9__uid_e_audio.m3u8", task.sid)).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_start_is_the_same_recording() {
    // Those that come second are not refused for want of room.
    let world = World::with(Options { max_sessions: 1, ..Options::default() }).await;
    let resource = world.acquire("room", "1").await;
    let client = world.client();
    let start = || world.start(&resource, "mix", "room", "1", &client);
    let (a, b, c) = tokio::join!(start(), start(), start());
    for answer in [&a, &b, &c] {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["sid"], a.body["sid"]);
    }
    let mut fresh_token = client.clone();
    fresh_token["token"] = json!("007fresh");
    assert_eq!(world.start(&resource, "mix", "room", "1", &fresh_token).await.body["sid"], a.body["sid"]);
    assert_eq!(world.channel.joins(), 1, "one bot came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_different_start_on_a_started_resource_is_told() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let other = json!({ "storageConfig": world.storage(&["elsewhere"]) });
    let answer = world.start(&task.resource, "mix", "room", "1", &other).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!((&answer.body["code"], &answer.body["reason"]), (&json!(7), &json!("already started")));
    assert_eq!(answer.body["sid"], json!(task.sid));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_start_after_the_end_is_no_different_request() {
    let world = World::new().await;
    let client = world.client();
    let task = world.record("mix", "room", "1", &client).await;
    world.stop(&task).await;
    world.over(&task).await;
    let answer = world.start(&task.resource, "mix", "room", "1", &client).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::CREATED, &json!(7)));
    assert_eq!(answer.body["sid"], json!(task.sid));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("that recording is over") && !detail.contains("different"), "{detail}");
    let other = json!({ "storageConfig": world.storage(&["elsewhere"]) });
    let answer = world.start(&task.resource, "mix", "room", "1", &other).await;
    assert!(answer.body["detail"].as_str().unwrap().contains("a different request"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_of_another_worker_is_not_on_this_one() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let resource = elsewhere.acquire("room", "1").await;
    let answer = here.start(&resource, "mix", "room", "1", &here.client()).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::NOT_FOUND, &json!(404)));
    assert_eq!(answer.body["fault"], "not_on_this_worker");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("not on this worker") && detail.contains("one worker"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_channel_and_uid_conflict_until_the_first_has_stopped() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let resource = world.acquire("room", "1").await;
    let answer = world.start(&resource, "mix", "room", "1", &world.client()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!((&answer.body["code"], &answer.body["reason"]), (&json!(53), &json!("task conflict")));
    assert_eq!(answer.body["runningSid"], json!(task.sid));
    world.stop(&task).await;
    assert_eq!(world.start(&resource, "mix", "room", "1", &world.client()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_has_only_so_many_recordings() {
    let world = World::with(Options { max_sessions: 1, ..Options::default() }).await;
    let spare = world.acquire("room", "2").await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let answer = world.start(&spare, "mix", "room", "2", &world.client()).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(406)));
    assert_eq!(answer.body["reason"], "vendor_over_load");
    world.stop(&task).await;
    assert_eq!(world.start(&spare, "mix", "room", "2", &world.client()).await.status, StatusCode::OK);
}
