//! One MP4 file with an Opus track, or an AAC track where segments hold AAC: `ftyp`, `moov`, then all packets in one `mdat`, so that a player can begin before it has the
//! whole file ("faststart"; ISO/IEC 14496-12, "Encapsulation of Opus in ISO Base Media File Format").
//!
//! Made from segments ([`super::fmp4`]) without having them all in memory: [`Table::add`] for each of them, then [`Table::head`],
//! then their media data ([`super::fmp4::Segment::runs`]) as it is. A table holds 4 bytes a packet: 1.4 MB for two hours of 20 ms,
//! and three times that while the head is made.

mod reader;

use bytes::Bytes;
use mp4_atom::{
    AnySampleGroupEntry, Audio, Codec, FourCC, Ftyp, Moov, Mp4a, Mvhd, Sbgp, SbgpEntry, Sgpd, SgpdEntry, Stco, Stsc,
    StscEntry, Stsz, StszSamples, Stts, SttsEntry, Trak,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, Esds},
};

pub use reader::read;

use super::aac;
use super::fmp4::{MDAT_HEADER, Segment, TRACK, encode, encoded_len, track};
use super::opus::LOOKAHEAD;
use crate::error_class::{Classify, ErrorClass};
use crate::units::{TICKS_PER_SECOND, Ticks};

/// Most bytes of media: offsets have 32 bits, and what stands before the media needs its place too.
const MAX_MEDIA: u64 = u32::MAX as u64 - (64 << 20);

/// Packets that a decoder needs before the one it is to be heard from: 80 ms (the Opus encapsulation, section 4.3.6.2).
const PRE_ROLL: i16 = -4;

/// Frames of AAC that a decoder needs before the one it is to be heard from.
const AAC_PRE_ROLL: i16 = -1;

/// The segments are more than a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segments have more than {MAX_MEDIA} bytes; one MP4 file can't hold them")]
pub struct TooLarge;

impl Classify for TooLarge {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::ours("mp4_too_large", false)
    }
}

/// Which packets a file has: all that stands in front of them.
#[derive(Debug, Default)]
pub struct Table {
    sizes: Vec<u32>,
    durations: Vec<SttsEntry>,
    /// Bytes of each segment's media, one chunk each.
    chunks: Vec<u32>,
    /// Chunks with the same number of packets in a row.
    runs: Vec<StscEntry>,
    bytes: u64,
    length: Ticks,
}

impl Table {
    /// Adds the next segment.
    pub fn add(&mut self, segment: &Segment) -> Result<(), TooLarge> {
        let samples = segment.samples.iter().map(|sample| (sample.range.len(), sample.duration));
        self.add_samples(&samples.collect::<Vec<_>>())
    }

    /// Adds the next segment of AAC: raw data blocks of these sizes.
    pub fn add_aac(&mut self, blocks: &[Bytes]) -> Result<(), TooLarge> {
        self.add_samples(&blocks.iter().map(|block| (block.len(), aac::FRAME)).collect::<Vec<_>>())
    }

    fn add_samples(&mut self, samples: &[(usize, Ticks)]) -> Result<(), TooLarge> {
        let size: usize = samples.iter().map(|(size, _)| size).sum();
        let chunk =
            u32::try_from(size).ok().filter(|size| self.bytes + u64::from(*size) <= MAX_MEDIA).ok_or(TooLarge)?;
        self.bytes += u64::from(chunk);
        self.chunks.push(chunk);
        let (first_chunk, samples_per_chunk) = (self.chunks.len() as u32, samples.len() as u32);
        if self.runs.last().is_none_or(|run| run.samples_per_chunk != samples_per_chunk) {
            self.runs.push(StscEntry { first_chunk, samples_per_chunk, sample_description_index: 1 });
        }
        for (size, duration) in samples {
            self.sizes.push(*size as u32);
            self.length += *duration;
            let sample_delta = duration.0 as u32;
            match self.durations.last_mut().filter(|run| run.sample_delta == sample_delta) {
                Some(run) => run.sample_count += 1,
                None => self.durations.push(SttsEntry { sample_count: 1, sample_delta }),
            }
        }
        Ok(())
    }

