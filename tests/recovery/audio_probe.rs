//! What a player hears: ffmpeg decodes, and every stretch is asked which voice is in it. Times are wall-clock milliseconds.

use std::path::Path;
use std::process::Command;

use crate::sound_check::{STEP_MS, Voice};

/// Stands for a change that is not heard within a tenth of a second.
const LATE_MS: i64 = 200;

const SAMPLES_A_MS: u64 = 48;
/// The grain of silence, in milliseconds.
const GRAIN_MS: u64 = 20;
/// Sound arrives this much later than it was made, at most: a packet's length, the network, a busy machine.
const MAX_LAG_MS: u64 = 60;
/// Root mean square below which a track is silent.
const SILENT: f64 = 0.01;
/// Amplitude below which a voice is not in a mix.
const ABSENT: f64 = 0.01;
/// The share of a window's power that its own frequency has, at least.
const PURE: f64 = 0.6;

/// A decoded playlist.
pub(crate) struct Sound {
    samples: Vec<f32>,
    /// Wall time of its first sample.
    start: u64,
    /// Whether others are in it too.
    mixed: bool,
}

/// A stretch of wall time: from, to.
pub(crate) type Span = (u64, u64);

impl Sound {
    /// Decodes a playlist that begins at `start`; a word of complaint from ffmpeg is an error.
    pub(crate) fn decode(playlist: &Path, start: u64, mixed: bool) -> Result<Self, String> {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "warning", "-nostdin", "-allowed_extensions", "ALL", "-i"]).arg(playlist);
        let output = command.args(["-ac", "1", "-ar", "48000", "-f", "f32le", "-"]).output();
        let output = output.expect("ffmpeg is needed for this test: install it (apt-get install ffmpeg)");
        let words = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !words.trim().is_empty() {
            return Err(format!("ffmpeg on {}: {words}", playlist.display()));
        }
        let samples =
            output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        Ok(Self { samples: samples.collect(), start, mixed })
    }

    /// Its length in milliseconds.
    pub(crate) fn ms(&self) -> u64 {
        self.samples.len() as u64 / SAMPLES_A_MS
    }

    /// Where `voice` should be heard and is not. Pauses of the voice neither begin nor end a silence.
    pub(crate) fn silences(&self, voice: Voice) -> Vec<Span> {
        let (mut silences, mut open) = (Vec::new(), None::<Span>);
        let mut at = self.start.next_multiple_of(GRAIN_MS);
        while at + 2 * GRAIN_MS <= self.start + self.ms() {
            match self.hears(voice, at) {
                Some(true) => silences.extend(open.take()),
                Some(false) => open = Some((open.map_or(at, |(from, _)| from), at + GRAIN_MS)),
                None => {}
            }
            at += GRAIN_MS;
        }
        silences.extend(open);
        silences
    }

    /// Whether the voice is in the grain at `at`; nothing where it may be in a pause.
    fn hears(&self, voice: Voice, at: u64) -> Option<bool> {
        let (early, now) = (voice.hertz(at.saturating_sub(MAX_LAG_MS))?, voice.hertz(at)?);
        voice.hertz(at + GRAIN_MS)?;
        if !self.mixed {
            return Some(loudness(self.part(at, at + GRAIN_MS)) > SILENT);
        }
        let window = self.part(at, at + 2 * GRAIN_MS);
        Some(amplitude(window, now).max(amplitude(window, early)) > ABSENT)
    }

    /// Steps of the staircase that are heard as a whole and are not what was said at that time.
    pub(crate) fn misplaced(&self, silences: &[Span]) -> Vec<u64> {
        let steps = self.start.div_ceil(STEP_MS)..(self.start + self.ms()) / STEP_MS;
        let whole = steps.filter(|step| heard(silences, step * STEP_MS - STEP_MS / 2, (step + 1) * STEP_MS));
        let wrong = whole.filter(|step| {
            let window = self.part(step * STEP_MS + MAX_LAG_MS, (step + 1) * STEP_MS - 20);
            let tone = amplitude(window, Voice::Staircase.hertz(step * STEP_MS).unwrap());
            if self.mixed { tone < ABSENT } else { tone * tone / 2.0 < PURE * loudness(window).powi(2) }
        });
        wrong.map(|step| step * STEP_MS).collect()
    }

    /// How much later each change of the staircase is heard than it was made, in milliseconds; where it can be heard.
    pub(crate) fn lags(&self, silences: &[Span]) -> Vec<i64> {
        let last = (self.start + self.ms()).saturating_sub(200) / STEP_MS;
        let changes = self.start.div_ceil(STEP_MS) + 1..last;
        let clear = changes.map(|step| step * STEP_MS).filter(|at| heard(silences, at - 150, at + 150));
        clear.map(|at| self.lag(at)).collect()
    }

    fn lag(&self, change: u64) -> i64 {
        let (before, after) = (Voice::Staircase.hertz(change - 1).unwrap(), Voice::Staircase.hertz(change).unwrap());
        let turned = |lag: &i64| {
            let middle = change.saturating_add_signed(*lag);
            let window = self.part(middle - 10, middle + 10);
            amplitude(window, after) > amplitude(window, before)
        };
        (-100..=100).step_by(4).find(turned).unwrap_or(LATE_MS)
    }

    fn part(&self, from: u64, to: u64) -> &[f32] {
        let sample = |wall: u64| ((wall.saturating_sub(self.start) * SAMPLES_A_MS) as usize).min(self.samples.len());
        &self.samples[sample(from)..sample(to)]
    }
}

