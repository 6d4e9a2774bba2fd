//! Invariant 1, seen by somebody who reads the bucket all the time: no playlist ever names what is not there, whatever the bucket refuses.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::talker::Talker;
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_finds_every_segment_that_is_named() {
    let world = World::new().await;
    let mut client = world.client();
    client["recordingConfig"]["alsoIndividual"] = json!(true);
    let task = world.record("mix", "room", "1", &client).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (folder, done) = (world.objects().join("rec"), Arc::clone(&done));
        tokio::task::spawn_blocking(move || {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                seen += read_all(&folder);
                std::thread::sleep(Duration::from_millis(1));
            }
            seen + read_all(&folder)
        })
    };
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    let mut talkers = [Talker::new(1, 300.0), Talker::new(2, 700.0), Talker::new(3, 1100.0)];
    for (track, uid) in [(1, "1"), (2, "2"), (3, "3")] {
        scripted_channel.enter(0, uid, track).await;
    }
    for second in 0..20 {
        scripted_channel.talk(&mut talkers, second * 1000, (second + 1) * 1000).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    done.store(true, Ordering::Relaxed);
    let seen = reader.await.unwrap();
    assert!(seen > 40, "four playlists of ten segments were read while they grew: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_the_bucket_refuses_holds_back_what_comes_after_it() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    let mut talker = [Talker::new(1, 300.0)];
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut talker, 0, 8_000).await;
    let (there, away) = (world.objects(), world.objects().with_extension("away"));
    let folder = there.join("rec");
    let first = until(async || segments(&folder).into_iter().next()).await;
    // While the bucket is away much is made; when it is back, a folder lies where one of the objects should be.
    std::fs::rename(&there, &away).unwrap();
    scripted_channel.talk(&mut talker, 8_000, 30_000).await;
    until(async || (world.query(&task).await.body["segments"]["made"].as_u64() >= Some(12)).then_some(())).await;
    let refused = later(&first, 10);
    std::fs::create_dir(away.join("rec").join(&refused)).unwrap();
    std::fs::rename(&away, &there).unwrap();
    until(async || (segments(&folder).len() >= 11).then_some(())).await;
    until(async || (read_all(&folder) >= 1).then_some(())).await;
    // Everything else is there. A playlist that went on would come within some attempts.
    for _ in 0..50 {
        let named = read_all(&folder);
        assert!((1..=5).contains(&named), "{named} segments are named, and the sixth is not there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_dir(folder.join(refused)).unwrap();
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    assert_eq!((read_all(&folder), segments(&folder).len()), (15, 15));
}

/// The names of the segments that are there, in order.
fn segments(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".m4s") && !name.ends_with("_init.m4s")).collect();
    names.sort();
    names
}

/// The name of the segment that begins so much later than this one.
fn later(segment: &str, seconds: i64) -> String {
    let (stem, time) = segment.strip_suffix(".m4s").unwrap().rsplit_once('_').unwrap();
    let (whole, milliseconds) = time.split_at(14);
    let at = chrono::NaiveDateTime::parse_from_str(whole, "%Y%m%d%H%M%S").unwrap() + chrono::Duration::seconds(seconds);
    format!("{stem}_{}{milliseconds}.m4s", at.format("%Y%m%d%H%M%S"))
}

/// Reads every playlist and checks what it names; how many segments were named.
fn read_all(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let names = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let playlists: Vec<String> = names.filter(|name| name.ends_with(".m3u8")).collect();
    let mut named = 0;
    for playlist in playlists {
        let text = std::fs::read_to_string(folder.join(&playlist)).unwrap();
        assert!(text.starts_with("#EXTM3U"), "a torn playlist: {text:?}");
        for segment in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(folder.join(segment).exists(), "{playlist} names {segment}, which is not there");
            named += 1;
        }
        if let Some(map) = text.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            assert!(folder.join(map).exists(), "{playlist} names {map}, which is not there");
        }
    }
    named
}
