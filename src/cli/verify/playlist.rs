//! One playlist and what it names: is every segment there, does the timeline go on without a hole?

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::location::{Place, ReadError};
use super::objects::{PARALLEL_READS, Seen};
use super::report::{Kind, Report};
use super::whole::PacketsDigest;
use crate::codec::fmp4::Fragment;
use crate::codec::playlist::{Entry, Playlist};
use crate::codec::{fmp4, opus, ts};
use crate::units::Ticks;

/// Largest playlist in bytes: a week of 2 s segments.
const MAX_PLAYLIST: usize = 64 << 20;

/// Largest init segment in bytes.
const MAX_INIT: usize = 64 << 10;

/// Largest segment in bytes: 15 s at Opus's highest rate are one MiB.
const MAX_SEGMENT: usize = 16 << 20;

/// Furthest that an EXTINF may be from the packets' lengths: what rounding costs.
const ROUNDING: Ticks = Ticks(1);

/// A playlist that could be read.
pub(super) struct Checked {
    /// Where it ends, by its own account.
    pub(super) end: Ticks,
    /// Whether it has its end.
    pub(super) ended: bool,
    /// What it names.
    pub(super) names: Vec<String>,
    /// All its packets, if all its segments could be read.
    pub(super) packets: Option<PacketsDigest>,
}

/// Checks one playlist.
pub(super) async fn check(location: &Place, name: &str, report: &mut Report, seen: &mut Seen) -> Option<Checked> {
    let playlist = read(location, name, report, seen).await?;
    report.playlists += 1;
    if !playlist.map.is_empty() {
        check_init(location, &playlist.map, report, seen).await;
    }
    let packets = check_segments(location, name, &playlist, report, seen).await;
    let names = playlist.entries.iter().map(|entry| entry.name.clone()).collect();
    Some(Checked { end: playlist.end(), ended: playlist.ended, names, packets })
}

async fn read(location: &Place, name: &str, report: &mut Report, seen: &mut Seen) -> Option<Playlist> {
    let bytes = match location.read(name, MAX_PLAYLIST).await {
        Ok(bytes) => bytes,
        Err(error) => {
            report.add(error.kind(), name, &error);
            return None;
        }
    };
    seen.add(name, &bytes, None);
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text, so no playlist".to_owned());
    let playlist = text.and_then(|text| Playlist::parse(text).map_err(|error| error.to_string()));
    let playlist = playlist.map_err(|what| report.add(Kind::Malformed, name, &what)).ok()?;
    if playlist.entries.is_empty() {
        report.add(Kind::Unfinished, name, "it names no segments; nothing was recorded");
        return None;
    }
    if !playlist.ended {
        report.add(Kind::Unfinished, name, "it has no ENDLIST: the recording is still running, or was never finished");
    }
    Some(playlist)
}

async fn check_init(location: &Place, name: &str, report: &mut Report, seen: &mut Seen) {
    match location.read(name, MAX_INIT).await {
        Ok(bytes) => {
            seen.add(name, &bytes, None);
            report.bytes += bytes.len() as u64;
            if let Err(error) = fmp4::read_init(&bytes) {
                report.add(Kind::Malformed, name, &error);
            }
        }
        Err(error) => report.add(error.kind(), name, &named(&error)),
    }
}

async fn check_segments(
    location: &Place,
    name: &str,
    playlist: &Playlist,
    report: &mut Report,
    seen: &mut Seen,
) -> Option<PacketsDigest> {
    let mut packets = Some(PacketsDigest::default());
    let read = |entry: &Entry| {
        let name = entry.name.clone();
        async move { location.read(&name, MAX_SEGMENT).await }
    };
    let mut files = stream::iter(playlist.entries.iter().map(read)).buffered(PARALLEL_READS);
    let (mut position, mut frames) = (Some(Ticks::ZERO), None);
    let mut entries = playlist.entries.iter();
    let mut number = 1;
    while let Some(file) = files.next().await {
        let entry = entries.next().expect("a file is read for each entry");
        let listed = playlist.fragments.get(&entry.name);
        let first = number;
        number += listed.map_or(1, Vec::len);
        if seen.holds(&entry.name) {
            report.add(Kind::Malformed, &entry.name, "the playlist names it twice");
        }
        if playlist.gaps.contains(&entry.name) {
            report.add(
                Kind::Missing,
                &entry.name,
                "the playlist marks it as a gap: only the customer's own bucket has it",
            );
            (position, frames) = (None, None);
            continue;
        }
        position = match read_segment(file) {
            Ok((bytes, segment)) => {
                seen.add(&entry.name, &bytes, Some((segment.base, segment.duration)));
                report.segments += segment.fragments.len() as u64;
                report.packets += segment.packets.len() as u64;
                report.seconds += segment.duration.as_secs_f64();
                report.bytes += bytes.len() as u64;
                check_segment(entry, first, position, &segment, report);
                check_ranges(entry, listed, &segment.fragments, report);
                if let (Some((first, _)), Some(behind)) = (segment.frames, frames)
                    && first != behind
                {
                    let what = format!("it begins with frame {first} of AAC, the one before it ends at frame {behind}");
                    report.add(Kind::Hole, &entry.name, &what);
                }
                frames = segment.frames.map(|(_, behind)| behind);
                segment.packets.iter().for_each(|packet| {
                    packets.iter_mut().for_each(|packets| packets.add(packet));
                });
                Some(segment.base + segment.duration)
            }
            Err((kind, what)) => {
                report.add(kind, &entry.name, &what);
                (packets, frames) = (None, None);
                None
            }
        };
    }
    if let Some(end) = position.filter(|end| end.0.abs_diff(playlist.end().0) > ROUNDING.0) {
        let (is, list) = (end.as_secs_f64(), playlist.end().as_secs_f64());
        report.add(Kind::Duration, name, &format!("it says {list:.6} s in all, its packets end at {is:.6} s"));
    }
    packets
}

