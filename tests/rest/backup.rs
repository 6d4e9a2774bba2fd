//! The customer's bucket is gone for longer than the app's backup waits: what waits is copied there, the recording ends as safe there,
//! also when the worker dies on the way, and when the bucket is back everything comes home. A backup that fails too harms nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::units::Sid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media;
use crate::talker::Talker;
use crate::world::{APP, Options, Task, TestEnv, World, run_that_dies, unchained, until};
use crate::write_once::{Policy, WriteOnce};

fn options() -> Options {
    Options { backup: Some(Duration::from_millis(300)), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_copied_and_comes_home() {
    take_over("fmp4", ".m4s", 2).await;
}

#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread")]
async fn and_in_ts_too() {
    take_over("ts", ".ts", 0).await;
}

/// With segments in `container`, whose names end so, and so many init segments.
async fn take_over(container: &str, ending: &str, inits: usize) {
    let place = Arc::new(TestEnv::new().await);
    let world = World::at(Arc::clone(&place), options()).await;
    let (there, away, copies) =
        (place.objects(), place.objects().with_extension("away"), place.copies().join("copies/rec"));
    let mut client = world.client();
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    client["recordingFileConfig"]["container"] = json!(container);
    let task = world.record("mix", "room", "1", &client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    let mut talker = [Talker::new(1, 440.0)];
    scripted_channel.talk(&mut talker, 0, 7000).await;
    let segments = async || world.query(&task).await.body["segments"].clone();
    until(async || (segments().await["stored"].as_u64() >= Some(4)).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.query(&task).await.body["upload"]["backup"], Value::Null, "nothing waits");
    assert!(!copies.exists());

    std::fs::rename(&there, &away).unwrap();
    scripted_channel.talk(&mut talker, 7000, 12_000).await;
    let backup = until(async || {
        let backup = world.query(&task).await.body["upload"]["backup"].clone();
        (backup["objects"].as_u64() >= Some(8 - 2 + inits as u64) && backup["waitingObjects"] == 0).then_some(backup)
    })
    .await;
    assert_eq!((&backup["state"], &backup["away"]), (&json!("ok"), &json!(false)), "{backup}");
    assert!(backup["sinceMs"].as_u64() > Some(0) && backup["bytes"].as_u64() > Some(1000), "{backup}");
    let begun = said(&world, &task, "begun").await;
    assert_eq!((begun.len(), &begun[0]["reason"]), (1, &json!("bucket_missing")), "{begun:?}");
    scripted_channel.talk(&mut talker, 12_000, 16_000).await;
    until(async || (segments().await["made"].as_u64() >= Some(12)).then_some(())).await;

    let answer = world.stop(&task).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::PARTIAL_CONTENT, &Value::Null), "{}", answer.body);
    assert_eq!(answer.body["serverResponse"]["uploadingStatus"], "backuped", "{}", answer.body);
    assert_eq!(types(&world.log(&task).await, &[41, 32, 31, 11]), [41, 32, 11]);
    for name in playlists(&copies) {
        let (named, gaps) = read(&copies.join(&name), &copies);
        assert!(named >= 4 && gaps >= 2, "{name} has {named} segments and {gaps} gaps");
        let (before, _) = read(&away.join("rec").join(&name), &away.join("rec"));
        assert!(before >= gaps, "{name}: a gap is a segment that was at home before");
    }
    assert_eq!(playlists(&copies).len(), 2);
    let known = world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await.body;
    assert_eq!((&known["state"], &known["uploadingStatus"]), (&json!("ended"), &json!("backuped")), "{known}");
    assert_eq!(known["upload"]["backup"]["away"], true);
    assert_eq!(world.query(&task).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.spooled(), 1, "nothing left the spool before it was at home");
    let row = async || world.store.session_get(&Sid::new(&task.sid).unwrap()).await.unwrap().unwrap();
    assert_eq!(row().await.ended, None, "what is away is not forgotten");

    std::fs::rename(&away, &there).unwrap();
    came_home(&world, &task, &there.join("rec")).await;
    assert!(row().await.ended.is_some());
    assert_eq!(said(&world, &task, "ended").await.len(), 1);
    // The init segments were at home before the backup was used, so they were made again.
    assert_eq!(same_files(&copies, &there.join("rec"), "_init.m4s"), inits);
    assert!(same_files(&copies, &there.join("rec"), ending) >= 8 + inits);
}

/// Where nothing can be put over what is there, a playlist's text is put once, when it is the final one.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_can_be_written_once_takes_over_too() {
    let place = Arc::new(TestEnv::new().await);
    let direct = place.storage(&[])["extensionParams"]["endpoint"].as_str().unwrap().to_owned();
    for policy in [Policy::Denies, Policy::RequiresCondition] {
        let bucket = WriteOnce::start(&direct, policy).await;
        let world =
            World::at(Arc::clone(&place), Options { backup_endpoint: Some(bucket.endpoint), ..options() }).await;
        let (there, away, copies) =
            (place.objects(), place.objects().with_extension("away"), place.copies().join("copies/rec"));
        let task = world.record("individual", "room", "1", &world.client()).await;
        std::fs::rename(&there, &away).unwrap();
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 7_000).await;
        until(async || {
            (world.query(&task).await.body["upload"]["backup"]["objects"].as_u64() >= Some(3)).then_some(())
        })
        .await;
        assert!(
            playlists(&copies).iter().all(|name| !name.starts_with(&task.sid)),
            "{policy:?}: it is not the final one"
        );
        scripted_channel.talk(&mut talker, 7_000, 9_000).await;
        let answer = world.stop(&task).await;
        assert_eq!(answer.body["serverResponse"]["uploadingStatus"], "backuped", "{policy:?}: {}", answer.body);
        let name = playlists(&copies).into_iter().find(|name| name.starts_with(&task.sid)).unwrap();
        let (named, gaps) = read(&copies.join(&name), &copies);
        assert!(named >= 4 && gaps == 0, "{policy:?}: {named} segments and {gaps} gaps");
        assert!(std::fs::read_to_string(copies.join(&name)).unwrap().ends_with("#EXT-X-ENDLIST\n"), "{policy:?}");
        std::fs::rename(&away, &there).unwrap();
        came_home(&world, &task, &there.join("rec")).await;
    }
}

