//! How loud it is: a waveform of everything, and the level of the last second. Positions in ticks.
//!
//! It is fed with decoded sound or, where nothing is decoded, with the levels that packets carry. It costs about 1 % of decoding.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::peaks::{STEP, Wave};

/// The level is that of so many steps: one second.
const STEPS: i64 = 10;

/// The level of silence, in dBFS: RFC 6464's.
pub(super) const SILENCE: f32 = -127.0;

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Meter {
    /// Since tick 0.
    pub(super) wave: Wave,
    /// The energy of the last steps that had any: the step's number, and the sum of squares of one channel's samples.
    recent: VecDeque<(i64, f32)>,
}

impl Meter {
    /// Interleaved `sound` at `at`, full scale at 1.0.
    pub(super) fn sound(&mut self, at: i64, sound: &[f32], channels: usize) {
        let (mut at, mut rest) = (at, sound);
        while !rest.is_empty() {
            let room = (STEP - at.rem_euclid(STEP)) as usize * channels;
            let (part, later) = rest.split_at(room.min(rest.len()));
            self.wave.mark(at, part.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs())));
            self.add(at, part.iter().map(|sample| sample * sample).sum::<f32>() / channels as f32);
            at += (part.len() / channels) as i64;
            rest = later;
        }
    }

    /// A packet of `duration` at `at` that says its level: 0 (full scale) to 127 (silence), in -dBov.
    pub(super) fn level(&mut self, at: i64, duration: i64, level: u8) {
        if level < 127 {
            let amplitude = 10.0_f32.powf(f32::from(level) / -20.0);
            self.wave.mark(at, amplitude);
            self.add(at, amplitude * amplitude * duration as f32);
        }
    }

    /// The level of the second before `position`, in dBFS: root mean square, 0 for a square wave at full scale. [`SILENCE`] at
    /// least.
    pub(super) fn dbfs(&self, position: i64) -> f32 {
        let last = position.div_euclid(STEP);
        let heard = self.recent.iter().filter(|(step, _)| (last - STEPS..last).contains(step));
        let energy: f32 = heard.map(|(_, energy)| energy).sum();
        (10.0 * (energy / (STEPS * STEP) as f32).log10()).max(SILENCE)
    }

    fn add(&mut self, at: i64, energy: f32) {
        let step = at.div_euclid(STEP);
        match self.recent.back_mut() {
            Some((newest, sum)) if *newest >= step => *sum += energy,
            _ => self.recent.push_back((step, energy)),
        }
        while self.recent.front().is_some_and(|(oldest, _)| *oldest < step - 2 * STEPS) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peaks::PeakSource;
    use super::*;

    const SECOND: i64 = 48_000;

    fn sine(amplitude: f32, channels: usize) -> Vec<f32> {
        let sample = |n: usize| (n as f32 * 0.05).sin() * amplitude;
        (0..48_000).flat_map(|n| std::iter::repeat_n(sample(n), channels)).collect()
    }

    #[test]
    fn a_sine_is_as_loud_as_it_is() {
        for channels in [1, 2] {
            let mut meter = Meter::default();
            for (frame, part) in sine(0.5, channels).chunks(960 * channels).enumerate() {
                meter.sound(2 * SECOND - 312 + frame as i64 * 960, part, channels);
            }
            assert!((meter.dbfs(3 * SECOND) + 9.03).abs() < 0.1, "{}", meter.dbfs(3 * SECOND));
            assert_eq!((meter.dbfs(2 * SECOND - STEP), meter.dbfs(5 * SECOND)), (SILENCE, SILENCE));
            let values = meter.wave.waveform(PeakSource::Decoded).values;
            assert_eq!((values.len(), values[18]), (30, 0));
            assert!(values[20..].iter().all(|value| *value == 127 || *value == 128), "{values:?}");
        }
    }

    #[test]
    fn levels_of_packets_are_taken_as_they_are() {
        let mut meter = Meter::default();
        for packet in 0..50 {
            meter.level(packet * 960, 960, 20);
        }
        meter.level(SECOND, 960, 127);
        assert!((meter.dbfs(SECOND) + 20.0).abs() < 0.01);
        assert_eq!(meter.wave.waveform(PeakSource::AudioLevel).values, [26; 10]);
    }

    #[test]
    fn it_remembers_little() {
        let mut meter = Meter::default();
        for packet in 0..10_000 {
            meter.level(packet * 960, 960, 20);
        }
        assert!(meter.recent.len() <= 2 * STEPS as usize + 1);
    }
}
