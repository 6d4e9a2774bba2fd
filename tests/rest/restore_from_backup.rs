//! An older copy of the worker's disk is put back: the bucket has segments of which the disk knows nothing, and the second bucket has some
//! that nobody else has. Whether the two answer at once or when the recording goes on already, all of these are final, come home, and
//! are named. The same where the spool alone is lost, of which a checkpoint told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::media;
use crate::talker::Talker;
use crate::world::{APP, Options, Task, TestEnv, World, run_that_dies, until};

/// The second bucket is used after this time, and the first one is waited for so long.
const AFTER: Duration = Duration::from_millis(400);

/// Which buckets answer at once; the others do when the recording goes on already.
#[derive(Clone, Copy, Debug)]
struct AtOnce {
    home: bool,
    backup: bool,
}

#[test]
fn at_once() {
    put_an_older_copy_back(AtOnce { home: true, backup: true }, "fmp4", false);
}

#[test]
fn when_the_recording_goes_on_already() {
    put_an_older_copy_back(AtOnce { home: false, backup: true }, "fmp4", false);
}

/// Segments in MPEG-TS can't be cut: what they are made of is.
#[cfg(feature = "aac")]
#[test]
fn when_neither_answers_at_first_in_ts() {
    put_an_older_copy_back(AtOnce { home: false, backup: false }, "ts", false);
}

/// What is made without knowing lies in the spool when the worker dies once more, and gives way all the same.
#[test]
fn when_the_worker_dies_before_the_backup_answers() {
    put_an_older_copy_back(AtOnce { home: true, backup: false }, "fmp4", true);
}

fn put_an_older_copy_back(at_once: AtOnce, container: &str, dies_again: bool) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let options = |ahead| Options { backup: Some(AFTER), ahead: Duration::from_secs(ahead), ..Options::default() };
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let (second, second_away) = (place.copies(), place.copies().with_extension("away"));
    let copies = second.join("copies/rec");
    let task = run_that_dies(&place, options(0), async |world: World| {
        let task = record(&world, container).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 3_000).await;
        world.durable(&task).await;
        place.copy_journal();
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
    place.put_journal_back();
    lose_spool(&place);
    let (home, copied) = (segments(&away.join("rec"), &task), segments(&copies, &task));
    assert!(home.len() >= 5 && copied.len() >= 6, "{} at home, {} copied", home.len(), copied.len());
    if at_once.home {
        std::fs::rename(&away, &there).unwrap();
    }
    if !at_once.backup {
        std::fs::rename(&second, &second_away).unwrap();
    }
    if dies_again {
        run_that_dies(&place, options(18), async |world: World| {
            let scripted_channel = world.scripted_channel(&task).await;
            scripted_channel.enter(0, "7", 1).await;
            scripted_channel.talk(&mut [Talker::new(1, 550.0)], 0, 4_000).await;
            until(async || (world.query(&task).await.body["segments"]["made"].as_u64() >= Some(14)).then_some(()))
                .await;
        });
    }
    run_that_dies(&place, options(25), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 5_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        let log = world.log(&task).await;
        let goes_on = |reason: &str| log.iter().any(|event| event["payload"]["details"]["reason"] == reason);
        assert_eq!(goes_on("waits_for_bucket") && goes_on("bucket_not_asked"), !at_once.home, "{log:?}");
        assert_eq!(goes_on("waits_for_backup"), !at_once.backup, "{log:?}");
        if !at_once.home {
            std::fs::rename(&away, &there).unwrap();
        }
        if !at_once.backup {
            if !at_once.home {
                // Questions come seconds apart: the first bucket's answer comes before the second one's.
                let known = async || world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(5);
                until(async || known().await.then_some(())).await;
            }
            std::fs::rename(&second_away, &second).unwrap();
        }
        until(async || {
            let body = world.query(&task).await.body;
            (body["segments"]["stored"].as_u64() >= Some(12) && body["upload"]["waitingObjects"] == 0).then_some(())
        })
        .await;
        // A machine that is slow for so long uses the second bucket once more.
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        assert_over_at_home(&world, &there, &task).await;
    });
    assert_home_has(&there, &task, home.iter().chain(&copied));
    for (name, bytes) in &copied {
        assert!(segments(&copies, &task).get(name) == Some(bytes), "{name} has changed in the backup");
    }
    let sound = media::decode(&there.join("rec").join(format!("{}_room.m3u8", task.sid)));
    assert!(media::tone(sound.part(1_000, 8_000), 440.0) > 0.1, "what was said is heard");
    assert!(media::tone(sound.part(10_000, 12_000), 440.0) > 0.1, "what only the backup had too");
    assert_eq!(spooled(&place), 0, "nothing is left behind");
}

/// What the bucket confirmed is named too where all that the disk knows is safe in the second one and the recording was stopped: it is not over
/// before its own bucket has been waited for.
#[test]
fn when_the_recording_was_stopped_before() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let options = |ahead| Options { backup: Some(AFTER), ahead: Duration::from_secs(ahead), ..Options::default() };
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let task = run_that_dies(&place, options(0), async |world: World| {
        let task = record(&world, "fmp4").await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 3_000).await;
        world.durable(&task).await;
        place.copy_journal();
        scripted_channel.talk(&mut talker, 3_000, 9_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(6)).then_some(())).await;
        task
    });
    place.put_journal_back();
    lose_spool(&place);
    std::fs::rename(&there, &away).unwrap();
    let home = segments(&away.join("rec"), &task);
    run_that_dies(&place, options(12), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 3_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        // All of it is in the second bucket, its final playlists too.
        let list = place.copies().join("copies/rec").join(format!("{}_room.m3u8", task.sid));
        let ended = || std::fs::read_to_string(&list).is_ok_and(|text| text.contains("#EXT-X-ENDLIST"));
        until(async || ended().then_some(())).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let path = format!("/v1/apps/{APP}/recordings/{}", task.sid);
        let state = world.get(&path).await.body["state"].clone();
        assert!(state != "ended", "{state}");
        std::fs::rename(&away, &there).unwrap();
        assert_over_at_home(&world, &there, &task).await;
    });
    assert_home_has(&there, &task, home.iter());
}

