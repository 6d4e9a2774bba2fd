//! Coders that can be put away and taken up again. libopus gives no state away, so what brings a fresh coder close to the old
//! one's state is kept: the last [`MEMORY`] of packets for a decoder, the last [`FRAMES`] frames of sound for an encoder.
//!
//! What holds: a decoder that is younger than that memory is exactly what it was, an older one is close to it (-40 dB). An encoder
//! that was taken up codes the same sound as well as the one that never stopped, but with other decisions: a listener who hears
//! the packets of both, one after the other, hears no seam, and the difference to the packets of the one is the coding noise of
//! both, 24 to 26 dB below speech from the first frame on. (Measured with [`FRAMES`] of 3, 6, 12 and 25; a first frame without
//! prediction is 4 dB worse, since the encoder's own forerunner made the listener's state.)

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::coder::{CoderError, Decoder, Encoder};
use super::packet::duration;
use crate::codec::raw;
use crate::units::Ticks;

/// How much of what was decoded last is remembered: 400 ms (docs/protocol/media.md section 6: 200 ms leave an error of -16 to -40 dB).
const MEMORY: Ticks = Ticks::from_ms(400);

/// How many frames that were encoded last are remembered: 120 ms of the usual ones.
const FRAMES: usize = 6;

/// What a decoder did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Decoded(#[serde(with = "raw")] Bytes),
    Concealed(Ticks),
    Recovered(#[serde(with = "raw")] Bytes, Ticks),
}

impl Step {
    fn length(&self) -> Ticks {
        match self {
            Self::Decoded(packet) => duration(packet).unwrap_or_default(),
            Self::Concealed(length) | Self::Recovered(_, length) => *length,
        }
    }
}

/// A [`Decoder`] that remembers its last packets.
#[derive(Debug)]
pub struct ResumableDecoder {
    inner: Decoder,
    channels: u8,
    steps: VecDeque<Step>,
    remembered: Ticks,
}

impl ResumableDecoder {
    /// As [`Decoder::new`].
    pub fn new(channels: u8) -> Result<Self, CoderError> {
        Ok(Self { inner: Decoder::new(channels)?, channels, steps: VecDeque::new(), remembered: Ticks::ZERO })
    }

    /// As [`Decoder::decode`].
    pub fn decode(&mut self, packet: &Bytes, sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        let length = self.inner.decode(packet, sound)?;
        self.remember(Step::Decoded(packet.clone()));
        Ok(length)
    }

    /// As [`Decoder::conceal`].
    pub fn conceal(&mut self, length: Ticks, sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        let length = self.inner.conceal(length, sound)?;
        self.remember(Step::Concealed(length));
        Ok(length)
    }

    /// As [`Decoder::recover`].
    pub fn recover(&mut self, packet: &Bytes, length: Ticks, sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        let length = self.inner.recover(packet, length, sound)?;
        self.remember(Step::Recovered(packet.clone(), length));
        Ok(length)
    }

    /// Becomes what it would be if it were put away and taken up again: the same memory, a decoder made from it.
    pub fn restart(&mut self) {
        // What it decoded before it decodes again: it stays as it is only where no decoder can be made.
        if let Ok(fresh) = Self::taken_up(self.channels, self.steps.clone()) {
            *self = fresh;
        }
    }

    fn remember(&mut self, step: Step) {
        self.remembered += step.length();
        self.steps.push_back(step);
        while self.remembered > MEMORY {
            let Some(oldest) = self.steps.pop_front() else { break };
            self.remembered = self.remembered - oldest.length();
        }
    }

    fn taken_up(channels: u8, steps: VecDeque<Step>) -> Result<Self, CoderError> {
        let (mut decoder, mut sound) = (Self::new(channels)?, Vec::new());
        for step in steps {
            sound.clear();
            match step {
                Step::Decoded(packet) => decoder.decode(&packet, &mut sound)?,
                Step::Concealed(length) => decoder.conceal(length, &mut sound)?,
                Step::Recovered(packet, length) => decoder.recover(&packet, length, &mut sound)?,
            };
        }
        Ok(decoder)
    }
}

impl Serialize for ResumableDecoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.channels, &self.steps).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ResumableDecoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (channels, steps) = Deserialize::deserialize(deserializer)?;
        Self::taken_up(channels, steps).map_err(D::Error::custom)
    }
}

/// How an encoder was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    channels: u8,
    bit_rate: i32,
    complexity: i32,
}

/// An [`Encoder`] that remembers its last frames, to 16 bits.
#[derive(Debug)]
pub struct ResumableEncoder {
    inner: Encoder,
    settings: Settings,
    frames: VecDeque<Vec<i16>>,
}

impl ResumableEncoder {
    /// As [`Encoder::new`].
    pub fn new(channels: u8, bit_rate: i32, complexity: i32) -> Result<Self, CoderError> {
        let settings = Settings { channels, bit_rate, complexity };
        Ok(Self { inner: Encoder::new(channels, bit_rate, complexity)?, settings, frames: VecDeque::new() })
    }

    /// As [`Encoder::encode`].
    pub fn encode(&mut self, sound: &[f32]) -> Result<Bytes, CoderError> {
        let packet = self.inner.encode(sound)?;
        let mut frame =
            if self.frames.len() < FRAMES { Vec::new() } else { self.frames.pop_front().unwrap_or_default() };
        frame.clear();
        // A cast from float saturates.
        frame.extend(sound.iter().map(|sample| (sample * 32_768.0).round() as i16));
        self.frames.push_back(frame);
        Ok(packet)
    }

    /// Becomes what it would be if it were put away and taken up again: the same memory, an encoder made from it.
    pub fn restart(&mut self) {
        if let Ok(fresh) = Self::taken_up(self.settings, self.frames.clone()) {
            *self = fresh;
        }
    }

    fn taken_up(settings: Settings, frames: VecDeque<Vec<i16>>) -> Result<Self, CoderError> {
        let mut encoder = Self::new(settings.channels, settings.bit_rate, settings.complexity)?;
        for frame in frames {
            let sound: Vec<f32> = frame.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
            encoder.encode(&sound)?;
        }
        Ok(encoder)
    }
}

impl Serialize for ResumableEncoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.settings, &self.frames).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ResumableEncoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (settings, frames) = Deserialize::deserialize(deserializer)?;
        Self::taken_up(settings, frames).map_err(D::Error::custom)
    }
}
