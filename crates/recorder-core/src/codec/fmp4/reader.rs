//! Reads back what [`super::init_segment`] and [`super::media_segment`] write, for `verify` and for tests. It trusts nothing.

use std::ops::Range;

use mp4_atom::{Codec, Decode, Ftyp, Header, Moof, Moov};

use super::writer::TRACK;
use crate::error_class::{Classify, ErrorClass};
use crate::units::{TICKS_PER_SECOND, Ticks};

/// Most samples a fragment may hold: 15 s of the shortest packets (2.5 ms), and some.
const MAX_SAMPLES: usize = 10_000;

/// Most fragments a file may hold: ten minutes of 2 s segments ([`crate::codec::silent`]), and some.
const MAX_FRAGMENTS: usize = 320;

/// What an init segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Channels of the decoder's output.
    pub channels: u8,
    /// Samples to drop at the start.
    pub pre_skip: Ticks,
}

/// What a media segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Counts from 1 within a playlist; that of the first fragment.
    pub sequence_number: u32,
    /// Position of the first sample: `tfdt`.
    pub base: Ticks,
    /// Its packets, in order; at least one.
    pub samples: Vec<SegmentSample>,
    /// The parts that a playlist may list one by one, in order; at least one.
    pub fragments: Vec<Fragment>,
}

/// One `moof` + `mdat` of a file. Fragments follow each other without a hole, in the file and on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// How long it is.
    pub duration: Ticks,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Segment {
    /// Sum of the samples' durations.
    pub fn duration(&self) -> Ticks {
        Ticks(self.samples.iter().map(|sample| sample.duration.0).sum())
    }

    /// Where the packets of a segment of one fragment lie in the file, one behind the other.
    pub fn media(&self) -> Range<usize> {
        let start = self.samples.first().map_or(0, |sample| sample.range.start);
        start..self.samples.last().map_or(start, |sample| sample.range.end)
    }

    /// Where packets lie one behind the other, in order: one range a fragment.
    pub fn runs(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::with_capacity(self.fragments.len());
        for sample in &self.samples {
            match runs.last_mut().filter(|run| run.end == sample.range.start) {
                Some(run) => run.end = sample.range.end,
                None => runs.push(sample.range.clone()),
            }
        }
        runs
    }
}

/// One packet of a media segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSample {
    /// How long the container says it sounds.
    pub duration: Ticks,
    /// Where it lies in the file.
    pub range: Range<usize>,
}

