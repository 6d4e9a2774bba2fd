//! A copy of what a bucket held of a recording at one moment, and what must still be true of the bucket later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::audio_probe::{Sound, Span};
use crate::checks::until_file;
use crate::rest::Task;
use crate::sound_check::{VOICES, Voice};
use crate::test_env::TestEnv;
use crate::upgrade::media;

/// Silences of this length may come or go where two decoders begin differently.
const EDGE_MS: u64 = 80;

/// So much of a voice may be lacking without a word, in milliseconds: before it is in the channel, at the recording's end, and at the edges
/// of what is missing.
const UNTOLD_MS: u64 = 1_500;

/// See the module.
pub(crate) struct Oracle {
    dir: TempDir,
    bucket: PathBuf,
    task: Task,
    before: BTreeMap<String, Vec<u8>>,
    /// The second bucket, and the same of it.
    copies: PathBuf,
    copied: BTreeMap<String, Vec<u8>>,
    /// Wall time of tick 0.
    start: u64,
}

impl Oracle {
    /// Copies what the bucket holds now.
    pub(crate) fn of(test_env: &TestEnv, task: &Task) -> Self {
        let (dir, bucket) = (tempfile::tempdir().unwrap(), test_env.objects());
        for entry in std::fs::read_dir(&bucket).unwrap().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&task.sid)) {
                std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
        }
        let before = media(dir.path());
        let copies = test_env.copies();
        let copied = media(&copies);
        let mut oracle = Self { start: 0, dir, bucket, task: task.clone(), before, copies, copied };
        // A bucket that can be written once has no playlist before the end.
        let first = oracle.playlists(oracle.dir.path()).first().map(|(_, text)| start(text));
        oracle.start = first.unwrap_or(0);
        oracle
    }

    /// Seconds that the longest playlist named.
    pub(crate) fn seconds(&self) -> f64 {
        self.playlists(self.dir.path()).iter().map(|(_, text)| length(text)).fold(0.0, f64::max)
    }

    /// How many media objects the second bucket held.
    pub(crate) fn copied(&self) -> usize {
        self.copied.len()
    }

    /// After the end: no copy in the second bucket says something else than the recording's own.
    pub(crate) fn check_copies(&self, what: &str) {
        let after = media(&self.bucket);
        let others: Vec<_> = self.copied.iter().filter(|(name, bytes)| after.get(*name) != Some(bytes)).collect();
        let names: Vec<_> = others.iter().map(|(name, _)| name).collect();
        assert!(others.is_empty(), "{what}: the own bucket lacks, or has other bytes of, {names:?}");
    }

    /// After the end: milliseconds in which the voices that never pause are not heard, each by its uid, and that no silence goes untold:
    /// the manifest says that as much is missing.
    pub(crate) fn lost(&self, what: &str, manifest: &Value) -> Vec<(&'static str, u64)> {
        let nobodys = manifest["ledger"]["unattributed"]["missingMs"].as_u64().unwrap_or(0);
        let told = |uid: &str| {
            let uids = manifest["ledger"]["uids"].as_array().into_iter().flatten();
            let missing = uids.filter(|entry| entry["uid"] == uid).filter_map(|entry| entry["missingMs"].as_u64());
            missing.sum::<u64>() + nobodys
        };
        let mut lost = Vec::new();
        for voice in [Voice::Staircase, Voice::Tone] {
            let names = [Some(voice), None].map(|voice| self.playlist(voice));
            let Some((name, text)) =
                names.iter().find_map(|name| Some((name, std::fs::read_to_string(self.bucket.join(name)).ok()?)))
            else {
                continue;
            };
            let (from, until) = (start(&text), start(&text) + (length(&text) * 1000.0) as u64);
            let silences = self.decoded_from(from, &self.bucket, name, *name == self.playlist(None)).silences(voice);
            let silent: u64 =
                silences.iter().map(|(start, end)| (*end).min(until).saturating_sub((*start).max(from))).sum();
            let missing = told(voice.uid());
            assert!(
                silent <= missing + UNTOLD_MS,
                "{what}: {name} is silent for {silent} ms, and {missing} ms are told: {silences:?}, {}",
                manifest["ledger"]
            );
            lost.push((voice.uid(), silent));
        }
        lost
    }

    /// Waits for the manifest.
    pub(crate) async fn manifest(&self, test_env: &TestEnv) -> Value {
        let path = test_env.objects().join(format!("{}_{}_manifest.json", self.task.sid, self.task.room));
        assert!(until_file(&path, |text| !text.is_empty()).await, "no manifest");
        let events = test_env.objects().join(format!("{}_{}_events.jsonl", self.task.sid, self.task.room));
        assert!(until_file(&events, |text| text.contains(r#""eventType":11"#)).await, "no end");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// No media object has changed, no playlist names less, and what sounded sounds.
    pub(crate) fn check(&self, what: &str) {
        let after = media(&self.bucket);
        let changed: Vec<_> = self.before.iter().filter(|(name, bytes)| after.get(*name) != Some(bytes)).collect();
        let names: Vec<_> = changed
            .iter()
            .map(|(name, bytes)| format!("{name}: {} -> {:?}", bytes.len(), after.get(*name).map(Vec::len)))
            .collect();
        assert!(names.is_empty(), "{what}: {} confirmed objects changed: {names:#?}", names.len());
        let copies = media(&self.copies);
        let changed: Vec<_> =
            self.copied.iter().filter(|(name, bytes)| copies.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
        assert!(changed.is_empty(), "{what}: confirmed objects in the second bucket changed: {changed:?}");
        for voice in [None].into_iter().chain(VOICES.map(Some)) {
            let name = self.playlist(voice);
            let Ok(before) = std::fs::read_to_string(self.dir.path().join(&name)) else { continue };
            let after = std::fs::read_to_string(self.bucket.join(&name)).unwrap();
            let (named, still) = (segments(&before), segments(&after));
            assert!(still.starts_with(&named), "{what}: {name} named {named:?} and names {still:?}");
            self.compare_sound(what, &name, voice, &before);
        }
    }

    /// After the end: every segment that was there is named by a playlist.
    pub(crate) fn check_named(&self, what: &str) {
        let mut named = String::new();
        for entry in std::fs::read_dir(&self.bucket).unwrap().flatten() {
            if entry.path().extension().is_some_and(|end| end == "m3u8") {
                named += &std::fs::read_to_string(entry.path()).unwrap();
            }
        }
        let left: Vec<_> =
            self.before.keys().filter(|name| is_segment(name) && !named.contains(name.as_str())).collect();
        assert!(left.is_empty(), "{what}: no playlist names {left:?}");
    }

    /// What was heard in the copy is heard in the bucket.
    fn compare_sound(&self, what: &str, name: &str, voice: Option<Voice>, before: &str) {
        let end = self.start + (length(before) * 1000.0) as u64;
        let old = self.decoded(self.dir.path(), name, voice.is_none());
        let new = self.decoded(&self.bucket, name, voice.is_none());
        for heard in voice.map_or_else(|| VOICES.to_vec(), |voice| vec![voice]) {
            let was = old.silences(heard);
            let is: Vec<Span> = new.silences(heard).into_iter().filter(|(from, _)| *from < end).collect();
            for (from, to) in is.iter().map(|(from, to)| (*from, (*to).min(end))) {
                let silent: u64 =
                    was.iter().map(|(start, stop)| (*stop).min(to).saturating_sub((*start).max(from))).sum();
                assert!(
                    to.saturating_sub(from) <= silent + 2 * EDGE_MS,
                    "{what}: {name}: {heard:?} was heard from {} to {} ms and is not now; silent before {was:?}",
                    from - self.start,
                    to - self.start
                );
            }
        }
    }

    /// A playlist without its end would keep the decoder waiting.
    fn decoded(&self, folder: &Path, name: &str, mixed: bool) -> Sound {
        self.decoded_from(self.start, folder, name, mixed)
    }

    /// `start`: wall time of the playlist's first sample.
    fn decoded_from(&self, start: u64, folder: &Path, name: &str, mixed: bool) -> Sound {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let ended = folder.join(format!("{name}.ended.m3u8"));
        let end = if text.contains("#EXT-X-ENDLIST") { "" } else { "#EXT-X-ENDLIST\n" };
        std::fs::write(&ended, format!("{text}{end}")).unwrap();
        let sound = Sound::decode(&ended, start, mixed);
        std::fs::remove_file(&ended).unwrap();
        sound.unwrap_or_else(|words| panic!("{words}"))
    }

    /// Names and texts of the playlists in a folder, the mix first.
    fn playlists(&self, folder: &Path) -> Vec<(String, String)> {
        let names = [None].into_iter().chain(VOICES.map(Some)).map(|voice| self.playlist(voice));
        names.filter_map(|name| Some((name.clone(), std::fs::read_to_string(folder.join(name)).ok()?))).collect()
    }

    fn playlist(&self, voice: Option<Voice>) -> String {
        let Task { sid, room, .. } = &self.task;
        match voice {
            None => format!("{sid}_{room}.m3u8"),
            Some(voice) => format!("{sid}_{room}__uid_s_{}__uid_e_audio.m3u8", voice.uid()),
        }
    }
}

/// Media of either container; init segments too.
fn is_segment(name: &str) -> bool {
    name.ends_with(".m4s") || name.ends_with(".ts")
}

fn segments(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Seconds that a playlist names.
fn length(text: &str) -> f64 {
    let durations = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    durations.map(|seconds| seconds.parse::<f64>().unwrap()).sum()
}

/// Wall time of a playlist's first sample, in milliseconds.
fn start(text: &str) -> u64 {
    let time = text.lines().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")).unwrap();
    chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis() as u64
}
