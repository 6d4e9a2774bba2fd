//! The command `verify`, run as people run it, on sound recordings and on recordings with exactly one thing wrong.

use std::path::PathBuf;
use std::process::Command;

use cloud_recorder::codec::fmp4::{init_segment, media_segment};
use cloud_recorder::units::Ticks;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hls::{Hls, sine};

const PLAYLIST: &str = "list.m3u8";
const MANIFEST: &str = "list_manifest.json";
const EVENTS: &str = "list_events.jsonl";

/// Runs `verify` on a file or a URL; whether it found nothing wrong, and its report.
fn verify(place: &str) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["verify", "--json", place]).output().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
}

fn hls() -> Hls {
    Hls::new(1, &sine(440.0, 20, 1))
}

/// A recording as a worker leaves it: playlist, segments, manifest and event log.
struct Recording(Hls);

impl Recording {
    fn new() -> Self {
        let recording = Self(hls());
        recording.write(MANIFEST, manifest(&recording.0).to_string());
        recording.write(EVENTS, [40, 30, 42, 4, 41, 33, 31, 11].iter().enumerate().map(event).collect());
        recording
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: String) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{text}");
        self.write(name, text.replacen(from, to, 1));
    }

    fn edit_manifest(&self, change: impl FnOnce(&mut Value)) {
        let mut manifest = serde_json::from_str(&self.read(MANIFEST)).unwrap();
        change(&mut manifest);
        self.write(MANIFEST, manifest.to_string());
    }

    /// Writes sizes and hashes anew, as if the objects had been like this from the beginning.
    fn seal(&self) {
        self.edit_manifest(|manifest| manifest["objects"] = objects(&self.0));
    }

    fn verify(&self, name: &str) -> (bool, Value) {
        verify(self.path(name).to_str().unwrap())
    }
}

fn manifest(hls: &Hls) -> Value {
    json!({
        "version": 2, "durationMs": 20_000, "verdict": "partial", "playlists": ["rec/list.m3u8"], "objects": objects(hls),
        "ledger": { "uids": [{
            "uid": "7", "expectedMs": 15_000, "recordedMs": 14_700, "concealedMs": 100, "missingMs": 200,
            "gaps": [
                { "from": 0, "to": Ticks::from_secs(5), "cause": "left" },
                { "from": Ticks::from_secs(9), "to": Ticks::from_ms(9_300), "cause": "network_loss" },
            ],
        }]},
    })
}

