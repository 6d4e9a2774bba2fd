//! The order of the checks.

use std::collections::{BTreeMap, BTreeSet};

use super::events;
use super::ledger;
use super::manifest::{self, Manifest};
use super::objects::{self, Seen};
use super::place::{Place, ReadError};
use super::playlist::{self, Checked};
use super::report::{Kind, Report};
use super::whole;
use crate::units::Ticks;

/// Largest manifest in bytes: 250,000 objects, 500,000 gaps and what stands around them.
const MAX_MANIFEST: usize = 256 << 20;

/// How far a playlist's end may be from the manifest's duration: a frame, and what is lost in writing milliseconds.
const LENGTHS_DIFFER: Ticks = Ticks::from_ms(21);

/// Reads everything that belongs to the place and says what is wrong with it.
pub(in crate::cli) async fn check(place: &Place) -> Report {
    let mut report = Report::default();
    let mut seen = Seen::default();
    let manifest = read_manifest(place, &mut report).await;
    let (mut named, mut tracks) = (BTreeSet::new(), BTreeMap::new());
    let all = place.is_manifest();
    let playlists = match &manifest {
        Some((_, manifest)) if all => manifest.playlists(),
        _ if all => Vec::new(),
        _ => vec![place.name.clone()],
    };
    for name in playlists {
        let Some(Checked { end, names, packets }) = playlist::check(place, &name, &mut report, &mut seen).await else {
            continue;
        };
        named.extend(names);
        if let Some((_, manifest)) = &manifest {
            check_length(&name, end, manifest, &mut report);
        }
        tracks.insert(name, (end, packets));
    }
    if let Some((name, manifest)) = &manifest {
        whole::check(place, manifest, &tracks, &mut report, &mut seen).await;
        objects::check(place, name, manifest, all.then_some(&named), &mut report, &mut seen).await;
        ledger::check(name, manifest, &mut report);
        if manifest.tells_of_events() {
            events::check(place, &manifest::events_beside(name), manifest, &mut report).await;
        }
    }
    report.sound = report.problems.is_empty();
    report
}

/// The manifest and its name. One that is looked for beside a playlist may be missing: it is written last.
async fn read_manifest(place: &Place, report: &mut Report) -> Option<(String, Manifest)> {
    let name = if place.is_manifest() { place.name.clone() } else { manifest::beside(&place.name)? };
    let bytes = match place.read(&name, MAX_MANIFEST).await {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) if !place.is_manifest() => return None,
        Err(error) => {
            report.add(error.kind(), &name, &error);
            return None;
        }
    };
    match manifest::parse(&bytes) {
        Ok(manifest) => {
            report.manifest_objects = Some(manifest.objects.len() as u64);
            report.verdict = manifest.verdict.map(|verdict| manifest::word(&verdict));
            Some((name, manifest))
        }
        Err(what) => {
            report.add(Kind::Malformed, &name, &what);
            None
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
