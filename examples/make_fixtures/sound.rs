//! Speech and what is done to it. 48 kHz mono `f32`, full scale at 1.0.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::chance::Chance;

/// Samples a second.
pub(crate) const RATE: usize = 48_000;

/// Root mean square that speech is brought to: -23 dB below full scale.
const SPEECH_RMS: f32 = 0.07;

/// Quiet room: noise of about -85 dB below full scale.
const ROOM: f32 = 1e-4;

/// Sentences by name: `anna-1`, ….
pub(crate) struct Speech(BTreeMap<String, Vec<f32>>);

impl Speech {
    /// Reads all `*.s16` files of a folder: signed 16-bit little-endian samples without a header.
    pub(crate) fn load(folder: &Path) -> anyhow::Result<Self> {
        let mut sentences = BTreeMap::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("no speech in {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let bytes = std::fs::read(&path)?;
            let sample = |bytes: &[u8]| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_768.0;
            let mut sound: Vec<f32> = bytes.chunks_exact(2).map(sample).collect();
            let power = sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32;
            amplify(&mut sound, SPEECH_RMS / power.sqrt().max(1e-9));
            sentences.insert(name, sound);
        }
        Ok(Self(sentences))
    }

    /// A sentence.
    pub(crate) fn sentence(&self, name: &str) -> anyhow::Result<&[f32]> {
        self.0.get(name).map(Vec::as_slice).with_context(|| format!("no sentence {name}; run fixtures/make.sh"))
    }

    /// `seconds` of a voice without long pauses: its sentences one after the other, again and again.
    pub(crate) fn monologue(&self, voice: &str, seconds: usize) -> anyhow::Result<Vec<f32>> {
        let mut sound = Vec::new();
        for number in (1..=4).cycle() {
            if sound.len() >= seconds * RATE {
                break;
            }
            sound.extend_from_slice(self.sentence(&format!("{voice}-{number}"))?);
        }
        sound.truncate(seconds * RATE);
        Ok(sound)
    }
}

/// `seconds` of a quiet room.
pub(crate) fn room(seconds: usize, seed: u64) -> Vec<f32> {
    let mut chance = Chance::new(seed);
    (0..seconds * RATE).map(|_| (chance.below(2001) as f32 / 1000.0 - 1.0) * ROOM).collect()
}

/// Adds `sound` to `room` from `at` seconds on, for at most `seconds`.
pub(crate) fn place(room: &mut [f32], sound: &[f32], at: f64, seconds: f64) {
    let from = (at * RATE as f64) as usize;
    let length = (seconds * RATE as f64) as usize;
    for (sample, added) in room.iter_mut().skip(from).zip(sound.iter().take(length)) {
        *sample += added;
    }
}

/// Makes sound louder.
pub(crate) fn amplify(sound: &mut [f32], factor: f32) {
    for sample in sound {
        *sample *= factor;
    }
}

/// As loud as a bad microphone: driven into saturation just below full scale.
pub(crate) fn shout(sound: &mut [f32]) {
    for sample in sound {
        *sample = (*sample * 8.0).tanh() * 0.95;
    }
}

/// Interleaves two channels.
pub(crate) fn stereo(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect()
}
