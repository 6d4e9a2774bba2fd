//! A worker dies while a uid is away and the channel is empty, or just after somebody came back, with its journal or without it, whole or
//! from a checkpoint. What the bucket holds stays as it is, and the stretch in which nothing happened is appended in few objects.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloud_recorder::codec::playlist::Playlist;
use cloud_recorder::recording::Input;
use cloud_recorder::units::{TrackId, Uid};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::channel::ScriptedChannel;
use crate::media::{self, tone};
use crate::talker::Talker;
use crate::world::{Options, Task, TestEnv, World, run_that_dies, until};

/// For so long nothing may come to the bucket.
const QUIET: Duration = Duration::from_millis(500);
/// When uid 7 comes, how long it talks each time, and when it has left, as 8 has before it; milliseconds.
const FROM_MS: u64 = 2_000;
const TALK_MS: u64 = 3_000;
const LEFT_MS: u64 = 6_000;
/// When 7 is back where it is back before the worker dies, and how long after the next run's bot otherwise.
const BACK_MS: u64 = 90_000;
const SOON_MS: u64 = 1_000;

/// When the worker dies, and what becomes of its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Nobody is there.
    InTheAbsence,
    /// Some of what follows the return is in the bucket.
    AfterTheReturn,
    /// The same, and the journal is lost.
    AndTheJournalIsLost,
}

#[test]
fn while_nobody_is_there() {
    let known = dies(Death::InTheAbsence, &Options::default());
    assert_eq!(known["verdict"], "complete", "nobody was to be heard: {}", known["ledger"]);
    let checkpoints = Options { journal_file_bytes: 4 << 10, ..Options::default() };
    let known = dies(Death::InTheAbsence, &checkpoints);
    assert_eq!(known["verdict"], "complete", "{}", known["ledger"]);
}

#[test]
fn just_after_somebody_came_back() {
    for journal_file_bytes in [1 << 26, 16 << 10] {
        let known = dies(Death::AfterTheReturn, &Options { journal_file_bytes, ..Options::default() });
        let gaps = known["ledger"]["uids"][0]["gaps"].as_array().unwrap();
        assert!(gaps.iter().any(|gap| gap["cause"] == "worker_restart"), "{gaps:?}");
    }
}

#[test]
fn and_the_journal_is_lost_with_it() {
    let known = dies(Death::AndTheJournalIsLost, &Options::default());
    assert_eq!(known["verdict"], "partial", "{}", known["ledger"]);
    let eight = known["ledger"]["uids"].as_array().unwrap().iter().find(|entry| entry["uid"] == "8").unwrap();
    assert!(eight["missingMs"].as_u64().unwrap() <= 500, "who had left misses nothing since: {eight}");
}

/// Both talk, both leave, 7 comes back before the worker dies or after it; how it ends.
fn dies(death: Death, options: &Options) -> Value {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let (task, before) = run_that_dies(&place, options.clone(), async |world: World| {
        let mut client = world.client();
        client["recordingConfig"]["maxIdleTime"] = json!(7_200);
        client["recordingConfig"]["alsoIndividual"] = json!(true);
        let task = world.record("mix", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "8", 2).await;
        scripted_channel.talk(&mut [Talker::new(2, 660.0)], 0, 1_000).await;
        scripted_channel.leave(1_500, "8").await;
        talks(&scripted_channel, FROM_MS, 440.0).await;
        scripted_channel.at(FROM_MS + TALK_MS, Input::Muted { track: TrackId(1), muted: true }).await;
        scripted_channel.leave(LEFT_MS, "7").await;
        pass(&scripted_channel, 20_000).await;
        stored(&world, &task, 5).await;
        world.durable(&task).await;
        let there = media(&world.objects().join("rec")).len();
        pass(&scripted_channel, BACK_MS - 1_000).await;
        world.durable(&task).await;
        tokio::time::sleep(QUIET).await;
        assert_eq!(media(&world.objects().join("rec")).len(), there, "nothing while nothing happens");
        if death != Death::InTheAbsence {
            talks(&scripted_channel, BACK_MS, 440.0).await;
            // The absence is in two playlists.
            stored(&world, &task, 7).await;
            world.durable(&task).await;
        }
        let before = media(&world.objects().join("rec"));
        (task, before)
    });
    if death == Death::AndTheJournalIsLost {
        std::fs::remove_dir_all(place.journal()[0].parent().unwrap()).unwrap();
    }
    let options = Options { ahead: Duration::from_millis(BACK_MS + 60_000), ..options.clone() };
    let known = run_that_dies(&place, options, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        talks(&scripted_channel, SOON_MS, 880.0).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status.as_u16() / 100, 2);
        let known = world.over(&task).await;
        until(async || (world.spooled() == 0).then_some(())).await;
        known
    });
    check(death, &place, &task, &before, &known);
    known
}

