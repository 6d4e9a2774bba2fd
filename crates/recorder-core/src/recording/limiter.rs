//! A look-ahead limiter at -1 dBFS: it knows the peaks of the next 5 ms, so it turns down before they come. Its gain is applied in
//! place: it does not delay.
//!
//! Works in blocks of 1 ms on the mix's own grid. The gain is given at the blocks' borders and goes straight between them; at
//! each border it is at most what both blocks beside it need, so no sample passes the ceiling. It falls over the look-ahead and
//! rises by a time constant of 120 ms. Samples are interleaved `f32`, full scale at 1.0.

use serde::{Deserialize, Serialize};

/// -1 dBFS.
pub(super) const CEILING: f32 = 0.891_250_9;

/// Samples of each channel in a block: 1 ms.
pub(super) const BLOCK: usize = 48;

/// Blocks that must be known beyond those that are limited: 5 ms.
pub(super) const AHEAD: usize = 5;

/// What is left of a reduction after one block: e^(-1 ms / 120 ms).
const RELEASE: f32 = 0.991_701_3;

/// A reduction below this is none.
const NEGLIGIBLE: f32 = 1e-3;

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Limiter {
    channels: usize,
    /// Gain at the border that was reached.
    gain: f32,
}

impl Limiter {
    /// For 1 or 2 channels.
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, gain: 1.0 }
    }

    /// Limits the first `blocks` blocks of `sound`, which holds [`AHEAD`] more.
    pub(super) fn run(&mut self, sound: &mut [f32], blocks: usize) {
        let samples = BLOCK * self.channels;
        let needs: Vec<f32> = sound.chunks(samples).take(blocks + AHEAD).map(need).collect();
        if self.gain >= 1.0 && needs.iter().all(|need| *need >= 1.0) {
            return;
        }
        let border = |index: usize| {
            let after = needs.get(index).copied().unwrap_or(1.0);
            index.checked_sub(1).and_then(|before| needs.get(before)).map_or(after, |before| before.min(after))
        };
        for (index, block) in sound.chunks_mut(samples).take(blocks).enumerate() {
            let next = (0..AHEAD)
                .map(|ahead| {
                    let need = border(index + 1 + ahead);
                    need + (1.0 - need) * ahead as f32 / AHEAD as f32
                })
                .fold(self.released(), f32::min);
            let from = self.gain.min(needs[index]);
            let step = (next - from) / BLOCK as f32;
            for (frame, samples) in block.chunks_mut(self.channels).enumerate() {
                let gain = from + step * frame as f32;
                for sample in samples {
                    let level = *sample * gain;
                    *sample = if level.is_nan() { 0.0 } else { level.clamp(-CEILING, CEILING) };
                }
            }
            self.gain = next;
        }
    }

    /// Nothing was heard for long enough that nothing is left of any reduction.
    pub(super) fn rest(&mut self) {
        *self = Self::new(self.channels);
    }

    fn released(&self) -> f32 {
        let reduction = (1.0 - self.gain) * RELEASE;
        if reduction < NEGLIGIBLE { 1.0 } else { 1.0 - reduction }
    }
}

/// The gain that brings a block's peak to the ceiling, at most 1; 0 for a block that is not sound (NaN, which no decoder gives).
fn need(block: &[f32]) -> f32 {
    if block.iter().any(|sample| sample.is_nan()) {
        return 0.0;
    }
    let peak = block.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if peak > CEILING { CEILING / peak } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limited(sound: &[f32], blocks_at_once: usize) -> Vec<f32> {
        let mut sound = sound.to_vec();
        sound.resize(sound.len().next_multiple_of(BLOCK * 20), 0.0);
        let blocks = sound.len() / BLOCK;
        sound.resize(sound.len() + AHEAD * BLOCK, 0.0);
        let mut limiter = Limiter::new(1);
        for first in (0..blocks).step_by(blocks_at_once) {
            limiter.run(&mut sound[first * BLOCK..], blocks_at_once.min(blocks - first));
        }
        sound
    }

    fn sines(amplitudes: [f32; 3]) -> Vec<f32> {
        let sine = |n: usize, hertz: f32| (n as f32 * hertz * std::f32::consts::TAU / 48_000.0).sin();
        let sum =
            |n| (0..3).map(|rtp_source| amplitudes[rtp_source] * sine(n, [310.0, 523.0, 881.0][rtp_source])).sum();
        (0..48_000).map(sum).collect()
    }

    #[test]
    fn three_loud_talkers_are_turned_down_below_the_ceiling_and_not_clipped() {
        let loud = limited(&sines([0.6; 3]), 20);
        let peak = loud.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!(peak <= CEILING && peak > 0.8, "{peak}");
        let gains: Vec<f32> = sines([0.6; 3]).iter().zip(&loud).map(|(before, after)| after / before).collect();
        let steepest = gains.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0_f32, f32::max);
        assert!(steepest < 0.005, "turned down, not clipped: {steepest} in one sample");
    }

    #[test]
    fn what_is_not_loud_is_left_alone() {
        let quiet = sines([0.25; 3]);
        assert_eq!(limited(&quiet, 20)[..48_000], quiet);
    }

    #[test]
    fn the_gain_comes_back() {
        let mut sound = sines([0.25; 3]);
        sound[4_800] = 3.0;
        let after = limited(&sound, 20);
        assert!(after[4_800] <= CEILING);
        assert_eq!(after[4_000..4_400], sound[4_000..4_400], "nothing happens before the look-ahead");
        assert_eq!(after[47_900], sound[47_900]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_sample_passes_and_the_spans_do_not_matter(
            peaks in proptest::collection::vec((0_usize..9_600, -4.0_f32..4.0), 0..20),
            at_once in 1_usize..20,
        ) {
            let mut sound = vec![0.1; 9_600];
            for (at, value) in peaks {
                sound[at] = value;
            }
            sound[77] = f32::NAN;
            let after = limited(&sound, at_once * 10);
            prop_assert!(after.iter().all(|sample| sample.abs() <= CEILING));
            prop_assert_eq!(after, limited(&sound, 20));
        }
    }
}
