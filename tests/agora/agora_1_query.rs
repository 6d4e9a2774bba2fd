//! docs/protocol/agora.md sections 1.2 and 1.3: what start and query answer.

use serde_json::{Value, json};

use crate::contract::{accepted, fields, path, refused, speak};
use crate::world::{Task, World, until};

fn client(world: &World, types: &[&str]) -> Value {
    let mut client = world.client();
    client["recordingFileConfig"] = json!({ "avFileType": types });
    client
}

/// 1.2: accepted means 200 with the four names.
#[tokio::test(flavor = "multi_thread")]
async fn start_answers_with_the_four_names() {
    let world = World::new().await;
    let resource = world.acquire("room", "527").await;
    let answer = world.start(&resource, "mix", "room", "527", &world.client()).await;
    accepted("1.2 start", &answer);
    let names = ["cname", "uid", "resourceId"].map(|name| answer.body[name].clone());
    assert_eq!(names, [json!("room"), json!("527"), json!(resource)], "1.2");
    let sid = answer.body["sid"].as_str().unwrap();
    assert!(sid.len() == 32 && sid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "1.2 sid: {sid}");
    assert_eq!(answer.body["state"], "recording", "callers.md 2: the bot is in the channel when start answers");
}

/// 1.3: the columns of the table that sound has, before the first segment and with one in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn query_answers_by_mode_and_file_types() {
    let world = World::new().await;
    for (row, mode, uid, types, list) in [
        ("1.3 mix, hls only", "mix", "1", &["hls"][..], "string"),
        ("1.3 mix, hls and mp4", "mix", "2", &["hls", "mp4"][..], "json"),
        ("1.3 individual", "individual", "3", &["hls"][..], "json"),
    ] {
        let task = world.record(mode, "room", uid, &client(&world, types)).await;
        let early = world.query(&task).await;
        accepted(row, &early);
        named(row, &early.body, &task);
        check(row, &early.body["serverResponse"], list);
        speak(&world, &task, "9", 6).await;
        let late = until(async || {
            let body = world.query(&task).await.body;
            (body["fileList"][0]["isPlayable"] == true).then_some(body)
        })
        .await;
        check(row, &late["serverResponse"], list);
        entries(row, &late["fileList"], mode);
        let stopped = world.stop(&task).await;
        assert_eq!(stopped.body["serverResponse"]["fileListMode"], list, "callers.md 2 fileListMode: {row}");
    }
}

/// 1.3, the last line: after the exit there is no worker to be found.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_there_is_nobody_to_ask() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    speak(&world, &task, "9", 3).await;
    world.stop(&task).await;
    refused("1.3 after the exit", &world.query(&task).await, 404, 404, "ailed to find worker");
    let never = path(&format!("resourceid/{}/sid/{}/mode/mix/query", task.resource, "0".repeat(32)));
    refused("1.3 never started", &world.get(&never).await, 404, 404, "ailed to find worker");
}

fn named(row: &str, body: &Value, task: &Task) {
    let names = ["cname", "uid", "resourceId", "sid"].map(|name| body[name].as_str().unwrap_or_default().to_owned());
    assert_eq!(names, [task.cname.clone(), task.uid.clone(), task.resource.clone(), task.sid.clone()], "{row}");
}

fn check(row: &str, server: &Value, list: &str) {
    assert_eq!(fields(server), ["fileList", "fileListMode", "sliceStartTime", "status"], "{row}");
    assert_eq!(server["fileListMode"], list, "{row}");
    assert_eq!(
        (server["fileList"].is_string(), server["fileList"].is_array()),
        (list == "string", list == "json"),
        "{row}"
    );
    assert_eq!(server["status"], 5, "{row}: a number, 5 from the first query on (callers.md 2)");
    assert_eq!(server["sliceStartTime"].to_string().len(), 13, "{row}: milliseconds (10.2)");
}

fn entries(row: &str, list: &Value, mode: &str) {
    for entry in list.as_array().unwrap() {
        let wanted = ["fileName", "isPlayable", "mixedAllUser", "sliceStartTime", "trackType", "uid"];
        assert!(wanted.iter().all(|name| entry.get(name).is_some()), "{row}: {entry}");
        assert!(entry["fileName"].as_str().unwrap().starts_with("rec/"), "{row}: a whole key (callers.md 3)");
        assert_eq!(entry["trackType"], "audio", "{row}");
        assert_eq!(entry["uid"], if mode == "mix" { "0" } else { "9" }, "{row}");
        assert_eq!(entry["mixedAllUser"], mode == "mix", "{row}");
        assert!(entry["isPlayable"].is_boolean(), "{row}");
        assert_eq!(entry["sliceStartTime"].to_string().len(), 13, "{row}: milliseconds");
    }
}
