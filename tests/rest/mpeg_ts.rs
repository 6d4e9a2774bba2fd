//! `recordingFileConfig.container` `ts`: AAC in MPEG-TS as the vendor writes it, for readers that know nothing else. Ledger, recovery and
//! `verify` are those of every recording.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, TestEnv, World, run_that_dies, until};

fn client(world: &World) -> Value {
    let mut client = world.client();
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    client["recordingFileConfig"] = json!({ "container": "ts", "avFileType": ["hls", "mp4"] });
    client
}

fn files(folder: &Path, ending: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    named.filter(|(name, _)| name.ends_with(ending)).map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_and_its_tracks_are_read_by_others() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &client(&world)).await;
    let scripted_channel = world.scripted_channel(&task).await;
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
    let stopped = world.stop(&task).await;
    assert_eq!((stopped.status, &stopped.body["verdict"]), (StatusCode::OK, &json!("complete")), "{}", stopped.body);
    let length = stopped.body["durationMs"].as_u64().unwrap();
    let folder = world.objects().join("rec");
    assert!(files(&folder, ".m4s").is_empty(), "nothing but TS");
    let whole = files(&folder, ".mp4");
    assert_eq!(whole.len(), 2, "no init segment: {:?}", whole.keys());
    for name in whole.keys() {
        let sound = media::decode(&folder.join(name));
        assert!(sound.ms().abs_diff(length) <= 22 && tone(sound.part(4000, 5000), 440.0) > 0.1, "{name}");
    }
    let playlists = files(&folder, ".m3u8");
    assert_eq!(playlists.len(), 2);
    for (name, text) in playlists {
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("EXT-X-MAP") && text.contains("TRACK-EVENT:EVENT=START"), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() >= 3 && lines.iter().all(|line| line.ends_with(".ts")), "{text}");
        let sound = media::decode(&folder.join(&name));
        assert!(sound.ms().abs_diff(length) <= 22, "{} ms of {length}", sound.ms());
        // The borders of segments are no holes.
        for from in (500..6_500).step_by(100) {
            let loud = tone(sound.part(from, from + 100), 440.0);
            assert!(loud > 0.1, "{name}: {loud} at {from} ms");
        }
        let whole = folder.join("whole.mp4.tmp");
        let mut convert = Command::new("ffmpeg");
        convert.args(["-v", "error", "-nostdin", "-y", "-allowed_extensions", "ALL", "-i"]).arg(folder.join(&name));
        convert.args(["-c", "copy", "-bsf:a", "aac_adtstoasc", "-f", "mp4"]).arg(&whole);
        let converted = convert.output().unwrap();
        let words = String::from_utf8_lossy(&converted.stderr);
        assert!(converted.status.success() && words.is_empty(), "the vendor's documented conversion: {words}");
        assert!(media::decode(&whole).ms().abs_diff(length) <= 50);
        std::fs::remove_file(whole).unwrap();
    }
    until(async || (world.spooled() == 0).then_some(())).await;
    media::verify(&folder.join(format!("{}_room_manifest.json", task.sid)));
}

#[test]
fn what_a_worker_left_is_gone_on_with_byte_for_byte() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let folder = place.objects().join("rec");
    // Files that hold a fraction of a second: the journal is mostly a checkpoint.
    let options = Options { journal_file_bytes: 16 << 10, ..Options::default() };
    let (task, before) = run_that_dies(&place, options.clone(), async |world: World| {
        let task = world.record("mix", "room", "1", &client(&world)).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        scripted_channel.talk(&mut talker, 0, 8000).await;
        world.durable(&task).await;
        scripted_channel.talk(&mut talker, 8000, 9000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(6)).then_some(())).await;
        world.durable(&task).await;
        (task.clone(), files(&world.objects().join("rec"), ".ts"))
    });
    assert!(before.len() >= 6, "{:?}", before.keys());
    let known = run_that_dies(&place, Options { ahead: Duration::from_secs(12), ..options }, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 5000).await;
        world.stop(&task).await;
        let known = world.over(&task).await;
        until(async || (world.spooled() == 0).then_some(())).await;
        known
    });
    assert_eq!(known["state"], "ended", "{known}");
    let after = files(&folder, ".ts");
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "what was there is there");
    media::verify(&folder.join(format!("{}_room_manifest.json", task.sid)));
    let sound = media::decode(&folder.join(format!("{}_room.m3u8", task.sid)));
    for from in (500..7_500).step_by(100) {
        assert!(tone(sound.part(from, from + 100), 440.0) > 0.1, "{from} ms");
    }
}

#[tokio::test]
async fn what_can_not_be_packed_so_is_refused_by_name() {
    let world = World::new().await;
    let resource = world.acquire("room", "1").await;
    for (config, field) in [
        (json!({ "container": "mkv" }), "recordingFileConfig.container"),
        (json!({ "container": "ts", "avFileType": ["hls", "ogg"] }), "recordingFileConfig.avFileType"),
    ] {
        let mut client = world.client();
        client["recordingFileConfig"] = config;
        let answer = world.start(&resource, "mix", "room", "1", &client).await;
        let reason = answer.body["reason"].as_str().unwrap_or_default();
        assert!(answer.status == StatusCode::BAD_REQUEST && reason.contains(field), "{}", answer.body);
    }
}