    /// Everything in front of the media: `ftyp`, `moov` and the header of `mdat`. `channels` as in the playlist's init segment.
    pub fn head(&self, channels: u8) -> Bytes {
        self.head_of(&track(channels), self.length - LOOKAHEAD, PRE_ROLL)
    }

    /// The same for AAC. All of it is heard: segments begin with whole frames of the timeline.
    pub fn head_aac(&self, channels: u8) -> Bytes {
        self.head_of(&aac_track(channels), self.length, AAC_PRE_ROLL)
    }

    fn head_of(&self, track: &Trak, heard: Ticks, pre_roll: i16) -> Bytes {
        let ftyp = Ftyp {
            major_brand: FourCC::new(b"isom"),
            minor_version: 0,
            compatible_brands: vec![FourCC::new(b"isom"), FourCC::new(b"iso6"), FourCC::new(b"mp41")],
        };
        let mut file = Vec::new();
        encode(&ftyp, &mut file);
        let media = file.len() + encoded_len(&self.moov(track, heard, pre_roll, 0)) + MDAT_HEADER;
        encode(&self.moov(track, heard, pre_roll, media as u32), &mut file);
        file.extend_from_slice(&(self.bytes as u32 + MDAT_HEADER as u32).to_be_bytes());
        file.extend_from_slice(b"mdat");
        file.into()
    }

    /// `media` is where the first packet lies.
    fn moov(&self, track: &Trak, heard: Ticks, pre_roll: i16, media: u32) -> Moov {
        let mut track = track.clone();
        track.tkhd.duration = heard.0;
        track.edts.iter_mut().flat_map(|edts| &mut edts.elst).flat_map(|list| &mut list.entries).for_each(|edit| {
            edit.segment_duration = heard.0;
        });
        track.mdia.mdhd.duration = self.length.0;
        let tables = &mut track.mdia.minf.stbl;
        tables.stts = Stts { entries: self.durations.clone() };
        tables.stsc = Stsc { entries: self.runs.clone() };
        tables.stsz = Stsz { samples: StszSamples::Different { sizes: self.sizes.clone() } };
        let mut at = media;
        let offset = |size: &u32| {
            let here = at;
            at += size;
            here
        };
        tables.stco = Some(Stco { entries: self.chunks.iter().map(offset).collect() });
        let roll = FourCC::new(b"roll");
        let everyone = SbgpEntry { sample_count: self.sizes.len() as u32, group_description_index: 1 };
        tables.sbgp = vec![Sbgp { grouping_type: roll, grouping_type_parameter: None, entries: vec![everyone] }];
        let distance = AnySampleGroupEntry::UnknownGroupingType(roll, pre_roll.to_be_bytes().to_vec());
        tables.sgpd = vec![Sgpd {
            grouping_type: roll,
            default_length: Some(2),
            default_group_description_index: None,
            static_group_description: false,
            static_mapping: false,
            essential: false,
            entries: vec![SgpdEntry { description_length: Some(2), entry: distance }],
        }];
        Moov {
            mvhd: Mvhd {
                timescale: TICKS_PER_SECOND as u32,
                duration: heard.0,
                rate: 1.into(),
                volume: 1.into(),
                next_track_id: TRACK + 1,
                ..Mvhd::default()
            },
            trak: vec![track],
            ..Moov::default()
        }
    }
}

/// A track of AAC-LC at 48 kHz (ISO/IEC 14496-14), of which nothing is skipped.
fn aac_track(channels: u8) -> Trak {
    const AAC: u8 = 0x40;
    const AUDIO: u8 = 5;
    const LC: u8 = 2;
    const RATE_48000: u8 = 3;
    let dec_config = DecoderConfig {
        object_type_indication: AAC,
        stream_type: AUDIO,
        dec_specific: Some(DecoderSpecific {
            profile: LC,
            freq_index: RATE_48000,
            chan_conf: channels,
            ..DecoderSpecific::default()
        }),
        ..DecoderConfig::default()
    };
    let mp4a = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: channels.into(),
            sample_size: 16,
            sample_rate: (TICKS_PER_SECOND as u16).into(),
        },
        esds: Esds { es_desc: EsDescriptor { es_id: 1, dec_config, ..EsDescriptor::default() } },
        btrt: None,
        taic: None,
    };
    let mut track = track(channels);
    track.mdia.minf.stbl.stsd.codecs = vec![Codec::Mp4a(mp4a)];
    let edits = track.edts.iter_mut().flat_map(|edts| &mut edts.elst).flat_map(|list| &mut list.entries);
    edits.for_each(|edit| edit.media_time = Some(0));
    track
}

