//! A disk without room or without writes refuses what would begin, early and with a reason, and harms nothing that runs.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::talker::Talker;
use crate::world::{APP, Answer, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn new_recordings_are_refused_and_running_ones_go_on() {
    let world = World::new().await;
    assert_eq!((ready(&world).await.status, ready(&world).await.body["ready"].clone()), (StatusCode::OK, json!(true)));
    let task = world.record("mix", "room", "1", &world.client()).await;
    let early = world.acquire("room", "2").await;

    std::fs::remove_dir_all(world.disk()).unwrap();
    let refused = until(async || Some(acquire(&world).await).filter(|answer| answer.status != StatusCode::OK)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&refused.body["code"], &refused.body["reason"]), (&json!(501), &json!("no_worker_manager_available")));
    assert_closed(&refused, &refused.body["fault"], &refused.body["detail"]);
    assert_eq!(refused.body["retry"], json!(true));
    let refused = world.start(&early, "mix", "room", "2", &world.client()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&refused.body["code"], &refused.body["reason"]), (&json!(502), &json!("Failed to allocate worker")));
    assert_closed(&refused, &refused.body["fault"], &refused.body["detail"]);
    let told = ready(&world).await;
    assert_eq!((told.status, &told.body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    assert_closed(&told, &told.body["reasons"][0]["code"], &told.body["reasons"][0]["detail"]);
    assert_eq!(world.call(Method::GET, "/livez", "").await.status, StatusCode::OK, "it lives all the same");

    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    let asked = world.query(&task).await;
    assert_eq!((asked.status, &asked.body["state"]), (StatusCode::OK, &json!("recording")));
    assert_eq!(asked.body["worker"]["reasons"], told.body["reasons"], "query says it too");
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    assert_eq!(world.over(&task).await["state"], "ended");

    std::fs::create_dir(world.disk()).unwrap();
    until(async || (ready(&world).await.status == StatusCode::OK).then_some(())).await;
    let started = world.start(&early, "mix", "room", "2", &world.client()).await;
    assert_eq!(started.status, StatusCode::OK, "the same start is taken when the disk is back: {}", started.body);
}

fn assert_closed(answer: &Answer, word: &Value, detail: &Value) {
    assert_eq!(answer.headers["retry-after"], "10");
    assert_eq!(word, "disk_unwritable");
    assert!(detail.as_str().unwrap().contains("check the disk"), "it says what to do: {detail}");
}

async fn ready(world: &World) -> Answer {
    world.call(Method::GET, "/readyz", "").await
}

async fn acquire(world: &World) -> Answer {
    let body = json!({ "cname": "room", "uid": "3", "clientRequest": {} });
    world.post(&format!("/v1/apps/{APP}/cloud_recording/acquire"), body).await
}
