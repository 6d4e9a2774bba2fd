//! Recordings on disk, made from a list of packets.

use std::path::PathBuf;

use bytes::Bytes;
use cloud_recorder::codec::fmp4::{Sample, init_segment, media_segment};
use cloud_recorder::codec::opus::{self, Encoder};
use cloud_recorder::codec::playlist::{Entry, Playlist};
use cloud_recorder::units::{Ticks, WallMs};
use tempfile::TempDir;

use crate::audio_probe::RATE;

/// A playlist on disk.
pub(crate) struct Hls {
    /// Where it lies: `list.m3u8`, `init.mp4`, `0.m4s`, ….
    pub(crate) folder: TempDir,
    /// How many packets it has.
    pub(crate) packets: usize,
    /// Start, file and packets of each segment.
    pub(crate) segments: Vec<(Ticks, Bytes, Vec<Sample>)>,
}

impl Hls {
    /// Cuts packets into segments of 300.
    pub(crate) fn new(channels: u8, packets: &[Sample]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut playlist = Playlist::new(6, "init.mp4".into(), WallMs(1_700_000_000_000));
        let mut segments = Vec::new();
        std::fs::write(folder.path().join("init.mp4"), init_segment(channels)).unwrap();
        for (index, samples) in packets.chunks(300).enumerate() {
            let (name, start) = (format!("{index}.m4s"), playlist.end());
            let file = media_segment(index as u32 + 1, start, samples);
            std::fs::write(folder.path().join(&name), &file).unwrap();
            let duration = Ticks(samples.iter().map(|sample| sample.duration.0).sum());
            playlist.entries.push(Entry { name, start, duration });
            segments.push((start, file, samples.to_vec()));
        }
        playlist.ended = true;
        std::fs::write(folder.path().join("list.m3u8"), playlist.render()).unwrap();
        Self { folder, packets: packets.len(), segments }
    }

    /// Its playlist's path.
    pub(crate) fn playlist(&self) -> PathBuf {
        self.folder.path().join("list.m3u8")
    }
}

/// `seconds` of a sine at half scale, the right channel at a quarter where there is one.
pub(crate) fn sine(hertz: f64, seconds: usize, channels: u8) -> Vec<Sample> {
    let mut encoder = Encoder::new(channels, 96_000, 10).unwrap();
    let tone = |n: usize| (std::f64::consts::TAU * hertz * n as f64 / RATE as f64).sin() as f32 * 0.5;
    let frame = |index: usize| {
        let sound: Vec<f32> = (index * 960..(index + 1) * 960)
            .flat_map(|n| [tone(n), tone(n) / 2.0].into_iter().take(channels.into()))
            .collect();
        let bytes = encoder.encode(&sound).unwrap();
        Sample { duration: opus::duration(&bytes).unwrap(), bytes }
    };
    (0..seconds * 50).map(frame).collect()
}
