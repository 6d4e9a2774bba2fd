//! The checks, over bounded reads.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::manifest::{self, Object};
use super::place::{Place, ReadError};
use crate::codec::fmp4;
use crate::codec::opus;
use crate::codec::playlist::{Entry, Playlist};
use crate::units::Ticks;

/// Largest playlist in bytes: a week of 2 s segments.
const MAX_PLAYLIST: usize = 64 << 20;

/// Largest init segment in bytes.
const MAX_INIT: usize = 64 << 10;

/// Largest segment in bytes: 15 s at Opus's highest rate are one MiB.
const MAX_SEGMENT: usize = 16 << 20;

/// Largest other object in bytes: an event log, a manifest.
const MAX_OBJECT: usize = 64 << 20;

/// Objects that are read at the same time.
const PARALLEL_READS: usize = 8;

/// Problems that are listed; more are only counted.
const MAX_PROBLEMS: usize = 100;

/// Furthest that an EXTINF may be from the packets' lengths: what rounding costs.
const ROUNDING: Ticks = Ticks(1);

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    /// Whether nothing is wrong.
    pub(in crate::cli) sound: bool,
    /// Segments that could be read.
    pub(in crate::cli) segments: u64,
    /// Packets in them.
    pub(in crate::cli) packets: u64,
    /// Seconds of sound in them.
    pub(in crate::cli) seconds: f64,
    /// Bytes of init and segments.
    pub(in crate::cli) bytes: u64,
    /// Objects that the manifest lists; null when there is no manifest.
    pub(in crate::cli) manifest_objects: Option<u64>,
    /// What is wrong, in the order of the playlist.
    pub(in crate::cli) problems: Vec<Problem>,
    /// How many problems more there are than listed.
    pub(in crate::cli) more_problems: u64,
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Problem {
    /// Name of the object.
    pub(in crate::cli) object: String,
    /// What is wrong with it.
    pub(in crate::cli) what: String,
}

/// Size and SHA-256 of what was read, by name.
type Seen = BTreeMap<String, (u64, String)>;

impl Report {
    fn add(&mut self, object: &str, what: &(impl ToString + ?Sized)) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { object: object.to_owned(), what: what.to_string() });
        } else {
            self.more_problems += 1;
        }
    }
}

/// Reads everything that belongs to the playlist and says what is wrong with it.
pub(in crate::cli) async fn check(place: &Place) -> Report {
    let mut report = Report::default();
    let mut seen = Seen::new();
    if let Some(playlist) = read_playlist(place, &mut report, &mut seen).await {
        check_init(place, &playlist.map, &mut report, &mut seen).await;
        check_segments(place, &playlist, &mut report, &mut seen).await;
    }
    check_manifest(place, &mut report, &mut seen).await;
    report.sound = report.problems.is_empty();
    report
}

async fn read_playlist(place: &Place, report: &mut Report, seen: &mut Seen) -> Option<Playlist> {
    let name = &place.playlist;
    let read = place.read(name, MAX_PLAYLIST).await.map_err(|error| error.to_string()).and_then(|bytes| {
        remember(seen, name, &bytes);
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text, so no playlist".to_owned())?;
        Playlist::parse(text).map_err(|error| error.to_string())
    });
    let playlist = read.map_err(|what| report.add(name, &what)).ok()?;
    if playlist.entries.is_empty() {
        report.add(name, "it names no segments; nothing was recorded");
        return None;
    }
    if !playlist.ended {
        report.add(name, "it has no ENDLIST: the recording is still running, or was never finished");
    }
    Some(playlist)
}

async fn check_init(place: &Place, name: &str, report: &mut Report, seen: &mut Seen) {
    match place.read(name, MAX_INIT).await {
        Ok(bytes) => {
            remember(seen, name, &bytes);
            report.bytes += bytes.len() as u64;
            if let Err(error) = fmp4::read_init(&bytes) {
                report.add(name, &error);
            }
        }
        Err(error) => report.add(name, &error),
    }
}

