//! The token that a start brings: refused at once when it does not open the channel (docs/protocol/agora.md sections 3 and 8.3: codes 109
//! and 110), and an end of the recording, with the events for it, when it expires in the middle (section 5, module 0).

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::clock;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{Options, TestEnv, World, run_that_dies};

fn client(world: &World, token: &str) -> Value {
    let mut client = world.client();
    client["token"] = json!(token);
    client
}

fn until(ms: u64) -> String {
    format!("until {}", clock::now().0 + ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_open_the_channel_is_refused_at_start() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    for (token, code, reason) in
        [("wrong", 110, "invalid token, authorized failed"), ("until 1", 109, "dynamic key expired")]
    {
        let refused = world.start(&resource, "mix", "room", "1", &client(&world, token)).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
        assert_eq!(refused.body["reason"], reason);
        assert!(refused.body["detail"].as_str().unwrap().starts_with("clientRequest.token"), "{}", refused.body);
    }
    assert_eq!(world.joins(), 0);
    let started = world.start(&resource, "mix", "room", "1", &client(&world, "anything")).await;
    assert_eq!(started.status, StatusCode::OK, "the resource is as good as before: {}", started.body);
    let again = world.start(&resource, "mix", "room", "1", &client(&world, "until 1")).await;
    assert_eq!(again.body["sid"], started.body["sid"], "a repeated start is answered, whatever its token is by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_ends_the_recording_and_says_so() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &client(&world, &until(4000))).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3500).await;
    let known = world.over(&task).await;
    assert_eq!(known["state"], "failed");
    assert!(known["failure"].as_str().unwrap().contains("token"), "{known}");
    assert!(known["durationMs"].as_u64().unwrap().abs_diff(4000) < 700, "{known}");
    check(&world.log(&task).await);
}

#[test]
fn a_token_that_expired_while_the_worker_was_away_ends_the_recording_too() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record("mix", "room", "1", &client(&world, &until(60_000))).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        world.durable(&task).await;
        task
    });
    let later = Options { ahead: Duration::from_secs(120), ..Options::default() };
    run_that_dies(&place, later, async |world: World| {
        world.scripted_channel(&task).await.enter(0, "7", 1).await;
        assert_eq!(world.over(&task).await["state"], "failed");
        check(&world.log(&task).await);
    });
}

/// Event 1 with 109, then the end of every recording.
fn check(log: &[Value]) {
    let details = |number: u64| -> Vec<&Value> {
        log.iter().filter(|event| event["eventType"] == number).map(|event| &event["payload"]["details"]).collect()
    };
    let [error] = details(1)[..] else { panic!("one event 1: {log:#?}") };
    assert_eq!((&error["module"], &error["errorLevel"]), (&json!(0), &json!(5)));
    assert_eq!((&error["errorCode"], &error["stat"]), (&json!(109), &json!(0)));
    assert_eq!(details(41)[0]["leaveCode"], 2);
    assert_eq!(details(31)[0]["fileList"].as_array().unwrap().len(), 1, "what was recorded is kept");
    assert_eq!(details(11)[0]["exitStatus"], 1);
    let types: Vec<u64> = log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
    let order = [1, 41, 31, 11].map(|wanted| types.iter().position(|found| *found == wanted).unwrap());
    assert!(order.is_sorted(), "{types:?}");
}