/// What is made again before the buckets have answered is not lost to what they say.
#[test]
fn what_the_journal_has_stays() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let options = |ahead| Options { backup: Some(AFTER), ahead: Duration::from_secs(ahead), ..Options::default() };
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let (second, second_away) = (place.copies(), place.copies().with_extension("away"));
    let task = run_that_dies(&place, options(0), async |world: World| {
        let task = record(&world, "fmp4").await;
        std::fs::rename(&there, &away).unwrap();
        std::fs::rename(&second, &second_away).unwrap();
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 9_000).await;
        world.durable(&task).await;
        place.copy_journal();
        scripted_channel.talk(&mut talker, 9_000, 12_000).await;
        task
    });
    place.put_journal_back();
    lose_spool(&place);
    run_that_dies(&place, options(20), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 3_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        std::fs::rename(&away, &there).unwrap();
        std::fs::rename(&second_away, &second).unwrap();
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        assert_over_at_home(&world, &there, &task).await;
    });
    assert_home_has(&there, &task, std::iter::empty());
    let sound = media::decode(&there.join("rec").join(format!("{}_room.m3u8", task.sid)));
    assert!(media::tone(sound.part(1_000, 8_000), 440.0) > 0.1, "what the journal has is heard");
}

/// A checkpoint knows segments that wait for the bucket, the spool that held them is lost, and the second bucket has them.
#[test]
fn what_a_checkpoint_knows_too() {
    lose_what_a_checkpoint_knows(true);
}

#[test]
fn what_a_checkpoint_knows_when_the_backup_answers_later() {
    lose_what_a_checkpoint_knows(false);
}

fn lose_what_a_checkpoint_knows(at_once: bool) {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let options = |ahead| Options { backup: Some(AFTER), ahead: Duration::from_secs(ahead), ..Options::default() };
    let (there, away) = (place.objects(), place.objects().with_extension("away"));
    let (second, second_away) = (place.copies(), place.copies().with_extension("away"));
    let copies = second.join("copies/rec");
    let task = run_that_dies(&place, options(0), async |world: World| {
        let task = record(&world, "fmp4").await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 5_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        std::fs::rename(&there, &away).unwrap();
        scripted_channel.talk(&mut talker, 5_000, 12_000).await;
        until(async || (copies.exists() && segments(&copies, &task).len() >= 6).then_some(())).await;
        world.sessions.drain(Duration::from_millis(100)).await;
        scripted_channel.left().await;
        task
    });
    std::fs::rename(&away, &there).unwrap();
    lose_spool(&place);
    let copied = segments(&copies, &task);
    if !at_once {
        std::fs::rename(&second, &second_away).unwrap();
    }
    run_that_dies(&place, options(14), async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 5_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        if !at_once {
            std::fs::rename(&second_away, &second).unwrap();
        }
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        assert_over_at_home(&world, &there, &task).await;
    });
    assert_home_has(&there, &task, copied.iter());
    let sound = media::decode(&there.join("rec").join(format!("{}_room.m3u8", task.sid)));
    assert!(media::tone(sound.part(1_000, 9_000), 440.0) > 0.1, "what was said is heard");
}

async fn record(world: &World, container: &str) -> Task {
    let mut client = world.client();
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    client["recordingFileConfig"]["container"] = json!(container);
    world.record("mix", "room", "1", &client).await
}

fn lose_spool(place: &TestEnv) {
    for session in std::fs::read_dir(place.spool()).unwrap() {
        std::fs::remove_dir_all(session.unwrap().path()).unwrap();
    }
}

fn spooled(place: &TestEnv) -> usize {
    std::fs::read_dir(place.spool()).unwrap().count()
}

async fn assert_over_at_home(world: &World, there: &Path, task: &Task) {
    let known = world.over(task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")), "{known}");
    let digest = there.join("rec").join(format!("{}_room_manifest.sha256", task.sid));
    until(async || digest.exists().then_some(())).await;
    until(async || (world.spooled() == 0).then_some(())).await;
}

/// The bucket has these as they were, and names them.
fn assert_home_has<'a>(there: &Path, task: &Task, objects: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) {
    let (now, names) = (segments(&there.join("rec"), task), named(&there.join("rec"), task));
    for (name, bytes) in objects {
        assert!(now.get(name) == Some(bytes), "{name} is not at home as it was");
        assert!(names.contains(name), "{name} is named");
    }
    media::verify(&there.join("rec").join(format!("{}_room_manifest.json", task.sid)));
}

/// The segments in a folder, by name.
pub(crate) fn segments(folder: &Path, task: &Task) -> BTreeMap<String, Vec<u8>> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let media = |name: &str| (name.ends_with(".m4s") && !name.ends_with("_init.m4s")) || name.ends_with(".ts");
    let own = names.filter(|name| name.contains(&task.sid) && media(name));
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