#[test]
fn a_worker_that_dies_on_the_way_loses_nothing() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (there, away, copies) =
        (place.objects(), place.objects().with_extension("away"), place.copies().join("copies/rec"));
    let task = run_that_dies(&place, options(), async |world: World| {
        let task = world.record("individual", "room", "1", &world.client()).await;
        std::fs::rename(&there, &away).unwrap();
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
        until(async || (copies.exists() && playlists(&copies).len() == 1).then_some(())).await;
        // Longer than the journal waits before it writes.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        task
    });
    run_that_dies(&place, Options { ahead: Duration::from_secs(8), ..options() }, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 5000).await;
        until(async || {
            (world.query(&task).await.body["upload"]["backup"]["objects"].as_u64() >= Some(3)).then_some(())
        })
        .await;
        let stop = task.body(&json!({ "async_stop": true }));
        assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::OK);
        world.over(&task).await;
    });
    let list = playlists(&copies).remove(0);
    let (named, gaps) = read(&copies.join(&list), &copies);
    assert!(named >= 6 && gaps == 0, "all of it is in the backup: {named}, {gaps}");
    let copied = media::decode(&copies.join(&list));
    run_that_dies(&place, options(), async |world: World| {
        let known = world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await.body;
        assert_eq!(known["uploadingStatus"], "backuped", "{known}");
        // Fresh keys are taken, once they are good for something; a recording that is over for good answers 404.
        let update = task.body(&json!({ "storageConfig": world.storage(&[]) }));
        assert_eq!(world.post(&task.path("update"), update).await.status, StatusCode::BAD_REQUEST);
        std::fs::rename(&away, &there).unwrap();
        let folder = there.join("rec");
        came_home(&world, &task, &folder).await;
        assert_eq!(said(&world, &task, "begun").await.len(), 1);
        assert_eq!(media::decode(&folder.join(&list)).ms(), copied.ms());
        for (kind, least) in [(".m3u8", 1), ("_init.m4s", 1), (".m4s", 7), ("_manifest.json", 1)] {
            assert!(same_files(&copies, &folder, kind) >= least, "{kind}");
        }
    });
    run_that_dies(&place, options(), async |world: World| {
        let log = world.log(&task).await;
        assert_eq!(types(&log, &[41, 32, 31, 11]), [41, 32, 11, 31], "and nothing is said again");
    });
}

