//! One uid's part in the mix: decodes its packets and lays the sound where it belongs.
//!
//! A decoder's output lags by [`opus::LOOKAHEAD`], so the sound of a packet at `p` is laid at `p` less that: every sound is
//! where it was made, and the encoder's own lag is skipped by the playlist's edit list.
//!
//! Runs of packets are joined to the silence around them by 5 ms ramps. A loss is concealed, or decoded from the in-band FEC of the packet
//! behind it. In a DTX pause nothing is decoded;
//! when speech comes back the decoder is brought to where a live listener's would be, so that the onset is right. After an
//! absence of more than 200 ms it starts afresh.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::meter::Meter;
use super::mix_buffer::MixBuffer;
use super::open_gap::{Chunk, Kind};
use crate::codec::opus::{self, ResumableDecoder};
use crate::codec::raw;
use crate::units::Ticks;

/// Length of a ramp: 5 ms.
const RAMP: Ticks = Ticks::from_ms(5);

/// After a longer absence a decoder starts afresh.
const LONGEST_ABSENCE: i64 = Ticks::from_ms(200).0 as i64;

/// Frames of comfort noise that are made up for when a DTX sender speaks again.
const LONGEST_CATCH_UP: i64 = 20;

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MixSource {
    channels: u8,
    /// Exists while there is something to go on from.
    decoder: Option<ResumableDecoder>,
    /// Its sound goes on.
    on: bool,
    /// Where its last packet ended, or the pause that a sender makes by DTX is known to go on to.
    end: i64,
    /// The latest DTX packet that was not decoded.
    pause: Option<Pause>,
    /// How loud it is.
    pub(super) meter: Meter,
    #[serde(skip)]
    sound: Vec<f32>,
}

/// A DTX packet.
#[derive(Debug, Serialize, Deserialize)]
struct Pause {
    #[serde(with = "raw")]
    packet: Bytes,
    end: i64,
}

impl MixSource {
    /// For a mix of 1 or 2 channels.
    pub(super) fn new(channels: u8) -> Self {
        Self {
            channels,
            decoder: None,
            on: false,
            end: i64::MIN,
            pause: None,
            meter: Meter::default(),
            sound: Vec::new(),
        }
    }

    /// Whether a piece is to be heard.
    pub(super) fn is_audible(chunk: &Chunk) -> bool {
        match chunk {
            Chunk::Sound { packet, .. } => !opus::is_dtx(packet),
            Chunk::Bridge { kind, .. } => *kind != Kind::Pause,
            Chunk::Silence { .. } => false,
            Chunk::Recovered { .. } => true,
        }
    }

    /// Adds a piece of its timeline to the sheet.
    pub(super) fn play(&mut self, chunk: &Chunk, mix_buffer: &mut MixBuffer) {
        match chunk {
            Chunk::Sound { exact, packet, duration, .. } if opus::is_dtx(packet) => {
                self.stop(*exact, mix_buffer);
                self.pause = Some(Pause { packet: packet.clone(), end: exact + duration });
                self.end = exact + duration;
            }
            Chunk::Sound { exact, packet, duration, .. } => {
                self.resume(*exact);
                self.decode(packet, *exact, mix_buffer);
                self.end = exact + duration;
            }
            Chunk::Bridge { filler, frames, kind: Kind::Pause, .. } => {
                self.stop(self.end, mix_buffer);
                self.end = self.end.saturating_add(filler.duration.0 as i64 * frames);
            }
            Chunk::Bridge { filler, frames, .. } => {
                for _ in 0..*frames {
                    self.conceal(filler.duration, self.end, mix_buffer);
                    self.end = self.end.saturating_add(filler.duration.0 as i64);
                }
            }
            Chunk::Silence { at, .. } => self.stop(self.end.min(*at), mix_buffer),
            Chunk::Recovered { exact, length, packet, .. } => {
                self.resume(*exact);
                self.recover(packet, Ticks(*length as u64), *exact, mix_buffer);
                self.end = exact + length;
            }
        }
    }

    /// Nobody is heard up to `at`: gives back what a long absence makes useless.
    pub(super) fn rest(&mut self, at: i64) {
        if at.saturating_sub(self.end) > LONGEST_ABSENCE {
            (self.decoder, self.pause) = (None, None);
        }
        self.sound = Vec::new();
    }

    /// Its decoder becomes what it would be if it were put away and taken up again.
    pub(super) fn restart_decoder(&mut self) {
        self.decoder.iter_mut().for_each(ResumableDecoder::restart);
    }

    /// Makes the decoder ready for a packet at `at`.
    fn resume(&mut self, at: i64) {
        if self.on {
            return;
        }
        let pause = self.pause.take();
        if at.saturating_sub(self.end) > LONGEST_ABSENCE {
            self.decoder = None;
        } else if let (Some(Pause { packet, end }), Some(decoder)) = (pause, &mut self.decoder) {
            self.sound.clear();
            let frame = opus::Toc::of(&packet).map_or(Ticks::from_ms(20), opus::Toc::frame);
            let frames = ((at - end) / frame.0 as i64).clamp(0, LONGEST_CATCH_UP);
            // Only the decoder's state is wanted; what it can't decode leaves that as it was.
            let _ = decoder.decode(&packet, &mut self.sound);
            for _ in 0..frames {
                let _ = decoder.conceal(frame, &mut self.sound);
            }
        }
    }

