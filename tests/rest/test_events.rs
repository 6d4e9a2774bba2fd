//! `POST …/callbacks/test`: a signed event, marked as a test, goes to the app's receiver, and the answer says what became of it.

use axum::http::{Method, StatusCode};
use cloud_recorder::callback::signature;
use serde_json::{Value, json};

use crate::receiver::{Answer, Receiver};
use crate::world::{APP, OTHER_APP, Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_signed_marked_and_in_no_log() {
    let receiver = Receiver::scripted(&[Answer::Status(200), Answer::Status(503)]).await;
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), ..Options::default() }).await;
    let path = format!("/v1/apps/{APP}/callbacks/test");
    let told = world.post(&path, json!({})).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert_eq!((&told.body["delivered"], &told.body["status"]), (&json!(true), &json!(200)));
    assert_eq!((&told.body["eventType"], &told.body["error"]), (&json!(40), &Value::Null));
    let attempt = receiver.attempts().remove(0);
    assert_eq!(told.body["body"].as_str().unwrap().as_bytes(), &attempt.body[..]);
    assert_eq!(told.body["noticeId"], attempt.json["noticeId"]);
    let secret = "callback-secret".to_owned().into();
    assert_eq!(attempt.headers[signature::HEADER_V1], signature::v1(&secret, &attempt.body));
    assert_eq!(attempt.headers[signature::HEADER_V2], signature::v2(&secret, &attempt.body));
    let payload = &attempt.json["payload"];
    assert_eq!((&payload["cname"], &payload["uid"]), (&json!("test_webhook"), &json!("12121212")));
    assert_eq!(payload["details"], json!({ "msgName": "recorder_started", "status": 0, "test": true }));

    let failed = world.post(&path, json!({ "eventType": 31 })).await.body;
    assert_eq!(
        (&failed["delivered"], &failed["status"], &failed["eventType"]),
        (&json!(false), &json!(503), &json!(31))
    );
    assert!(failed["error"].as_str().unwrap().contains("503"));
    assert_eq!(receiver.attempts().len(), 2, "a test is sent once");
    let all = world.get(&format!("/v1/apps/{APP}/callbacks?state=all")).await.body;
    assert_eq!(all["callbacks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_tested_is_refused_by_name() {
    let receiver = Receiver::scripted(&[]).await;
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), ..Options::default() }).await;
    for event in [json!(101), json!(44), json!("40"), json!(-1)] {
        let refused = world.post(&format!("/v1/apps/{APP}/callbacks/test"), json!({ "eventType": event })).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)), "{event}");
        assert!(refused.body["reason"].as_str().unwrap().contains("eventType"), "{}", refused.body);
    }
    let path = format!("/v1/apps/{OTHER_APP}/callbacks/test");
    let refused = world.call_as("other:secret", Method::POST, &path, "{}").await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)));
    assert!(refused.body["reason"].as_str().unwrap().contains("callback_url"), "{}", refused.body);
    assert!(receiver.attempts().is_empty());
}
