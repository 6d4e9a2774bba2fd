//! docs/protocol/agora.md sections 1.4 and 1.5: update and updateLayout, field by field.

use cloud_recorder::recording::Selection;
use serde_json::{Value, json};

use crate::contract::{accepted, fields, noted, refused, speak};
use crate::world::{Answer, Task, World};

async fn call(world: &World, task: &Task, action: &str, client: &Value) -> Answer {
    world.post(&task.path(action), task.body(client)).await
}

fn lists(lists: Value) -> Value {
    let mut client = json!({});
    client["streamSubscribe"] = lists;
    client
}

/// 1.4 streamSubscribe: who is recorded changes while the recording runs.
#[tokio::test(flavor = "multi_thread")]
async fn update_changes_who_is_recorded() {
    let world = World::new().await;
    let uids = |list: &[&str]| list.iter().map(|uid| uid.parse().unwrap()).collect();
    for mode in ["mix", "individual"] {
        let task = world.record(mode, mode, "1", &world.client()).await;
        let mut selection = world.scripted_channel(&task).await.selection;
        for (row, list, wanted) in [
            ("1.4 subscribeAudioUids", json!({ "subscribeAudioUids": ["7", "8"] }), Selection::Only(uids(&["7", "8"]))),
            ("1.4 unSubscribeAudioUids", json!({ "unSubscribeAudioUids": ["7"] }), Selection::Except(uids(&["7"]))),
            ("10.1 both spellings", json!({ "unsubscribeAudioUids": ["8"] }), Selection::Except(uids(&["8"]))),
            ("2.1 #allstream#", json!({ "subscribeAudioUids": ["#allstream#"] }), Selection::All),
        ] {
            let answer = call(&world, &task, "update", &lists(json!({ "audioUidList": list }))).await;
            accepted(row, &answer);
            assert_eq!(fields(&answer.body), ["cname", "resourceId", "sid", "uid"], "1.4 answer: {row}");
            selection.wait_for(|selection| *selection == wanted).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_update_is_taken_or_refused_by_name() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let video = lists(json!({ "videoUidList": { "subscribeVideoUids": ["7"] } }));
    let answer = call(&world, &task, "update", &video).await;
    accepted("1.4 videoUidList", &answer);
    assert!(noted(&answer, "video"), "1.4 videoUidList: {}", answer.body);
    let storage = world.storage(&[]);
    let keys = json!({ "storageConfig": { "accessKey": storage["accessKey"], "secretKey": storage["secretKey"] } });
    accepted("1.4 storageConfig, whole", &call(&world, &task, "update", &json!({ "storageConfig": storage })).await);
    accepted("1.4 storageConfig, keys alone", &call(&world, &task, "update", &keys).await);
    let both = json!({ "audioUidList": { "subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"] } });
    for (row, client, field) in [
        ("1.4 webRecordingConfig", json!({ "webRecordingConfig": { "onhold": true } }), "webRecordingConfig"),
        ("1.4 rtmpPublishConfig", json!({ "rtmpPublishConfig": { "outputs": [] } }), "rtmpPublishConfig"),
        ("1.4 nothing at all", json!({}), "streamSubscribe"),
        ("2.1 mutually exclusive", lists(both), "audioUidList.subscribeAudioUids"),
        (
            "1.4 storageConfig, without keys",
            json!({ "storageConfig": { "accessKey": "x" } }),
            "storageConfig.secretKey",
        ),
    ] {
        refused(row, &call(&world, &task, "update", &client).await, 400, 2, field);
    }
    speak(&world, &task, "9", 3).await;
    world.stop(&task).await;
    refused("3 update 404", &call(&world, &task, "update", &video).await, 404, 404, "ailed to find worker");
}

fn region() -> Value {
    json!({ "uid": "7", "x_axis": 0, "y_axis": 0.0, "width": 0.5, "height": 1, "alpha": 1.0, "render_mode": 1 })
}

/// 1.5: a layout has no effect on a sound and says so; what the vendor refuses is refused.
#[tokio::test(flavor = "multi_thread")]
async fn layouts_are_taken_and_checked() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    for (row, layout) in [
        ("1.5 mixedVideoLayout 0", json!({ "mixedVideoLayout": 0 })),
        ("1.5 mixedVideoLayout 3 and layoutConfig", json!({ "mixedVideoLayout": 3, "layoutConfig": [region()] })),
        ("1.5 maxResolutionUid", json!({ "mixedVideoLayout": 2, "maxResolutionUid": "7" })),
        ("1.5 backgroundColor", json!({ "backgroundColor": "#FF0000" })),
        ("1.5 backgroundImage", json!({ "backgroundImage": "https://example.com/a.jpg" })),
        ("1.5 defaultUserBackgroundImage", json!({ "defaultUserBackgroundImage": "https://example.com/b.bmp" })),
        (
            "1.5 backgroundConfig",
            json!({ "backgroundConfig": [{ "uid": "7", "image_url": "https://example.com/c.jpg" }] }),
        ),
        ("1.5 unset fields fall back to defaults", json!({})),
    ] {
        let answer = call(&world, &task, "updateLayout", &layout).await;
        accepted(row, &answer);
        assert_eq!(fields(&answer.body), ["cname", "notes", "resourceId", "sid", "uid"], "1.5 answer: {row}");
        assert!(noted(&answer, "a layout has no effect"), "{row}");
    }
    let mut outside = region();
    outside["x_axis"] = json!(1.5);
    for (row, layout, field) in [
        ("1.5 mixedVideoLayout 4", json!({ "mixedVideoLayout": 4 }), "mixedVideoLayout"),
        ("1.5 backgroundColor, no colour", json!({ "backgroundColor": "red" }), "backgroundColor"),
        ("1.5 maxResolutionUid, no uid", json!({ "maxResolutionUid": "alice" }), "maxResolutionUid"),
        ("2.2 layoutConfig, 18 regions", json!({ "layoutConfig": vec![region(); 18] }), "layoutConfig"),
        ("2.2 x_axis above 1", json!({ "layoutConfig": [outside] }), "layoutConfig[0].x_axis"),
    ] {
        refused(row, &call(&world, &task, "updateLayout", &layout).await, 400, 2, field);
    }
    let individual = world.record("individual", "room", "2", &world.client()).await;
    let answer = call(&world, &individual, "updateLayout", &json!({ "mixedVideoLayout": 1 })).await;
    refused("1 updateLayout: mode must be mix", &answer, 400, 2, "mode is individual");
}
