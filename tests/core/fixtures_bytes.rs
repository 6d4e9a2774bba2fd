//! The same journal gives the same bytes: each time, and the same as when the expected results were committed.

use std::process::Command;

use serde_json::Value;

use crate::replayed::{FIXTURES, fixture, replay};

/// The report without what libopus's floating point decides, where this processor is not like the one of the committed
/// results (`fixtures/README.md`).
fn comparable(mut report: Value) -> Value {
    #[cfg(target_arch = "x86_64")]
    let like_committed = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let like_committed = false;
    if !like_committed {
        let files = report["files"].as_array_mut().unwrap();
        files.retain(|file| file["name"].as_str().unwrap().contains("__uid_s_"));
    }
    report
}

#[test]
fn every_fixture_gives_the_committed_result_twice() {
    for name in FIXTURES {
        let expected = std::fs::read(fixture(&format!("{name}.expected.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let (first, second) = (replay(name).report, replay(name).report);
        assert_eq!(first, second, "{name} is not the same twice");
        assert_eq!(
            comparable(first),
            comparable(expected),
            "{name} is not as committed; if that is right, run fixtures/make.sh and say in the commit why"
        );
    }
}

#[test]
fn every_replayed_playlist_is_sound() {
    for name in FIXTURES {
        for playlist in replay(name).playlists().values() {
            let verify = ["verify", "--playlist-only"];
            let output =
                Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(verify).arg(playlist).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
