//! AAC-LC at 48 kHz: the encoder as a trait, and how the frames of a segment are made from Opus packets.
//!
//! Frame `n` holds samples `1024 n` to `1024 n + 1023` of the recording's timeline, for every segment of every playlist; a segment has
//! whole frames. It is made by an encoder as new, which gets three frames of what sounded before the segment first and whose frames of
//! that are thrown away: that is as long as an encoder remembers, so no seam is heard (docs/protocol/media.md section 3). Thus the bytes of
//! a segment depend on the packets in it and within the second before it and on nothing else, and come out the same when it is made again.
//!
//! **Borders.** An encoder and the Opus coder both lag, so the last frames of a segment would need packets of the next one. They belong to
//! the next segment instead: [`first_frame`] is 40 to 61 ms before the border between the packets. The last segment of a playlist has its
//! last frames too, up to a whole one.

use super::fmp4::Sample;
use super::opus::{self, LOOKAHEAD};
use crate::units::Ticks;

/// Samples of a frame, for each channel.
pub const FRAME: Ticks = Ticks(1024);

/// Bytes of an ADTS header.
pub const ADTS_HEADER: usize = 7;

/// How many samples later sound leaves a decoder than it entered the encoder: whole frames once [`LEAD`] samples come first.
const DELAY: u64 = 1600;

/// Samples by which the encoder's input is early, so that its delay is whole frames.
const LEAD: u64 = DELAY.next_multiple_of(FRAME.0) - DELAY;

/// Frames that the encoder lags then.
const LATENCY: u64 = (DELAY + LEAD) / FRAME.0;

/// Frames that are encoded before the first one that counts, and thrown away.
const PRE_ROLL: u64 = 3;

/// How long before a segment its packets are decoded: what the encoder wants, and time for an Opus decoder to find in.
pub const HISTORY: Ticks = Ticks::from_secs(1);

/// The loudest sample that is silence: Opus decodes silence to the last bit of a sample and not to nothing.
const NOISE: u16 = 1;

/// Encodes frames. Equal inputs after [`Encoder::reset`] give equal outputs.
pub trait Encoder: Send {
    /// Makes it as it was when it was new.
    fn reset(&mut self);

    /// A raw data block of one frame of interleaved samples.
    fn encode(&mut self, sound: &[i16]) -> Result<Vec<u8>, AacError>;
}

/// Why there are no frames.
#[derive(Debug, thiserror::Error)]
pub enum AacError {
    /// The encoder refused.
    #[error("AAC can't be encoded: {0}")]
    Encoder(String),
    /// The packets can't be decoded.
    #[error(transparent)]
    Opus(#[from] opus::CoderError),
    /// A frame longer than ADTS can say.
    #[error("a frame of AAC has {0} bytes, and ADTS has no more than 8191 with its header")]
    Frame(usize),
}

/// What is encoded how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// 1 or 2.
    pub channels: u8,
    /// Bit/s, ADTS headers included.
    pub bit_rate: u32,
}

impl Format {
    /// What the encoder is asked for: it does not count headers.
    pub const fn budget(self) -> u32 {
        const HEADERS: u32 = (ADTS_HEADER as u64 * 8 * 48_000 / FRAME.0) as u32;
        self.bit_rate.saturating_sub(HEADERS)
    }
}

/// The first frame of a segment whose packets begin at `border`; the one behind the last frame of the segment whose packets end there.
pub const fn first_frame(border: Ticks) -> u64 {
    // The last sample that packets up to the border give is LOOKAHEAD before it; the encoder is LEAD ahead.
    ((border.0 + LEAD - LOOKAHEAD.0) / FRAME.0).saturating_sub(LATENCY)
}

/// The frame behind the last one of a playlist that ends there.
pub const fn end_frame(end: Ticks) -> u64 {
    end.0.div_ceil(FRAME.0)
}

/// Packets in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Where the first one lies.
    pub start: Ticks,
    /// One behind the other.
    pub samples: Vec<Sample>,
}

impl Packets {
    /// Where the last one ends.
    pub fn end(&self) -> Ticks {
        self.start + Ticks(self.samples.iter().map(|sample| sample.duration.0).sum())
    }

    /// Those that end by `end` and after [`HISTORY`] before it; none where they do not reach up to it.
    #[must_use]
    pub fn before(&self, end: Ticks) -> Self {
        let (mut at, mut kept) = (self.start, Self { start: end, samples: Vec::new() });
        for sample in &self.samples {
            let (start, until) = (at, at + sample.duration);
            at = until;
            if until + HISTORY > end && until <= end {
                if kept.samples.is_empty() {
                    kept.start = start;
                }
                kept.samples.push(sample.clone());
            }
        }
        if kept.end() == end { kept } else { Self { start: end, samples: Vec::new() } }
    }
}

