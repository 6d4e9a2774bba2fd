//! What `verify` needs of `<sid>_<cname>_manifest.json`: every object with its size and SHA-256.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The manifest; fields it has beyond these are none of `verify`'s business.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    objects: Vec<Object>,
}

/// One object of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Object {
    /// File name, without the prefix in the bucket.
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
}

/// The manifest's name, told from a playlist's: `<sid>_<cname>[__uid_s_<uid>__uid_e_audio].m3u8`.
pub(super) fn name_beside(playlist: &str) -> Option<String> {
    let stem = playlist.strip_suffix(".m3u8")?;
    let individual = stem.strip_suffix("__uid_e_audio").and_then(|stem| stem.rsplit_once("__uid_s_"));
    Some(format!("{}_manifest.json", individual.map_or(stem, |(recording, _)| recording)))
}

/// The objects by name.
pub(super) fn parse(json: &[u8]) -> Result<BTreeMap<String, Object>, String> {
    let manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| format!("it is no manifest of a recording: {error}"))?;
    Ok(manifest.objects.into_iter().map(|object| (object.name.clone(), object)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_lies_beside_mix_and_individual_playlists() {
        assert_eq!(name_beside("s_c.m3u8").unwrap(), "s_c_manifest.json");
        assert_eq!(name_beside("s_c_d__uid_s_7-2e__uid_e_audio.m3u8").unwrap(), "s_c_d_manifest.json");
        assert_eq!(name_beside("s_c.mp4"), None);
    }

    #[test]
    fn foreign_fields_are_left_alone_and_other_json_is_refused() {
        let json = br#"{"sid": "x", "objects": [{"name": "a", "size": 1, "sha256": "00", "kind": "init"}]}"#;
        assert_eq!(parse(json).unwrap()["a"].size, 1);
        assert!(parse(b"{}").unwrap_err().contains("no manifest"));
    }
}
