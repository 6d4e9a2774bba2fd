//! A waveform for players: one value per 100 ms at first, of half the resolution whenever it would grow past [`MAX_VALUES`].
//!
//! Positions in ticks. Values are linear, 0 to 255 for full scale, as 8-bit waveforms have them.

use serde::{Deserialize, Serialize};

use super::SourceId;
use crate::units::{Ticks, Uid};

/// What a value stands for at first: 100 ms.
pub(super) const STEP: i64 = Ticks::from_ms(100).0 as i64;

/// Most values of a waveform: an hour at the first resolution.
const MAX_VALUES: usize = 36_000;

/// The waveforms of a recording, as far as its sound is known: some seconds behind the present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peaks {
    /// Everybody mixed; `None` without a mix.
    pub mix: Option<Waveform>,
    /// Uid by uid, in their order: who is in the ledger and has a source.
    pub uids: Vec<UidWaveform>,
}

/// The waveform of one uid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UidWaveform {
    /// Whose.
    pub uid: Uid,
    /// Its waveform.
    pub waveform: Waveform,
    /// Of which further source; none for the uid's own sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
}

/// A waveform from tick 0 on. It ends with the last sound: what follows is silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waveform {
    /// Where the values come from.
    pub source: PeakSource,
    /// Milliseconds that a value stands for: 100, 200, 400 and so on.
    pub step_ms: u64,
    /// The greatest amplitude of each step: 0 is silence, 255 full scale.
    pub values: Vec<u8>,
}

/// Where the values of a waveform come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakSource {
    /// The decoded sound: its largest sample.
    Decoded,
    /// The audio level that the sender put in its packets (RFC 6464): a root mean square, not a peak. Speech looks some 12 dB
    /// smaller than in a waveform of [`PeakSource::Decoded`].
    AudioLevel,
}

/// A waveform that grows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wave {
    step: i64,
    values: Vec<u8>,
}

impl Default for Wave {
    fn default() -> Self {
        Self { step: STEP, values: Vec::new() }
    }
}

impl Wave {
    /// There is an amplitude of `peak` (full scale at 1.0) at `at`. What lies before tick 0 counts as there.
    pub(super) fn mark(&mut self, at: i64, peak: f32) {
        // A cast from float saturates, and makes 0 of what is not a number.
        let value = (peak * 255.0).round() as u8;
        if value == 0 {
            return;
        }
        let mut index = self.index(at);
        while index >= MAX_VALUES {
            self.values = self.values.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or(0)).collect();
            self.step *= 2;
            index = self.index(at);
        }
        if self.values.len() <= index {
            self.values.resize(index + 1, 0);
        }
        self.values[index] = self.values[index].max(value);
    }

    /// For the outside.
    pub(super) fn waveform(&self, source: PeakSource) -> Waveform {
        Waveform { source, step_ms: Ticks(self.step as u64).as_ms(), values: self.values.clone() }
    }

    fn index(&self, at: i64) -> usize {
        usize::try_from(at.max(0) / self.step).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_greatest_amplitude_of_their_step() {
        let mut wave = Wave::default();
        for (at, peak) in [(-100, 0.1), (STEP - 1, 0.5), (STEP, 0.2), (3 * STEP, 1.7), (9 * STEP, 0.001), (0, f32::NAN)]
        {
            wave.mark(at, peak);
        }
        let waveform = wave.waveform(PeakSource::Decoded);
        assert_eq!((waveform.step_ms, &waveform.values[..]), (100, &[128, 51, 0, 255][..]), "silence is not kept");
    }

    #[test]
    fn past_the_limit_the_resolution_is_halved_and_no_peak_is_lost() {
        let mut wave = Wave::default();
        for step in 0..3 * MAX_VALUES as i64 {
            wave.mark(step * STEP, if step == 77_777 { 1.0 } else { 0.25 });
        }
        let waveform = wave.waveform(PeakSource::AudioLevel);
        assert_eq!((waveform.step_ms, waveform.values.len()), (400, 27_000));
        let loud: Vec<usize> = (0..27_000).filter(|index| waveform.values[*index] == 255).collect();
        assert_eq!(loud, [77_777 / 4]);
    }

    #[test]
    fn one_sound_after_a_month_is_one_list() {
        let mut wave = Wave::default();
        wave.mark(super::super::recorder::MAX_LENGTH.0 as i64, 0.5);
        assert!(wave.values.len() <= MAX_VALUES && wave.values.ends_with(&[128]));
    }
}