fn objects(hls: &Hls) -> Value {
    let files = std::fs::read_dir(hls.folder.path()).unwrap().map(|entry| entry.unwrap());
    let media = files.filter(|entry| ![MANIFEST, EVENTS].contains(&entry.file_name().to_str().unwrap()));
    let object = |entry: std::fs::DirEntry| {
        let (name, bytes) = (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
        let kind = if name.ends_with(".m4s") { "segment" } else { "other" };
        json!({"name": name, "kind": kind, "size": bytes.len(), "sha256": format!("{:x}", Sha256::digest(&bytes))})
    };
    media.map(object).collect()
}

fn event((sequence, event_type): (usize, &u16)) -> String {
    let details = if *event_type == 11 { json!({"verdict": "partial"}) } else { json!({}) };
    let payload = json!({"sequence": sequence, "details": details});
    format!("{}\n", json!({"noticeId": "x", "eventType": event_type, "sid": "x", "payload": payload}))
}

/// Damages a recording; `verify` has to say exactly this, whether it is given the playlist or the manifest.
fn says(expected: &[(&str, &str, &str)], damage: impl FnOnce(&Recording)) {
    let recording = Recording::new();
    damage(&recording);
    for name in [PLAYLIST, MANIFEST] {
        let (sound, report) = recording.verify(name);
        assert!(!sound && report["sound"] == false, "{report}");
        let said = report["problems"].as_array().unwrap();
        let fits = |said: &Value, (kind, object, what): &(&str, &str, &str)| {
            said["kind"] == *kind && said["object"] == *object && said["what"].as_str().unwrap().contains(what)
        };
        let all_fit =
            said.len() == expected.len() && said.iter().zip(expected).all(|(said, expected)| fits(said, expected));
        assert!(all_fit, "{name}: {said:#?} instead of {expected:#?}");
    }
}

#[test]
fn a_sound_recording_passes() {
    let hls = hls();
    let (sound, report) = verify(hls.playlist().to_str().unwrap());
    assert!(sound, "{report}");
    assert_eq!((&report["segments"], &report["packets"], &report["seconds"]), (&json!(4), &json!(1000), &json!(20.0)));
    assert_eq!((&report["manifestObjects"], &report["events"]), (&Value::Null, &Value::Null));

    let recording = Recording::new();
    for name in [PLAYLIST, MANIFEST] {
        let (sound, report) = recording.verify(name);
        assert!(sound, "{report}");
        assert_eq!((&report["playlists"], &report["manifestObjects"]), (&json!(1), &json!(6)));
        assert_eq!((&report["events"], &report["verdict"]), (&json!(8), &json!("partial")));
    }
}

#[test]
fn a_missing_object_is_named() {
    let segment = "the playlist names it, but it is missing";
    says(&[("missing", "2.m4s", segment)], |recording| std::fs::remove_file(recording.path("2.m4s")).unwrap());
    says(&[("missing", "init.mp4", segment)], |recording| std::fs::remove_file(recording.path("init.mp4")).unwrap());
    says(&[("missing", "other.m3u8", "the manifest lists it, but it is missing")], |recording| {
        recording.write("other.m3u8", "#EXTM3U".into());
        recording.seal();
        std::fs::remove_file(recording.path("other.m3u8")).unwrap();
    });
    says(&[("missing", EVENTS, "it is missing")], |recording| std::fs::remove_file(recording.path(EVENTS)).unwrap());
}

#[test]
fn a_changed_object_is_named() {
    says(&[("hash", "1.m4s", "SHA-256 is not what the manifest says")], |recording| {
        let mut bytes = std::fs::read(recording.path("1.m4s")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(recording.path("1.m4s"), bytes).unwrap();
    });
    says(&[("size", PLAYLIST, "the manifest says")], |recording| recording.edit(PLAYLIST, "#EXTINF", "\n#EXTINF"));
    says(&[("malformed", "3.m4s", "cut short")], |recording| {
        let bytes = std::fs::read(recording.path("3.m4s")).unwrap();
        std::fs::write(recording.path("3.m4s"), &bytes[..bytes.len() - 1]).unwrap();
    });
    says(&[("malformed", "init.mp4", "")], |recording| {
        std::fs::write(recording.path("init.mp4"), &init_segment(1)[40..]).unwrap();
        recording.seal();
    });
}

#[test]
fn a_playlist_and_a_manifest_that_disagree_are_named() {
    says(&[("unlisted", MANIFEST, "it does not list 2.m4s, which a playlist names")], |recording| {
        recording.edit_manifest(|manifest| {
            manifest["objects"].as_array_mut().unwrap().retain(|object| object["name"] != "2.m4s");
        });
    });
    let recording = Recording::new();
    recording.edit(PLAYLIST, "#EXTINF:2.000000,\n3.m4s\n", "");
    recording.seal();
    let (sound, report) = recording.verify(MANIFEST);
    let problems = report["problems"].to_string();
    assert!(!sound && problems.contains("no playlist names it: nobody hears it"), "{problems}");
}

#[test]
fn a_hole_and_an_overlap_in_the_timeline_are_named() {
    let moved = |by: i64, recording: &Recording| {
        let (start, _, samples) = &recording.0.segments[2];
        let file = media_segment(3, Ticks(start.0.saturating_add_signed(by)), samples);
        std::fs::write(recording.path("2.m4s"), file).unwrap();
        recording.seal();
    };
    let hole = "a hole of 0.020000 s: it starts at 12.020000 s, the one before it ends at 12.000000 s";
    let back = "an overlap of 0.020000 s: it starts at 18.000000 s, the one before it ends at 18.020000 s";
    says(&[("hole", "2.m4s", hole), ("overlap", "3.m4s", back)], |recording| moved(960, recording));
    says(&[("overlap", "2.m4s", "an overlap of 1.000000 s"), ("hole", "3.m4s", "a hole of 1.000000 s")], |recording| {
        moved(-48_000, recording);
    });
}

#[test]
fn lengths_that_disagree_are_named() {
    says(
        &[
            ("duration", "0.m4s", "its packets last 6.000000 s, the playlist says 5.980000 s"),
            ("duration", PLAYLIST, "it says 19.980000 s in all"),
        ],
        |recording| {
            recording.edit(PLAYLIST, "#EXTINF:6.000000", "#EXTINF:5.980000");
            recording.seal();
        },
    );
    says(&[("malformed", "0.m4s", "2 packets are not Opus packets of the length")], |recording| {
        let mut packets = recording.0.segments[0].2.clone();
        packets[0].duration = Ticks(480);
        packets[1].duration = Ticks(1440);
        std::fs::write(recording.path("0.m4s"), media_segment(1, Ticks::ZERO, &packets)).unwrap();
        recording.seal();
    });
    says(
        &[
            ("duration", PLAYLIST, "it is 20.000 s long, the manifest says 20.100 s"),
            ("ledger", MANIFEST, "14700 ms of sound and 5300 ms of gaps are not the recording's 20100 ms"),
        ],
        |recording| recording.edit_manifest(|manifest| manifest["durationMs"] = json!(20_100)),
    );
    says(&[("duration", "1.m4s", "the manifest says 6.020000 s and 6.000000 s")], |recording| {
        recording.edit_manifest(|manifest| {
            let objects = manifest["objects"].as_array_mut().unwrap();
            let object = objects.iter_mut().find(|object| object["name"] == "1.m4s").unwrap();
            object["start"] = json!(Ticks::from_ms(6_020));
            object["duration"] = json!(Ticks::from_secs(6));
        });
    });
}

#[test]
fn a_ledger_that_does_not_add_up_is_named() {
    let whole = json!({
        "uid": "7", "expectedMs": 20_000, "recordedMs": 20_000, "concealedMs": 0, "missingMs": 0, "gaps": []
    });
    let damaged = |what: &str, field: &str, value: Value| {
        says(&[("ledger", MANIFEST, what)], |recording| {
            recording.edit_manifest(|manifest| *manifest.pointer_mut(field).unwrap() = value);
        });
    };
    damaged("does not add up: 15000 ms expected", "/ledger/uids/0/missingMs", json!(900));
    damaged("its gaps are not in order", "/ledger/uids/0/gaps/1/from", json!(Ticks::from_secs(4)));
    damaged("past the recording's end at 20.000 s", "/ledger/uids/0/gaps/1/to", json!(Ticks::from_secs(21)));
    damaged("says the recording is partial, its ledger says complete", "/ledger/uids", json!([whole]));
}

#[test]
fn an_event_log_with_a_hole_or_without_an_end_is_named() {
    let lines = |recording: &Recording| recording.read(EVENTS).lines().map(str::to_owned).collect::<Vec<_>>();
    let without = |drop: &[usize], recording: &Recording| {
        let kept = lines(recording).into_iter().enumerate().filter(|(index, _)| !drop.contains(index));
        recording.write(EVENTS, kept.map(|(_, line)| line + "\n").collect());
    };
    says(&[("events", EVENTS, "event 2 is missing")], |recording| without(&[2], recording));
    says(&[("events", EVENTS, "events 3 to 5 are missing")], |recording| without(&[3, 4, 5], recording));
    says(&[("events", EVENTS, "of type 31, and not the session's exit")], |recording| without(&[7], recording));
    says(&[("events", EVENTS, "line 8 is no event"), ("events", EVENTS, "of type 31")], |recording| {
        let text = recording.read(EVENTS);
        recording.write(EVENTS, text[..text.len() - 9].to_owned());
    });
    says(&[("events", EVENTS, "event 3 comes after event 4")], |recording| {
        let mut lines = lines(recording);
        lines.swap(3, 4);
        // The swap alone is also a hole before the event that came early.
        lines.insert(3, lines[4].clone());
        recording.write(EVENTS, lines.iter().map(|line| format!("{line}\n")).collect());
    });
    says(&[("events", EVENTS, "says that the recording is complete, the manifest says partial")], |recording| {
        recording.edit(EVENTS, r#""verdict":"partial""#, r#""verdict":"complete""#);
    });
}

#[test]
fn an_unfinished_or_foreign_playlist_is_named() {
    says(&[("unfinished", PLAYLIST, "no ENDLIST")], |recording| {
        recording.edit(PLAYLIST, "#EXT-X-ENDLIST\n", "");
        recording.seal();
    });
    let recording = Recording::new();
    recording.edit(PLAYLIST, "1.m4s", "../1.m4s");
    let (_, report) = recording.verify(PLAYLIST);
    assert!(report["problems"].to_string().contains("its name is not one this recorder gives"), "{report}");
    let recording = Recording::new();
    recording.edit(PLAYLIST, "#EXTM3U", "hello");
    let (_, report) = recording.verify(PLAYLIST);
    assert!(report["problems"].to_string().contains("no HLS"), "{report}");
}

#[test]
fn what_is_no_recording_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("song.mp3");
    std::fs::write(&other, "x").unwrap();
    for (place, advice) in [
        ("no/such.m3u8", "give the path of an .m3u8 or _manifest.json file"),
        ("http://127.0.0.1/", "names no file"),
        (other.to_str().unwrap(), "neither a playlist (.m3u8) nor a manifest (_manifest.json)"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["verify", place]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(advice), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_verified_over_http() {
    let recording = Recording::new();
    std::fs::remove_file(recording.path("3.m4s")).unwrap();
    let folder = recording.0.folder.path().to_owned();
    let serve = async move |axum::extract::Path(name): axum::extract::Path<String>| {
        tokio::fs::read(folder.join(name)).await.map_err(|_| axum::http::StatusCode::NOT_FOUND)
    };
    let router = axum::Router::new().route("/bucket/{name}", axum::routing::get(serve));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bucket/{MANIFEST}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let (sound, report) = tokio::task::spawn_blocking(move || verify(&url)).await.unwrap();
    server.abort();
    assert!(!sound);
    assert_eq!(report["segments"], 3, "{report}");
    let missing = json!([{"kind": "missing", "object": "3.m4s", "what": "the playlist names it, but it is missing"}]);
    assert_eq!(report["problems"], missing);
}
