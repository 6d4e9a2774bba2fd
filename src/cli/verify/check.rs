//! The order of the checks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::events;
use super::ledger;
use super::location::{Place, ReadError};
use super::manifest::{self, Manifest};
use super::objects::{self, Seen};
use super::playlist::{self, Checked};
use super::report::{Kind, Report};
use super::whole;
use crate::units::Ticks;

/// Largest manifest in bytes: 250,000 objects, 500,000 gaps and what stands around them.
const MAX_MANIFEST: usize = 256 << 20;

/// How far a playlist's end may be from the manifest's duration: a frame, and what is lost in writing milliseconds.
const LENGTHS_DIFFER: Ticks = Ticks::from_ms(21);

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Scope {
    /// Everything that belongs to the recording.
    Recording,
    /// The playlist's own timeline.
    Playlist,
}

/// A manifest that was read.
struct Known {
    name: String,
    bytes: Bytes,
    manifest: Manifest,
}

/// Reads everything that belongs to the place and says what is wrong with it.
pub(in crate::cli) async fn check(location: &Place, scope: Scope) -> Report {
    let mut report = Report::default();
    let mut seen = Seen::default();
    let all = location.is_manifest();
    let known = match scope {
        Scope::Playlist if !all => Ok(None),
        _ => read_manifest(location, &mut report).await,
    };
    let (mut named, mut tracks) = (BTreeSet::new(), BTreeMap::new());
    let playlists = match &known {
        Ok(Some(known)) if all => known.manifest.playlists(),
        _ if all => Vec::new(),
        _ => vec![location.name.clone()],
    };
    for name in playlists {
        let Some(Checked { end, ended, names, packets }) =
            playlist::check(location, &name, &mut report, &mut seen).await
        else {
            continue;
        };
        named.extend(names);
        match &known {
            Ok(Some(known)) => check_length(&name, end, &known.manifest, &mut report),
            // It is written when the recording is over; the playlist itself is blamed for not having ended.
            Err(missing) if ended => report.add(
                Kind::Missing,
                missing,
                "it is missing, and the recording has ended: it was removed, or is not uploaded yet; nothing but the playlist's own \
                 timeline can be checked",
            ),
            _ => {}
        }
        tracks.insert(name, (end, packets));
    }
    if let Ok(Some(Known { name, bytes, manifest })) = &known {
        whole::check(location, manifest, &tracks, &mut report, &mut seen).await;
        objects::check(location, name, manifest, all.then_some(&named), &mut report, &mut seen).await;
        ledger::check(name, manifest, &mut report);
        if manifest.tells_of_events() {
            events::check(location, (name, bytes), manifest, &mut report).await;
        }
    }
    report.sound = report.problems.is_empty();
    report
}

/// The manifest; none where it can't be read, which the report says. An error is the name of one that is missing beside a playlist.
async fn read_manifest(location: &Place, report: &mut Report) -> Result<Option<Known>, String> {
    let name = if location.is_manifest() { Some(location.name.clone()) } else { manifest::beside(&location.name) };
    let Some(name) = name else { return Ok(None) };
    let bytes = match location.read(&name, MAX_MANIFEST).await {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) if !location.is_manifest() => return Err(name),
        Err(error) => {
            report.add(error.kind(), &name, &error);
            return Ok(None);
        }
    };
    match manifest::parse(&bytes) {
        Ok(manifest) => {
            report.manifest_objects = Some(manifest.objects.len() as u64);
            report.verdict = manifest.verdict.map(|verdict| manifest::word(&verdict));
            Ok(Some(Known { name, bytes, manifest }))
        }
        Err(what) => {
            report.add(Kind::Malformed, &name, &what);
            Ok(None)
        }
    }
}

fn check_length(playlist: &str, end: Ticks, manifest: &Manifest, report: &mut Report) {
    let Some(duration) = manifest.duration() else { return };
    if end.0.abs_diff(duration.0) > LENGTHS_DIFFER.0 {
        let (is, said) = (end.as_secs_f64(), duration.as_secs_f64());
        report.add(Kind::Duration, playlist, &format!("it is {is:.3} s long, the manifest says {said:.3} s"));
    }
}