/// What a segment holds, whatever it is packed in.
struct Content {
    base: Ticks,
    duration: Ticks,
    /// Counts from 0.
    index: u32,
    packets: Vec<Bytes>,
    /// Of AAC: the first frame of the timeline that it has, and the one behind its last.
    frames: Option<(u64, u64)>,
    /// Packets that have not the length that the container says.
    odd: usize,
    /// Its segments, one after the other.
    fragments: Vec<Fragment>,
}

fn read_segment(file: Result<Bytes, ReadError>) -> Result<(Bytes, Content), (Kind, String)> {
    let bytes = file.map_err(|error| (error.kind(), named(&error)))?;
    let content = if ts::is_ts(&bytes) { read_ts(&bytes) } else { read_fmp4(&bytes) };
    Ok((bytes, content.map_err(|what| (Kind::Malformed, what))?))
}

fn read_fmp4(bytes: &Bytes) -> Result<Content, String> {
    let segment = fmp4::read_segment(bytes).map_err(|error| error.to_string())?;
    let odd =
        segment.samples.iter().filter(|sample| opus::duration(&bytes[sample.range.clone()]) != Ok(sample.duration));
    Ok(Content {
        base: segment.base,
        duration: segment.duration(),
        index: segment.sequence_number.wrapping_sub(1),
        odd: odd.count(),
        packets: segment.samples.iter().map(|sample| bytes.slice(sample.range.clone())).collect(),
        frames: None,
        fragments: segment.fragments,
    })
}

fn read_ts(bytes: &Bytes) -> Result<Content, String> {
    let read = ts::read(bytes).map_err(|error| error.to_string())?;
    let frames = Some((read.first, read.first + read.blocks.len() as u64));
    let ts::Note { index, start: base, duration, .. } = read.note;
    let fragments = vec![Fragment { duration, bytes: bytes.len() as u64 }];
    Ok(Content { base, duration, index, packets: read.blocks, frames, odd: 0, fragments })
}

/// Why something that a playlist names can't be read.
fn named(error: &ReadError) -> String {
    match error {
        ReadError::Missing => format!("the playlist names it, but {error}"),
        _ => error.to_string(),
    }
}

/// Whether the byte ranges that a playlist lists are an object's fragments.
fn check_ranges(entry: &Entry, listed: Option<&Vec<Fragment>>, held: &[Fragment], report: &mut Report) {
    let Some(listed) = listed else {
        if held.len() > 1 {
            let what = format!("it holds {} segments, and the playlist lists it as one", held.len());
            report.add(Kind::Malformed, &entry.name, &what);
        }
        return;
    };
    if listed.len() != held.len() {
        let what = format!("it holds {} segments, the playlist lists {} byte ranges", held.len(), listed.len());
        return report.add(Kind::Malformed, &entry.name, &what);
    }
    for (index, (listed, held)) in listed.iter().zip(held).enumerate() {
        if listed.bytes != held.bytes {
            let what = format!("byte range {index} has {} bytes, its segment {}", listed.bytes, held.bytes);
            report.add(Kind::Malformed, &entry.name, &what);
        }
        if listed.duration.0.abs_diff(held.duration.0) > ROUNDING.0 {
            let (is, said) = (held.duration.as_secs_f64(), listed.duration.as_secs_f64());
            let what = format!("the packets of byte range {index} last {is:.6} s, the playlist says {said:.6} s");
            report.add(Kind::Duration, &entry.name, &what);
        }
    }
}

/// `position` is where the segment before it ended, if that could be read.
fn check_segment(entry: &Entry, number: usize, position: Option<Ticks>, segment: &Content, report: &mut Report) {
    let name = &entry.name;
    if let Some(expected) = position.filter(|expected| *expected != segment.base) {
        let (kind, word) = if segment.base > expected { (Kind::Hole, "a hole") } else { (Kind::Overlap, "an overlap") };
        let (long, is, expected) =
            (segment.base.0.abs_diff(expected.0), segment.base.as_secs_f64(), expected.as_secs_f64());
        let long = Ticks(long).as_secs_f64();
        let what = format!(
            "the timeline breaks with {word} of {long:.6} s: it starts at {is:.6} s, the one before it ends at {expected:.6} s"
        );
        report.add(kind, name, &what);
    }
    if segment.duration.0.abs_diff(entry.duration.0) > ROUNDING.0 {
        let (is, listed) = (segment.duration.as_secs_f64(), entry.duration.as_secs_f64());
        report.add(Kind::Duration, name, &format!("its packets last {is:.6} s, the playlist says {listed:.6} s"));
    }
    if segment.index as usize + 1 != number {
        let what = format!("it says it is segment {} and is number {number}", u64::from(segment.index) + 1);
        report.add(Kind::Malformed, name, &what);
    }
    match segment.odd {
        0 => {}
        count => report.add(
            Kind::Malformed,
            name,
            &format!("{count} packets are not Opus packets of the length the container says"),
        ),
    }
}
