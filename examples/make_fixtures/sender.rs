//! A WebRTC sender: encodes, packs into RTP, sends over a network with a little jitter.

use bytes::Bytes;
use cloud_recorder::recording::{Input, Packet, TimedInput};
use cloud_recorder::units::{Ssrc, Ticks, TrackId};
use opus::{Application, Bitrate, Channels, Encoder};

use crate::chance::Chance;

/// Samples of a packet.
const FRAME: usize = 960;

/// From the end of a frame's capture to its arrival.
const TRAVEL: Ticks = Ticks::from_ms(40);

/// Most that a packet is late on top.
const JITTER: u64 = 480;

/// What a sender sends.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// 32 kbit/s mono speech, the whole time.
    Voice,
    /// The same, silent in pauses: like libwebrtc the first DTX frame is sent and then only the refreshes, each 400 ms.
    VoiceWithDtx,
    /// 96 kbit/s stereo.
    Stereo,
}

/// One publication.
pub(crate) struct Sender {
    track: TrackId,
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    encoder: Encoder,
    channels: usize,
    in_dtx: bool,
    chance: Chance,
}

impl Sender {
    /// Sequence numbers and timestamps start shortly before their wrap.
    pub(crate) fn new(track: u32, kind: Kind) -> anyhow::Result<Self> {
        let (channels, application, bit_rate) = match kind {
            Kind::Voice | Kind::VoiceWithDtx => (Channels::Mono, Application::Voip, 32_000),
            Kind::Stereo => (Channels::Stereo, Application::Audio, 96_000),
        };
        let mut encoder = Encoder::new(48_000, channels, application)?;
        encoder.set_bitrate(Bitrate::Bits(bit_rate))?;
        encoder.set_complexity(9)?;
        encoder.set_dtx(matches!(kind, Kind::VoiceWithDtx))?;
        let mut chance = Chance::new(track.into());
        Ok(Self {
            track: TrackId(track),
            ssrc: Ssrc(chance.next() as u32),
            sequence: 65_500 - chance.below(300) as u16,
            timestamp: u32::MAX - chance.below(400_000) as u32,
            encoder,
            channels: channels as usize,
            in_dtx: false,
            chance,
        })
    }

    /// Sends sound that is captured from `at` on. The RTP clock runs on with it and stands still after it.
    pub(crate) fn send(&mut self, at: Ticks, sound: &[f32]) -> anyhow::Result<Vec<TimedInput>> {
        let mut sent = Vec::new();
        let mut arrival = Ticks::ZERO;
        for (index, frame) in sound.chunks_exact(FRAME * self.channels).enumerate() {
            let payload = self.encoder.encode_vec_float(frame, 1500)?;
            let timestamp = self.timestamp;
            self.timestamp = timestamp.wrapping_add(FRAME as u32);
            let silent = payload.len() <= 2;
            let resumes = self.in_dtx && !silent;
            if silent && std::mem::replace(&mut self.in_dtx, silent) {
                continue;
            }
            self.in_dtx = silent;
            let captured = at + Ticks((FRAME * (index + 1)) as u64);
            arrival = arrival.max(captured + TRAVEL + Ticks(self.chance.below(JITTER)));
            let packet = self.packet(timestamp, resumes || index == 0, Some(level(frame)), payload.into());
            sent.push(TimedInput { at: arrival, input: Input::Packet(packet) });
        }
        Ok(sent)
    }

    /// A packet of nothing but padding, as a server sends to probe the line: takes a sequence number, no time.
    pub(crate) fn padding(&mut self, at: Ticks) -> TimedInput {
        let packet = self.packet(self.timestamp.wrapping_sub(FRAME as u32), false, None, Bytes::new());
        TimedInput { at, input: Input::Packet(packet) }
    }

    fn packet(&mut self, timestamp: u32, marker: bool, level: Option<u8>, payload: Bytes) -> Packet {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Packet { track: self.track, ssrc: self.ssrc, sequence, timestamp, marker, level, payload }
    }
}

/// RFC 6464: 0 to 127 dB below overload.
fn level(frame: &[f32]) -> u8 {
    let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
    (-10.0 * power.max(1e-13).log10()).clamp(0.0, 127.0) as u8
}
