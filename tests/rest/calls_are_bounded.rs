//! More calls at once than there are places get the gateway's 503; who has a place keeps it.

use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode};
use cloud_recorder::api::MAX_CALLS;
use futures_util::stream;
use tokio::task::JoinSet;

use crate::world::{APP, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_too_many_is_sent_away_with_a_message() {
    let world = std::sync::Arc::new(World::new().await);
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let mut slow = JoinSet::new();
    for _ in 0..=MAX_CALLS {
        let (world, path) = (world.clone(), path.clone());
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        slow.spawn(async move { world.call(Method::POST, &path, body).await.status });
    }
    // Once the one too many is back, all the others have their places.
    assert_eq!(slow.join_next().await.unwrap().unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    let refused = world.get(&format!("/v1/apps/{APP}/recordings/{}", "0".repeat(32))).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "3");
    assert!(refused.body["message"].is_string() && refused.body.get("code").is_none(), "{}", refused.body);
    assert_eq!(world.call(Method::GET, "/livez", "").await.status, StatusCode::OK, "probes need no place");
    slow.shutdown().await;
    let answer = world.get(&format!("/v1/apps/{APP}/recordings/{}", "0".repeat(32))).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "places come back");
}
