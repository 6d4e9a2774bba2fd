//! What three people send who talk all the time.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use cloud_recorder::codec::opus::{Decoder, Encoder};
use cloud_recorder::recording::{
    AudioProfile, Input, Mode, Packet, SegmentLength, Selection, Spec, TimedInput, TrackKind,
};
use cloud_recorder::units::{Cname, Sid, Ssrc, Ticks, TrackId, Uid, WallMs};

/// The length of a packet.
pub(crate) const PACKET_TIME: Duration = Duration::from_millis(20);
/// Packets a second.
const RATE: u32 = 50;
/// Bits a second of a talker: packets of 120 bytes.
const BIT_RATE: i32 = 48_000;
/// Seconds of speech that a talker has.
const SECONDS: usize = 10;

const VOICES: [&[u8]; 3] = [
    include_bytes!("../../fixtures/talkers/anna.opk"),
    include_bytes!("../../fixtures/talkers/ben.opk"),
    include_bytes!("../../fixtures/talkers/cora.opk"),
];

/// The packets of the talkers.
pub(crate) struct Inputs {
    voices: Vec<Vec<Bytes>>,
}

impl Inputs {
    /// Encodes the talkers of the fixtures at the bit rate of a call.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { voices: VOICES.iter().map(|file| voice(file)).collect::<Result<_, _>>()? })
    }

    /// Nobody talks.
    pub(crate) fn silent() -> Self {
        Self { voices: Vec::new() }
    }

    pub(crate) fn mean_bytes(&self) -> f64 {
        let lengths = self.voices.iter().flatten().map(Bytes::len);
        lengths.clone().sum::<usize>() as f64 / lengths.count().max(1) as f64
    }

    /// What a recording is to be.
    pub(crate) fn spec(&self, number: usize, mode: Mode) -> anyhow::Result<Spec> {
        Ok(Spec {
            sid: sid(number),
            cname: Cname::new("room")?,
            start: WallMs(1_700_000_000_000),
            mode,
            profile: AudioProfile::Mono64,
            segment: SegmentLength::default(),
            selection: Selection::All,
        })
    }

    /// The talkers come.
    pub(crate) fn arrivals(&self) -> anyhow::Result<Vec<TimedInput>> {
        let mut inputs = Vec::new();
        for number in 0..self.voices.len() {
            let uid = Uid::new(&format!("{number}"))?;
            inputs.push(Input::Joined { uid: uid.clone() });
            inputs.push(Input::TrackAdded { track: track(number), uid, muted: false, kind: TrackKind::default() });
        }
        Ok(inputs.into_iter().map(|input| TimedInput { at: Ticks::ZERO, input }).collect())
    }

    /// One packet of each talker.
    pub(crate) fn frame(&self, frame: u32) -> impl Iterator<Item = TimedInput> {
        self.voices.iter().enumerate().map(move |(number, packets)| {
            let packet = Packet {
                track: track(number),
                ssrc: Ssrc(0x1000 + number as u32),
                sequence: frame as u16,
                timestamp: frame.wrapping_mul(960),
                marker: frame == 0,
                level: Some(30),
                payload: packets[frame as usize % packets.len()].clone(),
            };
            TimedInput { at: Ticks(u64::from(frame) * 960), input: Input::Packet(packet) }
        })
    }

    /// All of so many seconds.
    pub(crate) fn all(&self, seconds: u32) -> anyhow::Result<Vec<TimedInput>> {
        let packets = (0..seconds * RATE).flat_map(|frame| self.frame(frame));
        Ok(self.arrivals()?.into_iter().chain(packets).collect())
    }
}

/// The id of a recording.
pub(crate) fn sid(number: usize) -> Sid {
    Sid::from_random((number as u128).to_be_bytes())
}

fn track(number: usize) -> TrackId {
    TrackId(number as u32 + 1)
}

/// Recodes a file of packets: a 16-bit little-endian length and a packet, again and again.
fn voice(mut file: &[u8]) -> anyhow::Result<Vec<Bytes>> {
    let (mut decoder, mut encoder) = (Decoder::new(1)?, Encoder::new(1, BIT_RATE, 5)?);
    let mut packets = Vec::new();
    while packets.len() < SECONDS * RATE as usize {
        let (length, rest) = file.split_first_chunk::<2>().context("the talker ends early")?;
        let (packet, rest) =
            rest.split_at_checked(u16::from_le_bytes(*length).into()).context("a packet is cut short")?;
        let mut sound = Vec::new();
        decoder.decode(packet, &mut sound)?;
        packets.push(encoder.encode(&sound)?);
        file = rest;
    }
    Ok(packets)
}