/// Why bytes are not a segment of ours.
#[derive(Debug, thiserror::Error)]
pub enum Fmp4Error {
    /// A box is cut short, or no box.
    #[error("the MP4 boxes can't be read ({0}); the file is damaged or no fragmented MP4")]
    Boxes(#[from] mp4_atom::Error),
    /// The boxes are there, but say what this recorder never says.
    #[error("the file is MP4, but {0}; it is damaged or not from this recorder")]
    Unexpected(&'static str),
}

impl Classify for Fmp4Error {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::destination("segment_damaged", false)
    }
}

/// Reads an init segment.
pub fn read_init(file: &[u8]) -> Result<Init, Fmp4Error> {
    let mut rest = file;
    Ftyp::decode(&mut rest)?;
    let moov = Moov::decode(&mut rest)?;
    track_of(&moov).and_then(|init| match init.pre_skip {
        Ticks::ZERO => Err(Fmp4Error::Unexpected("its track is not Opus")),
        _ => Ok(init),
    })
}

/// What the only track of a file is.
pub(in crate::codec) fn track_of(moov: &Moov) -> Result<Init, Fmp4Error> {
    let [track] = &moov.trak[..] else { return Err(Fmp4Error::Unexpected("it does not hold exactly one track")) };
    if u64::from(track.mdia.mdhd.timescale) != TICKS_PER_SECOND || track.tkhd.track_id != TRACK {
        return Err(Fmp4Error::Unexpected("its track is not number 1 at 48000 ticks a second"));
    }
    match &track.mdia.minf.stbl.stsd.codecs[..] {
        [Codec::Opus(opus)] => {
            Ok(Init { channels: opus.dops.output_channel_count, pre_skip: Ticks(opus.dops.pre_skip.into()) })
        }
        // Whole files of recordings in MPEG-TS.
        [Codec::Mp4a(aac)] => Ok(Init { channels: aac.audio.channel_count as u8, pre_skip: Ticks::ZERO }),
        _ => Err(Fmp4Error::Unexpected("its track is neither Opus nor AAC")),
    }
}

/// Reads a media segment, or several in one file: every sample lies inside its `mdat`, nothing follows the last one, nothing is left
/// between, and each fragment goes on where the one before it ended.
pub fn read_segment(file: &[u8]) -> Result<Segment, Fmp4Error> {
    let mut rest = file;
    let mut read = read_fragment(file, &mut rest)?;
    let mut end = read.base + read.duration();
    while !rest.is_empty() {
        if rest.get(4..8) != Some(b"moof") {
            return Err(Fmp4Error::Unexpected("what follows its media data (mdat) is no further fragment"));
        }
        let next = read_fragment(file, &mut rest)?;
        let number = read.sequence_number.saturating_add(read.fragments.len() as u32);
        if next.base != end || next.sequence_number != number {
            return Err(Fmp4Error::Unexpected("one of its fragments does not go on where the one before it ends"));
        }
        if read.fragments.len() >= MAX_FRAGMENTS {
            return Err(Fmp4Error::Unexpected("it holds more than 320 fragments"));
        }
        end += next.duration();
        read.samples.extend(next.samples);
        read.fragments.extend(next.fragments);
    }
    Ok(read)
}

/// Reads the fragment of `file` that `rest` begins with, and leaves what follows it.
fn read_fragment<'a>(file: &'a [u8], rest: &mut &'a [u8]) -> Result<Segment, Fmp4Error> {
    let start = file.len() - rest.len();
    let moof = Moof::decode(rest)?;
    let [traf] = &moof.traf[..] else { return Err(Fmp4Error::Unexpected("its fragment is not of one track")) };
    let [trun] = &traf.trun[..] else { return Err(Fmp4Error::Unexpected("its track fragment is not of one run")) };
    let base = traf.tfdt.as_ref().ok_or(Fmp4Error::Unexpected("it does not say its position (tfdt)"))?;
    if trun.samples.is_empty() || trun.samples.len() > MAX_SAMPLES {
        return Err(Fmp4Error::Unexpected("it holds no packets, or more than 10000"));
    }
    let mdat = Header::decode(rest)?;
    let mut at = file.len() - rest.len();
    let size = mdat.size.filter(|size| *size <= rest.len());
    let Some(size) = size.filter(|_| mdat.kind == mp4_atom::FourCC::new(b"mdat")) else {
        return Err(Fmp4Error::Unexpected("its media data (mdat) is missing or cut short"));
    };
    let end = at + size;
    if trun.data_offset.and_then(|offset| usize::try_from(offset).ok()) != Some(at - start) {
        return Err(Fmp4Error::Unexpected("its packets do not start where its media data starts"));
    }
    let mut samples = Vec::with_capacity(trun.samples.len());
    for entry in trun.samples.iter() {
        let size = entry.size.or(traf.tfhd.default_sample_size);
        let size = size.ok_or(Fmp4Error::Unexpected("it does not say the packets' sizes"))? as usize;
        let duration = entry.duration.or(traf.tfhd.default_sample_duration);
        let duration = duration.ok_or(Fmp4Error::Unexpected("it does not say the packets' durations"))?;
        samples.push(SegmentSample { duration: Ticks(duration.into()), range: at..at.saturating_add(size) });
        at = at.saturating_add(size);
    }
    if at != end {
        return Err(Fmp4Error::Unexpected("its packets do not fill its media data"));
    }
    *rest = &file[end..];
    let duration = Ticks(samples.iter().map(|sample| sample.duration.0).sum());
    let fragments = vec![Fragment { duration, bytes: (end - start) as u64 }];
    let base = Ticks(base.base_media_decode_time);
    Ok(Segment { sequence_number: moof.mfhd.sequence_number, base, samples, fragments })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{PASS_THROUGH_CHANNELS, Sample, init_segment, media_segment, uniform_segment};
    use super::*;
    use crate::codec::opus::LOOKAHEAD;

