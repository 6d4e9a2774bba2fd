//! A query of a running recording is true to the second, also when nothing happens: who is heard and how loud, what the ledger
//! says of the last seconds, what is safe in the bucket and what still waits.

use std::time::Duration;

use cloud_recorder::recording::Input;
use cloud_recorder::units::{Ticks, TrackId};
use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use crate::talker::Talker;
use crate::world::{APP, World, until};

/// How far behind the present the ledger may be: the core's look-ahead, and a second.
const BEHIND_MS: u64 = 3_000;

/// What is booked ends with a frame.
const FRAME_MS: u64 = 20;

fn uid<'a>(list: &'a Value, name: &str) -> &'a Value {
    list["uids"].as_array().unwrap().iter().find(|entry| entry["uid"] == name).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn age_level_and_ledger_go_on_while_nothing_happens() {
    let world = World::new().await;
    for mode in ["individual", "mix"] {
        let task = world.record(mode, mode, "1", &world.client()).await;
        let scripted_channel = world.channel.scripted_channel(&task.sid);
        scripted_channel.enter(0, "7", 1).await;
        let mut talker = [Talker::new(1, 440.0)];
        for ms in (0..4_000).step_by(20) {
            sleep_until(scripted_channel.origin + Duration::from_millis(ms)).await;
            scripted_channel.talk(&mut talker, ms, ms + 20).await;
        }
        let known = world.query(&task).await.body;
        let level = uid(&known["health"], "7")["levelDbfs"].as_f64().unwrap();
        assert!((-40.0..-5.0).contains(&level), "{known}");

        for _ in 0..2 {
            sleep(Duration::from_millis(1_500)).await;
            let asked = scripted_channel.origin.elapsed().as_millis() as u64;
            let known = world.query(&task).await.body;
            let age = uid(&known["health"], "7")["lastPacketAgeMs"].as_u64().unwrap();
            let answered = scripted_channel.origin.elapsed().as_millis() as u64;
            // Whatever the call takes; a millisecond is what rounding may do.
            let at = asked - 3_980 - 1..=answered - 3_980 + 1;
            assert!(at.contains(&age), "the last packet came at 3980 ms, {at:?} ms before: {known}");
            let now = scripted_channel.origin.elapsed().as_millis() as u64;
            let path = format!("/v1/apps/{APP}/recordings/{}", task.sid);
            let full = world.get(&path).await.body;
            let account = uid(&full["ledger"], "7");
            let gap = |gap: &Value| Ticks(gap["to"].as_u64().unwrap() - gap["from"].as_u64().unwrap()).as_ms();
            let gaps: u64 = account["gaps"].as_array().unwrap().iter().map(gap).sum();
            let booked = account["recordedMs"].as_u64().unwrap() + gaps;
            assert!(booked + BEHIND_MS >= now, "booked up to {booked} of {now} ms: {account}");
        }
        let known = world.query(&task).await.body;
        let stalled = uid(&known["ledger"], "7")["causesMs"]["sender_stall"].as_u64().unwrap();
        assert!(stalled > 500, "silent for three seconds, of which two are not written yet: {known}");
        let now = scripted_channel.origin.elapsed().as_millis() as u64;
        scripted_channel.at(now, Input::Muted { track: TrackId(1), muted: true }).await;
        sleep(Duration::from_millis(4_000)).await;
        let asked = scripted_channel.origin.elapsed().as_millis() as u64;
        let known = world.query(&task).await.body;
        let muted = uid(&known["ledger"], "7")["causesMs"]["muted"].as_u64().unwrap();
        let answered = scripted_channel.origin.elapsed().as_millis() as u64;
        let silence = asked - now - BEHIND_MS..=answered - now + FRAME_MS;
        assert!(silence.contains(&muted), "muted for {silence:?} ms: {known}");
        assert_eq!(known["verdict"], "complete");

        world.stop(&task).await;
        let over = world.over(&task).await;
        assert_eq!(uid(&over["health"], "7")["lastPacketAgeMs"], Value::Null, "{over}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_safe_and_what_waits_is_told_in_bytes() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["alsoMix"] = json!(true);
    let task = world.record("individual", "room", "1", &client).await;
    let health = async || world.query(&task).await.body["health"].clone();
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    let mut talkers = [Talker::new(1, 440.0)];
    scripted_channel.talk(&mut talkers, 0, 6_000).await;
    let safe = |known: &Value| {
        let (own, mix) = (uid(known, "7")["bytesSafe"].as_u64()?, known["mix"]["bytesSafe"].as_u64()?);
        (own > 1_000 && mix > 1_000 && known["bytesSpooled"] == 0).then_some(own + mix)
    };
    let before = until(async || safe(&health().await)).await;

    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    scripted_channel.talk(&mut talkers, 6_000, 12_000).await;
    let waiting = until(async || {
        let known = health().await;
        let own = uid(&known, "7")["bytesSpooled"].as_u64()?;
        (own > 1_000 && known["mix"]["bytesSpooled"].as_u64()? > 1_000).then_some(known)
    })
    .await;
    assert!(waiting["bytesSafe"].as_u64().unwrap() <= before + 2 * waiting["bytesSpooled"].as_u64().unwrap());
    std::fs::rename(&away, &there).unwrap();
    let after = until(async || safe(&health().await)).await;
    assert!(after > before);

    world.stop(&task).await;
    let over = world.over(&task).await;
    let files = std::fs::read_dir(there.join("rec")).unwrap().map(|entry| entry.unwrap());
    let media = files.filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with(&task.sid) && (name.ends_with(".m4s") || name.ends_with(".mp4"))
    });
    let held: u64 = media.map(|entry| entry.metadata().unwrap().len()).sum();
    assert_eq!((&over["health"]["bytesSafe"], &over["health"]["bytesSpooled"]), (&json!(held), &json!(0)));
}