/// Whether no silence touches the stretch.
fn heard(silences: &[Span], from: u64, to: u64) -> bool {
    silences.iter().all(|silence| silence.1 <= from || to <= silence.0)
}

fn loudness(sound: &[f32]) -> f64 {
    let power: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (power / sound.len().max(1) as f64).sqrt()
}

/// Amplitude of a frequency under a Hann window (Goertzel).
fn amplitude(sound: &[f32], hertz: f64) -> f64 {
    let turn = std::f64::consts::TAU * hertz / (SAMPLES_A_MS * 1000) as f64;
    let window = std::f64::consts::TAU / sound.len().max(1) as f64;
    let (coefficient, bend) = (2.0 * turn.cos(), 2.0 * window.cos());
    let (mut one, mut two) = (0.0, 0.0);
    // The window's cosine by its own recurrence: one multiplication a sample.
    let (mut cosine, mut before) = (1.0, window.cos());
    for sample in sound {
        let weighted = f64::from(*sample) * (1.0 - cosine);
        (two, one) = (one, weighted + coefficient * one - two);
        (before, cosine) = (cosine, bend * cosine - before);
    }
    let power = one * one + two * two - coefficient * one * two;
    2.0 * power.max(0.0).sqrt() / sound.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound_check::{FRAME_MS, VOICES};

    /// What is decoded from these frames of a voice, those before `lost` and those after.
    fn said(voice: Voice, frames: std::ops::Range<u64>, lost: std::ops::Range<u64>) -> Sound {
        let mut decoder = cloud_recorder::codec::opus::Decoder::new(1).unwrap();
        let mut samples = Vec::new();
        for frame in frames.clone() {
            match voice.packet(frame).filter(|_| !lost.contains(&frame)) {
                Some(packet) => drop(decoder.decode(&packet, &mut samples).unwrap()),
                None => samples.resize(samples.len() + 960, 0.0),
            }
        }
        Sound { samples, start: frames.start * FRAME_MS, mixed: false }
    }

    #[test]
    fn a_gap_is_found_where_it_is_and_nowhere_else() {
        for voice in VOICES {
            let sound = said(voice, 1_000..1_500, 1_210..1_300);
            let silences = sound.silences(voice);
            let [(from, to)] = silences[..] else { panic!("{voice:?}: {silences:?}") };
            let slack = if voice == Voice::Bursts { 900 } else { 40 };
            assert!(from.abs_diff(24_200) <= slack && to.abs_diff(26_000) <= slack, "{voice:?}: {from} to {to}");
        }
    }

    #[test]
    fn every_change_is_heard_when_it_was_made() {
        let sound = said(Voice::Staircase, 1_000..1_400, 1_200..1_250);
        let silences = sound.silences(Voice::Staircase);
        assert_eq!(sound.misplaced(&silences), [] as [u64; 0]);
        let lags = sound.lags(&silences);
        assert!(lags.len() > 25 && lags.iter().all(|lag| (0..=16).contains(lag)), "{lags:?}");
    }

    #[test]
    fn sound_at_the_wrong_time_is_noticed() {
        let mut sound = said(Voice::Staircase, 1_000..1_400, 0..0);
        sound.start += 100;
        let silences = sound.silences(Voice::Staircase);
        assert!(sound.lags(&silences).iter().all(|lag| *lag > 80), "a tenth of a second");
        sound.start += 300;
        assert!(sound.misplaced(&silences).len() > 30, "two steps");
    }
}
