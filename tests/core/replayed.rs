//! Fixtures, replayed by the command as people run it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use cloud_recorder::recording::{Cause, Ledger, TrackLedger};
use serde_json::Value;
use tempfile::TempDir;

use crate::audio_probe::{self, Sound};

/// All fixtures.
pub(crate) const FIXTURES: [&str; 6] = [
    "two-talkers-dtx",
    "late-joiner-and-leaver",
    "loss-reordering-duplicates",
    "mute-stops-the-clock",
    "stereo-talker",
    "double-talk",
];

/// A file of `fixtures/`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A replayed fixture.
pub(crate) struct Replayed {
    folder: TempDir,
    /// What the command printed.
    pub(crate) report: Value,
}

/// Replays a fixture's mix and individual tracks into a folder of its own.
pub(crate) fn replay(name: &str) -> Replayed {
    let folder = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"))
        .args(["replay", "--mode", "both", "--json", "--out"])
        .args([folder.path(), &fixture(&format!("{name}.journal"))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Replayed { folder, report: serde_json::from_slice(&output.stdout).unwrap() }
}

impl Replayed {
    /// Paths of the playlists: the mix's is under `mix`, the others are under their uids.
    pub(crate) fn playlists(&self) -> BTreeMap<String, PathBuf> {
        let playlist = |entry: &Value| {
            let id = entry["playlist"]["individual"].as_str().unwrap_or("mix").to_owned();
            (id, self.folder.path().join(entry["name"].as_str().unwrap()))
        };
        self.report["playlists"].as_array().unwrap().iter().map(playlist).collect()
    }

    /// Decodes `mix` or a uid's track.
    pub(crate) fn sound(&self, playlist: &str, channels: usize) -> Sound {
        audio_probe::decode(&self.playlists()[playlist], channels)
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> Ledger {
        serde_json::from_value(self.report["ledger"].clone()).unwrap()
    }

    /// A uid's ledger.
    pub(crate) fn account(&self, uid: &str) -> TrackLedger {
        self.ledger().uids.into_iter().find(|account| account.uid.as_str() == uid).unwrap()
    }
}

/// Seconds that are filled for a cause, and in how many pieces.
pub(crate) fn filled(account: &TrackLedger, cause: Cause) -> (f64, usize) {
    let gaps = account.gaps.iter().filter(|gap| gap.cause == cause);
    gaps.fold((0.0, 0), |(seconds, pieces), gap| (seconds + (gap.to - gap.from).as_secs_f64(), pieces + 1))
}