/// 7 is there from `from_ms` on and talks.
async fn talks(scripted_channel: &ScriptedChannel, from_ms: u64, hertz: f32) {
    scripted_channel.enter(from_ms, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, hertz)], from_ms, from_ms + TALK_MS).await;
}

/// Somebody looks in, which brings the session's time to `ms`.
async fn pass(scripted_channel: &ScriptedChannel, ms: u64) {
    let uid = Uid::new("9").unwrap();
    scripted_channel.at(ms, Input::Joined { uid: uid.clone() }).await;
    scripted_channel.at(ms, Input::Left { uid }).await;
}

/// Waits until so many segments are in the bucket.
async fn stored(world: &World, task: &Task, count: u64) {
    until(async || (world.query(task).await.body["segments"]["stored"].as_u64() >= Some(count)).then_some(())).await;
}

fn check(death: Death, place: &TestEnv, task: &Task, before: &BTreeMap<String, Vec<u8>>, known: &Value) {
    let folder = place.objects().join("rec");
    let after = media(&folder);
    let changed: Vec<_> = before.iter().filter(|(name, bytes)| after.get(*name) != Some(bytes)).collect();
    assert!(changed.is_empty(), "{death:?}: what was confirmed is final");
    assert!(!after.keys().any(|name| name.starts_with("bak")), "{death:?}: {:?}", after.keys());
    media::verify(&folder.join(format!("{}_room_manifest.json", task.sid)));
    let length = known["durationMs"].as_u64().unwrap();
    assert!(length > BACK_MS + 60_000, "{death:?}: {known}");
    let mut found = 0;
    for file in known["fileList"].as_array().unwrap() {
        let path = place.objects().join(file["fileName"].as_str().unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let playlist = Playlist::parse(&text).unwrap();
        assert!(text.contains("#EXT-X-TARGETDURATION:2\n") && playlist.ended, "{death:?}: {text}");
        assert!(playlist.end().as_ms().abs_diff(length) <= 40, "{death:?}: {:?}", playlist.end());
        let longest = playlist.entries.iter().map(|entry| entry.duration.as_ms()).max().unwrap();
        assert!((80_000..=600_000).contains(&longest), "{death:?}: {:?}", playlist.entries);
        let most = if death == Death::InTheAbsence { 12 } else { 60 };
        assert!(playlist.entries.len() < most, "{death:?}: {:?}", playlist.entries);
        if path.to_str().unwrap().contains("uid_s_8") {
            continue;
        }
        let sound = media::decode(&path);
        assert!(sound.ms().abs_diff(length) <= 40, "{death:?}: {} ms of {length}", sound.ms());
        found += 1;
        assert!(tone(sound.part(FROM_MS + 500, FROM_MS + TALK_MS - 200), 440.0) > 0.1);
        assert!(tone(sound.part(LEFT_MS + 500, BACK_MS - 500), 440.0) < 0.001);
        if death == Death::AfterTheReturn {
            assert!(tone(sound.part(BACK_MS + 500, BACK_MS + 2_000), 440.0) > 0.1);
        }
        assert!(tone(sound.part(length - 2_000, length - 500), 880.0) > 0.1, "{death:?}: {file}");
    }
    assert_eq!(found, 2, "the mix, and 7 alone");
}

/// Segments and init segments of a folder, by name.
fn media(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let media = named.filter(|(name, _)| name.ends_with(".m4s") || name.ends_with(".mp4"));
    media.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}
