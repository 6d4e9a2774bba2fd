//! The command `verify`, run as people run it, on sound and on damaged recordings.

use std::path::Path;
use std::process::Command;

use cloud_recorder::codec::fmp4::{init_segment, media_segment};
use cloud_recorder::units::Ticks;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hls::{Hls, sine};

fn verify(playlist: &str) -> (bool, Value) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["verify", "--json", playlist]).output().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
}

fn hls() -> Hls {
    Hls::new(1, &sine(440.0, 20, 1))
}

/// Damages a recording and returns what `verify` says about it.
fn complaints(damage: impl FnOnce(&Path, &Hls)) -> String {
    let hls = hls();
    write_manifest(hls.folder.path());
    damage(hls.folder.path(), &hls);
    let (sound, report) = verify(hls.playlist().to_str().unwrap());
    assert!(!sound && report["sound"] == false);
    report["problems"].to_string()
}

fn write_manifest(folder: &Path) {
    let objects: Vec<Value> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            json!({"name": entry.file_name().to_str(), "size": bytes.len(), "sha256": format!("{:x}", Sha256::digest(&bytes))})
        })
        .collect();
    std::fs::write(folder.join("list_manifest.json"), json!({ "objects": objects }).to_string()).unwrap();
}

fn edit_playlist(folder: &Path, from: &str, to: &str) {
    let path = folder.join("list.m3u8");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    write_manifest(folder);
}

#[test]
fn a_sound_recording_passes_with_and_without_a_manifest() {
    let hls = hls();
    let playlist = hls.playlist();
    let (sound, report) = verify(playlist.to_str().unwrap());
    assert!(sound, "{report}");
    assert_eq!((&report["segments"], &report["packets"], &report["seconds"]), (&json!(4), &json!(1000), &json!(20.0)));
    assert_eq!(report["manifestObjects"], Value::Null);

    write_manifest(hls.folder.path());
    let (sound, report) = verify(playlist.to_str().unwrap());
    assert!(sound && report["manifestObjects"] == 6, "{report}");
}

#[test]
fn a_missing_or_changed_object_is_named() {
    let said = complaints(|folder, _| std::fs::remove_file(folder.join("2.m4s")).unwrap());
    assert!(said.contains("2.m4s") && said.contains("it is missing"), "{said}");
    let said = complaints(|folder, _| std::fs::remove_file(folder.join("init.mp4")).unwrap());
    assert!(said.contains("init.mp4"), "{said}");
    let said = complaints(|folder, _| {
        let path = folder.join("1.m4s");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    });
    assert!(said.contains("1.m4s") && said.contains("SHA-256"), "{said}");
    let said = complaints(|folder, _| {
        let path = folder.join("3.m4s");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    });
    assert!(said.contains("3.m4s") && said.contains("cut short"), "{said}");
}

#[test]
fn a_broken_timeline_is_named() {
    let said = complaints(|folder, hls| {
        let late = media_segment(3, hls.segments[2].0 + Ticks(960), &hls.segments[2].2);
        std::fs::write(folder.join("2.m4s"), late).unwrap();
    });
    assert!(said.contains("the timeline breaks: it starts at 12.020000 s"), "{said}");
    let said = complaints(|folder, _| edit_playlist(folder, "#EXTINF:6.000000", "#EXTINF:5.980000"));
    assert!(said.contains("its packets last 6.000000 s, the playlist says 5.980000 s"), "{said}");
    assert!(said.contains("it says 19.980000 s in all"), "{said}");
    let said = complaints(|folder, hls| {
        let mut packets = hls.segments[0].2.clone();
        packets[0].duration = Ticks(480);
        packets[1].duration = Ticks(1440);
        std::fs::write(folder.join("0.m4s"), media_segment(1, Ticks::ZERO, &packets)).unwrap();
        write_manifest(folder);
    });
    assert!(said.contains("2 packets are not Opus packets of the length"), "{said}");
}

#[test]
fn an_unfinished_or_foreign_playlist_is_named() {
    let said = complaints(|folder, _| edit_playlist(folder, "#EXT-X-ENDLIST\n", ""));
    assert!(said.contains("no ENDLIST"), "{said}");
    let said = complaints(|folder, _| edit_playlist(folder, "1.m4s", "../1.m4s"));
    assert!(said.contains("its name is not one this recorder gives"), "{said}");
    let said = complaints(|folder, _| edit_playlist(folder, "#EXTM3U", "hello"));
    assert!(said.contains("no HLS"), "{said}");
    let said = complaints(|folder, _| std::fs::write(folder.join("init.mp4"), &init_segment(1)[40..]).unwrap());
    assert!(said.contains("init.mp4"), "{said}");
}

#[test]
fn what_is_no_playlist_is_refused_with_advice() {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["verify", "no/such.m3u8"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("give the path of an .m3u8 file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_verified_over_http() {
    let hls = hls();
    write_manifest(hls.folder.path());
    std::fs::remove_file(hls.folder.path().join("3.m4s")).unwrap();
    let folder = hls.folder.path().to_owned();
    let serve = async move |axum::extract::Path(name): axum::extract::Path<String>| {
        tokio::fs::read(folder.join(name)).await.map_err(|_| axum::http::StatusCode::NOT_FOUND)
    };
    let router = axum::Router::new().route("/bucket/{name}", axum::routing::get(serve));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bucket/list.m3u8", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let (sound, report) = tokio::task::spawn_blocking(move || verify(&url)).await.unwrap();
    server.abort();
    assert!(!sound);
    assert_eq!(report["segments"], 3, "{report}");
    assert_eq!(report["problems"], json!([{"object": "3.m4s", "what": "it is missing"}]));
}