async fn check_segments(place: &Place, playlist: &Playlist, report: &mut Report, seen: &mut Seen) {
    let read = |entry: &Entry| {
        let name = entry.name.clone();
        async move { place.read(&name, MAX_SEGMENT).await }
    };
    let mut files = stream::iter(playlist.entries.iter().map(read)).buffered(PARALLEL_READS);
    let mut position = Some(Ticks::ZERO);
    let mut index = 0;
    while let Some(file) = files.next().await {
        let entry = &playlist.entries[index];
        index += 1;
        if seen.contains_key(&entry.name) {
            report.add(&entry.name, "the playlist names it twice");
        }
        position = match read_segment(file) {
            Ok((bytes, segment)) => {
                remember(seen, &entry.name, &bytes);
                report.segments += 1;
                report.packets += segment.samples.len() as u64;
                report.seconds += segment.duration().as_secs_f64();
                report.bytes += bytes.len() as u64;
                check_segment(entry, index, position, &bytes, &segment, report);
                Some(segment.base + segment.duration())
            }
            Err(what) => {
                report.add(&entry.name, &what);
                None
            }
        };
    }
    if let Some(end) = position.filter(|end| end.0.abs_diff(playlist.end().0) > ROUNDING.0) {
        let (packets, list) = (end.as_secs_f64(), playlist.end().as_secs_f64());
        report.add(&place.playlist, &format!("it says {list:.6} s in all, its packets end at {packets:.6} s"));
    }
}

fn read_segment(file: Result<Bytes, ReadError>) -> Result<(Bytes, fmp4::Segment), String> {
    let bytes = file.map_err(|error| error.to_string())?;
    let segment = fmp4::read_segment(&bytes).map_err(|error| error.to_string())?;
    Ok((bytes, segment))
}

/// `position` is where the segment before it ended, if that could be read.
fn check_segment(
    entry: &Entry,
    number: usize,
    position: Option<Ticks>,
    bytes: &Bytes,
    segment: &fmp4::Segment,
    report: &mut Report,
) {
    let name = &entry.name;
    if let Some(expected) = position.filter(|expected| *expected != segment.base) {
        let (is, expected) = (segment.base.as_secs_f64(), expected.as_secs_f64());
        report.add(
            name,
            &format!("the timeline breaks: it starts at {is:.6} s, the one before it ends at {expected:.6} s"),
        );
    }
    if segment.duration().0.abs_diff(entry.duration.0) > ROUNDING.0 {
        let (is, listed) = (segment.duration().as_secs_f64(), entry.duration.as_secs_f64());
        report.add(name, &format!("its packets last {is:.6} s, the playlist says {listed:.6} s"));
    }
    if segment.sequence_number as usize != number {
        report.add(name, &format!("it says it is segment {} and is number {number}", segment.sequence_number));
    }
    let odd =
        segment.samples.iter().filter(|sample| opus::duration(&bytes[sample.range.clone()]) != Ok(sample.duration));
    match odd.count() {
        0 => {}
        count => report.add(name, &format!("{count} packets are not Opus packets of the length the container says")),
    }
}

async fn check_manifest(place: &Place, report: &mut Report, seen: &mut Seen) {
    let Some(name) = manifest::name_beside(&place.playlist) else { return };
    let bytes = match place.read(&name, MAX_OBJECT).await {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return,
        Err(error) => return report.add(&name, &error),
    };
    let objects = match manifest::parse(&bytes) {
        Ok(objects) => objects,
        Err(what) => return report.add(&name, &what),
    };
    report.manifest_objects = Some(objects.len() as u64);
    for object in seen.keys().filter(|object| !objects.contains_key(*object)) {
        report.add(&name, &format!("it does not list {object}"));
    }
    let known = |name: &String| seen.contains_key(name) || report.problems.iter().any(|known| known.object == *name);
    let unread: Vec<Object> = objects.values().filter(|object| !known(&object.name)).cloned().collect();
    let mut unread = stream::iter(unread)
        .map(|object| async move { (place.read(&object.name, MAX_OBJECT).await, object.name) })
        .buffered(PARALLEL_READS);
    while let Some((file, object)) = unread.next().await {
        match file {
            Ok(bytes) => remember(seen, &object, &bytes),
            Err(error) => report.add(&object, &format!("the manifest lists it, but {error}")),
        }
    }
    for object in objects.values() {
        let Some((size, sha256)) = seen.get(&object.name) else { continue };
        if *size != object.size {
            report.add(&object.name, &format!("it has {size} bytes, the manifest says {}", object.size));
        } else if !sha256.eq_ignore_ascii_case(&object.sha256) {
            report.add(&object.name, "its SHA-256 is not what the manifest says: the content was changed");
        }
    }
}

fn remember(seen: &mut Seen, name: &str, bytes: &Bytes) {
    seen.insert(name.to_owned(), (bytes.len() as u64, format!("{:x}", Sha256::digest(bytes))));
}
