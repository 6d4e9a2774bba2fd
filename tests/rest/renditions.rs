//! `avFileType` with `mp4` and `ogg`: whole files beside the playlists, in the bucket before anybody names them, in every list, and as
//! long as the playlists.

use std::path::Path;

use axum::http::StatusCode;
use cloud_recorder::codec::whole::Roll;
use cloud_recorder::units::Ticks;
use serde_json::{Value, json};

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{APP, Options, Task, World, until};

/// A clientRequest that asks for whole files.
fn client(world: &World, kinds: &[&str]) -> Value {
    let mut client = world.client();
    let kinds = [&["hls"], kinds].concat();
    client["recordingFileConfig"] = json!({ "avFileType": kinds });
    client
}

/// The names in a list, those of whole files.
fn wholes(list: &Value) -> Vec<String> {
    let names = list.as_array().unwrap().iter().map(|file| file["fileName"].as_str().unwrap().to_owned());
    names.filter(|name| !name.ends_with(".m3u8")).collect()
}

fn verify(world: &World, task: &Task) {
    media::verify(&world.objects().join(format!("rec/{}_room_manifest.json", task.sid)));
}

fn details(log: &[Value], event: u64) -> &Value {
    &log.iter().find(|line| line["eventType"] == event).unwrap()["payload"]["details"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_with_both_kinds() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &client(&world, &["mp4", "ogg"])).await;
    let early = world.query(&task).await.body;
    assert_eq!(early["serverResponse"]["fileListMode"], "json");
    assert!(wholes(&early["serverResponse"]["fileList"]).is_empty(), "nothing is named before it is there");
    assert!(early.get("notes").is_none(), "{early}");
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 9000).await;
    let stopped = world.stop(&task).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.body);
    assert_eq!(stopped.body["serverResponse"]["uploadingStatus"], "uploaded");

    let list = &stopped.body["serverResponse"]["fileList"];
    let names = ["mp4", "ogg"].map(|kind| format!("rec/{}_room_0.{kind}", task.sid));
    assert_eq!(wholes(list), names);
    let playlist = &list[0];
    for file in &list.as_array().unwrap()[1..] {
        assert_eq!((&file["trackType"], &file["uid"]), (&json!("audio"), &json!("0")));
        assert_eq!((&file["mixedAllUser"], &file["isPlayable"]), (&json!(true), &json!(true)));
        assert_eq!(file["sliceStartTime"], playlist["sliceStartTime"]);
    }
    let log = world.log(&task).await;
    assert_eq!(wholes(&details(&log, 31)["fileList"]), names);
    assert!(!log.iter().any(|event| event["eventType"] == 1 || event["eventType"] == 2), "{log:?}");

    let known = world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await.body;
    for file in &known["fileList"].as_array().unwrap()[1..] {
        let length = std::fs::metadata(world.objects().join(file["fileName"].as_str().unwrap())).unwrap().len();
        assert_eq!(file["bytes"], length, "{file}");
    }

    let length = stopped.body["durationMs"].as_u64().unwrap();
    let played = media::decode(&world.objects().join(playlist["fileName"].as_str().unwrap()));
    for name in names {
        let sound = media::decode(&world.objects().join(&name));
        assert!(sound.ms().abs_diff(length) <= 20, "{name}: {} ms of {length}", sound.ms());
        assert!(sound.part(0, length - 20) == played.part(0, length - 20), "{name} holds the same packets");
        assert!(tone(sound.part(4000, 5000), 440.0) > 0.1);
    }
    verify(&world, &task);
    until(async || (world.spooled() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_uid_has_its_file_and_long_ones_are_cut_while_the_recording_runs() {
    let roll = Roll { length: Ticks::from_secs(6), ..Roll::default() };
    let world = World::with(Options { roll, ..Options::default() }).await;
    let task = world.record("individual", "room", "1", &client(&world, &["mp4"])).await;
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.enter(0, "8", 2).await;
    let mut talkers = [Talker::new(1, 440.0), Talker::new(2, 1250.0)];
    scripted_channel.talk(&mut talkers, 0, 15_000).await;
    let running = until(async || {
        let body = world.query(&task).await.body;
        (wholes(&body["fileList"]).len() >= 2).then_some(body)
    })
    .await;
    assert_eq!(running["state"], "recording", "the first files are there before the end");
    for name in wholes(&running["fileList"]) {
        assert!(world.objects().join(&name).exists(), "{name}");
    }
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    let known = world.over(&task).await;
    let (list, length) = (known["fileList"].as_array().unwrap(), known["durationMs"].as_u64().unwrap());
    let started = known["sliceStartTime"].as_u64().unwrap();
    for (uid, frequency) in [("7", 440.0), ("8", 1250.0)] {
        let own =
            list.iter().filter(|file| file["uid"] == uid && !file["fileName"].as_str().unwrap().ends_with(".m3u8"));
        let own: Vec<_> = own.collect();
        let name = |index: usize| format!("rec/{}_room__uid_s_{uid}__uid_e_audio_{index}.mp4", task.sid);
        let starts: Vec<u64> = own.iter().map(|file| file["sliceStartTime"].as_u64().unwrap() - started).collect();
        assert_eq!(starts.len(), 3, "{list:?}");
        assert!(starts.iter().zip([0, 6_000, 12_000]).all(|(is, wanted)| is.abs_diff(wanted) <= 40), "{starts:?}");
        let mut sum = 0;
        for (index, file) in own.iter().enumerate() {
            assert_eq!(file["fileName"], name(index));
            let sound = media::decode(&world.objects().join(name(index)));
            assert!(tone(sound.part(500, 1500), frequency) > 0.1);
            sum += sound.ms();
        }
        assert!(sum.abs_diff(length) <= 20 * 3, "{sum} of {length}");
    }
    verify(&world, &task);
    let manifest = world.objects().join(format!("rec/{}_room_manifest.json", task.sid));
    let first = wholes(&known["fileList"]).remove(0);
    alter_and_see(&manifest, &world.objects().join(first));
}

/// `verify` sees when a file holds another packet than its playlist.
fn alter_and_see(manifest: &Path, file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, &bytes).unwrap();
    let report = media::verify_fails(manifest);
    assert!(report.contains("hold other packets than their playlist") && report.contains("SHA-256"), "{report}");
}
