//! Listening to a recording: decode a playlist's segments and look for tones.

use anyhow::Context;

use crate::codec::fmp4;
use crate::codec::opus::{Decoder, LOOKAHEAD};
use crate::units::TICKS_PER_SECOND;

/// Tones are looked for in windows of this many samples: a tenth of a second.
pub(super) const WINDOW: usize = 4_800;

/// A recording's sound, mono, from its first sample on the timeline on.
#[derive(Debug)]
pub(super) struct Sound(Vec<f32>);

impl Sound {
    /// Decodes media segments in their order.
    pub(super) fn decode(segments: &[bytes::Bytes]) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(1)?;
        let mut samples = Vec::new();
        for bytes in segments {
            let segment = fmp4::read_segment(bytes).context("a segment can't be read")?;
            for sample in &segment.samples {
                decoder.decode(&bytes[sample.range.clone()], &mut samples).context("a packet can't be decoded")?;
            }
        }
        // The decoder's output runs behind the timeline by the pre-skip.
        samples.drain(..samples.len().min(LOOKAHEAD.0 as usize));
        Ok(Self(samples))
    }

    /// The share, 0 to 1, of the windows in `from..to` (seconds) that hold the tone.
    pub(super) fn share_with(&self, hertz: f64, from: f64, to: f64) -> f64 {
        let sample = |seconds: f64| ((seconds.max(0.0) * TICKS_PER_SECOND as f64) as usize).min(self.0.len());
        let span = &self.0[sample(from)..sample(to).max(sample(from))];
        let windows = span.chunks_exact(WINDOW);
        let total = windows.len();
        let found = windows.filter(|window| holds(window, hertz)).count();
        if total == 0 { 0.0 } else { found as f64 / total as f64 }
    }

    /// The loudest sample in dB below full scale.
    pub(super) fn peak_dbfs(&self) -> f64 {
        let peak = self.0.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        20.0 * f64::from(peak.max(1e-9)).log10()
    }
}

/// A tone is there when it stands out by 12 dB from its neighbourhood and is above -60 dB of full scale.
fn holds(window: &[f32], hertz: f64) -> bool {
    let tone = amplitude(window, hertz);
    let beside = [-430.0, -270.0, 270.0, 430.0].map(|offset| amplitude(window, hertz + offset));
    let neighbourhood = beside.iter().sum::<f64>() / beside.len() as f64;
    tone > 1e-3 && tone > 4.0 * neighbourhood
}

/// Amplitude at one frequency, by Goertzel's recurrence over a Hann window.
fn amplitude(window: &[f32], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / TICKS_PER_SECOND as f64;
    let (coefficient, length) = (2.0 * step.cos(), window.len() as f64);
    let (mut last, mut before) = (0.0, 0.0);
    for (n, sample) in window.iter().enumerate() {
        let hann = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / length).cos();
        (last, before) = (f64::from(*sample) * hann + coefficient * last - before, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    4.0 * power.max(0.0).sqrt() / length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, loud: f64) -> Vec<f32> {
        (0..48_000).map(|n| ((n as f64 * hertz / 48_000.0 * std::f64::consts::TAU).sin() * loud) as f32).collect()
    }

    #[test]
    fn a_tone_is_measured_and_told_from_its_neighbours() {
        let sound = tone(10_000.0, 0.02);
        assert!((amplitude(&sound[..WINDOW], 10_000.0) - 0.02).abs() < 1e-3);
        assert!(holds(&sound[..WINDOW], 10_000.0));
        assert!(!holds(&sound[..WINDOW], 12_000.0));
    }

    #[test]
    fn silence_holds_nothing() {
        assert!(!holds(&[0.0; WINDOW], 10_000.0));
        assert!(Sound(vec![0.0; 48_000]).share_with(10_000.0, 0.0, 1.0) < 0.01);
        assert!(Sound(Vec::new()).share_with(10_000.0, 0.0, 1.0) < 0.01);
    }

    #[test]
    fn shares_follow_the_time() {
        let mut sound = vec![0.0; 48_000];
        sound.extend(tone(12_000.0, 0.02));
        let sound = Sound(sound);
        assert!(sound.share_with(12_000.0, 0.0, 0.9) < 0.01);
        assert!(sound.share_with(12_000.0, 1.1, 2.0) > 0.99);
    }
}
