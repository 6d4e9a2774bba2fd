//! A member who sends a sine in real Opus.

use bytes::Bytes;
use cloud_recorder::codec::opus::Encoder;
use cloud_recorder::recording::Packet;
use cloud_recorder::units::{Ssrc, TrackId};

/// Samples in a packet: 20 ms.
const FRAME: u32 = 960;

/// A sender with its own clock and sequence.
#[derive(Debug)]
pub struct Talker {
    track: TrackId,
    frequency: f32,
    encoder: Encoder,
    sequence: u16,
    phase: u32,
}

impl Talker {
    /// Sends a sine of `frequency` hertz on `track`.
    pub fn new(track: u32, frequency: f32) -> Self {
        let encoder = Encoder::new(1, 48_000, 5).unwrap();
        Self { track: TrackId(track), frequency, encoder, sequence: 60_000, phase: 0 }
    }

    /// The packet of the frame at `ms` on its own clock.
    pub fn next_packet(&mut self, ms: u64) -> Packet {
        let sample = |index: u32| {
            let seconds = (self.phase + index) as f32 / 48_000.0;
            0.3 * (std::f32::consts::TAU * self.frequency * seconds).sin()
        };
        let sound: Vec<f32> = (0..FRAME).map(sample).collect();
        let payload: Bytes = self.encoder.encode(&sound).unwrap();
        self.phase += FRAME;
        self.sequence = self.sequence.wrapping_add(1);
        Packet {
            track: self.track,
            ssrc: Ssrc(7_000 + self.track.0),
            sequence: self.sequence,
            timestamp: 4_294_900_000_u32.wrapping_add(ms as u32 * 48),
            marker: false,
            level: Some(30),
            payload,
        }
    }
}
