//! A worker dies in the middle, and its next run goes on: the same sid, the same playlists, each event once and in order, the
//! time without a worker as silence that the ledger names. Also when it dies again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[test]
fn a_recording_goes_on_under_its_sid() {
    goes_on(&Options::default());
}

#[test]
fn a_recording_goes_on_from_a_checkpoint() {
    // Files that hold a fraction of a second: by far most of the journal is gone when the worker dies.
    goes_on(&Options { journal_file_bytes: 16 << 10, ..Options::default() });
}

fn goes_on(options: &Options) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (task, before) = run_that_dies(&place, options.clone(), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["alsoIndividual"] = json!(true);
        let task = world.record("mix", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 8000).await;
        // A batch is on the disk and its file full: what comes now finds a checkpoint due.
        world.durable(&task).await;
        scripted_channel.talk(&mut talker, 8000, 9000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(6)).then_some(())).await;
        world.durable(&task).await;
        (task.clone(), playlists(&world, &task))
    });
    assert_eq!(before.len(), 2);
    let first = place.journal()[0].clone();
    let whole = first.file_name().unwrap() == "00000000.journal";
    assert_eq!(whole, options.journal_file_bytes > 1 << 20, "{}", first.display());

    let known =
        run_that_dies(&place, Options { ahead: Duration::from_secs(12), ..options.clone() }, async |world: World| {
            let early = world.query(&task).await;
            assert_eq!((early.status, &early.body["serverResponse"]["status"]), (StatusCode::OK, &json!(5)));
            assert!(early.body["serverResponse"]["sliceStartTime"].as_u64() > Some(0));
            let scripted_channel = world.scripted_channel(&task).await;
            scripted_channel.enter(0, "7", 1).await;
            scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 6000).await;
            until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
            assert_eq!(world.stop(&task).await.status, StatusCode::OK);
            let known = world.over(&task).await;
            assert_eq!(world.joins(), 1);
            judge_log(&world.log(&task).await);
            for (name, text) in playlists(&world, &task) {
                let before = before[&name].replace("TYPE:EVENT", "TYPE:VOD");
                assert!(text.starts_with(&before), "{name} goes on where it was: {before} then {text}");
                assert!(text.ends_with("#EXT-X-ENDLIST\n"));
            }
            known
        });
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")));
    judge_objects(&place, &task);
    let gap = restarts(&known).remove(0);
    assert!(gap.0.abs_diff(8980) <= 20 && gap.1 > 12_000, "{gap:?}");
    let length = known["durationMs"].as_u64().unwrap();
    assert!(length.abs_diff(gap.1 + 6000) <= 100, "{length} after {gap:?}");
    for file in known["fileList"].as_array().unwrap() {
        let objects = place.objects();
        let sound = media::decode(&objects.join(file["fileName"].as_str().unwrap()));
        assert!(sound.ms().abs_diff(length) <= 40, "{} ms of {length} in {file}", sound.ms());
        assert!(tone(sound.part(7000, 8500), 440.0) > 0.1);
        assert!(tone(sound.part(gap.0 + 500, gap.1 - 500), 440.0) < 0.001);
        assert!(tone(sound.part(gap.1 + 1000, gap.1 + 5000), 660.0) > 0.1);
    }
}

#[test]
fn a_worker_that_dies_again_and_again_goes_on_each_time() {
    dies_again_and_again(&Options::default());
}

#[test]
fn a_worker_that_dies_again_and_again_goes_on_from_checkpoints() {
    dies_again_and_again(&Options { journal_file_bytes: 16 << 10, ..Options::default() });
}

