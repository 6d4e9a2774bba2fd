//! Turns G.711 into Opus of the same length, for tracks whose packets can't be passed on as they are. Narrow band, as the telephone is.
//!
//! It can be put away and taken up as [`super::ResumableEncoder`] can: the last [`FRAMES`] frames are kept.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::coder::{CoderError, Encoder};
use crate::codec::g711::{Law, TICKS_A_SAMPLE};
use crate::units::Ticks;

/// Plenty for 4 kHz of bandwidth: libopus codes speech of 8 kHz transparently from about 20 kbit/s on.
const BIT_RATE: i32 = 32_000;

/// As the mix's.
const COMPLEXITY: i32 = 10;

/// How many frames that were encoded last are remembered.
const FRAMES: usize = 6;

/// The lengths of Opus frames, in samples at 8 kHz, but those that no telephone has use for.
const LENGTHS: [usize; 4] = [480, 320, 160, 80];

/// See the module's documentation.
#[derive(Debug)]
pub struct Transcoder {
    inner: Encoder,
    frames: VecDeque<Vec<i16>>,
}

impl Transcoder {
    /// Nothing was said yet.
    pub fn new() -> Result<Self, CoderError> {
        Ok(Self { inner: Encoder::narrow(BIT_RATE, COMPLEXITY)?, frames: VecDeque::new() })
    }

    /// The packets for a payload, as few as there can be: one for 10, 20, 40 or 60 ms. What is no multiple of 10 ms is cut off.
    pub fn transcode(&mut self, law: Law, payload: &[u8]) -> Result<Vec<(Bytes, Ticks)>, CoderError> {
        let (mut packets, mut rest) = (Vec::with_capacity(1), payload);
        while let Some(length) = LENGTHS.into_iter().find(|length| *length <= rest.len()) {
            let (frame, behind) = rest.split_at(length);
            let packet = self.encode(law.decode(frame).collect())?;
            packets.push((packet, Ticks(length as u64 * TICKS_A_SAMPLE)));
            rest = behind;
        }
        Ok(packets)
    }

    /// Forgets what was said: a decoder begins afresh here.
    pub fn reset(&mut self) -> Result<(), CoderError> {
        self.frames.clear();
        self.inner.reset()
    }

    /// Becomes what it would be if it were put away and taken up again.
    pub fn restart(&mut self) {
        if let Ok(fresh) = Self::taken_up(std::mem::take(&mut self.frames)) {
            *self = fresh;
        }
    }

    fn encode(&mut self, frame: Vec<i16>) -> Result<Bytes, CoderError> {
        let sound: Vec<f32> = frame.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let packet = self.inner.encode(&sound)?;
        if self.frames.len() >= FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        Ok(packet)
    }

    fn taken_up(frames: VecDeque<Vec<i16>>) -> Result<Self, CoderError> {
        let mut transcoder = Self::new()?;
        for frame in frames {
            transcoder.encode(frame)?;
        }
        Ok(transcoder)
    }
}

impl Serialize for Transcoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.frames.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Transcoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let frames: VecDeque<Vec<i16>> = Deserialize::deserialize(deserializer)?;
        if frames.len() > FRAMES || frames.iter().any(|frame| !LENGTHS.contains(&frame.len())) {
            return Err(D::Error::custom("frames that no transcoder keeps"));
        }
        Self::taken_up(frames).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, LOOKAHEAD, Toc, duration};
    use super::*;

    #[test]
    fn each_payload_becomes_packets_of_its_length() {
        let mut transcoder = Transcoder::new().unwrap();
        for (bytes, lengths) in [(80, vec![480]), (160, vec![960]), (240, vec![960, 480]), (480, vec![2_880])] {
            let packets = transcoder.transcode(Law::Mu, &vec![0x55; bytes]).unwrap();
            let made: Vec<u64> = packets.iter().map(|(packet, _)| duration(packet).unwrap().0).collect();
            assert_eq!(made, lengths);
            assert!(packets.iter().all(|(packet, length)| duration(packet) == Ok(*length)));
            assert!(packets.iter().all(|(packet, _)| Toc::of(packet).unwrap().channels() == 1));
        }
    }

    #[test]
    fn the_sound_lags_by_what_every_opus_encoder_lags() {
        let (mut transcoder, mut decoder, mut sound) =
            (Transcoder::new().unwrap(), Decoder::new(1).unwrap(), Vec::new());
        // A-law's 0xAA is its loudest sample; silence, then a burst at 300 ms.
        for packet in 0..40 {
            let payload: Vec<u8> = (0..160).map(|n| if packet < 15 || n / 8 % 2 == 0 { 0xD5 } else { 0x9A }).collect();
            for (packet, _) in transcoder.transcode(Law::A, &payload).unwrap() {
                decoder.decode(&packet, &mut sound).unwrap();
            }
        }
        let begins = sound.iter().position(|sample| sample.abs() > 0.02).unwrap();
        let expected = 15 * 960 + 8 * 6 + LOOKAHEAD.0 as usize;
        assert!(begins.abs_diff(expected) < 60, "{begins}, not {expected}");
    }

    #[test]
    fn what_was_put_away_goes_on_as_one_that_restarted() {
        let mut transcoder = Transcoder::new().unwrap();
        let payload = |n: u8| (0..160).map(|at| n.wrapping_mul(31) ^ at).collect::<Vec<u8>>();
        (0..20).for_each(|n| drop(transcoder.transcode(Law::Mu, &payload(n)).unwrap()));
        let bytes = postcard::to_stdvec(&transcoder).unwrap();
        let mut back: Transcoder = postcard::from_bytes(&bytes).unwrap();
        transcoder.restart();
        for n in 20..30 {
            let one = transcoder.transcode(Law::Mu, &payload(n)).unwrap();
            assert_eq!(one, back.transcode(Law::Mu, &payload(n)).unwrap());
        }
    }
}
