//! Ears for tests: ffmpeg or libopus decodes, then the sound is measured. 48 kHz, `f32`, full scale at 1.0.

use std::path::Path;
use std::process::Command;

use cloud_recorder::codec::opus::{Decoder, LOOKAHEAD};

use crate::world::Placed;

/// Samples a second.
pub(crate) const RATE: usize = 48_000;

/// Decoded sound, one channel after the other.
pub(crate) struct Sound {
    /// Samples of each channel; all equally many.
    pub(crate) channels: Vec<Vec<f32>>,
}

/// Decodes a file or playlist with ffmpeg and fails on its faintest complaint.
pub(crate) fn decode(input: &Path, channels: usize) -> Sound {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin"])
        .args(input.extension().filter(|kind| *kind == "m3u8").into_iter().flat_map(|_| ["-allowed_extensions", "ALL"]))
        .arg("-i")
        .arg(input)
        .args(["-f", "f32le", "-ar", "48000", "-ac", &channels.to_string(), "-"])
        .output()
        .expect("ffmpeg is needed for this test: install it (apt-get install ffmpeg) and run the test again");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.trim().is_empty(), "ffmpeg on {}: {complaints}", input.display());
    let samples: Vec<f32> = output
        .stdout
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let channel = |channel: usize| samples.iter().skip(channel).step_by(channels).copied().collect();
    Sound { channels: (0..channels).map(channel).collect() }
}

/// What libopus hears, from tick 0 on, interleaved.
pub(crate) fn hear(packets: &[Placed], channels: u8) -> Vec<f32> {
    let (mut decoder, mut sound) = (Decoder::new(channels).unwrap(), Vec::new());
    for packet in packets {
        decoder.decode(&packet.bytes, &mut sound).unwrap();
    }
    sound.drain(..LOOKAHEAD.0 as usize * usize::from(channels));
    sound
}

impl Sound {
    /// Samples of one channel.
    pub(crate) fn len(&self) -> usize {
        self.channels[0].len()
    }

    /// The part from `from` to `to` seconds of a channel.
    pub(crate) fn part(&self, channel: usize, from: f64, to: f64) -> &[f32] {
        let at = |seconds: f64| ((seconds * RATE as f64) as usize).min(self.len());
        &self.channels[channel][at(from)..at(to)]
    }
}

/// Root mean square in dB below full scale; silence is -200.
pub(crate) fn level_db(sound: &[f32]) -> f64 {
    let power = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / sound.len().max(1) as f64;
    10.0 * power.max(1e-20).log10()
}

/// Level of one frequency in dB below full scale (a full sine is -3, like its root mean square).
pub(crate) fn tone_db(sound: &[f32], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / RATE as f64;
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (n, sample) in sound.iter().enumerate() {
        cosine += f64::from(*sample) * (step * n as f64).cos();
        sine += f64::from(*sample) * (step * n as f64).sin();
    }
    let power = 2.0 * (cosine.powi(2) + sine.powi(2)) / (sound.len().max(1) as f64).powi(2);
    10.0 * power.max(1e-20).log10()
}
