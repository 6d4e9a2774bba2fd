//! The sheet of paper that the mix is summed on: interleaved `f32` from a position on, as far as anybody has written.

use serde::{Deserialize, Serialize};

/// See the module's documentation. Positions in ticks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MixBuffer {
    channels: usize,
    start: i64,
    sum: Vec<f32>,
}

impl MixBuffer {
    /// An empty sheet from tick 0 on.
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, start: 0, sum: Vec::new() }
    }

    /// Adds sound at `at`; what would lie before the sheet's start is dropped.
    pub(super) fn add(&mut self, at: i64, sound: &[f32]) {
        let offset = at.saturating_sub(self.start);
        let skipped = usize::try_from(offset.saturating_neg()).unwrap_or(0).saturating_mul(self.channels);
        let Some(sound) = sound.get(skipped..) else {
            return;
        };
        let first = usize::try_from(offset).unwrap_or(0) * self.channels;
        if self.sum.len() < first + sound.len() {
            self.sum.resize(first + sound.len(), 0.0);
        }
        self.sum[first..].iter_mut().zip(sound).for_each(|(sum, sample)| *sum += sample);
    }

    /// The first `length` ticks.
    pub(super) fn front(&mut self, length: usize) -> &mut [f32] {
        let samples = length * self.channels;
        if self.sum.len() < samples {
            self.sum.resize(samples, 0.0);
        }
        &mut self.sum[..samples]
    }

    /// Moves the start on to `to`.
    pub(super) fn turn(&mut self, to: i64) {
        let passed = usize::try_from(to - self.start).unwrap_or(0).saturating_mul(self.channels);
        self.sum.drain(..passed.min(self.sum.len()));
        self.start = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_add_up_where_they_are_laid() {
        let mut mix_buffer = MixBuffer::new(2);
        mix_buffer.add(-1, &[9.0, 9.0, 1.0, 2.0]);
        mix_buffer.add(0, &[1.0, 1.0]);
        mix_buffer.add(2, &[5.0, 6.0]);
        assert_eq!(mix_buffer.front(4), [2.0, 3.0, 0.0, 0.0, 5.0, 6.0, 0.0, 0.0]);
        mix_buffer.turn(2);
        assert_eq!(mix_buffer.front(1), [5.0, 6.0]);
        mix_buffer.turn(100);
        mix_buffer.add(50, &[1.0; 20]);
        assert_eq!(mix_buffer.front(1), [0.0, 0.0]);
    }
}
