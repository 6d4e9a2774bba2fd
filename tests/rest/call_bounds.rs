//! Bodies that never come cost nobody a place; what an app's bodies take is bounded, and that bound is the app's own.

use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode};
use cloud_recorder::api::MAX_BODY_BYTES;
use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

use crate::world::{APP, OTHER_APP, World};

/// A body of which so many bytes come, and then nothing for ever.
fn unfinished(bytes: usize) -> Body {
    let begin = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))]);
    Body::from_stream(begin.chain(stream::pending()))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_cost_nothing() {
    let world = std::sync::Arc::new(World::new().await);
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let mut slow = JoinSet::new();
    for _ in 0..1_000 {
        let (world, path) = (world.clone(), path.clone());
        slow.spawn(async move { world.call(Method::POST, &path, unfinished(1)).await.status });
    }
    let task = world.record("mix", "room", "1", &world.client()).await;
    assert_eq!(world.query(&task).await.status, StatusCode::OK);
    // Nothing was recorded: the vendor's answer to that is 206 with code 435.
    assert_eq!(world.stop(&task).await.status, StatusCode::PARTIAL_CONTENT);
    slow.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bodies_take_is_bounded_for_each_app() {
    const BODIES: usize = 64;
    let world = std::sync::Arc::new(World::new().await);
    let mut slow = JoinSet::new();
    for _ in 0..=BODIES {
        let (world, path) = (world.clone(), format!("/v1/apps/{APP}/cloud_recording/acquire"));
        slow.spawn(async move { world.call(Method::POST, &path, unfinished(MAX_BODY_BYTES)).await });
    }
    let refused = slow.join_next().await.unwrap().unwrap();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "3");
    assert!(refused.body["message"].is_string() && refused.body.get("code").is_none(), "{}", refused.body);
    let body = serde_json::json!({ "cname": "room", "uid": "1", "clientRequest": {} });
    let acquire = async |pair: &str, app: &str| {
        let path = format!("/v1/apps/{app}/cloud_recording/acquire");
        world.call_as(pair, Method::POST, &path, body.to_string()).await.status
    };
    assert_eq!(acquire("other:secret", OTHER_APP).await, StatusCode::OK, "another app's bodies have their own");
    let own = world.get(&format!("/v1/apps/{APP}/recordings/{}", "0".repeat(32))).await;
    assert_eq!(own.status, StatusCode::NOT_FOUND, "calls without a body go on");
    slow.shutdown().await;
    assert_eq!(acquire("key:secret", APP).await, StatusCode::OK, "what was taken comes back");
}
