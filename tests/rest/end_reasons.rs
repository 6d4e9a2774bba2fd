//! Why a recording is over: one word, in the answers from its end on, in the 404 of a query after it, in `recordings/{sid}`, in the list
//! and in event 11. While nobody is there, since when and until when that may be.

use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::channel::{ChannelUpdate, EndReason};
use cloud_recorder::clock;
use cloud_recorder::recording::{Cause, Input};
use cloud_recorder::units::{TrackId, Uid};
use serde_json::{Value, json};

use crate::channel::JoinAnswer;
use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{APP, Task, World, until};

async fn check(world: &World, task: &Task, reason: &str) {
    let known = world.over(task).await;
    assert_eq!(known["endReason"], reason, "{known}");
    assert!(known["idle"].is_null(), "{known}");
    let gone = world.query(task).await;
    assert_eq!((gone.status, &gone.body["endReason"]), (StatusCode::NOT_FOUND, &json!(reason)), "{}", gone.body);
    let list = world.get(&format!("/v1/apps/{APP}/recordings?uid={}", task.uid)).await.body;
    assert_eq!(list["recordings"][0]["endReason"], reason, "{list}");
    let last = until(async || world.log(task).await.pop().filter(|event| event["eventType"] == 11)).await;
    assert_eq!(last["payload"]["details"]["endReason"], reason);
}

/// A recording of somebody who says something.
async fn begin(world: &World, uid: &str, client: &Value) -> Task {
    let task = world.record("individual", "room", uid, client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "9", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 500).await;
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_told_in_one_word() {
    let world = World::new().await;
    let client = world.client();
    let stopped = begin(&world, "1", &client).await;
    let answer = world.stop(&stopped).await;
    assert_eq!((answer.status, &answer.body["endReason"]), (StatusCode::OK, &json!("stopped")), "{}", answer.body);
    check(&world, &stopped, "stopped").await;
    for (uid, end, reason) in [
        ("2", EndReason::Removed, "removed"),
        ("3", EndReason::DuplicateIdentity, "duplicate_identity"),
        ("4", EndReason::Unreachable, "channel_unreachable"),
        ("5", EndReason::ChannelClosed, "channel_closed"),
    ] {
        let task = begin(&world, uid, &client).await;
        world.channel.scripted_channel(&task.sid).end(end).await;
        check(&world, &task, reason).await;
    }
    let mut expiring = client.clone();
    expiring["token"] = json!(format!("until {}", clock::now().0 + 1500));
    check(&world, &begin(&world, "6", &expiring).await, "token_expired").await;

    world.channel.next_door(JoinAnswer::SlowlyRefuses(Duration::from_millis(2300)));
    let refused = world.record("mix", "room", "7", &client).await;
    check(&world, &refused, "join_failed").await;
    world.channel.next_door(JoinAnswer::Slow(Duration::from_secs(30)));
    let called_off = world.record("mix", "room", "8", &client).await;
    world.stop(&called_off).await;
    check(&world, &called_off, "stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_waits_says_until_when_and_ends_as_idle_or_for_the_deletion() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["maxIdleTime"] = json!(5);
    for (uid, delivery, recorder, reason) in [
        ("1", None, "inside", "idle"),
        ("2", Some(ChannelUpdate::Outside { deleted: false }), "outside", "idle"),
        ("3", Some(ChannelUpdate::Outside { deleted: true }), "outside", "channel_deleted"),
    ] {
        let task = begin(&world, uid, &client).await;
        let scripted_channel = world.channel.scripted_channel(&task.sid);
        let there = until(async || Some(world.query(&task).await.body).filter(|body| body["idle"].is_null())).await;
        assert_eq!(there["state"], "recording");
        scripted_channel.leave(600, "9").await;
        if let Some(delivery) = delivery {
            scripted_channel.tell(610, delivery).await;
        }
        let idle = until(async || {
            let body = world.query(&task).await.body;
            assert_eq!((&body["state"], &body["serverResponse"]["status"]), (&json!("recording"), &json!(5)));
            (body["idle"]["recorder"] == recorder).then(|| body["idle"].clone())
        })
        .await;
        let (since, end) = (idle["sinceMs"].as_u64().unwrap(), idle["untilMs"].as_u64().unwrap());
        assert_eq!(end - since, 5000, "{idle}");
        assert!(clock::now().0.abs_diff(since) < 4000, "{idle}");
        check(&world, &task, reason).await;
        let known = world.over(&task).await;
        assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")), "{known}");
        assert_eq!(known["ledger"]["uids"][0]["missingMs"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_waits_outside_is_stopped_at_once() {
    let world = World::new().await;
    let task = begin(&world, "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.leave(600, "9").await;
    scripted_channel.tell(610, ChannelUpdate::Outside { deleted: true }).await;
    until(async || (world.query(&task).await.body["idle"]["recorder"] == "outside").then_some(())).await;
    let answer = world.stop(&task).await;
    assert_eq!((answer.status, &answer.body["endReason"]), (StatusCode::OK, &json!("stopped")), "{}", answer.body);
    check(&world, &task, "stopped").await;
}

/// A member leaves, the recorder waits outside, another comes and speaks at once: one recording, and what was not heard is named.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_the_recorder_is_outside_is_in_the_same_recording() {
    let world = World::new().await;
    let task = begin(&world, "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.leave(600, "9").await;
    scripted_channel.tell(610, ChannelUpdate::Outside { deleted: false }).await;
    scripted_channel.tell(3000, ChannelUpdate::Inside).await;
    scripted_channel.enter(3000, "8", 2).await;
    let unheard =
        |since_ms| ChannelUpdate::Unheard { uid: Uid::new("8").unwrap(), since: scripted_channel.instant(since_ms) };
    scripted_channel.tell(3000, unheard(2200)).await;
    scripted_channel.tell(3200, unheard(3000)).await;
    scripted_channel.talk(&mut [Talker::new(2, 880.0)], 3220, 8000).await;
    scripted_channel.at(8000, Input::TrackRemoved { track: TrackId(2) }).await;
    scripted_channel.leave(8000, "8").await;
    tokio::time::sleep(Duration::from_millis(8500).saturating_sub(scripted_channel.origin.elapsed())).await;
    let answer = world.stop(&task).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    check(&world, &task, "stopped").await;
    let known = world.over(&task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")));
    let uids = known["ledger"]["uids"].as_array().unwrap();
    let of = |uid: &str| uids.iter().find(|account| account["uid"] == uid).unwrap();
    assert_eq!(of("9")["missingMs"], 0);
    assert!(of("8")["missingMs"].as_u64().unwrap().abs_diff(1020) <= 40, "{}", of("8"));
    let causes: Vec<&Value> = of("8")["gaps"].as_array().unwrap().iter().map(|gap| &gap["cause"]).collect();
    assert!(causes.contains(&&json!(Cause::RecorderOutside)), "{causes:?}");
    let list = known["fileList"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    let file = list.iter().find(|file| file["uid"] == "8").unwrap();
    let sound = media::decode(&world.objects().join(file["fileName"].as_str().unwrap()));
    assert!(tone(sound.part(3500, 7500), 880.0) > 0.1);
}
