//! The whole life: acquire, start, people talk, query, stop; HLS in the bucket that ffmpeg plays, a manifest that fits, and the
//! news in order.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{APP, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_of_two_talkers() {
    let world = World::new().await;
    let task = world.record("mix", "room 1", "527", &world.client()).await;
    let early = world.query(&task).await;
    assert_eq!(early.status, StatusCode::OK);
    assert_eq!(early.body["serverResponse"]["status"], 5, "the bot is in the channel");
    let playlist = format!("rec/{}_room-1.m3u8", task.sid);
    assert_eq!(early.body["serverResponse"]["fileListMode"], "string");
    assert_eq!(early.body["serverResponse"]["fileList"], json!(playlist), "the name is known at once");
    assert!(early.body["serverResponse"]["sliceStartTime"].as_u64().unwrap() > 1_700_000_000_000);

    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.enter(0, "2", 2).await;
    let mut talkers = [Talker::new(1, 440.0), Talker::new(2, 1250.0)];
    scripted_channel.talk(&mut talkers[..1], 100, 5000).await;
    scripted_channel.talk(&mut talkers, 5000, 10_000).await;
    until(async || (world.query(&task).await.body["fileList"][0]["isPlayable"] == true).then_some(())).await;

    let stopped = world.stop(&task).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.body);
    assert_eq!(stopped.body["serverResponse"]["uploadingStatus"], "uploaded");
    assert_eq!(stopped.body["serverResponse"]["fileList"], json!(playlist));
    scripted_channel.left().await;

    let text = std::fs::read_to_string(world.objects().join(&playlist)).unwrap();
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    let sound = media::decode(&world.objects().join(&playlist));
    let expected = stopped.body["durationMs"].as_u64().unwrap();
    assert!(expected >= 9980, "{expected}");
    assert!(sound.ms().abs_diff(expected) <= 20, "{} of {expected}", sound.ms());
    let second = |from: u64| sound.part(from, from + 1000);
    assert!(tone(second(2000), 440.0) > 0.1 && tone(second(2000), 1250.0) < 0.01, "one talks alone");
    assert!(tone(second(7000), 440.0) > 0.1 && tone(second(7000), 1250.0) > 0.1, "both are in the mix");

    the_manifest_fits(&world, &task.sid, "room-1");
    the_news_is_complete_and_in_order(&world.log(&task).await, &playlist);
    until(async || (world.spooled() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_the_404_says_what_is_known() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
    world.stop(&task).await;
    for answer in [world.query(&task).await, world.stop(&task).await] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.body["code"], 404);
        assert_eq!(answer.body["reason"], "Failed to find worker.");
        assert_eq!(answer.body["sid"], json!(task.sid));
        assert_eq!(answer.body["cname"], "room");
        assert_eq!(answer.body["uid"], "1");
        assert_eq!(answer.body["resourceId"], json!(task.resource));
        assert_eq!(answer.body["state"], "ended");
        assert_eq!(answer.body["verdict"], "complete");
        assert!(answer.body["durationMs"].as_u64().unwrap() >= 2980);
        assert_eq!(answer.body["fileList"][0]["isPlayable"], true);
    }
    let known = world.get(&format!("/v1/apps/{APP}/recordings/{}", task.sid)).await;
    assert_eq!((known.status, &known.body["state"]), (StatusCode::OK, &json!("ended")));
    let unknown = world.get(&format!("/v1/apps/{APP}/recordings/{}", "0".repeat(32))).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (StatusCode::NOT_FOUND, &json!(404)));
}

#[tokio::test(flavor = "multi_thread")]
async fn individual_tracks_and_a_mix_from_one_task() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["alsoMix"] = json!(true);
    let task = world.record("individual", "room", "1", &client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    let mut talkers = [Talker::new(1, 440.0), Talker::new(2, 1250.0)];
    scripted_channel.talk(&mut talkers[..1], 0, 2000).await;
    scripted_channel.enter(2000, "8", 2).await;
    scripted_channel.talk(&mut talkers, 2000, 6000).await;
    until(async || (world.query(&task).await.body["fileList"][2]["isPlayable"] == true).then_some(())).await;
    let stopped = world.stop(&task).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.body);
    assert_eq!(stopped.body["serverResponse"]["fileListMode"], "json");
    let list = stopped.body["serverResponse"]["fileList"].as_array().unwrap();
    let uids: Vec<&str> = list.iter().map(|file| file["uid"].as_str().unwrap()).collect();
    assert_eq!(uids, ["0", "7", "8"]);
    let expected = stopped.body["durationMs"].as_u64().unwrap();
    for (file, inside, outside) in [(&list[1], 440.0, 1250.0), (&list[2], 1250.0, 440.0)] {
        let sound = media::decode(&world.objects().join(file["fileName"].as_str().unwrap()));
        assert!(sound.ms().abs_diff(expected) <= 20, "every playlist is as long as the session");
        let part = sound.part(3500, 5500);
        assert!(tone(part, inside) > 0.1 && tone(part, outside) < 0.01);
    }
    let late = media::decode(&world.objects().join(list[2]["fileName"].as_str().unwrap()));
    assert!(tone(late.part(500, 1800), 1250.0) < 0.001, "before the join there is silence");

    scripted_channel.left().await;
    the_manifest_fits(&world, &task.sid, "room");
    let first = list[1]["fileName"].as_str().unwrap();
    the_news_is_complete_and_in_order(&world.log(&task).await, first);
    until(async || (world.spooled() == 0).then_some(())).await;
}

fn the_manifest_fits(world: &World, sid: &str, cname: &str) {
    let name = format!("{sid}_{cname}_manifest.json");
    let text = std::fs::read_to_string(world.objects().join("rec").join(&name)).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let objects = manifest["objects"].as_array().unwrap();
    assert!(objects.len() >= 7, "two init segments, six segments or more, two playlists: {text}");
    for object in objects {
        let bytes = std::fs::read(world.objects().join(object["key"].as_str().unwrap())).unwrap();
        assert_eq!(object["size"], bytes.len() as u64);
        assert_eq!(object["sha256"], json!(media::sha256(&bytes)));
    }
    assert_eq!(manifest["version"], 3);
    assert_eq!(manifest["members"].as_array().unwrap().len(), 2);
    assert_eq!((&manifest["verdict"], &manifest["lost"]), (&json!("complete"), &json!([])));
    assert_eq!(manifest["endReason"], "stopped");
    media::verify(&world.objects().join("rec").join(name));
}

fn the_news_is_complete_and_in_order(log: &[Value], playlist: &str) {
    let types: Vec<u64> = log.iter().map(|event| event["eventType"].as_u64().unwrap()).collect();
    let place = |event: u64| types.iter().position(|known| *known == event).expect("every kind of news is there");
    let logical = [40, 30, 43, 42, 4, 41, 33, 31, 11].map(place);
    assert!(logical.is_sorted(), "{types:?}");
    assert_eq!(types.last(), Some(&11));
    for (index, event) in log.iter().enumerate() {
        assert_eq!(event["payload"]["sequence"], index as u64);
    }
    let details = |event: u64| &log[place(event)]["payload"]["details"];
    assert!(details(4)["fileList"].is_string(), "a string in event 4");
    let uploaded = details(31)["fileList"].as_array().expect("a list in event 31");
    assert!(uploaded.iter().any(|file| file["fileName"] == json!(playlist)));
    assert_eq!(details(41)["leaveCode"], 24);
    assert_eq!(details(11)["exitStatus"], 0);
}