/// The frames `first_frame(packets.start)..end` as raw data blocks; `end` is [`first_frame`] or [`end_frame`] of the packets' end. `before`
/// are the packets that end where these begin, [`Packets::before`].
pub fn frames(
    before: &Packets,
    packets: &Packets,
    end: u64,
    format: Format,
    encoder: &mut dyn Encoder,
) -> Result<Vec<Vec<u8>>, AacError> {
    let first = first_frame(packets.start);
    if first >= end {
        return Ok(Vec::new());
    }
    let (channels, count) = (usize::from(format.channels), (end - first + PRE_ROLL + LATENCY) as usize);
    let sound = decode(&[before, packets], format.channels)?;
    // Where the encoder's input begins in what was decoded, which begins LOOKAHEAD before its first packet's place.
    let heard = if before.samples.is_empty() { packets.start } else { before.start };
    let offset =
        first as i64 * FRAME.0 as i64 - (PRE_ROLL * FRAME.0 + LEAD) as i64 - (heard.0 as i64 - LOOKAHEAD.0 as i64);
    // A playlist's first packets begin with LOOKAHEAD samples of nothing, which are before the timeline.
    let sample = |n: usize| {
        let at = offset * channels as i64 + n as i64;
        usize::try_from(at).ok().and_then(|at| sound.get(at)).copied().unwrap_or(0)
    };
    let input: Vec<i16> = (0..count * FRAME.0 as usize * channels).map(sample).collect();
    if input.iter().all(|sample| sample.unsigned_abs() <= NOISE) {
        return Ok(vec![silence(format.channels).to_vec(); (end - first) as usize]);
    }
    encoder.reset();
    let mut frames = Vec::with_capacity((end - first) as usize);
    for (number, frame) in input.chunks(FRAME.0 as usize * channels).enumerate() {
        let block = encoder.encode(frame)?;
        if number as u64 >= PRE_ROLL + LATENCY {
            frames.push(block);
        }
    }
    Ok(frames)
}

/// One raw data block of digital silence: a channel element without scale factor bands (ISO/IEC 14496-3 section 4.4.2). It needs no
/// encoder and costs next to nothing.
pub const fn silence(channels: u8) -> &'static [u8] {
    // Three bits of element, four of tag; for one channel eight of gain, eleven of ics_info, three flags. A pair has a common window first.
    if channels == 1 { &[0x00, 0x00, 0x00, 0x07] } else { &[0x21, 0x00, 0x00, 0x00, 0x00, 0x1C] }
}

/// An ADTS header in front of a raw data block (ISO/IEC 14496-3 annex 1.A): AAC-LC, 48 kHz, no checksum.
pub fn adts(block: &[u8], channels: u8) -> Result<[u8; ADTS_HEADER], AacError> {
    let length = block.len() + ADTS_HEADER;
    if length >= 1 << 13 {
        return Err(AacError::Frame(block.len()));
    }
    const PROFILE_LC: u8 = 1;
    const RATE_48000: u8 = 3;
    Ok([
        0xFF,
        0xF1,
        PROFILE_LC << 6 | RATE_48000 << 2 | channels >> 2,
        (channels & 3) << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        ((length & 7) as u8) << 5 | 0x1F,
        0xFC,
    ])
}

fn decode(packets: &[&Packets], channels: u8) -> Result<Vec<i16>, AacError> {
    let mut decoder = opus::Decoder::new(channels)?;
    let mut sound = Vec::new();
    for sample in packets.iter().flat_map(|packets| &packets.samples) {
        let wanted = sound.len() + sample.duration.0 as usize * usize::from(channels);
        // What no decoder understands is as long as the container says, and silent.
        _ = decoder.decode(&sample.bytes, &mut sound);
        sound.resize(wanted, 0.0);
    }
    Ok(sound.into_iter().map(|sample| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).collect())
}

#[cfg(test)]
pub(in crate::codec) mod tests {
    use bytes::Bytes;

    use super::*;

    /// Writes down what it is given: how many samples are not zero, and the first of them.
    pub(in crate::codec) struct SampleCounter;

    impl Encoder for SampleCounter {
        fn reset(&mut self) {}

        fn encode(&mut self, sound: &[i16]) -> Result<Vec<u8>, AacError> {
            let loud = sound.iter().filter(|sample| **sample != 0).count() as u16;
            Ok(loud.to_be_bytes().to_vec())
        }
    }

    pub(in crate::codec) const MONO: Format = Format { channels: 1, bit_rate: 64_000 };

