//! Reads back what [`super::Table`] makes, for `verify` and for tests. It trusts nothing.

use bytes::Bytes;
use mp4_atom::{Buf, Decode, FourCC, Ftyp, Header, Moov, Stbl, StszSamples};

use crate::codec::fmp4::{Fmp4Error, Sample, track_of};
use crate::codec::whole::Whole;
use crate::units::Ticks;

/// Reads a file: `moov` stands before `mdat`, the packets fill `mdat` without a hole, the edit list skips the pre-skip and nothing
/// else.
pub fn read(file: &Bytes) -> Result<Whole, Fmp4Error> {
    let mut rest = &file[..];
    Ftyp::decode(&mut rest)?;
    let moov = Moov::decode(&mut rest)?;
    let init = track_of(&moov)?;
    let mdat = Header::decode(&mut rest)?;
    let media = file.len() - rest.remaining();
    if mdat.kind != FourCC::new(b"mdat") || mdat.size != Some(rest.len()) {
        return Err(Fmp4Error::Unexpected("its media data (mdat) is missing, cut short or not the last box"));
    }
    let track = &moov.trak[0];
    let tables = &track.mdia.minf.stbl;
    let samples = samples(file, tables)?;
    if offsets(tables, media)?.last() != Some(&file.len()) {
        return Err(Fmp4Error::Unexpected("its packets do not fill its media data"));
    }
    let whole = Whole { init, samples };
    let edits = track.edts.as_ref().and_then(|edts| edts.elst.as_ref()).map_or(&[][..], |list| &list.entries[..]);
    match edits {
        [edit]
            if edit.media_time == Some(init.pre_skip.0)
                && edit.segment_duration == (whole.duration() - init.pre_skip).0 =>
        {
            Ok(whole)
        }
        _ => Err(Fmp4Error::Unexpected("its edit list is not the whole sound without the pre-skip")),
    }
}

/// The packets, one behind the other from the first chunk on.
fn samples(file: &Bytes, tables: &Stbl) -> Result<Vec<Sample>, Fmp4Error> {
    let StszSamples::Different { sizes } = &tables.stsz.samples else {
        return Err(Fmp4Error::Unexpected("it does not say each packet's size"));
    };
    let first = tables.stco.as_ref().and_then(|chunks| chunks.entries.first());
    let mut at = *first.ok_or(Fmp4Error::Unexpected("it holds no packets"))? as usize;
    let timed: u64 = tables.stts.entries.iter().map(|run| u64::from(run.sample_count)).sum();
    if timed != sizes.len() as u64 {
        return Err(Fmp4Error::Unexpected("it says the lengths of other packets than it has"));
    }
    let lengths = tables.stts.entries.iter().flat_map(|run| {
        let count = run.sample_count as usize;
        std::iter::repeat_n(Ticks(run.sample_delta.into()), count)
    });
    let sample = |(size, duration): (&u32, Ticks)| {
        let range = at..at.saturating_add(*size as usize);
        at = range.end;
        let bytes = (range.end <= file.len()).then(|| file.slice(range));
        bytes.map(|bytes| Sample { bytes, duration }).ok_or(Fmp4Error::Unexpected("a packet lies outside the file"))
    };
    sizes.iter().zip(lengths).map(sample).collect()
}

/// Where each chunk ends, if they follow each other from `media` on without a hole.
fn offsets(tables: &Stbl, media: usize) -> Result<Vec<usize>, Fmp4Error> {
    let hole = || Fmp4Error::Unexpected("its chunks do not follow each other");
    let (StszSamples::Different { sizes }, Some(chunks)) = (&tables.stsz.samples, &tables.stco) else {
        return Err(hole());
    };
    let (mut ends, mut sizes, mut runs) = (Vec::new(), sizes.iter(), tables.stsc.entries.iter().peekable());
    let (mut at, mut to_a_chunk) = (media, 0);
    for (number, offset) in (1..).zip(&chunks.entries) {
        if let Some(run) = runs.next_if(|run| run.first_chunk == number) {
            to_a_chunk = run.samples_per_chunk as usize;
        }
        if *offset as usize != at {
            return Err(hole());
        }
        at += sizes.by_ref().take(to_a_chunk).map(|size| *size as usize).sum::<usize>();
        ends.push(at);
    }
    if sizes.next().is_some() || runs.next().is_some() { Err(hole()) } else { Ok(ends) }
}
