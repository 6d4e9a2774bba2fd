//! A microphone and a shared screen of one uid: two playlists in the bucket, whose names tell uid, source and time, and both in the mix.

use cloud_recorder::recording::{Input, Source, TrackKind};
use cloud_recorder::units::{TrackId, Uid};
use serde_json::{Value, json};

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_microphone_and_a_screen() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["alsoMix"] = json!(true);
    client["recordingFileConfig"] = json!({ "avFileType": ["hls", "mp4"] });
    let task = world.record("individual", "room", "1", &client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    let publish = async |ms: u64, track: u32, source: Source| {
        let kind = TrackKind { source, ..TrackKind::default() };
        let uid = Uid::new("7").unwrap();
        scripted_channel.at(ms, Input::TrackAdded { track: TrackId(track), uid, muted: false, kind }).await;
    };
    scripted_channel.at(0, Input::Joined { uid: Uid::new("7").unwrap() }).await;
    publish(0, 1, Source::Microphone).await;
    let mut talkers = [Talker::new(1, 440.0), Talker::new(2, 1250.0)];
    scripted_channel.talk(&mut talkers[..1], 0, 2_000).await;
    publish(2_000, 2, Source::ScreenAudio).await;
    scripted_channel.talk(&mut talkers, 2_000, 8_000).await;
    let stopped = world.stop(&task).await;
    scripted_channel.left().await;

    let list = stopped.body["serverResponse"]["fileList"].as_array().unwrap();
    let playlists: Vec<&Value> =
        list.iter().filter(|file| file["fileName"].as_str().unwrap().ends_with(".m3u8")).collect();
    let said: Vec<(&Value, &Value)> = playlists.iter().map(|file| (&file["uid"], &file["source"])).collect();
    assert_eq!(said, [(&json!("0"), &Value::Null), (&json!("7"), &Value::Null), (&json!("7"), &json!("screen"))]);
    let screen = format!("{}_room__uid_s_7__uid_e_audio_screen", task.sid);
    assert_eq!(playlists[2]["fileName"], json!(format!("rec/{screen}.m3u8")));
    for (file, inside, outside) in [(playlists[1], 440.0, 1250.0), (playlists[2], 1250.0, 440.0)] {
        let sound = media::decode(&world.objects().join(file["fileName"].as_str().unwrap()));
        let part = sound.part(3_500, 7_500);
        assert!(tone(part, inside) > 0.1 && tone(part, outside) < 0.01, "{file}");
    }
    let mix = media::decode(&world.objects().join(playlists[0]["fileName"].as_str().unwrap()));
    assert!(tone(mix.part(3_500, 7_500), 440.0) > 0.1 && tone(mix.part(3_500, 7_500), 1250.0) > 0.1);

    // As readers of the vendor's scheme take names apart.
    let names: Vec<String> = std::fs::read_dir(world.objects().join("rec"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(&screen))
        .collect();
    let segments: Vec<&String> =
        names.iter().filter(|name| name.ends_with(".m4s") && !name.ends_with("_init.m4s")).collect();
    assert!(segments.len() >= 2 && names.contains(&format!("{screen}_0.mp4")), "{names:?}");
    for name in segments {
        let (_, rest) = name.split_once("__uid_s_").unwrap();
        assert_eq!(rest.split_once("__uid_e").unwrap().0, "7");
        assert!(name.contains("_audio_"));
        let time = name.strip_suffix(".m4s").unwrap().rsplit('_').next().unwrap();
        assert!(time.len() == 17 && time.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
    }

    let manifest = world.objects().join("rec").join(format!("{}_room_manifest.json", task.sid));
    let told: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let source = json!({
        "key": format!("rec/{screen}.m3u8"), "uid": "7", "source": "screen", "kind": "screen_audio",
    });
    assert_eq!((&told["sources"], &told["verdict"]), (&json!([source]), &json!("complete")));
    let ledger: Vec<(&Value, &Value)> =
        told["ledger"]["uids"].as_array().unwrap().iter().map(|uid| (&uid["uid"], &uid["source"])).collect();
    assert_eq!(ledger, [(&json!("7"), &Value::Null), (&json!("7"), &json!("screen"))]);
    media::verify(&manifest);

    let log = world.log(&task).await;
    let details =
        |event: u64| log.iter().filter(move |line| line["eventType"] == event).map(|line| &line["payload"]["details"]);
    assert_eq!(details(42).filter(|slice| slice["source"] == "screen" && slice["streamUid"] == "7").count(), 1);
    assert_eq!(details(42).filter(|slice| slice["source"].is_null() && slice["streamUid"] == "7").count(), 1);
    assert_eq!(details(43).filter(|state| state["state"] == 0).count(), 1, "the uid is received once");
    let uploaded = details(31).next().unwrap()["fileList"].as_array().unwrap();
    assert!(uploaded.iter().any(|file| file["source"] == "screen" && file["uid"] == "7"));
}
