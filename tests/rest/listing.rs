//! A lost sid: an app's recordings by channel, recorder and state, page by page, and each of them for as long as it is remembered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::units::WallMs;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{APP, OTHER_APP, Options, Task, TestEnv, World, run_that_dies};

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_found_by_channel_recorder_and_state() {
    let world = World::new().await;
    let ended = recorded(&world, "red room", "1").await;
    world.stop(&ended).await;
    world.over(&ended).await;
    let empty = world.record("individual", "blue", "2", &world.client()).await;
    world.stop(&empty).await;
    world.over(&empty).await;
    world.pass(Duration::from_secs(1));
    let running = world.record("mix", "red room", "2", &world.client()).await;
    for (query, found) in [
        ("", vec![&running, &empty, &ended]),
        ("cname=red+room", vec![&running, &ended]),
        ("uid=2", vec![&running, &empty]),
        ("cname=red%20room&uid=2", vec![&running]),
        ("state=recording", vec![&running]),
        ("state=ended", vec![&empty, &ended]),
        ("state=ended&cname=blue", vec![&empty]),
        ("state=starting,recording,recovering,stopping,ended", vec![&running, &empty, &ended]),
        ("state=failed", vec![]),
        ("cname=nowhere", vec![]),
    ] {
        let sids: Vec<_> = found.iter().map(|task| task.sid.clone()).collect();
        let told: Vec<_> =
            list(&world, query).await.iter().map(|entry| entry["sid"].as_str().unwrap().to_owned()).collect();
        let both = [&told, &sids].map(|list| list.iter().collect::<BTreeSet<_>>());
        assert_eq!(both[0], both[1], "{query}");
        assert_eq!(told.first(), sids.first(), "{query}: the newest first");
    }
    let entries = list(&world, "cname=red+room").await;
    assert_eq!(
        (&entries[0]["state"], &entries[0]["status"], &entries[0]["endedMs"]),
        (&json!("recording"), &json!(5), &json!(null))
    );
    let entry = &entries[1];
    for (field, value) in [
        ("sid", json!(ended.sid)),
        ("resourceId", json!(ended.resource)),
        ("cname", json!("red room")),
        ("uid", json!("1")),
        ("mode", json!("mix")),
        ("state", json!("ended")),
        ("verdict", json!("complete")),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
    let times = ["createdMs", "startedMs", "endedMs"].map(|field| entry[field].as_u64().unwrap());
    assert!(times.is_sorted() && times[0] > 1_700_000_000_000, "{times:?}");
    assert!(entry["durationMs"].as_u64().unwrap().abs_diff(2980) <= 20);
    let other = world.call_as("other:secret", axum::http::Method::GET, &path(OTHER_APP, ""), "").await;
    assert_eq!(other.body, json!({ "recordings": [], "next": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_whatever_begins_meanwhile() {
    let world = World::new().await;
    let mut sids = Vec::new();
    for uid in 0..5 {
        sids.insert(0, world.record("mix", "room", &uid.to_string(), &world.client()).await.sid);
        if uid != 2 {
            // Two of them begin in the same millisecond, as far as the worker can tell.
            world.pass(Duration::from_millis(50));
        }
    }
    let (mut told, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&path(APP, &format!("limit=2&cursor={cursor}"))).await.body;
        let entries = page["recordings"].as_array().unwrap();
        assert!(entries.len() <= 2);
        told.extend(entries.iter().map(|entry| entry["sid"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = next.to_owned();
        world.record("mix", "room", &format!("1{}", told.len()), &world.client()).await;
    }
    assert_eq!(told, sids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_is_refused_by_name() {
    let world = World::new().await;
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=500", "limit"),
        ("state=lost", "state"),
        ("cursor=x", "cursor"),
        ("sid=1", "sid"),
    ] {
        let answer = world.get(&path(APP, query)).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)), "{query}");
        assert!(answer.body["reason"].as_str().unwrap().starts_with(&format!("{name} ")), "{}", answer.body);
    }
}

#[test]
fn a_recording_is_whole_for_as_long_as_it_is_remembered() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (task, known) = run_that_dies(&place, Options::default(), async |world: World| {
        let task = recorded(&world, "room", "1").await;
        world.stop(&task).await;
        let known = world.over(&task).await;
        (task, known)
    });
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")));
    let times = ["createdMs", "startedMs", "endedMs"].map(|field| known[field].as_u64().unwrap());
    assert!(times.is_sorted());
    let files = known["fileList"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    let folder = place.objects().join("rec");
    let media: u64 = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "m4s" || kind == "mp4"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(media > 0 && files[0]["bytes"] == media, "{media} bytes of media, and {}", files[0]);
    run_that_dies(
        &place,
        Options { ahead: Duration::from_secs(29 * 24 * 3600), ..Options::default() },
        async |world: World| {
            let path = format!("/v1/apps/{APP}/recordings/{}", task.sid);
            assert_eq!(world.get(&path).await.body, known, "another run of the worker says the same, weeks later");
            assert_eq!(list(&world, "cname=room").await[0]["sid"], json!(task.sid));
            let after = WallMs(known["endedMs"].as_u64().unwrap() + 1);
            while world.store.forget(after, after, 100).await.unwrap() > 0 {}
            let gone = world.get(&path).await;
            assert_eq!((gone.status, &gone.body["state"]), (StatusCode::NOT_FOUND, &json!("unknown")));
            assert!(list(&world, "").await.is_empty());
        },
    );
}

async fn recorded(world: &World, cname: &str, uid: &str) -> Task {
    let task = world.record("mix", cname, uid, &world.client()).await;
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    task
}

fn path(app: &str, query: &str) -> String {
    format!("/v1/apps/{app}/recordings?{query}")
}

async fn list(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&path(APP, query)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["recordings"].as_array().unwrap().clone()
}