    fn decode(&mut self, packet: &Bytes, at: i64, mix_buffer: &mut MixBuffer) {
        self.sound.clear();
        if decoder(&mut self.decoder, self.channels).decode(packet, &mut self.sound).is_err() {
            let length = opus::duration(packet).unwrap_or_default();
            self.conceal(length, at, mix_buffer);
            return;
        }
        self.go_on(at, mix_buffer);
    }

    /// Decodes `length` of what was lost before `packet`.
    fn recover(&mut self, packet: &Bytes, length: Ticks, at: i64, mix_buffer: &mut MixBuffer) {
        self.sound.clear();
        if decoder(&mut self.decoder, self.channels).recover(packet, length, &mut self.sound).is_err() {
            self.conceal(length, at, mix_buffer);
            return;
        }
        self.go_on(at, mix_buffer);
    }

    /// Lays what was decoded, fading in where silence was before.
    fn go_on(&mut self, at: i64, mix_buffer: &mut MixBuffer) {
        if !self.on {
            ramp(&mut self.sound, usize::from(self.channels), |part| part);
            self.on = true;
        }
        self.add(at, mix_buffer);
    }

    fn conceal(&mut self, length: Ticks, at: i64, mix_buffer: &mut MixBuffer) {
        if let Some(decoder) = self.decoder.as_mut().filter(|_| self.on) {
            self.sound.clear();
            if decoder.conceal(length, &mut self.sound).is_ok() {
                self.add(at, mix_buffer);
            }
        }
    }

    /// Adds what was decoded to the sheet and to the meter.
    fn add(&mut self, at: i64, mix_buffer: &mut MixBuffer) {
        let at = at - opus::LOOKAHEAD.0 as i64;
        self.meter.sound(at, &self.sound, usize::from(self.channels));
        mix_buffer.add(at, &self.sound);
    }

    /// Lets the sound fade from `at` on.
    fn stop(&mut self, at: i64, mix_buffer: &mut MixBuffer) {
        if let Some(decoder) = self.decoder.as_mut().filter(|_| self.on) {
            self.sound.clear();
            if decoder.conceal(RAMP, &mut self.sound).is_ok() {
                ramp(&mut self.sound, usize::from(self.channels), |part| 1.0 - part);
                mix_buffer.add(at - opus::LOOKAHEAD.0 as i64, &self.sound);
            }
        }
        self.on = false;
    }
}

/// The decoder, made if there is none.
fn decoder(decoder: &mut Option<ResumableDecoder>, channels: u8) -> &mut ResumableDecoder {
    decoder.get_or_insert_with(|| {
        ResumableDecoder::new(channels)
            .expect("libopus makes decoders of 1 or 2 channels at 48 kHz unless memory is out")
    })
}

/// Multiplies the first 5 ms by a gain that depends on how much of them has passed, 0 to 1.
fn ramp(sound: &mut [f32], channels: usize, gain: impl Fn(f32) -> f32) {
    for (index, samples) in sound.chunks_mut(channels).take(RAMP.0 as usize).enumerate() {
        let gain = gain(index as f32 / RAMP.0 as f32);
        samples.iter_mut().for_each(|sample| *sample *= gain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::opus::Encoder;

    fn sound(at: i64, packet: Bytes) -> Chunk {
        Chunk::Sound { at, exact: at, packet, duration: 960, level: None }
    }

    #[test]
    fn a_run_fades_in_and_out_and_is_silent_around() {
        let mut encoder = Encoder::new(1, 64_000, 5).unwrap();
        let (mut mix_source, mut mix_buffer) = (MixSource::new(1), MixBuffer::new(1));
        let tone: Vec<f32> = (0..960).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();
        let packet = encoder.encode(&tone).unwrap();
        for frame in 0..5 {
            mix_source.play(&sound(4_800 + frame * 960, packet.clone()), &mut mix_buffer);
        }
        mix_source.play(&Chunk::Silence { at: 9_600, length: 960, resumes: false }, &mut mix_buffer);
        let heard = mix_buffer.front(14_400);
        let silent = |part: &[f32]| part.iter().all(|sample| *sample == 0.0);
        assert!(silent(&heard[..4_800 - 312]) && silent(&heard[9_600 - 312 + 240..]));
        assert!(!silent(&heard[9_600 - 312..9_600 - 312 + 200]));
    }

    #[test]
    fn garbage_that_looks_like_opus_does_no_harm() {
        let (mut mix_source, mut mix_buffer) = (MixSource::new(2), MixBuffer::new(2));
        for frame in 0..20 {
            let bytes: Vec<u8> = (0..40).map(|n| (n * 37 + frame * 11) as u8).collect();
            let packet = Bytes::from([&[(frame as u8 * 8) & 0xFC][..], &bytes].concat());
            let duration = opus::duration(&packet).map_or(960, |length| length.0 as i64);
            mix_source
                .play(&Chunk::Sound { at: 0, exact: frame * 960, packet, duration, level: None }, &mut mix_buffer);
        }
    }
}
