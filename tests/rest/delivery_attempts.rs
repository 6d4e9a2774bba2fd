//! The delivery log over REST: what an app's receiver has and lacks, and what became of each attempt; of recordings and of
//! channels.

use std::time::Duration;

use cloud_recorder::callback::{Schedule, Settings};
use cloud_recorder::store::NewChannelNotice;
use cloud_recorder::units::{AppId, ChannelSid, EventTypes};
use serde_json::{Value, json};

use crate::receiver::{Answer, Receiver};
use crate::world::{APP, Options, World, until};

fn quick() -> Settings {
    Settings { schedule: Schedule::new(vec![Duration::from_millis(5)]), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_listed_with_their_answers() {
    let receiver = Receiver::scripted(&[Answer::Status(500), Answer::Drop]).await;
    let options = Options { callbacks: Some(receiver.url.clone()), delivery: quick(), ..Options::default() };
    let world = World::with(options).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    world.stop(&task).await;
    world.over(&task).await;
    let log = world.log(&task).await;
    let delivered = settled(&world, log.len()).await;
    for (entry, line) in delivered.iter().zip(&log) {
        assert_eq!((&entry["productId"], &entry["sid"]), (&json!(3), &json!(task.sid)));
        assert_eq!((&entry["noticeId"], &entry["eventType"]), (&line["noticeId"], &line["eventType"]));
        assert_eq!((&entry["state"], &entry["nextAttempt"]), (&json!("delivered"), &Value::Null));
        let last = entry["log"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["status"], &last["error"]), (&json!(200), &Value::Null));
        assert!(last["at"].as_u64() <= entry["since"].as_u64() && last["tookMs"].is_u64());
    }
    let first = delivered[0]["log"].as_array().unwrap();
    assert_eq!((first.len(), &delivered[0]["attempts"]), (3, &json!(2)), "two failed before the third");
    assert_eq!(first[0]["status"], 500);
    assert!(first[0]["error"].as_str().unwrap().contains("500"));
    assert_eq!(first[1]["status"], Value::Null);
    assert!(first[1]["error"].as_str().unwrap().starts_with("the receiver can't be reached: "));

    let own = list(&world, &format!("state=all&sid={}&limit=2", task.sid)).await;
    assert_eq!(own["callbacks"].as_array().unwrap()[..], delivered[..2]);
    let next = own["next"].as_str().unwrap();
    let rest = list(&world, &format!("state=all&sid={}&after={next}", task.sid)).await;
    assert_eq!(rest["callbacks"].as_array().unwrap()[..], delivered[2..]);
    let nobodys = list(&world, &format!("state=all&sid={}", "0".repeat(32))).await;
    assert_eq!(nobodys["callbacks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_does_not_want_is_in_the_log_and_is_not_sent() {
    let receiver = Receiver::scripted(&[]).await;
    let events = EventTypes::Only([11, 31].into());
    let options = Options { callbacks: Some(receiver.url.clone()), delivery: quick(), events, ..Options::default() };
    let world = World::with(options).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    world.stop(&task).await;
    world.over(&task).await;
    let log = world.log(&task).await;
    until(async || (receiver.heard(&task.sid).len() == 2).then_some(())).await;
    let heard = receiver.heard(&task.sid);
    let wanted: Vec<&Value> = log.iter().filter(|line| [json!(11), json!(31)].contains(&line["eventType"])).collect();
    assert!(log.len() > wanted.len() + 3, "the log has everything");
    for (attempt, line) in heard.iter().zip(wanted) {
        assert_eq!(attempt.json["noticeId"], line["noticeId"]);
        assert_eq!(attempt.json["payload"]["sequence"], line["payload"]["sequence"], "numbers stay as they are");
    }
    let filtered = until(async || {
        let filtered = list(&world, "state=filtered").await["callbacks"].as_array().unwrap().clone();
        (filtered.len() == log.len() - 2).then_some(filtered)
    })
    .await;
    assert!(filtered.iter().all(|entry| entry["state"] == "filtered" && entry["log"] == json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_events_stand_in_the_same_list() {
    let receiver = Receiver::always(Answer::Status(500)).await;
    let delivery = Settings { give_up_after: Duration::ZERO, ..quick() };
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), delivery, ..Options::default() }).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    world.stop(&task).await;
    world.over(&task).await;
    let session = ChannelSid::from_random([0xab; 16]);
    let notice = |event_type| NewChannelNotice {
        app: AppId::new(APP).unwrap(),
        session: session.clone(),
        event_type,
        payload: json!({ "channelName": "room", "ts": 1 }),
    };
    world.store.append_channel_notices(&[notice(101), notice(107)], cloud_recorder::clock::now()).await.unwrap();
    // A worker's channel server would ring; here the call for dead letters does.
    let path = format!("/v1/apps/{APP}/callbacks/redeliver");
    world.post(&path, json!({ "sid": session })).await;
    let log = world.log(&task).await.len();
    let dead = until(async || {
        let dead = list(&world, "state=dead").await["callbacks"].as_array().unwrap().clone();
        (dead.len() == log + 2).then_some(dead)
    })
    .await;
    let products: Vec<u64> = dead.iter().map(|entry| entry["productId"].as_u64().unwrap()).collect();
    assert!(products[..log].iter().all(|product| *product == 3) && products[log..] == [1, 1], "{products:?}");
    let entry = &dead[log];
    assert_eq!((&entry["sid"], &entry["eventType"]), (&json!(session), &json!(101)));
    assert!(entry["noticeId"].as_str().unwrap().ends_with(":101"));
    assert_eq!(entry["log"][0]["status"], 500);
    let only = list(&world, "state=dead&productId=1").await;
    assert_eq!(only["callbacks"].as_array().unwrap()[..], dead[log..]);
    assert_eq!(list(&world, "state=dead&productId=3").await["callbacks"].as_array().unwrap().len(), log);

    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&world, &format!("state=dead&limit=2&after={after}")).await;
        paged.extend(page["callbacks"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, dead, "pages go over from recordings to channels");
    let again = world.post(&path, json!({ "sid": session })).await.body;
    assert_eq!(again["redelivered"], 2);
}

async fn list(world: &World, query: &str) -> Value {
    world.get(&format!("/v1/apps/{APP}/callbacks?{query}")).await.body
}

/// What is delivered, once it is this much.
async fn settled(world: &World, count: usize) -> Vec<Value> {
    until(async || {
        let delivered = list(world, "state=delivered").await["callbacks"].as_array().unwrap().clone();
        (delivered.len() == count).then_some(delivered)
    })
    .await
}
