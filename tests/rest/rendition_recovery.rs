//! A worker dies while a recording with whole files runs, again and again, also in the middle of a file: after its next run every
//! file is there, once, and as long as the playlist.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cloud_recorder::codec::whole::Roll;
use cloud_recorder::units::Ticks;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

#[test]
fn files_are_whole_after_a_crash() {
    dies_and_returns(&Options { roll: Roll { length: Ticks::from_secs(5), ..Roll::default() }, ..Options::default() });
}

#[test]
fn files_are_whole_after_a_crash_behind_a_checkpoint() {
    // Files that hold a fraction of a second: by far most of the journal is gone when the worker dies.
    let roll = Roll { length: Ticks::from_secs(5), ..Roll::default() };
    dies_and_returns(&Options { roll, journal_file_bytes: 16 << 10, ..Options::default() });
}

#[test]
fn a_file_is_made_of_what_several_runs_received() {
    dies_and_returns(&Options { journal_file_bytes: 16 << 10, ..Options::default() });
}

#[test]
fn a_file_that_was_on_its_way_arrives_after_the_crash_and_is_not_named_before() {
    let options = Options { roll: Roll { length: Ticks::from_secs(4), ..Roll::default() }, ..Options::default() };
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let spool = place.spool();
    let obstacle = |task: &Task| place.objects().join(format!("rec/{}_room_0.mp4", task.sid));
    let task = run_that_dies(&place, options.clone(), async |world: World| {
        let mut client = world.client();
        client["recordingFileConfig"] = json!({ "avFileType": ["hls", "mp4"] });
        let task = world.record("mix", "room", "1", &client).await;
        // In the place of the file there is a folder: the bucket takes everything else.
        std::fs::create_dir_all(obstacle(&task)).unwrap();
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 9000).await;
        let rendition_manifest = spool.join(&task.sid).join("session.note");
        until(async || rendition_manifest.exists().then_some(())).await;
        scripted_channel.talk(&mut talker, 9000, 15_000).await;
        let query = until(async || {
            let body = world.query(&task).await.body;
            let whole = body["segments"]["stored"].as_u64() >= Some(6) && body["upload"]["state"] != "ok";
            whole.then_some(body)
        })
        .await;
        let named = query["fileList"].as_array().unwrap().iter().any(is_first);
        assert!(!named, "segments do not wait for it, and nobody names it: {query}");
        world.durable(&task).await;
        task
    });
    std::fs::remove_dir(obstacle(&task)).unwrap();
    let ahead = Duration::from_secs(16);
    let known = run_that_dies(&place, Options { ahead, ..options }, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        let known = world.over(&task).await;
        until(async || (world.spooled() == 0).then_some(())).await;
        known
    });
    assert_eq!(known["state"], "ended", "{known}");
    media::verify(&place.objects().join(format!("rec/{}_room_manifest.json", task.sid)));
    let first = known["fileList"].as_array().unwrap().iter().find(|file| is_first(file));
    let sound = media::decode(&place.objects().join(first.unwrap()["fileName"].as_str().unwrap()));
    assert!(sound.ms().abs_diff(4000) <= 40 && tone(sound.part(1000, 3000), 440.0) > 0.1, "{}", sound.ms());
}

fn is_first(file: &Value) -> bool {
    file["fileName"].as_str().unwrap().ends_with("_0.mp4")
}

fn dies_and_returns(options: &Options) {
    const RUNS: u64 = 3;
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let mut task: Option<Task> = None;
    for run in 0..RUNS {
        let options = Options { ahead: Duration::from_secs(10 * run), ..options.clone() };
        let before = task.clone();
        task = Some(run_that_dies(&place, options, async |world: World| {
            let task = match before {
                Some(task) => task,
                None => {
                    let mut client = world.client();
                    client["recordingConfig"]["alsoIndividual"] = json!(true);
                    client["recordingFileConfig"] = json!({ "avFileType": ["hls", "mp4", "ogg"] });
                    world.record("mix", "room", "1", &client).await
                }
            };
            let scripted_channel = world.scripted_channel(&task).await;
            scripted_channel.enter(0, "7", 1).await;
            let mut talker = [Talker::new(1, 440.0)];
            scripted_channel.talk(&mut talker, 0, 7000).await;
            world.durable(&task).await;
            scripted_channel.talk(&mut talker, 7000, 8000).await;
            until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
            task
        }));
    }
    let task = task.unwrap();
    let options = Options { ahead: Duration::from_secs(10 * RUNS), ..options.clone() };
    let known = run_that_dies(&place, options, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 4000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status, StatusCode::OK);
        let known = world.over(&task).await;
        let log = world.log(&task).await;
        let named: Vec<&Value> = log.iter().filter(|event| event["eventType"] == 31).collect();
        assert_eq!(named.len(), 1);
        assert_eq!(
            named[0]["payload"]["details"]["fileList"].as_array().unwrap().len(),
            known["fileList"].as_array().unwrap().len()
        );
        assert!(!log.iter().any(|event| event["payload"]["details"]["reason"] == "files_given_up"), "{log:?}");
        until(async || (world.spooled() == 0).then_some(())).await;
        known
    });
    assert_eq!(known["state"], "ended", "{known}");
    media::verify(&place.objects().join(format!("rec/{}_room_manifest.json", task.sid)));
    for uid in ["0", "7"] {
        let list = known["fileList"].as_array().unwrap();
        let sound = |file: &Value| media::decode(&place.objects().join(file["fileName"].as_str().unwrap()));
        let length = list.iter().find(|file| file["uid"] == uid).map(sound).unwrap().ms();
        for kind in [".mp4", ".ogg"] {
            let own =
                list.iter().filter(|file| file["uid"] == uid && file["fileName"].as_str().unwrap().ends_with(kind));
            let sounds: Vec<_> = own.map(sound).collect();
            let sum: u64 = sounds.iter().map(media::Sound::ms).sum();
            // Each file begins with a pre-skip of its own, 6.5 ms.
            assert!(
                sum.abs_diff(length) <= 8 * sounds.len() as u64 - 7,
                "{sum} of {length} in {} {kind}",
                sounds.len()
            );
            assert!(tone(sounds[0].part(1000, 3000), 440.0) > 0.1);
        }
    }
}
