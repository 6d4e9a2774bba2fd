//! Where room on the disk ends, whole files are given up before anything else: the playlists are whole, nothing is lost, and it is
//! said why there is no file.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloud_recorder::storage::{Files, Fill, LocalFiles, SpoolLimits};
use serde_json::{Value, json};

use crate::media;
use crate::talker::Talker;
use crate::world::{Options, Task, World, until};

/// A disk that takes no whole file while its switch is on, as one does that has little room left.
#[derive(Debug, Default)]
struct Small {
    full: AtomicBool,
}

impl Files for Small {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        LocalFiles.make_dir(dir)
    }

    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        LocalFiles.write(path, parts)
    }

    fn make(&self, path: &Path, fill: Fill<'_>) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalFiles.make(path, fill)
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

async fn begin(world: &World) -> Task {
    let mut client = world.client();
    client["recordingFileConfig"] = json!({ "avFileType": ["hls", "mp4"] });
    world.record("individual", "room", "1", &client).await
}

/// The recording is whole and has no file, and says why.
async fn check(world: &World, task: &Task, why: &str) {
    world.stop(task).await;
    let known = world.over(task).await;
    assert_eq!((&known["state"], &known["verdict"]), (&json!("ended"), &json!("complete")), "{known}");
    let list = known["fileList"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(known["notes"].to_string().contains("given up"), "{known}");
    let log = world.log(task).await;
    let told: Vec<&Value> = log.iter().filter(|event| event["eventType"] == 1).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let details = &told[0]["payload"]["details"];
    assert_eq!((&details["errorCode"], &details["errorLevel"]), (&json!(51), &json!(2)));
    assert_eq!(details["reason"], "files_given_up");
    assert!(details["errorMsg"].as_str().unwrap().contains(why), "{details}");
    let sound = media::decode(&world.objects().join(list[0]["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(known["durationMs"].as_u64().unwrap()) <= 20);
    media::verify(&world.objects().join(format!("rec/{}_room_manifest.json", task.sid)));
    until(async || (world.spooled() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_half_of_the_spool_is_used() {
    // Two segments of two seconds are more than half of it.
    let world = World::with(Options { spool: SpoolLimits::from(40_000), ..Options::default() }).await;
    let task = begin(&world).await;
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 20_000).await;
    let told = async || world.log(&task).await.iter().any(|event| event["eventType"] == 1);
    until(async || told().await.then_some(())).await;
    assert_eq!(world.query(&task).await.body["state"], "recording");
    check(&world, &task, "half of what may be in the spool").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_has_no_room_for_a_file() {
    let disk = Arc::new(Small::default());
    let world = World::with(Options { files: disk.clone(), ..Options::default() }).await;
    let task = begin(&world).await;
    disk.full.store(true, Ordering::Relaxed);
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7_000).await;
    check(&world, &task, "the spool can't be read or written").await;
}
