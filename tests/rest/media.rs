//! What a member says in a real channel, and what a player hears: ffmpeg decodes, energy per frequency judges.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cloud_recorder::channel::livekit::Talker;
use sha2::{Digest, Sha256};

use crate::talker;

const RATE: u64 = 48_000;

/// A member of a real channel sends a sine of 440 Hz as it goes: a packet for each of these frames of 20 ms.
pub(crate) async fn send_tone(member: &Talker, frames: impl IntoIterator<Item = u64>) {
    let mut voice = talker::Talker::new(1, 440.0);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for frame in frames {
        ticks.tick().await;
        let packet = voice.next_packet(frame * 20);
        member.send(packet.payload, packet.sequence, packet.timestamp, frame == 0).await.unwrap();
    }
}

/// Decoded sound, mono, 48 kHz.
pub(crate) struct Sound(Vec<f32>);

impl Sound {
    pub(crate) fn ms(&self) -> u64 {
        self.0.len() as u64 * 1000 / RATE
    }

    /// The samples between two times in milliseconds.
    pub(crate) fn part(&self, from_ms: u64, to_ms: u64) -> &[f32] {
        &self.0[(from_ms * RATE / 1000) as usize..(to_ms * RATE / 1000) as usize]
    }
}

/// Decodes a playlist or a whole file; a word of warning from ffmpeg fails the test.
pub(crate) fn decode(playlist: &Path) -> Sound {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin"])
        .args(
            playlist
                .extension()
                .filter(|kind| *kind == "m3u8")
                .into_iter()
                .flat_map(|_| ["-allowed_extensions", "ALL"]),
        )
        .arg("-i")
        .arg(playlist)
        .args(["-ac", "1", "-ar", "48000", "-f", "f32le", "-"])
        .output()
        .expect("ffmpeg is installed");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{}: {words}", playlist.display());
    Sound(
        output
            .stdout
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect(),
    )
}

/// The amplitude of a frequency in a stretch of sound (Goertzel).
pub(crate) fn tone(sound: &[f32], frequency: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * frequency / RATE as f32).cos();
    let (mut one, mut two) = (0.0_f64, 0.0_f64);
    for sample in sound {
        let next = f64::from(*sample) + f64::from(coefficient) * one - two;
        (two, one) = (one, next);
    }
    let power = one * one + two * two - f64::from(coefficient) * one * two;
    (2.0 * power.max(0.0).sqrt() / sound.len() as f64) as f32
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// What `cloud-recorder verify` finds wrong with a playlist or manifest fails the test.
pub(crate) fn verify(place: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).arg("verify").arg(place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// What `cloud-recorder verify` says of a recording that is not sound.
pub(crate) fn verify_fails(place: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).arg("verify").arg(place).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
