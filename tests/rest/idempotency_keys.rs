//! The header `Idempotency-Key`: a retried acquire or start does once what it is for, whatever was lost on the way.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::channel::JoinAnswer;
use crate::world::{APP, Answer, OTHER_APP, Options, Task, TestEnv, World, run_that_dies, until};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_start_is_the_same_recording_on_whatever_resource() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    let first = start(&world, "k", &resource, &world.client()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let mut fresh_token = world.client();
    fresh_token["token"] = json!("007fresh");
    for (resource, client) in [(resource.clone(), world.client()), (world.acquire("room", "1").await, fresh_token)] {
        let again = start(&world, "k", &resource, &client).await;
        assert_eq!((again.status, &again.body["sid"]), (StatusCode::OK, &first.body["sid"]), "{}", again.body);
        assert_eq!((&again.body["resourceId"], &again.body["state"]), (&first.body["resourceId"], &json!("recording")));
    }
    assert_eq!(world.joins(), 1);
    // Without the key it is what it always was.
    let spare = world.acquire("room", "1").await;
    assert_eq!(world.start(&spare, "mix", "room", "1", &world.client()).await.body["code"], 53);
    let foreign = async |what: &str, body: Value| call(&world, "other:secret", "k", OTHER_APP, what, &body).await;
    let resource = foreign("acquire", acquire_body("room", "1")).await.body["resourceId"].as_str().unwrap().to_owned();
    let body = json!({ "cname": "room", "uid": "1", "clientRequest": world.client() });
    let started = foreign(&format!("resourceid/{resource}/mode/mix/start"), body).await;
    assert_eq!((started.status, &started.body["resourceId"]), (StatusCode::OK, &json!(resource)));
    assert_ne!(started.body["sid"], first.body["sid"], "another app's key is another key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_request_is_refused() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    let first = start(&world, "k", &resource, &world.client()).await;
    let other = json!({ "storageConfig": world.storage(&["elsewhere"]) });
    for resource in [resource, world.acquire("room", "1").await] {
        let refused = start(&world, "k", &resource, &other).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(2)));
        assert!(refused.body["reason"].as_str().unwrap().starts_with("header Idempotency-Key "), "{}", refused.body);
        assert_eq!(refused.body["retry"], false);
    }
    assert_eq!((world.joins(), first.status), (1, StatusCode::OK));
    for bad in ["two words", &"k".repeat(256)] {
        let spare = world.acquire("room", "2").await;
        let refused = start(&world, bad, &spare, &other).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)));
        assert!(refused.body["reason"].as_str().unwrap().starts_with("header Idempotency-Key "), "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_with_one_key_at_the_same_time_are_one_recording() {
    let world = World::with(Options { max_sessions: 1, ..Options::default() }).await;
    let resources = join_all((0..8).map(|_| world.acquire("room", "1"))).await;
    let client = world.client();
    let answers = join_all(resources.iter().map(|resource| start(&world, "k", resource, &client))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body["sid"]), (StatusCode::OK, &answers[0].body["sid"]), "{}", answer.body);
    }
    assert_eq!(world.joins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_failed_gives_its_key_back() {
    let world = World::new().await;
    let nowhere = json!({ "storageConfig": { "vendor": 11, "region": 0, "bucket": "nowhere", "accessKey": "access",
        "secretKey": "secret", "extensionParams": world.storage(&[])["extensionParams"] } });
    let resource = world.acquire("room", "1").await;
    assert_eq!(start(&world, "k", &resource, &nowhere).await.status, StatusCode::BAD_REQUEST);
    for door in [JoinAnswer::Refuses, JoinAnswer::Dead] {
        world.channel.next_door(door);
        let failed = start(&world, "k", &resource, &world.client()).await;
        assert_eq!((failed.status, &failed.body["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!(502)));
    }
    let corrected = json!({ "storageConfig": world.storage(&["corrected"]) });
    let started = start(&world, "k", &world.acquire("room", "1").await, &corrected).await;
    assert_eq!(started.status, StatusCode::OK, "{}", started.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_failed_after_its_answer_gives_its_key_back_too() {
    let world = World::new().await;
    world.channel.next_door(JoinAnswer::SlowlyRefuses(Duration::from_millis(2300)));
    let first = start(&world, "k", &world.acquire("room", "1").await, &world.client()).await;
    assert_eq!((first.status, &first.body["state"]), (StatusCode::OK, &json!("starting")), "{}", first.body);
    let known = format!("/v1/apps/{APP}/recordings/{}", first.body["sid"].as_str().unwrap());
    until(async || (world.get(&known).await.body["state"] == "failed").then_some(())).await;
    let again = start(&world, "k", &world.acquire("room", "1").await, &world.client()).await;
    assert_eq!((again.status, &again.body["state"]), (StatusCode::OK, &json!("recording")), "{}", again.body);
    assert_ne!(again.body["sid"], first.body["sid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_for_a_day_also_when_its_recording_is_over() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    let first = start(&world, "k", &resource, &world.client()).await;
    let sid = first.body["sid"].as_str().unwrap().to_owned();
    let stop = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/sid/{sid}/mode/mix/stop");
    world.post(&stop, json!({ "cname": "room", "uid": "1", "clientRequest": {} })).await;
    world.pass(DAY - Duration::from_secs(60));
    let again = start(&world, "k", &world.acquire("room", "1").await, &world.client()).await;
    assert_eq!((again.status, &again.body["sid"]), (StatusCode::OK, &json!(sid)));
    assert_eq!((&again.body["state"], &again.body["status"]), (&json!("ended"), &json!(8)));
    world.pass(Duration::from_secs(120));
    let new = start(&world, "k", &world.acquire("room", "1").await, &world.client()).await;
    assert_eq!(new.status, StatusCode::OK, "{}", new.body);
    assert_ne!(new.body["sid"], json!(sid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_acquire_is_the_same_resource_while_that_is_of_use() {
    let world = World::with(Options { max_sessions: 1, ..Options::default() }).await;
    let acquire = async |body: &Value| call(&world, "key:secret", "k", APP, "acquire", body).await;
    let resource = |answer: &Answer| answer.body["resourceId"].as_str().unwrap().to_owned();
    let first = resource(&acquire(&acquire_body("room", "1")).await);
    assert_eq!(resource(&acquire(&acquire_body("room", "1")).await), first);
    let other = acquire(&acquire_body("room", "2")).await;
    assert_eq!((other.status, &other.body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(2)), "{}", other.body);
    world.pass(Duration::from_secs(301));
    let second = resource(&acquire(&acquire_body("room", "1")).await);
    assert_ne!(second, first, "the first can't be started any more");
    let started = start(&world, "k", &second, &world.client()).await;
    assert_eq!(started.status, StatusCode::OK, "{}", started.body);
    world.pass(Duration::from_secs(301));
    assert_eq!(
        resource(&acquire(&acquire_body("room", "1")).await),
        second,
        "though the app may have no other recording"
    );
    assert_eq!(start(&world, "k", &second, &world.client()).await.body["sid"], started.body["sid"]);
}

#[test]
fn a_key_outlives_the_worker() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (sid, client) = run_that_dies(&place, Options::default(), async |world: World| {
        let resource = world.acquire("room", "1").await;
        let sid = start(&world, "k", &resource, &world.client()).await.body["sid"].clone();
        let (cname, uid, mode) = ("room".to_owned(), "1".to_owned(), "mix".to_owned());
        world.durable(&Task { cname, uid, mode, resource, sid: sid.as_str().unwrap().to_owned() }).await;
        (sid, world.client())
    });
    run_that_dies(&place, Options::default(), async |world: World| {
        let again = start(&world, "k", &world.acquire("room", "1").await, &client).await;
        assert_eq!((again.status, &again.body["sid"]), (StatusCode::OK, &sid), "{}", again.body);
        until(async || (world.joins() == 1).then_some(())).await;
    });
}

fn acquire_body(cname: &str, uid: &str) -> Value {
    json!({ "cname": cname, "uid": uid, "clientRequest": {} })
}

async fn start(world: &World, key: &str, resource: &str, client: &Value) -> Answer {
    let body = json!({ "cname": "room", "uid": "1", "clientRequest": client });
    call(world, "key:secret", key, APP, &format!("resourceid/{resource}/mode/mix/start"), &body).await
}

async fn call(world: &World, pair: &str, key: &str, app: &str, what: &str, body: &Value) -> Answer {
    let request = Request::post(format!("/v1/apps/{app}/cloud_recording/{what}"))
        .header("authorization", format!("Basic {}", STANDARD.encode(pair)))
        .header("idempotency-key", key);
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}
