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
const DIGEST: &str = "list_manifest.sha256";
const TYPES: [u16; 8] = [40, 30, 42, 4, 41, 33, 31, 11];

/// Runs `verify` on a file or a URL; whether it found nothing wrong, and its report.
fn verify(place: &str) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["verify", "--json", place]).output().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
}

fn hls() -> Hls {
    Hls::new(1, &sine(440.0, 20, 1))
}

/// A recording as a worker leaves it: playlist, segments, manifest, event log and digest.
struct Recording(Hls);

impl Recording {
    fn new() -> Self {
        let recording = Self(hls());
        recording.write(EVENTS, chained(TYPES.iter().enumerate().map(event)));
        let mut manifest = manifest(&recording.0);
        let first: String = recording.read(EVENTS).split_inclusive('\n').take(5).collect();
        manifest["events"] = json!({"lines": 5, "sha256": sha256(first.as_bytes())});
        recording.write(MANIFEST, manifest.to_string());
        recording.cover();
        recording
    }

    /// As versions up to 0.1.0 left it: without hashes of manifest and log.
    fn of_an_older_version() -> Self {
        let recording = Self(hls());
        let mut manifest = manifest(&recording.0);
        manifest["version"] = json!(2);
        recording.write(MANIFEST, manifest.to_string());
        recording.write(EVENTS, TYPES.iter().enumerate().map(event).collect());
        recording
    }

    /// Writes the digest anew, as if manifest and log had been like this from the beginning.
    fn cover(&self) {
        let line = |name: &str| format!("{}  {name}\n", sha256(self.read(name).as_bytes()));
        self.write(DIGEST, line(MANIFEST) + &line(EVENTS));
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
        if self.path(DIGEST).exists() {
            self.cover();
        }
    }

