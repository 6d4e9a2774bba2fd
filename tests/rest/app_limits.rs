//! What an app may do at most: requests in a second, recordings at a time. Past it the app is told so; the others notice nothing.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::json;

use crate::world::{APP, OTHER_APP, Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_calls_too_often_waits_as_it_is_told() {
    let world = World::with(Options { requests_per_second: Some(2), ..Options::default() }).await;
    let path = format!("/v1/apps/{APP}/recordings");
    let answers = join_all((0..10).map(|_| world.get(&path))).await;
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert!((4..10).contains(&passed.len()), "a burst of two seconds' worth: {}", passed.len());
    for answer in &refused {
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.starts_with("API rate limit exceeded") && message.contains("2 requests a second"), "{message}");
        assert!(message.contains("apps.requests_per_second") && answer.body.get("code").is_none());
    }
    let wait: u64 = refused[0].headers["retry-after"].to_str().unwrap().parse().unwrap();
    let others = world.call_as("other:secret", Method::GET, &path.replace(APP, OTHER_APP), "").await;
    assert_eq!(others.status, StatusCode::OK, "the other app has a limit of its own");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_away_and_cost_nobody_a_call() {
    let world = World::with(Options { requests_per_second: Some(2), ..Options::default() }).await;
    let path = format!("/v1/apps/{APP}/recordings");
    let pairs = ["key:wrong", "nobody:secret"];
    let answers = join_all((0..400).map(|number| world.call_as(pairs[number % 2], Method::GET, &path, ""))).await;
    assert!(answers.iter().any(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS));
    for answer in &answers {
        let message = answer.body["message"].as_str().unwrap();
        match answer.status {
            StatusCode::UNAUTHORIZED => assert_eq!(message, "Invalid authentication credentials"),
            _ => assert!(message.contains("without valid credentials") && answer.headers.contains_key("retry-after")),
        }
    }
    for _ in 0..4 {
        assert_eq!(world.get(&path).await.status, StatusCode::OK, "all calls of the app itself are left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_at_the_same_time_do_not_pass_the_limit_together() {
    let world = World::with(Options { max_sessions: 2, ..Options::default() }).await;
    let uids: Vec<String> = (1..=6).map(|uid| uid.to_string()).collect();
    let resources = join_all(uids.iter().map(|uid| world.acquire("room", uid))).await;
    let client = world.client();
    let starts = resources.iter().zip(&uids).map(|(resource, uid)| world.start(resource, "mix", "room", uid, &client));
    let answers = join_all(starts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 2);
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(406)), "{}", answer.body);
        assert_eq!(answer.body["reason"], "vendor_over_load");
        assert!(answer.body["detail"].as_str().unwrap().contains("apps.max_recordings"), "{}", answer.body);
    }
    assert_eq!(world.joins(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_a_limit_for_all_apps_together() {
    let world = World::with(Options { worker_sessions: 1, ..Options::default() }).await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let path = format!("/v1/apps/{OTHER_APP}/cloud_recording/acquire");
    let body = json!({ "cname": "room", "uid": "1", "clientRequest": {} }).to_string();
    let answer = world.call_as("other:secret", Method::POST, &path, body.clone()).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(406)));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("server.max_recordings") && !detail.contains(APP), "{detail}");
    world.stop(&task).await;
    assert_eq!(world.call_as("other:secret", Method::POST, &path, body).await.status, StatusCode::OK);
}
