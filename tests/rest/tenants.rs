//! Two tenants: what one has does not exist for the other.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::world::{APP, OTHER_APP, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_reaches_nothing_of_another() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let foreign = |path: String| path.replace(APP, OTHER_APP);
    for (method, path) in [
        (Method::GET, task.path("query")),
        (Method::POST, task.path("stop")),
        (Method::GET, format!("/v1/apps/{APP}/recordings/{}", task.sid)),
        (Method::GET, format!("/v1/apps/{APP}/recordings/{}/events", task.sid)),
    ] {
        let answer = world.call_as("other:secret", method, &foreign(path), "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
        assert!(answer.body.get("fileList").is_none() && answer.body.get("ledger").is_none());
    }
    let layout = json!({ "clientRequest": { "mixedVideoLayout": 1 } }).to_string();
    let answer = world.call_as("other:secret", Method::POST, &foreign(task.path("update")), layout).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = world.call_as("other:secret", Method::GET, &task.path("query"), "").await;
    assert_eq!((answer.status, &answer.body["message"]), (StatusCode::BAD_REQUEST, &json!("appid is invalid")));
    assert_eq!(world.query(&task).await.body["serverResponse"]["status"], 5, "nothing happened to it");
}
