//! The disk takes nothing: what is made goes to the bucket from memory. Where the bucket takes nothing either, sound is lost in the
//! end, and that is said; the playlist stays whole.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloud_recorder::storage::{Files, Fill, LocalFiles, SpoolLimits};
use serde_json::{Value, json};

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, Task, World, until};

/// A disk that is full while its switch is on.
#[derive(Debug, Default)]
struct Disk {
    full: AtomicBool,
}

impl Files for Disk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        LocalFiles.make_dir(dir)
    }

    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalFiles.write(path, parts)
    }

    fn make(&self, path: &Path, fill: Fill<'_>) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => LocalFiles.make(path, fill),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalFiles.rename(from, to)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalFiles.read(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalFiles.remove(path)
    }
}

/// Errors of the file system that the log tells.
async fn file_errors(world: &World, task: &Task) -> Vec<Value> {
    let log = world.log(task).await.into_iter().map(|event| event["payload"]["details"].clone());
    log.filter(|details| details["errorCode"] == 51).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_bucket_that_is_well_nothing_is_lost() {
    let disk = Arc::new(Disk::default());
    let world = World::with(Options { files: disk.clone(), ..Options::default() }).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    disk.full.store(true, Ordering::Relaxed);
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
    let upload = until(async || {
        let upload = world.query(&task).await.body["upload"].clone();
        (upload["storedBytes"].as_u64() > Some(0)).then_some(upload)
    })
    .await;
    assert_eq!((&upload["state"], &upload["spool"]), (&json!("ok"), &json!("memory")), "{upload}");
    world.stop(&task).await;
    let known = world.over(&task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")), "{known}");
    let sound = media::decode(&world.objects().join(known["fileList"][0]["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(known["durationMs"].as_u64().unwrap()) <= 20);
    let told = file_errors(&world, &task).await;
    assert_eq!((told.len(), &told[0]["reason"]), (1, &json!("spool_in_memory")), "said once: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_dead_bucket_what_is_lost_is_named_and_the_playlist_is_whole() {
    let disk = Arc::new(Disk::default());
    let spool = SpoolLimits { session_memory: 30_000, ..SpoolLimits::from(1 << 30) };
    let world = World::with(Options { files: disk.clone(), spool, ..Options::default() }).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    let mut talker = [Talker::new(1, 440.0)];
    scripted_channel.talk(&mut talker, 0, 20_000).await;
    let full = async || file_errors(&world, &task).await.len() >= 2;
    until(async || full().await.then_some(())).await;
    let upload = world.query(&task).await.body["upload"].clone();
    assert_eq!((&upload["state"], &upload["code"]), (&json!("blocked"), &json!("bucket_missing")), "{upload}");

    disk.full.store(false, Ordering::Relaxed);
    std::fs::rename(&away, &there).unwrap();
    scripted_channel.talk(&mut talker, 20_000, 26_000).await;
    world.stop(&task).await;
    let known = world.over(&task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("partial")), "{known}");
    let gaps = known["ledger"]["uids"][0]["gaps"].as_array().unwrap();
    let lost = gaps.iter().find(|gap| gap["cause"] == "disk_full").unwrap_or_else(|| panic!("{gaps:?}"));
    let ms = |edge: &str| lost[edge].as_u64().unwrap() / 48;
    let (from, to) = (ms("from") + 100, ms("to") - 100);
    let sound = media::decode(&world.objects().join(known["fileList"][0]["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(known["durationMs"].as_u64().unwrap()) <= 20, "its length is whole");
    assert!(tone(sound.part(500, 1500), 440.0) > 0.1, "what memory held is there");
    assert!(tone(sound.part(from, to), 440.0) < 0.01, "what was lost is silence: {lost}");
    assert!(tone(sound.part(24_000, 25_000), 440.0) > 0.1, "and it went on when there was room");
    let told = file_errors(&world, &task).await;
    let reasons: Vec<_> = told.iter().map(|details| details["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["spool_in_memory", "spool_full"]);
}