#[cfg(test)]
mod tests {
    use super::super::fmp4::{Sample, media_segment, read_segment};
    use super::*;

    /// Packets of these lengths, each like no other.
    fn samples(durations: &[u64]) -> Vec<Sample> {
        let sample = |(n, ticks): (usize, &u64)| Sample {
            bytes: vec![(n % 251) as u8; 3 + n % 700].into(),
            duration: Ticks(*ticks),
        };
        durations.iter().enumerate().map(sample).collect()
    }

    /// A file of these packets, so many to a segment.
    fn file(packets: &[Sample], to_a_segment: usize) -> Bytes {
        let (mut table, mut media, mut at) = (Table::default(), Vec::new(), Ticks::ZERO);
        for (number, samples) in packets.chunks(to_a_segment).enumerate() {
            let segment = media_segment(number as u32 + 1, at, samples);
            let read = read_segment(&segment).unwrap();
            table.add(&read).unwrap();
            media.extend_from_slice(&segment[read.media()]);
            at += read.duration();
        }
        [&table.head(2)[..], &media].concat().into()
    }

    #[test]
    fn packets_come_back_bit_for_bit_with_their_lengths() {
        for (durations, to_a_segment) in
            [(vec![960; 1_000], 300), (vec![120, 480, 960, 2_880, 960, 960, 120], 2), (vec![960], 300)]
        {
            let packets = samples(&durations);
            let read = read(&file(&packets, to_a_segment)).unwrap();
            assert_eq!(read.samples, packets);
            assert_eq!((read.init.channels, read.init.pre_skip), (2, LOOKAHEAD));
        }
    }

    #[test]
    fn frames_of_aac_come_back_too() {
        let blocks: Vec<Bytes> = (0..50_u8).map(|n| vec![n; 100 + usize::from(n)].into()).collect();
        let mut table = Table::default();
        blocks.chunks(20).for_each(|blocks| table.add_aac(blocks).unwrap());
        let file: Bytes = [&table.head_aac(2)[..], &blocks.concat()].concat().into();
        let read = read(&file).unwrap();
        assert_eq!((read.init.channels, read.is_aac(), read.duration()), (2, true, Ticks(50 * 1024)));
        assert!(read.samples.iter().map(|sample| &sample.bytes).eq(&blocks));
    }

    #[test]
    fn what_stands_in_front_costs_about_four_bytes_a_packet() {
        let head = |count: usize| {
            let (packets, mut table) = (samples(&[960; 300]), Table::default());
            let segment = read_segment(&media_segment(1, Ticks::ZERO, &packets)).unwrap();
            (0..count).for_each(|_| table.add(&segment).unwrap());
            table.head(1).len()
        };
        assert_eq!(head(1_200) - head(200), 1_000 * (300 * 4 + 4), "sizes, and an offset a segment");
    }

    #[test]
    fn more_than_offsets_can_say_is_refused() {
        let segment = read_segment(&media_segment(1, Ticks::ZERO, &samples(&[960]))).unwrap();
        let mut table = Table { bytes: MAX_MEDIA - 2, ..Table::default() };
        assert_eq!(table.add(&segment), Err(TooLarge));
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let whole = file(&samples(&[960; 7]), 3);
        for cut in 0..whole.len() {
            assert!(read(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
        let longer: Bytes = [&whole[..], b"x"].concat().into();
        assert!(read(&longer).unwrap_err().to_string().contains("mdat"));
    }
}
