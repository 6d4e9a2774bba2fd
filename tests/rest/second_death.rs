//! A worker whose disk knows less than its bucket waits for that bucket, and dies while it does. The run after it knows that the journal
//! of the first run lacks its end, so it waits too: nothing that the bucket confirmed counts as missing or is made anew, and what is told
//! as missing is what is silent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media;
use crate::restore_from_backup::segments;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[test]
fn what_is_told_as_missing_is_what_is_silent() {
    for mode in ["individual", "mix"] {
        die_twice(mode);
    }
}

fn die_twice(mode: &str) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let task = world.record(mode, "room", "1", &world.client()).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 3_000).await;
        world.durable(&task).await;
        place.copy_journal();
        scripted_channel.talk(&mut talker, 3_000, 12_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(4)).then_some(())).await;
        task
    });
    place.put_journal_back();
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let before = segments(&there.join("rec"), &task);
    assert!(before.len() >= 4, "{before:?}");
    std::fs::rename(&there, &away).unwrap();

    let options = |ahead| Options { ahead: Duration::from_secs(ahead), ..Options::default() };
    run_that_dies(&place, options(20), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 3_000).await;
        waits(&world, &task, 1).await;
        let stop = task.body(&json!({ "async_stop": true }));
        assert_eq!(world.post(&task.path("stop"), stop).await.status, 200);
        world.durable(&task).await;
    });
    let known = run_that_dies(&place, options(22), async |world: World| {
        waits(&world, &task, 2).await;
        std::fs::rename(&away, &there).unwrap();
        let known = world.over(&task).await;
        let log = world.log(&task).await;
        let taken = log.iter().filter(|event| event["payload"]["details"]["state"] == "name_taken");
        assert_eq!(taken.count(), 0, "{mode}: nothing that is there is made anew: {log:?}");
        let digest = there.join("rec").join(format!("{}_room_manifest.sha256", task.sid));
        until(async || digest.exists().then_some(())).await;
        known
    });
    for (name, bytes) in &before {
        assert_eq!(&std::fs::read(there.join("rec").join(name)).unwrap(), bytes, "{mode}: {name} has changed");
    }
    let list = there.join(known["fileList"][0]["fileName"].as_str().unwrap());
    let text = std::fs::read_to_string(&list).unwrap();
    assert!(before.iter().all(|(name, _)| text.contains(name)), "{mode}: each one is named: {text}");
    let sound = media::decode(&list);
    let silent = (0..sound.ms() / 100).filter(|tenth| {
        let part = sound.part(tenth * 100, tenth * 100 + 100);
        media::tone(part, 440.0) + media::tone(part, 660.0) < 0.01
    });
    let silent = silent.count() as u64 * 100;
    let missing = known["ledger"]["uids"][0]["missingMs"].as_u64().unwrap();
    assert!(
        missing.abs_diff(silent) <= 700,
        "{mode}: {missing} ms are told and {silent} ms silent: {}",
        known["ledger"]
    );
    media::verify(&there.join("rec").join(format!("{}_room_manifest.json", task.sid)));
}

/// The log says so often that the recording waits for its bucket.
async fn waits(world: &World, task: &Task, times: usize) {
    let said = |event: &&Value| event["payload"]["details"]["reason"] == "waits_for_bucket";
    until(async || (world.log(task).await.iter().filter(said).count() >= times).then_some(())).await;
}
