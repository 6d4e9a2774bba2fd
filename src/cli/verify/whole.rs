//! The whole files beside the playlists: can each be read, do they follow each other without a hole, and do they hold the packets of
//! their playlist, bit for bit?

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::location::{Place, ReadError};
use super::manifest::{Manifest, WholeFile};
use super::objects::Seen;
use super::report::{Kind, Report};
use crate::codec::opus;
use crate::codec::whole::{FileType, Whole};
use crate::codec::{mp4, ogg};
use crate::units::Ticks;

/// Largest whole file in bytes: the 2 GiB at which a new one begins, and what stands around the packets.
const MAX_WHOLE: usize = (2 << 30) + (256 << 20);

/// How far the end of the last file may be from its playlist's: what is lost in writing microseconds.
const ROUNDING: Ticks = Ticks(48);

/// How far borders of segments may be from those of the frames of AAC that belong to them, at both ends.
const AAC_BORDER: Ticks = Ticks(4 * 1024);

/// Packets in their order, as one number.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketsDigest(Sha256);

impl PacketsDigest {
    pub(super) fn add(&mut self, packet: &[u8]) {
        self.0.update((packet.len() as u64).to_le_bytes());
        self.0.update(packet);
    }

    fn of(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Checks every whole file that the manifest tells of; `tracks` has end and packets of the playlists that were read, by name.
pub(super) async fn check(
    location: &Place,
    manifest: &Manifest,
    tracks: &BTreeMap<String, (Ticks, Option<PacketsDigest>)>,
    report: &mut Report,
    seen: &mut Seen,
) {
    let mut groups: BTreeMap<(&str, FileType), Vec<&WholeFile>> = BTreeMap::new();
    for file in &manifest.files {
        groups.entry((file.playlist(), file.kind)).or_default().push(file);
    }
    for ((playlist, _), mut files) in groups {
        files.sort_by_key(|file| file.index);
        let (mut at, mut packets) = (Ticks::ZERO, Some(PacketsDigest::default()));
        for file in &files {
            if file.start != at {
                let (is, expected) = (file.start.as_secs_f64(), at.as_secs_f64());
                let what = format!("it starts at {is:.6} s of its playlist, the one before it ends at {expected:.6} s");
                report.add(Kind::Hole, &file.name, &what);
            }
            at = file.start + file.duration;
            let whole = read(location, file, report, seen).await;
            packets = packets.zip(whole).map(|(mut packets, whole)| {
                whole.samples.iter().for_each(|sample| packets.add(&sample.bytes));
                packets
            });
        }
        let (Some((end, segments)), Some(last)) = (tracks.get(playlist), files.last()) else { continue };
        if manifest.files_were_given_up() {
            continue;
        }
        if end.0.abs_diff(at.0) > ROUNDING.0 {
            let (is, expected) = (at.as_secs_f64(), end.as_secs_f64());
            let what = format!("the files end at {is:.6} s, their playlist {playlist} at {expected:.6} s");
            report.add(Kind::Duration, &last.name, &what);
        } else if let (Some(packets), Some(segments)) = (packets, segments.clone())
            && packets.of() != segments.of()
        {
            report.add(
                Kind::Malformed,
                &last.name,
                &format!("the files hold other packets than their playlist {playlist}"),
            );
        }
    }
}

async fn read(location: &Place, file: &WholeFile, report: &mut Report, seen: &mut Seen) -> Option<Whole> {
    let bytes = match location.read(&file.name, MAX_WHOLE).await {
        Ok(bytes) => bytes,
        Err(error @ ReadError::Missing) => {
            report.add(Kind::Missing, &file.name, &format!("the manifest lists it, but {error}"));
            return None;
        }
        Err(error) => {
            report.add(error.kind(), &file.name, &error);
            return None;
        }
    };
    seen.add(&file.name, &bytes, None);
    let whole = parse(file.kind, &bytes).map_err(|what| report.add(Kind::Malformed, &file.name, &what)).ok()?;
    report.files += 1;
    // Of AAC a file has whole frames, and those of its end are in the next one.
    let differs = if whole.is_aac() {
        whole.duration().0.abs_diff(file.duration.0) > AAC_BORDER.0
    } else {
        whole.duration() != file.duration
    };
    if differs {
        let (is, said) = (whole.duration().as_secs_f64(), file.duration.as_secs_f64());
        let what = format!("its packets last {is:.6} s, the manifest says {said:.6} s");
        report.add(Kind::Duration, &file.name, &what);
    }
    let odd = whole.samples.iter().filter(|sample| opus::duration(&sample.bytes) != Ok(sample.duration)).count();
    if odd > 0 && !whole.is_aac() {
        let what = format!("{odd} packets are not Opus packets of the length the container says");
        report.add(Kind::Malformed, &file.name, &what);
    }
    Some(whole)
}

fn parse(kind: FileType, bytes: &Bytes) -> Result<Whole, String> {
    match kind {
        FileType::Mp4 => mp4::read(bytes).map_err(|error| error.to_string()),
        FileType::Ogg => ogg::read(bytes).map_err(|error| error.to_string()),
    }
}
