//! docs/protocol/callers.md section 1, line by line: what real programs send has to work, or be refused in clean JSON.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_recorder::recording::Selection;
use serde_json::json;

use crate::world::{APP, Answer, Task, World};

#[tokio::test(flavor = "multi_thread")]
async fn schemes_and_content_types_in_any_spelling() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    for (scheme, kind) in [("basic", "application/json;charset=utf-8"), ("Basic", "text/plain"), ("BASIC", "")] {
        let request = Request::post(&path)
            .header("Authorization", format!("{scheme} {}", STANDARD.encode("key:secret")))
            .header("Content-type", kind)
            .body("\n\n\t {\t\"uid\": 527,\n\n\t\"cname\": \"room\",\n\t\"clientRequest\":\n{}}\n".into());
        let answer = world.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{scheme}: {}", answer.body);
        assert_eq!(answer.body["uid"], "527", "a string in answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_comes_back() {
    let world = World::new().await;
    let request = Request::get("/nowhere").header("x-request-id", "mine-1").body(Body::empty());
    assert_eq!(world.send(request.unwrap()).await.headers["x-request-id"], "mine-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_with_bodies() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    for body in [Body::from("null"), Body::from_stream(futures_util::stream::empty::<std::io::Result<Vec<u8>>>())] {
        assert_eq!(world.call(Method::GET, &task.path("query"), body).await.status, StatusCode::OK);
    }
    let wrong =
        [(Method::POST, "query"), (Method::GET, "update"), (Method::GET, "updateLayout"), (Method::GET, "stop")];
    for (method, action) in wrong {
        let answer = world.call(method, &task.path(action), "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.body["message"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layouts_on_update_and_lists_on_update_layout() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let layout = json!({ "mixedVideoLayout": 3, "maxResolutionUid": "1", "width": 0, "height": 0, "fps": 0, "bitrate": 0,
        "backgroundColor": "" });
    for action in ["update", "updateLayout"] {
        let answer =
            world.post(&task.path(action), json!({ "cname": "room", "uid": "77", "clientRequest": layout })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!((&answer.body["uid"], &answer.body["mismatched"]), (&json!("1"), &json!(["uid"])));
    }
    let lists = json!({ "streamSubscribe": { "audioUidList": { "unsubscribeAudioUids": ["5"] } } });
    let answer = world.post(&task.path("updateLayout"), task.body(&lists)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let mut selection = world.channel.scripted_channel(&task.sid).selection;
    let all_but_five = Selection::Except(["5".parse().unwrap()].into());
    selection.wait_for(|selection| *selection == all_but_five).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal_placeholder_and_regions_in_the_path() {
    let world = World::new().await;
    for path in ["/v1/apps/%s/cloud_recording/acquire".to_owned(), format!("/na/v1/apps/{APP}/cloud_recording/acquire")]
    {
        let answer = world.post(&path, json!({ "cname": "room", "uid": "0", "clientRequest": { "scene": 2 } })).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_uid_is_a_number_then_a_string() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording");
    let body = json!({ "cname": "room", "uid": 4_294_967_295_u64, "clientRequest": {} });
    let resource = world.post(&format!("{path}/acquire"), body).await.body["resourceId"].as_str().unwrap().to_owned();
    let answer = world.start(&resource, "mix", "room", "4294967295", &world.client()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_unknown_misplaced_or_empty() {
    let world = World::new().await;
    let client = json!({
        "token": null, "streamSubscribe": { "audioUidList": {} }, "appsCollection": { "combinationPolicy": "default" },
        "recordingConfig": {
            "maxIdleTime": 30, "streamTypes": 2, "streamMode": "default", "channelType": 0, "videoStreamType": 0,
            "width": 640, "height": 480, "fps": 15, "bitrate": 500, "audioOnlyFallback": 1,
            "transcodingConfig": { "height": 640, "width": 360, "bitrate": 500, "fps": 15, "mixedVideoLayout": 1,
                "backgroundColor": "#FF0000" },
            "subscribeVideoUids": ["123"], "subscribeAudioUids": [], "subscribeUidGroup": 0
        },
        "recordingFileConfig": { "avFileType": ["hls", "mp4"] },
        "storageConfig": world.storage(&["dir_1", "dir-2", "Team call: Q4 (draft)", "会議"]),
    });
    let resource = world.acquire("room", "1").await;
    let answer = world.start(&resource, "mix", "room", "1", &client).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let notes = answer.body["notes"].to_string();
    assert!(notes.contains("video is not"), "{notes}");
    let task = task(&answer, "mix");
    let query = world.query(&task).await;
    assert_eq!(query.body["serverResponse"]["fileListMode"], "json");
    assert!(
        query.body["serverResponse"]["fileList"][0]["fileName"].as_str().unwrap().starts_with("dir_1/dir-2/Team call")
    );
    let log = world.log(&task).await;
    let told = log.iter().find(|event| event["eventType"] == 3).unwrap();
    assert!(told["payload"]["details"]["notes"].to_string().contains("video is not"));
    let stop = json!({ "cname": "room", "uid": "1", "resourceId": "", "token": "x", "clientRequest": {} });
    assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::PARTIAL_CONTENT, "nobody spoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_blocks_may_be_missing() {
    let world = World::new().await;
    for (mode, uid) in [("mix", "1"), ("individual", "2")] {
        let client = json!({ "storageConfig": world.storage(&[]) });
        let answer = world.start(&world.acquire("room", uid).await, mode, "room", uid, &client).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sid_finds_the_task_whatever_the_rest_of_the_path_says() {
    let world = World::new().await;
    let individual = world.record("individual", "room", "1", &world.client()).await;
    let wrong_mode = Task { mode: "mix".into(), ..individual.clone() };
    let answer = world.query(&wrong_mode).await;
    assert_eq!((answer.status, &answer.body["mismatched"]), (StatusCode::OK, &json!(["mode"])));
    let fresh = Task { resource: world.acquire("room", "1").await, ..individual.clone() };
    let answer = world.stop(&fresh).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{}", answer.body);
    assert_eq!(answer.body["mismatched"], json!(["resourceId"]));
    assert_eq!(answer.body["resourceId"], json!(individual.resource));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_parts_get_json() {
    let world = World::new().await;
    let answer = world.start("", "mix", "room", "1", &world.client()).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(1001)));
    let path = format!("/v1/apps/{APP}/cloud_recording/resourceid//sid//mode/mix/query");
    let answer = world.get(&path).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::NOT_FOUND, &json!(404)));
}

fn task(answer: &Answer, mode: &str) -> Task {
    let text = |field: &str| answer.body[field].as_str().map(str::to_owned).unwrap_or_default();
    Task { cname: text("cname"), uid: text("uid"), mode: mode.into(), resource: text("resourceId"), sid: text("sid") }
}
