//! What rows say of answers.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::talker::Talker;
use crate::world::{APP, Answer, Task, World};

/// The path of a call that names no task.
pub(crate) fn path(rest: &str) -> String {
    format!("/v1/apps/{APP}/cloud_recording/{rest}")
}

/// A success, which is exactly 200 (docs/protocol/callers.md section 2).
pub(crate) fn accepted(row: &str, answer: &Answer) {
    assert_eq!(answer.status.as_u16(), 200, "{row}: {}", answer.body);
    assert!(answer.body.get("code").is_none(), "{row}: {}", answer.body);
}

/// An application's error: status, code, and words of its reason. What it says beside names the field or what to do.
pub(crate) fn refused(row: &str, answer: &Answer, status: u16, code: u64, reason: &str) {
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{row}: {}", answer.body);
    let told = answer.body["reason"].as_str().unwrap_or_default();
    assert!(told.contains(reason), "{row}: {}", answer.body);
    assert!(answer.body.get("message").is_none(), "{row}: {}", answer.body);
}

/// A gateway's error: a message and nothing else.
pub(crate) fn turned_away(row: &str, answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status.as_u16(), &answer.body), (status, &json!({ "message": message })), "{row}");
}

/// The names of an object's fields, sorted.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Whether the notes of an answer say this.
pub(crate) fn noted(answer: &Answer, words: &str) -> bool {
    answer.body["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note.as_str().unwrap().contains(words)))
}

/// A member joins and talks for some seconds.
pub(crate) async fn speak(world: &World, task: &Task, uid: &str, seconds: u64) {
    let scripted_channel = world.scripted_channel(task).await;
    scripted_channel.enter(0, uid, 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, seconds * 1000).await;
}

/// A call as somebody sends it who has no credentials.
pub(crate) fn bare(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}
