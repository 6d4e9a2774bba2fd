//! The customer's bucket is gone for a while: the recording goes on, a stop says what is true, and in the end everything is
//! there. Keys can be changed on the way.

use axum::http::StatusCode;
use serde_json::json;

use crate::media;
use crate::talker::Talker;
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_delays_and_loses_nothing() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
    until(async || (world.query(&task).await.body["segments"]["made"].as_u64() >= Some(2)).then_some(())).await;
    let upload = until(async || {
        let upload = world.query(&task).await.body["upload"].clone();
        (upload["state"] == "blocked").then_some(upload)
    })
    .await;
    assert_eq!(upload["code"], "bucket_missing");
    assert!(upload["reason"].as_str().unwrap().contains("clientRequest.storageConfig.bucket"), "{upload}");
    assert!(upload["sinceMs"].as_u64() > Some(0) && upload["attempts"].as_u64() > Some(0), "{upload}");
    assert!(upload["waitingObjects"].as_u64() > Some(0) && upload["waitingBytes"].as_u64() > Some(0), "{upload}");
    let answer = world.stop(&task).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::PARTIAL_CONTENT, &json!(65)), "{}", answer.body);
    assert_eq!(answer.body["serverResponse"]["uploadingStatus"], "unknown");
    assert_eq!(world.query(&task).await.body["state"], "stopping");
    let answer = world.stop(&task).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(49)));

    std::fs::rename(&away, &there).unwrap();
    let known = world.over(&task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")));
    let sound = media::decode(&there.join(known["fileList"][0]["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(known["durationMs"].as_u64().unwrap()) <= 20);
    let log = world.log(&task).await;
    let trouble = log.iter().find(|event| event["eventType"] == 1).unwrap();
    assert_eq!(trouble["payload"]["details"]["errorCode"], 32);
    assert_eq!(trouble["payload"]["details"]["reason"], "bucket_missing");
    let told = log.iter().filter(|event| event["eventType"] == 1).count();
    assert_eq!(told, 1, "once an outage");
    let over = log.iter().find(|event| event["eventType"] == 2).unwrap();
    assert_eq!(over["payload"]["details"]["state"], "recovered");
    assert_eq!(log.last().unwrap()["payload"]["details"]["exitStatus"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_can_be_changed_but_the_bucket_can_not() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let update =
        async |storage| world.post(&task.path("update"), task.body(&json!({ "storageConfig": storage }))).await;
    assert_eq!(update(world.storage(&[])).await.status, StatusCode::OK);
    let whole = world.storage(&[]);
    let keys =
        json!({ "accessKey": whole["accessKey"], "secretKey": whole["secretKey"], "stsExpiration": 1_900_000_000 });
    assert_eq!(update(keys).await.status, StatusCode::OK, "the place is known");
    let answer = update(json!({ "accessKey": "access" })).await;
    assert!(answer.body["reason"].as_str().unwrap().contains("storageConfig.secretKey is missing"), "{}", answer.body);
    for (field, value) in [("bucket", "another"), ("secretKey", "wrong")] {
        let mut storage = world.storage(&[]);
        storage[field] = json!(value);
        let answer = update(storage).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)), "{}", answer.body);
        assert!(answer.body["reason"].as_str().unwrap().contains("clientRequest.storageConfig"));
    }
}
