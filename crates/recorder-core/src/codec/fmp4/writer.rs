//! Writes init and media segments.

use bytes::Bytes;
use mp4_atom::{
    Audio, Codec, Dinf, Dops, Dref, DrefEntry, Edts, Elst, ElstEntry, Encode, FixedPoint, FourCC, Ftyp, Hdlr, Mdhd,
    Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, Opus, Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun,
    TrunEntry, TrunSamples, Url,
};

use serde::{Deserialize, Serialize};

use crate::codec::opus::LOOKAHEAD;
use crate::codec::raw;
use crate::units::{TICKS_PER_SECOND, Ticks};

/// Channels that the init segment of a pass-through track names: WebRTC senders change between mono and stereo from packet
/// to packet, and a track of two channels may hold both.
pub const PASS_THROUGH_CHANNELS: u8 = 2;

/// One Opus packet and how long it sounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The packet.
    #[serde(with = "raw")]
    pub bytes: Bytes,
    /// Its length, as the packet itself says.
    pub duration: Ticks,
}

/// The only track.
pub(in crate::codec) const TRACK: u32 = 1;

/// `sample_depends_on = 2` (on none), not a difference sample: every Opus packet may be started from.
const SAMPLE_FLAGS: u32 = 0x0200_0000;

/// The usual packet: 20 ms.
const DEFAULT_DURATION: u32 = 960;

/// Length of an `mdat` header in bytes.
pub(in crate::codec) const MDAT_HEADER: usize = 8;

/// `ftyp` + `moov` for Opus of 1 or 2 `channels`. Its edit list skips the coder's [`LOOKAHEAD`].
pub fn init_segment(channels: u8) -> Bytes {
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc"), FourCC::new(b"mp41")],
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: TICKS_PER_SECOND as u32,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                default_sample_duration: DEFAULT_DURATION,
                default_sample_size: 0,
                default_sample_flags: SAMPLE_FLAGS,
            }],
        }),
        trak: vec![track(channels)],
        ..Moov::default()
    };
    let mut file = Vec::new();
    encode(&ftyp, &mut file);
    encode(&moov, &mut file);
    file.into()
}

/// An Opus track of 1 or 2 `channels` without samples, whose edit list skips the coder's [`LOOKAHEAD`].
pub(in crate::codec) fn track(channels: u8) -> Trak {
    let opus = Opus {
        audio: Audio {
            data_reference_index: 1,
            channel_count: channels.into(),
            sample_size: 16,
            sample_rate: (TICKS_PER_SECOND as u16).into(),
        },
        dops: Dops {
            output_channel_count: channels,
            pre_skip: LOOKAHEAD.0 as u16,
            input_sample_rate: TICKS_PER_SECOND as u32,
            output_gain: 0,
            channel_mapping: None,
        },
        btrt: None,
    };
    let skip = ElstEntry { segment_duration: 0, media_time: Some(LOOKAHEAD.0), media_rate: FixedPoint::new(1, 0) };
    Trak {
        tkhd: Tkhd { track_id: TRACK, enabled: true, in_movie: true, volume: 1.into(), ..Tkhd::default() },
        edts: Some(Edts { elst: Some(Elst { entries: vec![skip] }) }),
        mdia: Mdia {
            mdhd: Mdhd { timescale: TICKS_PER_SECOND as u32, language: "und".into(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(b"soun"), name: "audio".into() },
            minf: Minf {
                smhd: Some(Smhd::default()),
                dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
                stbl: Stbl {
                    stsd: Stsd { codecs: vec![Codec::Opus(opus)] },
                    stco: Some(Stco::default()),
                    ..Stbl::default()
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

/// `moof` + `mdat`: `samples` from `base` on the timeline on. `sequence_number` counts from 1 within a playlist.
///
/// There must be at least one sample, and all of them together must stay below 2 GiB.
pub fn media_segment(sequence_number: u32, base: Ticks, samples: &[Sample]) -> Bytes {
    let size: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
    let mut file = Vec::with_capacity(size + 8 * samples.len() + 128);
    let data_offset = encoded_len(&fragment(sequence_number, base, samples, 0)) + MDAT_HEADER;
    encode(&fragment(sequence_number, base, samples, data_offset as i32), &mut file);
    file.extend_from_slice(&((size + MDAT_HEADER) as u32).to_be_bytes());
    file.extend_from_slice(b"mdat");
    for sample in samples {
        file.extend_from_slice(&sample.bytes);
    }
    file.into()
}

/// As [`media_segment`], for `count` times the same packet: its size and length are said once.
pub(in crate::codec) fn uniform_segment(sequence_number: u32, base: Ticks, packet: &Sample, count: u32) -> Bytes {
    let size = packet.bytes.len() * count as usize;
    let moof = |data_offset: i32| {
        let mut moof = fragment(sequence_number, base, std::slice::from_ref(packet), data_offset);
        for traf in &mut moof.traf {
            traf.tfhd.default_sample_size = Some(packet.bytes.len() as u32);
            traf.trun.iter_mut().for_each(|run| run.samples = TrunSamples::Inherited { count, first_flags: None });
        }
        moof
    };
    let mut file = Vec::with_capacity(size + 128);
    let data_offset = encoded_len(&moof(0)) + MDAT_HEADER;
    encode(&moof(data_offset as i32), &mut file);
    file.extend_from_slice(&((size + MDAT_HEADER) as u32).to_be_bytes());
    file.extend_from_slice(b"mdat");
    (0..count).for_each(|_| file.extend_from_slice(&packet.bytes));
    file.into()
}

fn fragment(sequence_number: u32, base: Ticks, samples: &[Sample], data_offset: i32) -> Moof {
    let first = samples.first().map_or(DEFAULT_DURATION, |sample| sample.duration.0 as u32);
    let uniform = samples.iter().all(|sample| sample.duration.0 as u32 == first);
    let entry = |sample: &Sample| TrunEntry {
        duration: (!uniform).then_some(sample.duration.0 as u32),
        size: Some(sample.bytes.len() as u32),
        flags: None,
        cts: None,
    };
    Moof {
        mfhd: Mfhd { sequence_number },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK,
                default_sample_duration: Some(if uniform { first } else { DEFAULT_DURATION }),
                default_sample_flags: Some(SAMPLE_FLAGS),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: base.0 }),
            trun: vec![Trun {
                data_offset: Some(data_offset),
                samples: samples.iter().map(entry).collect::<Vec<_>>().into(),
            }],
            ..Traf::default()
        }],
    }
}

pub(in crate::codec) fn encoded_len(atom: &impl Encode) -> usize {
    let mut bytes = Vec::new();
    encode(atom, &mut bytes);
    bytes.len()
}

pub(in crate::codec) fn encode(atom: &impl Encode, file: &mut Vec<u8>) {
    atom.encode(file).expect("boxes of one Opus track hold no value that their fields can't take");
}