#[test]
fn a_worker_that_dies_at_any_moment_of_the_end_says_everything_once() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let options = || Options { backup: Some(Duration::from_millis(20)), ..Options::default() };
    let task = run_that_dies(&place, options(), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["alsoIndividual"] = json!(true);
        let task = world.record("mix", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 5000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        std::fs::rename(&there, &away).unwrap();
        scripted_channel.talk(&mut talker, 5000, 15_000).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let stop = task.body(&json!({ "async_stop": true }));
        assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::OK);
        task
    });
    for ms in [1, 10, 25, 50, 80, 120, 170, 250] {
        run_that_dies(&place, options(), async |_: World| tokio::time::sleep(Duration::from_millis(ms)).await);
    }
    run_that_dies(&place, options(), async |world: World| _ = world.over(&task).await);
    std::fs::rename(&away, &there).unwrap();
    for ms in [1, 10, 25, 50] {
        run_that_dies(&place, options(), async |_: World| tokio::time::sleep(Duration::from_millis(ms)).await);
    }
    run_that_dies(&place, options(), async |world: World| came_home(&world, &task, &there.join("rec")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_too_is_told_and_harms_nothing() {
    let place = Arc::new(TestEnv::new().await);
    let world = World::at(Arc::clone(&place), options()).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    std::fs::rename(place.copies(), place.copies().with_extension("away")).unwrap();
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
    let backup = until(async || {
        let backup = world.query(&task).await.body["upload"]["backup"].clone();
        (backup["attempts"].as_u64() >= Some(5)).then_some(backup)
    })
    .await;
    assert_eq!((&backup["state"], &backup["code"]), (&json!("blocked"), &json!("bucket_missing")), "{backup}");
    assert_eq!(backup["objects"], 0);
    let failing = said(&world, &task, "failing").await;
    assert_eq!((failing.len(), &failing[0]["reason"]), (1, &json!("bucket_missing")), "once: {failing:?}");
    let stop = task.body(&json!({ "async_stop": true }));
    assert_eq!(world.post(&task.path("stop"), stop).await.status, StatusCode::OK);
    std::fs::rename(&away, &there).unwrap();
    let known = world.over(&task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")), "{known}");
    assert_eq!((&known["uploadingStatus"], &known["upload"]["backup"]), (&Value::Null, &Value::Null));
    assert_eq!(types(&world.log(&task).await, &[41, 32, 31, 11]), [41, 31, 11]);
    // On a busy machine it may take over once more before all is home.
    let begun = said(&world, &task, "begun").await.len();
    assert_eq!((begun > 0, said(&world, &task, "ended").await.len()), (true, begun));
}

/// Waits until everything is at home, and judges it.
async fn came_home(world: &World, task: &Task, folder: &Path) {
    let log = until(async || {
        let log = world.log(task).await;
        (log.last().unwrap()["eventType"] == 31).then_some(log)
    })
    .await;
    assert_eq!(types(&log, &[41, 32, 31, 11]), [41, 32, 11, 31]);
    let text = until(async || {
        let text = std::fs::read_to_string(folder.join(format!("{}_room_events.jsonl", task.sid))).ok()?;
        (text.lines().count() == log.len()).then_some(text)
    })
    .await;
    assert_eq!(unchained(text.lines().last().unwrap()), log[log.len() - 1]);
    until(async || (world.spooled() == 0).then_some(())).await;
    media::verify(&folder.join(format!("{}_room_manifest.json", task.sid)));
    let known = world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await.body;
    assert_eq!(known["segments"]["stored"], known["segments"]["made"], "{known}");
    assert_eq!((&known["upload"]["backup"], &known["uploadingStatus"]), (&Value::Null, &Value::Null), "{known}");
    assert_eq!(known["health"]["bytesSpooled"], 0, "{known}");
    let named = log[log.len() - 1]["payload"]["details"]["fileList"].as_array().unwrap().len();
    assert_eq!(named, known["fileList"].as_array().unwrap().len());
    assert!(known["fileList"].as_array().unwrap().iter().all(|file| file["isPlayable"] == true), "{known}");
}

/// Details of the events 2 about the backup with this state.
async fn said(world: &World, task: &Task, state: &str) -> Vec<Value> {
    let log = world.log(task).await;
    let details = log.iter().map(|event| event["payload"]["details"].clone());
    details.filter(|details| details["warnCode"] == 32 && details["state"] == state).collect()
}

/// The events of these types, in order.
fn types(log: &[Value], wanted: &[u64]) -> Vec<u64> {
    let types = log.iter().map(|event| event["eventType"].as_u64().unwrap());
    types.filter(|one| wanted.contains(one)).collect()
}

fn playlists(folder: &Path) -> Vec<String> {
    files(folder, ".m3u8")
}

fn files(folder: &Path, kind: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(kind)).collect()
}

/// How many files of a kind the backup has; each has to be at home, byte for byte.
fn same_files(copies: &Path, home: &Path, kind: &str) -> usize {
    let names = files(copies, kind);
    for name in &names {
        assert_eq!(std::fs::read(copies.join(name)).unwrap(), std::fs::read(home.join(name)).unwrap(), "{name}");
    }
    names.len()
}

/// Segments that a playlist names and gaps in it; what it names has to be beside it, its init segment too.
fn read(playlist: &Path, folder: &Path) -> (usize, usize) {
    let text = std::fs::read_to_string(playlist).unwrap();
    let map = text.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next());
    assert!(map.is_some() || text.contains(".ts\n"), "{text}");
    assert!(map.is_none_or(|map| folder.join(map).exists()), "{map:?} is not there:\n{text}");
    let (mut named, mut gaps, mut gap) = (0, 0, false);
    for line in text.lines() {
        gap |= line == "#EXT-X-GAP";
        if line.starts_with('#') {
            continue;
        }
        let path: PathBuf = folder.join(line);
        assert!(gap || path.exists(), "{line} is named and not there:\n{text}");
        (named, gaps) = if gap { (named, gaps + 1) } else { (named + 1, gaps) };
        gap = false;
    }
    (named, gaps)
}
