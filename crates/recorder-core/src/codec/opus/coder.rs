//! The coder: libopus at 48 kHz with interleaved `f32` samples, full scale at 1.0.

use bytes::Bytes;
use opus::{Application, Bitrate};
use sync_wrapper::SyncWrapper;

use super::packet::{MAX_PACKET, channels};
use crate::error_class::{Classify, ErrorClass};
use crate::units::{TICKS_PER_SECOND, Ticks};

/// How much later sound leaves the coder than it entered (RFC 7845 calls it pre-skip): the encoder's look-ahead at 48 kHz.
pub const LOOKAHEAD: Ticks = Ticks(312);

/// Room for one encoded packet, in bytes: RFC 6716's largest frame, and some.
const PACKET_BYTES: usize = 1500;

/// Why libopus refused.
#[derive(Debug, thiserror::Error)]
#[error("libopus could not {what}: {source}")]
pub struct CoderError {
    what: &'static str,
    source: opus::Error,
}

impl CoderError {
    fn from(what: &'static str) -> impl Fn(opus::Error) -> Self {
        move |source| Self { what, source }
    }
}

impl Classify for CoderError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::ours("opus_coder", false)
    }
}

/// Turns packets into sound. `Sync` as well as `Send`: it only ever works through `&mut`.
#[derive(Debug)]
pub struct Decoder {
    inner: SyncWrapper<opus::Decoder>,
    channels: usize,
}

impl Decoder {
    /// A decoder that gives 1 or 2 channels, whatever the packets have.
    pub fn new(channel_count: u8) -> Result<Self, CoderError> {
        let inner = opus::Decoder::new(TICKS_PER_SECOND as u32, channels(channel_count))
            .map_err(CoderError::from("make a decoder"))?;
        Ok(Self { inner: SyncWrapper::new(inner), channels: usize::from(channel_count.clamp(1, 2)) })
    }

    /// Appends the sound of one packet to `sound` and says how long it is. On an error `sound` is as before.
    pub fn decode(&mut self, packet: &[u8], sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        self.run(packet, MAX_PACKET, false, "decode a packet", sound)
    }

    /// Appends exactly `length` (a multiple of 2.5 ms, at most [`MAX_PACKET`]) of concealment to `sound`: the last sound, fading.
    pub fn conceal(&mut self, length: Ticks, sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        self.run(&[], length.min(MAX_PACKET), false, "conceal a loss", sound)
    }

    /// Appends exactly `length` of what was lost before `packet`, which is decoded next: the end of it from the packet's in-band FEC
    /// ([`super::fec`]), what that does not hold concealed.
    pub fn recover(&mut self, packet: &[u8], length: Ticks, sound: &mut Vec<f32>) -> Result<Ticks, CoderError> {
        self.run(packet, length.min(MAX_PACKET), true, "recover a loss", sound)
    }

    /// Forgets what was decoded.
    pub fn reset(&mut self) -> Result<(), CoderError> {
        self.inner.get_mut().reset_state().map_err(CoderError::from("reset a decoder"))
    }

    fn run(
        &mut self,
        packet: &[u8],
        room: Ticks,
        fec: bool,
        what: &'static str,
        sound: &mut Vec<f32>,
    ) -> Result<Ticks, CoderError> {
        let before = sound.len();
        sound.resize(before + room.0 as usize * self.channels, 0.0);
        let result = self.inner.get_mut().decode_float(packet, &mut sound[before..], fec);
        sound.truncate(before + self.channels * *result.as_ref().unwrap_or(&0));
        result.map(|samples| Ticks(samples as u64)).map_err(CoderError::from(what))
    }
}

/// Turns sound into packets. `Sync` as well as `Send`, like [`Decoder`].
#[derive(Debug)]
pub struct Encoder {
    inner: SyncWrapper<opus::Encoder>,
}

impl Encoder {
    /// An encoder for 1 or 2 channels at `bit_rate` bit/s and `complexity` 0 (cheap) to 10 (best), tuned for any audio.
    pub fn new(channel_count: u8, bit_rate: i32, complexity: i32) -> Result<Self, CoderError> {
        Self::at(TICKS_PER_SECOND as u32, channel_count, bit_rate, complexity)
    }

    /// An encoder for one channel of sound at 8 kHz. Its packets are as all others, and the sound lags as much.
    pub fn narrow(bit_rate: i32, complexity: i32) -> Result<Self, CoderError> {
        Self::at(8_000, 1, bit_rate, complexity)
    }

    fn at(rate: u32, channel_count: u8, bit_rate: i32, complexity: i32) -> Result<Self, CoderError> {
        let make = || {
            let mut inner = opus::Encoder::new(rate, channels(channel_count), Application::Audio)?;
            inner.set_bitrate(Bitrate::Bits(bit_rate))?;
            inner.set_complexity(complexity)?;
            Ok(Self { inner: SyncWrapper::new(inner) })
        };
        make().map_err(CoderError::from("make an encoder"))
    }

    /// One packet out of 2.5, 5, 10, 20, 40 or 60 ms of interleaved sound. What it decodes to lags by [`LOOKAHEAD`].
    pub fn encode(&mut self, sound: &[f32]) -> Result<Bytes, CoderError> {
        let packet = self
            .inner
            .get_mut()
            .encode_vec_float(sound, PACKET_BYTES)
            .map_err(CoderError::from("encode a frame of sound"))?;
        Ok(packet.into())
    }

    /// Forgets what was encoded.
    pub fn reset(&mut self) -> Result<(), CoderError> {
        self.inner.get_mut().reset_state().map_err(CoderError::from("reset an encoder"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::duration;
    use super::*;

    fn tone(frames: usize) -> Vec<f32> {
        (0..frames * 960).map(|n| (n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin() * 0.5).collect()
    }

    #[test]
    fn a_tone_survives_the_coder_and_comes_out_lookahead_later() {
        let mut encoder = Encoder::new(1, 64_000, 10).unwrap();
        assert_eq!(encoder.inner.get_mut().get_lookahead().unwrap() as u64, LOOKAHEAD.0);
        let mut decoder = Decoder::new(1).unwrap();
        let (before, mut after) = (tone(50), Vec::new());
        for frame in before.chunks(960) {
            let packet = encoder.encode(frame).unwrap();
            assert_eq!(duration(&packet), Ok(Ticks(960)));
            decoder.decode(&packet, &mut after).unwrap();
        }
        let error: f32 =
            (24_000..40_000).map(|n| (after[n + LOOKAHEAD.0 as usize] - before[n]).powi(2)).sum::<f32>() / 16_000.0;
        assert!(error < 1e-4, "mean squared error {error}");
    }

    #[test]
    fn concealment_has_the_length_asked_for() {
        let mut decoder = Decoder::new(2).unwrap();
        let mut sound = Vec::new();
        assert_eq!(decoder.conceal(Ticks(960), &mut sound).unwrap(), Ticks(960));
        assert_eq!(sound.len(), 1920);
    }

    #[test]
    fn what_does_not_decode_leaves_no_sound() {
        let mut sound = vec![0.25];
        assert!(Decoder::new(1).unwrap().decode(&[0xFB, 0], &mut sound).is_err());
        assert_eq!(sound, [0.25]);
    }

    #[test]
    fn a_reset_encoder_repeats_itself() {
        let mut encoder = Encoder::new(1, 64_000, 5).unwrap();
        let first = encoder.encode(&tone(1)).unwrap();
        encoder.reset().unwrap();
        assert_eq!(encoder.encode(&tone(1)).unwrap(), first);
    }
}
