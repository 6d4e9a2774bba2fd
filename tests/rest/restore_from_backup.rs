//! An older copy of the worker's disk is put back: the bucket has segments of which the disk knows nothing, and the second bucket has some
//! that nobody else has. Whether the own bucket answers at once or when the recording goes on already, all of them are final, come home, and
//! are named.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::media;
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

/// The second bucket is used after this time, and the first one is waited for so long.
const AFTER: Duration = Duration::from_millis(400);

#[test]
fn at_once() {
    put_an_older_copy_back(true);
}

#[test]
fn when_the_recording_goes_on_already() {
    put_an_older_copy_back(false);
}

fn put_an_older_copy_back(at_once: bool) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let options = |ahead| Options { backup: Some(AFTER), ahead: Duration::from_secs(ahead), ..Options::default() };
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let copies = place.copies().join("copies/rec");
    let task = run_that_dies(&place, options(0), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["alsoIndividual"] = json!(true);
        let task = world.record("mix", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 3_000).await;
        world.durable(&task).await;
        let journal = &place.journal()[0];
        std::fs::copy(journal, journal.with_extension("old")).unwrap();
        // On to the bucket.
        scripted_channel.talk(&mut talker, 3_000, 9_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(5)).then_some(())).await;
        until(async || (world.query(&task).await.body["upload"]["waitingObjects"] == 0).then_some(())).await;
        std::fs::rename(&there, &away).unwrap();
        // On to the second one alone: what was said until the twelfth second, in mix and track.
        scripted_channel.talk(&mut talker, 9_000, 15_000).await;
        until(async || (copies.exists() && segments(&copies, &task).len() >= 6).then_some(())).await;
        task
    });
    let journal = &place.journal()[0];
    std::fs::rename(journal.with_extension("old"), journal).unwrap();
    for session in std::fs::read_dir(place.spool()).unwrap() {
        std::fs::remove_dir_all(session.unwrap().path()).unwrap();
    }
    let (home, copied) = (segments(&away.join("rec"), &task), segments(&copies, &task));
    assert!(home.len() >= 5 && copied.len() >= 6, "{} at home, {} copied", home.len(), copied.len());
    if at_once {
        std::fs::rename(&away, &there).unwrap();
    }
    run_that_dies(&place, options(25), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 5_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        if !at_once {
            let log = world.log(&task).await;
            let goes_on = |reason: &str| log.iter().any(|event| event["payload"]["details"]["reason"] == reason);
            assert!(goes_on("waits_for_bucket") && goes_on("bucket_not_asked"), "{log:?}");
            std::fs::rename(&away, &there).unwrap();
        }
        until(async || {
            let body = world.query(&task).await.body;
            (body["segments"]["stored"].as_u64() >= Some(12) && body["upload"]["waitingObjects"] == 0).then_some(())
        })
        .await;
        // A machine that is slow for so long uses the second bucket once more.
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        let known = world.over(&task).await;
        assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")), "{known}");
        let digest = there.join("rec").join(format!("{}_room_manifest.sha256", task.sid));
        until(async || digest.exists().then_some(())).await;
    });
    let (now, names) = (segments(&there.join("rec"), &task), named(&there.join("rec"), &task));
    for (name, bytes) in home.iter().chain(&copied) {
        assert_eq!(now.get(name), Some(bytes), "{name} is at home as it was");
        assert!(names.contains(name), "{name} is named");
    }
    for (name, bytes) in &copied {
        assert_eq!(segments(&copies, &task).get(name), Some(bytes), "{name} has not changed in the backup");
    }
    let list = there.join("rec").join(format!("{}_room.m3u8", task.sid));
    let sound = media::decode(&list);
    assert!(media::tone(sound.part(1_000, 8_000), 440.0) > 0.1, "what was said is heard");
    assert!(media::tone(sound.part(10_000, 12_000), 440.0) > 0.1, "what only the backup had too");
    media::verify(&there.join("rec").join(format!("{}_room_manifest.json", task.sid)));
}

/// The segments in a folder, by name.
pub(crate) fn segments(folder: &Path, task: &Task) -> BTreeMap<String, Vec<u8>> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let own = names.filter(|name| name.contains(&task.sid) && name.ends_with(".m4s") && !name.ends_with("_init.m4s"));
    own.map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

/// What the playlists in a folder name.
fn named(folder: &Path, task: &Task) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let lists = entries.filter(|path| path.extension().is_some_and(|end| end == "m3u8"));
    let texts = lists.map(|path| std::fs::read_to_string(path).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.contains(&task.sid) && !line.starts_with('#')).collect()
}