fn dies_again_and_again(options: &Options) {
    const RUNS: u64 = 6;
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let mut task: Option<Task> = None;
    for run in 0..RUNS {
        // Every third run dies at once, while it is still at its beginning.
        let short = run % 3 == 2;
        let options = Options { ahead: Duration::from_secs(10 * run), ..options.clone() };
        task = Some(run_that_dies(&place, options, async |world: World| {
            let task = match task {
                Some(task) => task,
                None => world.record("individual", "room", "1", &world.client()).await,
            };
            let scripted_channel = world.scripted_channel(&task).await;
            scripted_channel.enter(0, "7", 1).await;
            scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
            if short {
                tokio::time::sleep(Duration::from_millis(20)).await;
            } else {
                // The first run has its playlist in the bucket (event 4) before it dies.
                let begun = |log: Vec<Value>| log.iter().any(|event| event["eventType"] == 4).then_some(());
                until(async || begun(world.log(&task).await)).await;
                world.durable(&task).await;
            }
            task
        }));
    }
    let task = task.unwrap();
    let options = Options { ahead: Duration::from_secs(10 * RUNS), ..options.clone() };
    let known = run_that_dies(&place, options, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        let known = world.over(&task).await;
        judge_log(&world.log(&task).await);
        known
    });
    assert_eq!(known["state"], "ended");
    judge_objects(&place, &task);
    let gaps = restarts(&known);
    let sound = media::decode(&place.objects().join(known["fileList"][0]["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(known["durationMs"].as_u64().unwrap()) <= 20);
    // On a slow machine the journal may have the beginning of a run that died at once, and less than all of its words.
    let mut heard = 0;
    for (index, (_, to)) in gaps.iter().enumerate() {
        let until = gaps.get(index + 1).map_or(u64::MAX, |(from, _)| *from).min(to + 2_500);
        if until >= to + 1_000 {
            assert!(tone(sound.part(to + 500, until), 440.0) > 0.1, "the run that began at {to} is heard: {gaps:?}");
        }
        heard += u32::from(until == to + 2_500);
    }
    assert!(heard >= 4, "each run that lived long enough is heard: {gaps:?}");
}

/// The manifest lists every media file that is there, as it is.
fn judge_objects(place: &TestEnv, task: &Task) {
    let folder = place.objects().join("rec");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let manifest: Value = serde_json::from_slice(&read(&format!("{}_room_manifest.json", task.sid))).unwrap();
    let mut listed: Vec<String> = Vec::new();
    for object in manifest["objects"].as_array().unwrap() {
        let name = object["name"].as_str().unwrap();
        let bytes = read(name);
        assert_eq!(object["size"], bytes.len(), "{name}");
        assert_eq!(object["sha256"], media::sha256(&bytes), "{name}");
        listed.push(name.to_owned());
    }
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> =
        names.filter(|name| ![".json", ".jsonl", ".sha256"].iter().any(|document| name.ends_with(document))).collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}

/// Every playlist of a recording, by name.
fn playlists(world: &World, task: &Task) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(world.objects().join("rec")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let own = paths.filter(|path| path.extension().is_some_and(|extension| extension == "m3u8"));
    let text = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
    };
    own.map(text).filter(|(name, _)| name.starts_with(&task.sid)).collect()
}

/// From and to of the gaps that the worker made in the only uid's ledger, in milliseconds.
fn restarts(known: &Value) -> Vec<(u64, u64)> {
    let gaps = known["ledger"]["uids"][0]["gaps"].as_array().unwrap().iter();
    let ours = gaps.filter(|gap| gap["cause"] == "worker_restart");
    ours.map(|gap| (gap["from"].as_u64().unwrap() / 48, gap["to"].as_u64().unwrap() / 48)).collect()
}

/// One story, as if the worker had never died.
fn judge_log(log: &[Value]) {
    let types: Vec<u64> = log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
    assert_eq!(types[..2], [40, 30]);
    assert_eq!(types.last(), Some(&11));
    for once in [40, 30, 41, 31, 11] {
        assert_eq!(types.iter().filter(|event| **event == once).count(), 1, "{once} in {types:?}");
    }
    let order = [40, 30, 42, 4, 41, 31, 11].map(|wanted| types.iter().position(|event| *event == wanted).unwrap());
    assert!(order.is_sorted(), "{types:?}");
    for (number, event) in log.iter().enumerate() {
        assert_eq!(event["payload"]["sequence"], number);
    }
    let mut said: Vec<String> = log.iter().map(|event| event["payload"]["details"].to_string()).collect();
    said.sort();
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "nothing is said twice: {said:#?}");
    let states = log.iter().filter(|event| event["eventType"] == 43);
    let states: Vec<u64> = states.map(|event| event["payload"]["details"]["state"].as_u64().unwrap()).collect();
    assert!(states.iter().zip([0, 1].iter().cycle()).all(|(state, expected)| state == expected), "{states:?}");
}
