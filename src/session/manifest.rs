//! `<sid>_<cname>_manifest.json`: what a recording holds, for those who read the bucket without us.
//!
//! Written when everything else is in the bucket. It lists every object but itself and the event log, which grows after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::presence::{Presence, Stay};
use super::speech::{Span, Speech};
use super::{Note, Report};
use crate::recording::{Ledger, Mode, Verdict};
use crate::storage::{Confirmed, ObjectKind};
use crate::units::{Cname, Sid, Uid, WallMs};

/// The version of this format.
const VERSION: u32 = 1;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Of the format: 1.
    pub version: u32,
    /// The recording.
    pub sid: Sid,
    /// The channel.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// What was made.
    pub mode: Mode,
    /// Wall time of the recording's start, in milliseconds since 1970-01-01 UTC.
    pub start_ms: WallMs,
    /// Length of every playlist.
    pub duration_ms: u64,
    /// Whether anything is missing.
    pub verdict: Verdict,
    /// What was asked for and is not done.
    pub notes: Vec<Note>,
    /// Object keys of the playlists, the mix first.
    pub playlists: Vec<String>,
    /// Who was in the channel, stay by stay.
    pub members: Vec<Stay>,
    /// Who sent sound when.
    pub speech: Vec<Span>,
    /// Stays and spans that are too many to be listed.
    pub unlisted: u64,
    /// Per uid, what was expected, recorded, concealed, missing, and why.
    pub ledger: Ledger,
    /// Every object, by key.
    pub objects: Vec<Object>,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its full key.
    pub key: String,
    /// Its name, relative to the playlists.
    pub name: String,
    /// `init`, `segment`, `playlist` or `document`.
    pub kind: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// The objects that the bucket confirmed, by name; a playlist's last text takes the place of the ones before.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<String, Object>);

impl Objects {
    pub(super) fn add(&mut self, key: String, name: String, kind: ObjectKind, confirmed: Confirmed) {
        let kind = match kind {
            ObjectKind::Init => "init",
            ObjectKind::Segment => "segment",
            ObjectKind::Playlist => "playlist",
            ObjectKind::Document => "document",
        };
        self.0.insert(
            name.clone(),
            Object { key, name, kind: kind.to_owned(), size: confirmed.size, sha256: confirmed.sha256 },
        );
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Renders the manifest.
pub(super) fn render(
    report: &Report,
    start: WallMs,
    presence: &Presence,
    speech: &Speech,
    objects: &Objects,
) -> String {
    let (stays, stays_untold) = presence.stays();
    let (spans, spans_untold) = speech.spans();
    let manifest = Manifest {
        version: VERSION,
        sid: report.sid.clone(),
        cname: report.cname.clone(),
        uid: report.uid.clone(),
        mode: report.mode,
        start_ms: start,
        duration_ms: report.duration_ms,
        verdict: report.verdict(),
        notes: report.notes.clone(),
        playlists: report.files.iter().map(|file| file.key.clone()).collect(),
        members: stays.to_vec(),
        speech: spans.to_vec(),
        unlisted: stays_untold + spans_untold,
        ledger: report.ledger.as_ref().clone(),
        objects: objects.0.values().filter(|object| object.kind != "document").cloned().collect(),
    };
    serde_json::to_string_pretty(&manifest).expect("a manifest has string keys and finite numbers only")
}