    fn samples(durations: &[u64]) -> Vec<Sample> {
        let sample =
            |(n, ticks): (usize, &u64)| Sample { bytes: Bytes::from(vec![n as u8; 3 + n]), duration: Ticks(*ticks) };
        durations.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn init_segments_say_channels_and_pre_skip() {
        for channels in [1, PASS_THROUGH_CHANNELS] {
            assert_eq!(read_init(&init_segment(channels)).unwrap(), Init { channels, pre_skip: LOOKAHEAD });
        }
    }

    #[test]
    fn segments_read_back_as_written() {
        let far = Ticks(48_000 * 3600 * 30);
        for durations in [&[960, 960, 960][..], &[120, 480, 960, 2880], &[480]] {
            let written = samples(durations);
            let file = media_segment(7, far, &written);
            let read = read_segment(&file).unwrap();
            assert_eq!((read.sequence_number, read.base), (7, far), "30 h need more than 32 bits");
            assert_eq!(read.duration().0, durations.iter().sum::<u64>());
            let packets: Vec<Sample> = read
                .samples
                .iter()
                .map(|sample| Sample { bytes: file.slice(sample.range.clone()), duration: sample.duration })
                .collect();
            assert_eq!(packets, written);
        }
    }

    #[test]
    fn a_packet_costs_four_bytes_when_all_are_equally_long() {
        let length = |count| media_segment(1, Ticks::ZERO, &vec![samples(&[960])[0].clone(); count]).len();
        assert_eq!(length(300) - length(299), 3 + 4);
    }

    #[test]
    fn fragments_of_one_file_follow_each_other() {
        let first = media_segment(7, Ticks(100), &samples(&[960, 480]));
        let sample = Sample { bytes: Bytes::from_static(&[9, 9]), duration: Ticks(960) };
        let second = uniform_segment(8, Ticks(1_540), &sample, 5);
        let file: Bytes = [&first[..], &second].concat().into();
        let read = read_segment(&file).unwrap();
        assert_eq!((read.sequence_number, read.base, read.duration()), (7, Ticks(100), Ticks(1_440 + 4_800)));
        let fragment = |duration, bytes: &Bytes| Fragment { duration: Ticks(duration), bytes: bytes.len() as u64 };
        assert_eq!(read.fragments, [fragment(1_440, &first), fragment(4_800, &second)]);
        assert_eq!((read.runs().len(), &file[read.runs()[1].clone()]), (2, &[9; 10][..]));
        for (number, base) in [(9, 1_540), (8, 1_541), (8, 1_539)] {
            let other = uniform_segment(number, Ticks(base), &sample, 5);
            let error = read_segment(&[&first[..], &other].concat()).unwrap_err().to_string();
            assert!(error.contains("does not go on"), "{error}");
        }
        for cut in 1..second.len() {
            assert!(read_segment(&file[..first.len() + cut]).is_err());
        }
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let file = media_segment(1, Ticks::ZERO, &samples(&[960, 960]));
        for cut in 0..file.len() {
            assert!(read_segment(&file[..cut]).is_err());
        }
        let longer = [&file[..], b"x"].concat();
        assert!(read_segment(&longer).unwrap_err().to_string().contains("mdat"));
        assert!(read_segment(&media_segment(1, Ticks::ZERO, &[])).unwrap_err().to_string().contains("no packets"));
        assert!(read_init(&file).is_err());
    }
}
