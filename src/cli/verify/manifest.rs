//! What `verify` needs of `<sid>_<cname>_manifest.json`. Fields that are not there are not checked; what an older version
//! did not have yet is no fault.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::whole::FileType;
use crate::recording::{Ledger, SourceId, Verdict};
use crate::session::EventsPrefix;
use crate::units::Ticks;

/// The newest version of the format that is understood.
const NEWEST: u32 = 3;

/// The first version with a digest object and a chained event log.
const HASHED: u32 = 3;

/// The note that says that no more whole files were made.
const FILES_GIVEN_UP: &str = "files_given_up";

/// The manifest; fields it has beyond these are none of `verify`'s business.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    version: Option<u32>,
    duration_ms: Option<u64>,
    pub(super) verdict: Option<Verdict>,
    #[serde(default)]
    playlists: Vec<String>,
    #[serde(default)]
    pub(super) files: Vec<WholeFile>,
    #[serde(default)]
    notes: Vec<String>,
    pub(super) ledger: Option<Ledger>,
    pub(super) objects: Vec<Object>,
    #[serde(default)]
    pub(super) objects_omitted: u64,
    /// The event log as far as it was there when the manifest was written.
    pub(super) events: Option<EventsPrefix>,
}

/// A part of a playlist, or all of it, in one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WholeFile {
    /// File name, without the prefix in the bucket.
    pub(super) name: String,
    playlist_key: String,
    pub(super) kind: FileType,
    /// Counts from 0.
    pub(super) index: u32,
    /// Where it begins in its playlist, in samples.
    pub(super) start: Ticks,
    /// How many samples it holds.
    pub(super) duration: Ticks,
}

impl WholeFile {
    /// The name of its playlist, without the prefix in the bucket.
    pub(super) fn playlist(&self) -> &str {
        base(&self.playlist_key)
    }
}

/// One object of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Object {
    /// File name, without the prefix in the bucket.
    pub(super) name: String,
    /// `init`, `segment`, `playlist`, `mp4` or `ogg`.
    #[serde(default)]
    pub(super) kind: String,
    /// Bytes.
    pub(super) size: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
    /// A segment's first sample, and its length in samples.
    pub(super) start: Option<Ticks>,
    pub(super) duration: Option<Ticks>,
}

impl Manifest {
    /// How long every playlist should be.
    pub(super) fn duration(&self) -> Option<Ticks> {
        self.duration_ms.map(Ticks::from_ms)
    }

    /// The names of the playlists, without the prefix in the bucket.
    pub(super) fn playlists(&self) -> Vec<String> {
        let stored = |name: &String| self.objects.iter().any(|object| object.name == *name);
        // A playlist that never had a segment is not in the bucket, and a manifest of a recording without sound names it.
        let empty = |name: &String| self.duration_ms == Some(0) && !stored(name);
        self.playlists.iter().map(|key| base(key).to_owned()).filter(|name| !empty(name)).collect()
    }

    /// Whether the whole files end before the recording does.
    pub(super) fn files_were_given_up(&self) -> bool {
        self.notes.iter().any(|note| note == FILES_GIVEN_UP)
    }

    /// Whether it is the manifest of a recording that was made by a worker: these have an event log.
    pub(super) fn tells_of_events(&self) -> bool {
        self.version.is_some()
    }

    /// Whether event log and manifest of its version are covered by hashes: the chain in the log, and the digest object.
    pub(super) fn is_hashed(&self) -> bool {
        self.version.is_some_and(|version| version >= HASHED)
    }

    /// The objects by name.
    pub(super) fn by_name(&self) -> BTreeMap<&str, &Object> {
        self.objects.iter().map(|object| (object.name.as_str(), object)).collect()
    }
}

/// A key without its folders.
fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The manifest's name, told from a playlist's: `[live_]<sid>_<cname>[__uid_s_<uid>__uid_e_audio[_<source>]].m3u8`.
pub(super) fn beside(playlist: &str) -> Option<String> {
    let stem = playlist.strip_suffix(".m3u8")?;
    // A sid is hexadecimal.
    let stem = stem.strip_prefix("live_").unwrap_or(stem);
    let of_uid = |stem: &str| Some(stem.strip_suffix("__uid_e_audio")?.rsplit_once("__uid_s_")?.0.to_owned());
    let of_source = || {
        let (own, source) = stem.rsplit_once('_')?;
        source.parse::<SourceId>().ok().and_then(|_| of_uid(own))
    };
    let recording = of_uid(stem).or_else(of_source).unwrap_or_else(|| stem.to_owned());
    Some(format!("{recording}_manifest.json"))
}

/// The event log's name, told from the manifest's.
pub(super) fn events_beside(manifest: &str) -> String {
    format!("{}_events.jsonl", manifest.strip_suffix("_manifest.json").unwrap_or(manifest))
}

/// The word for a verdict, as it is written in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The manifest.
pub(super) fn parse(json: &[u8]) -> Result<Manifest, String> {
    let manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| format!("it is no manifest of a recording: {error}"))?;
    match manifest.version {
        Some(version) if version > NEWEST => Err(format!(
            "it has version {version} of the format, and this program knows up to {NEWEST}; use a newer cloud-recorder"
        )),
        _ => Ok(manifest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_lies_beside_mix_and_individual_playlists() {
        assert_eq!(beside("s_c.m3u8").unwrap(), "s_c_manifest.json");
        assert_eq!(beside("s_c_d__uid_s_7-2e__uid_e_audio.m3u8").unwrap(), "s_c_d_manifest.json");
        assert_eq!(beside("s_c_d__uid_s_7-2e__uid_e_audio_screen2.m3u8").unwrap(), "s_c_d_manifest.json");
        assert_eq!(beside("live_s_c.m3u8").unwrap(), "s_c_manifest.json");
        assert_eq!(beside("s_mic.m3u8").unwrap(), "s_mic_manifest.json");
        assert_eq!(beside("s_c.mp4"), None);
        assert_eq!(events_beside("s_c_manifest.json"), "s_c_events.jsonl");
    }

    #[test]
    fn foreign_fields_are_left_alone_and_other_json_is_refused() {
        let json = br#"{"sid": "x", "objects": [{"name": "a", "size": 1, "sha256": "00", "kind": "init"}]}"#;
        assert_eq!(parse(json).unwrap().by_name()["a"].size, 1);
        assert!(parse(b"{}").unwrap_err().contains("no manifest"));
        assert!(parse(br#"{"version": 4, "objects": []}"#).unwrap_err().contains("use a newer"));
    }
}