    /// Changes the lines of the log before they are chained and covered.
    fn edit_events(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines: Vec<String> = TYPES.iter().enumerate().map(event).collect();
        change(&mut lines);
        self.write(EVENTS, chained(lines.into_iter()));
        self.edit_manifest(|manifest| _ = manifest.as_object_mut().unwrap().remove("events"));
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
        "version": 3, "durationMs": 20_000, "verdict": "partial", "playlists": ["rec/list.m3u8"], "objects": objects(hls),
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
    let media = files.filter(|entry| ![MANIFEST, EVENTS, DIGEST].contains(&entry.file_name().to_str().unwrap()));
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

/// The lines, each with the hash of the one before.
fn chained(lines: impl Iterator<Item = String>) -> String {
    let mut prev = "0".repeat(64);
    let chain = |line: String| {
        let line = format!("{},\"prev\":\"{prev}\"}}\n", line.strip_suffix("}\n").unwrap());
        prev = sha256(line.as_bytes());
        line
    };
    lines.map(chain).collect()
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
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
    let playlist = hls.playlist();
    let verify = ["verify", "--json", "--playlist-only", playlist.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(verify).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!((&report["segments"], &report["packets"], &report["seconds"]), (&json!(4), &json!(1000), &json!(20.0)));
    assert_eq!((&report["manifestObjects"], &report["events"]), (&Value::Null, &Value::Null));

    let recording = Recording::new();
    for name in [PLAYLIST, MANIFEST] {
        let (sound, report) = recording.verify(name);
        assert!(sound, "{report}");
        assert_eq!((&report["playlists"], &report["manifestObjects"]), (&json!(1), &json!(6)));
        assert_eq!((&report["events"], &report["verdict"]), (&json!(8), &json!("partial")));
        assert_eq!(report["notes"], json!([]));
    }
}

#[test]
fn a_recording_of_an_older_version_passes_with_a_note() {
    let recording = Recording::of_an_older_version();
    for name in [PLAYLIST, MANIFEST] {
        let (sound, report) = recording.verify(name);
        assert!(
            sound && report["notes"][0].as_str().unwrap().contains("changes in these two can't be seen"),
            "{report}"
        );
    }
    // The log of one that was running while its worker was replaced is chained as a whole.
    recording.write(EVENTS, chained(TYPES.iter().enumerate().map(event)));
    assert!(recording.verify(MANIFEST).0);
    recording.edit(EVENTS, "\"eventType\":42", "\"eventType\":43");
    let (sound, report) = recording.verify(MANIFEST);
    assert!(!sound && report["problems"][0]["what"].as_str().unwrap().contains("line 3 was changed"), "{report}");
}

#[test]
fn a_missing_manifest_is_no_sound_recording() {
    let recording = Recording::new();
    std::fs::remove_file(recording.path(MANIFEST)).unwrap();
    let (sound, report) = recording.verify(PLAYLIST);
    assert!(!sound);
    assert_eq!(
        (&report["problems"][0]["kind"], &report["problems"][0]["object"]),
        (&json!("missing"), &json!(MANIFEST))
    );
    assert!(report["problems"][0]["what"].as_str().unwrap().contains("the recording has ended"), "{report}");
    // One that runs has none yet: only that is said.
    recording.edit(PLAYLIST, "#EXT-X-ENDLIST\n", "");
    let (sound, report) = recording.verify(PLAYLIST);
    let problems = report["problems"].as_array().unwrap();
    assert!(!sound && problems.len() == 1 && problems[0]["kind"] == "unfinished", "{report}");
}

#[test]
fn a_missing_or_malformed_digest_is_named() {
    says(&[("missing", DIGEST, "nothing covers manifest and event log")], |recording| {
        std::fs::remove_file(recording.path(DIGEST)).unwrap();
    });
    says(&[("malformed", DIGEST, "line 1 is no SHA-256 and a name")], |recording| recording.edit(DIGEST, "  ", " "));
    says(&[("hash", DIGEST, "it does not cover list_events.jsonl")], |recording| {
        let text = recording.read(DIGEST);
        recording.write(DIGEST, text.lines().next().unwrap().to_owned() + "\n");
    });
}

#[test]
fn every_changed_digit_of_manifest_and_event_log_is_seen() {
    for name in [MANIFEST, EVENTS, DIGEST] {
        let recording = Recording::new();
        let text = recording.read(name);
        let digits: Vec<usize> =
            text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect();
        // Spread over the whole file: each run of the command costs tens of milliseconds.
        for at in digits.iter().step_by(digits.len().div_ceil(24)) {
            let mut bytes = text.clone().into_bytes();
            bytes[*at] = b'0' + (bytes[*at] - b'0' + 1) % 10;
            std::fs::write(recording.path(name), bytes).unwrap();
            let (sound, report) = recording.verify(MANIFEST);
            let blamed = report["problems"].to_string();
            let named = if name == DIGEST { MANIFEST.trim_end_matches("_manifest.json") } else { name };
            assert!(!sound && blamed.contains(named), "digit {at} of {name}: {report}");
        }
    }
}

#[test]
fn a_broken_chain_of_the_event_log_is_named() {
    let hash = ("hash", EVENTS, "its SHA-256 is not what list_manifest.sha256 says");
    let changed = "line 6 was changed, or one there is missing, added or swapped";
    says(&[("events", EVENTS, changed), hash], |recording| {
        recording.edit(EVENTS, "\"eventType\":33", "\"eventType\":31");
    });
    // Whoever writes the digest anew as well is still given away by the chain, and in the first lines by the manifest.
    says(&[("events", EVENTS, changed)], |recording| {
        recording.edit(EVENTS, "\"eventType\":33", "\"eventType\":31");
        recording.cover();
    });
    says(&[("events", EVENTS, "its first 5 lines are not those that the manifest knew")], |recording| {
        let mut lines: Vec<String> = TYPES.iter().enumerate().map(event).collect();
        lines[2] = lines[2].replace("42", "43");
        recording.write(EVENTS, chained(lines.into_iter()));
        recording.cover();
    });
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
    let without = |drop: &[usize], recording: &Recording| {
        recording.edit_events(|lines| drop.iter().rev().for_each(|index| _ = lines.remove(*index)));
    };
    says(&[("events", EVENTS, "event 2 is missing")], |recording| without(&[2], recording));
    says(&[("events", EVENTS, "events 3 to 5 are missing")], |recording| without(&[3, 4, 5], recording));
    says(&[("events", EVENTS, "of type 31, and not the session's exit")], |recording| without(&[7], recording));
    says(&[("events", EVENTS, "line 8 is no event"), ("events", EVENTS, "of type 31")], |recording| {
        let text = recording.read(EVENTS);
        recording.write(EVENTS, text[..text.len() - 9].to_owned());
        recording.cover();
    });
    says(&[("events", EVENTS, "event 3 comes after event 4")], |recording| {
        recording.edit_events(|lines| {
            lines.swap(3, 4);
            // The swap alone is also a hole before the event that came early.
            lines.insert(3, lines[4].clone());
        });
    });
    says(&[("events", EVENTS, "says that the recording is complete, the manifest says partial")], |recording| {
        recording.edit_events(|lines| lines[7] = lines[7].replace("partial", "complete"));
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