    /// So many packets of a tone of 20 ms each.
    pub(in crate::codec) fn tone(count: usize) -> Vec<Sample> {
        let mut encoder = opus::Encoder::new(1, 64_000, 5).unwrap();
        let sample = |n: usize| (n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin() * 0.3;
        let packet = |k: usize| {
            let sound: Vec<f32> = (0..960).map(|n| sample(k * 960 + n)).collect();
            Sample { bytes: encoder.encode(&sound).unwrap(), duration: Ticks(960) }
        };
        (0..count).map(packet).collect()
    }

    #[test]
    fn segments_have_all_frames_of_the_timeline_once() {
        assert_eq!(first_frame(Ticks::ZERO), 0);
        for border in [1, 119, 2_048, 96_000, 288_000, 720_119] {
            let (frame, border) = (first_frame(Ticks(border)), Ticks(border));
            let needed = ((frame + LATENCY) * FRAME.0).saturating_sub(LEAD);
            assert!(frame == 0 || needed + LOOKAHEAD.0 <= border.0, "all of it is in packets up to {border:?}");
            let early = border.0 - frame * FRAME.0;
            assert!(frame == 0 || (1_912..2_936).contains(&early), "{early} samples");
        }
        assert_eq!(
            (end_frame(Ticks(0)), end_frame(Ticks(1)), end_frame(Ticks(1024)), end_frame(Ticks(1025))),
            (0, 1, 1, 2)
        );
    }

    #[test]
    fn what_silence_is_made_of_has_the_length_that_its_elements_say() {
        assert_eq!(silence(1).len() * 8, 3 + 4 + 8 + 11 + 3 + 3);
        // A pair: element, tag, common window, ics_info, no mid-side; twice gain and three flags; the end, and up to a byte.
        assert_eq!(silence(2).len() * 8, (3_usize + 4 + 1 + 11 + 2 + 2 * (8 + 3) + 3).next_multiple_of(8));
    }

    #[test]
    fn frames_depend_on_a_second_before_them_and_on_nothing_else() {
        let all = Packets { start: Ticks::ZERO, samples: tone(200) };
        let (a, b) = (Ticks(100 * 960), Ticks(150 * 960));
        let part = |from: usize, to: usize| Packets {
            start: Ticks(from as u64 * 960),
            samples: all.samples[from..to].to_vec(),
        };
        let made = |before: &Packets| {
            frames(&before.before(a), &part(100, 150), first_frame(b), MONO, &mut SampleCounter).unwrap()
        };
        assert_eq!(made(&part(0, 100)), made(&part(40, 100)));
        assert_eq!(made(&all).len() as u64, first_frame(b) - first_frame(a));
        assert_eq!(part(0, 100).before(a).samples.len(), 50);
    }

    #[test]
    fn silence_needs_no_encoder_and_a_short_end_is_filled() {
        struct Nobody;
        impl Encoder for Nobody {
            fn reset(&mut self) {}
            fn encode(&mut self, _: &[i16]) -> Result<Vec<u8>, AacError> {
                Err(AacError::Encoder("nothing is to be encoded".into()))
            }
        }
        let quiet = Packets { start: Ticks::ZERO, samples: opus::silence(Ticks::from_secs(2), true).collect() };
        let made = frames(&Packets::default(), &quiet, end_frame(Ticks::from_secs(2)), MONO, &mut Nobody).unwrap();
        assert_eq!((made.len(), &made[0][..]), (94, silence(1)));
        let loud = Packets { start: Ticks::ZERO, samples: tone(7) };
        assert!(frames(&Packets::default(), &loud, 3, MONO, &mut Nobody).is_err());
        let made = frames(&Packets::default(), &loud, end_frame(Ticks(7 * 960)), MONO, &mut SampleCounter).unwrap();
        assert_eq!(made.len(), 7);
        let odd = Packets {
            start: Ticks::ZERO,
            samples: vec![Sample { bytes: Bytes::from_static(&[0xFB, 0]), duration: Ticks(960) }; 3],
        };
        assert_eq!(
            frames(&Packets::default(), &odd, 3, MONO, &mut Nobody).unwrap().len(),
            3,
            "what does not decode is silent"
        );
    }

    #[test]
    fn headers_say_length_and_channels() {
        assert_eq!(adts(&[0; 121], 1).unwrap(), [0xFF, 0xF1, 0x4C, 0x40, 0x10, 0x1F, 0xFC]);
        assert_eq!(adts(&[0; 121], 2).unwrap()[3], 0x80);
        assert!(adts(&[0; 8_184], 1).is_ok() && adts(&[0; 8_185], 1).is_err() && MONO.budget() == 61_375);
    }
}
