//! What waits for dead buckets is bounded for each app: past it the app begins nothing new, and the others do not notice.

use std::collections::HashMap;

use axum::http::StatusCode;
use cloud_recorder::storage::SpoolLimits;
use cloud_recorder::units::AppId;
use serde_json::json;

use crate::talker::Talker;
use crate::world::{APP, OTHER_APP, Options, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_bucket_is_dead_begins_nothing_new_past_its_bound() {
    let apps = HashMap::from([(AppId::new(APP).unwrap(), 10_000)]);
    let world =
        World::with(Options { spool: SpoolLimits { apps, ..SpoolLimits::from(1 << 30) }, ..Options::default() }).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let early = world.acquire("room", "2").await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
    let acquire = async |pair, app, uid: &str| {
        let body = json!({ "cname": "room", "uid": uid, "clientRequest": {} }).to_string();
        world.call_as(pair, axum::http::Method::POST, &format!("/v1/apps/{app}/cloud_recording/acquire"), body).await
    };
    let refused = until(async || {
        let answer = acquire("key:secret", APP, "3").await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, &refused.body["fault"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("spool_full")));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("apps.spool_gib") && detail.contains(APP), "it says which bound: {detail}");
    assert_eq!(acquire("other:secret", OTHER_APP, "3").await.status, StatusCode::OK);
    assert_eq!(world.call(axum::http::Method::GET, "/readyz", "").await.status, StatusCode::OK, "the worker is ready");
    let refused = world.start(&early, "mix", "room", "2", &world.client()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);

    std::fs::rename(&away, &there).unwrap();
    world.stop(&task).await;
    assert_eq!(world.over(&task).await["verdict"], "complete", "a running recording is never harmed");
    until(async || (acquire("key:secret", APP, "3").await.status == StatusCode::OK).then_some(())).await;
}
