//! Law 1, seen by somebody who reads the bucket all the time: no playlist ever names what is not there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::talker::Talker;
use crate::world::World;

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
    let stage = world.channel.stage(&task.sid);
    let mut talkers = [Talker::new(1, 300.0), Talker::new(2, 700.0), Talker::new(3, 1100.0)];
    for (track, uid) in [(1, "1"), (2, "2"), (3, "3")] {
        stage.enter(0, uid, track).await;
    }
    for second in 0..20 {
        stage.talk(&mut talkers, second * 1000, (second + 1) * 1000).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.stop(&task).await.status, StatusCode::OK);
    done.store(true, Ordering::Relaxed);
    let seen = reader.await.unwrap();
    assert!(seen > 40, "four playlists of ten segments were read while they grew: {seen}");
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
