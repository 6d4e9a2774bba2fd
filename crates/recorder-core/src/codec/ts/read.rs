//! Reads back what [`super::segment`] writes, for recovery, `verify` and MP4 files. It trusts nothing.

use std::ops::Range;

use bytes::Bytes;

use super::{AUDIO_PID, BASE, FRAME_90K, HEADER, MARK, Note, PACKET, PAT_PID, PMT_PID, SYNC, TIME_MASK};
use crate::codec::aac::{ADTS_HEADER, first_frame};
use crate::error_class::{Classify, ErrorClass};

/// Most packets of the transport stream: 15 s at 510 kbit/s, and some.
const MAX_PACKETS: usize = 12_000;

/// Why bytes are not a segment of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsError {
    /// The packets are not those of a transport stream.
    #[error("it is no MPEG transport stream: {0}; the file is damaged")]
    Packets(&'static str),
    /// A transport stream that this recorder does not write.
    #[error("it is a transport stream, but {0}; it is damaged or not from this recorder")]
    Unexpected(&'static str),
}

impl Classify for TsError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::destination("segment_damaged", false)
    }
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it says of itself.
    pub note: Note,
    /// Which frame of the timeline is its first.
    pub first: u64,
    /// 1 or 2.
    pub channels: u8,
    /// Its frames as raw data blocks; at least one.
    pub blocks: Vec<Bytes>,
}

/// Whether bytes begin as a transport stream does; a file of boxes does not, being smaller than a gigabyte.
pub fn is_ts(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SYNC)
}

/// What a segment says of itself, without a look at its frames.
pub fn note(bytes: &[u8]) -> Option<Note> {
    bytes.chunks_exact(PACKET).take(3).find_map(|packet| Note::of(&packet[parts(packet).ok()?.private?]))
}

/// Reads a segment.
pub fn read(bytes: &Bytes) -> Result<Read, TsError> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(PACKET) {
        return Err(TsError::Packets("its length is no multiple of 188"));
    }
    if bytes.len() / PACKET > MAX_PACKETS {
        return Err(TsError::Packets("it is longer than a segment can be"));
    }
    let (mut note, mut pes, mut counter) = (None, Vec::<Vec<u8>>::new(), 0);
    for (number, packet) in bytes.chunks_exact(PACKET).enumerate() {
        let parts = parts(packet)?;
        let expected = [PAT_PID, PMT_PID].get(number).copied().unwrap_or(AUDIO_PID);
        if parts.pid != expected {
            return Err(TsError::Unexpected(
                "its packets are not a table of programs, one of tracks and then the track's",
            ));
        }
        if expected != AUDIO_PID {
            continue;
        }
        if parts.counter != counter {
            return Err(TsError::Packets("a packet is missing in it"));
        }
        counter = (counter + 1) & 15;
        if let Some(private) = parts.private.clone() {
            note = Note::of(&packet[private]);
        }
        if parts.begins {
            pes.push(Vec::new());
        }
        pes.last_mut()
            .ok_or(TsError::Unexpected("its track begins within a PES packet"))?
            .extend_from_slice(&packet[parts.payload]);
    }
    let note = note.ok_or(TsError::Unexpected("it does not say where it lies"))?;
    let first = first_frame(note.start);
    let (mut channels, mut blocks) = (0, Vec::new());
    for pes in pes {
        let (time, data) = pes_parts(&pes)?;
        if time != (BASE + FRAME_90K * (first + blocks.len() as u64)) & TIME_MASK {
            return Err(TsError::Unexpected("the time of a PES packet is not that of its place"));
        }
        let data = Bytes::from(pes).slice(data);
        let mut at = 0;
        while at < data.len() {
            let (now, length) = frame(&data[at..])?;
            if channels != 0 && channels != now {
                return Err(TsError::Unexpected("its frames have different numbers of channels"));
            }
            channels = now;
            blocks.push(data.slice(at + ADTS_HEADER..at + length));
            at += length;
        }
    }
    if blocks.is_empty() {
        return Err(TsError::Unexpected("it holds no frame"));
    }
    Ok(Read { note, first, channels, blocks })
}

/// A packet taken apart.
struct Parts {
    pid: u16,
    begins: bool,
    counter: u8,
    private: Option<Range<usize>>,
    payload: Range<usize>,
}

fn parts(packet: &[u8]) -> Result<Parts, TsError> {
    let [sync, high, low, control] = [0, 1, 2, 3].map(|at: usize| packet.get(at).copied().unwrap_or_default());
    if sync != SYNC || high & 0x80 != 0 {
        return Err(TsError::Packets("a packet does not begin as one"));
    }
    let (mut at, mut private) = (HEADER, None);
    if control & 0x20 != 0 {
        let length = usize::from(packet[HEADER]);
        at = HEADER + 1 + length;
        if at > PACKET {
            return Err(TsError::Packets("an adaptation field is longer than its packet"));
        }
        let flags = if length > 0 { packet[HEADER + 1] } else { 0 };
        if flags & 0x02 != 0 {
            // Flags, and the clock where there is one.
            let place = HEADER + 2 + if flags & 0x10 != 0 { 6 } else { 0 };
            let size = packet.get(place).map_or(PACKET, |size| usize::from(*size));
            let range = place + 1..place + 1 + size;
            if range.end > at {
                return Err(TsError::Packets("private data is longer than its field"));
            }
            private = packet[range.clone()].starts_with(&MARK[..2]).then_some(range);
        }
    }
    if control & 0x10 == 0 {
        at = PACKET;
    }
    Ok(Parts {
        pid: u16::from_be_bytes([high & 0x1F, low]),
        begins: high & 0x40 != 0,
        counter: control & 15,
        private,
        payload: at..PACKET,
    })
}

/// The time of a PES packet, and where its payload lies.
fn pes_parts(pes: &[u8]) -> Result<(u64, Range<usize>), TsError> {
    const HEAD: usize = 14;
    let Some((head, _)) = pes.split_first_chunk::<HEAD>() else {
        return Err(TsError::Packets("a PES packet is cut short"));
    };
    let right = head[..4] == [0, 0, 1, 0xC0] && head[7] & 0xC0 == 0x80 && head[8] == 5;
    if !right {
        return Err(TsError::Unexpected("a PES packet is not one of sound with a time"));
    }
    if usize::from(u16::from_be_bytes([head[4], head[5]])) + 6 != pes.len() {
        return Err(TsError::Packets("a PES packet has not the length that it says"));
    }
    let [a, b, c, d, e] = [9, 10, 11, 12, 13].map(|at: usize| u64::from(head[at]));
    let time = (a & 0x0E) << 29 | b << 22 | (c & 0xFE) << 14 | d << 7 | e >> 1;
    Ok((time, HEAD..pes.len()))
}

/// Channels and length of an ADTS frame, its header included.
fn frame(bytes: &[u8]) -> Result<(u8, usize), TsError> {
    let Some((head, _)) = bytes.split_first_chunk::<ADTS_HEADER>() else {
        return Err(TsError::Packets("an ADTS header is cut short"));
    };
    // AAC-LC at 48 kHz without a checksum, one block a frame.
    if head[..2] != [0xFF, 0xF1] || head[2] & 0xFC != 0x4C || head[6] & 3 != 0 {
        return Err(TsError::Unexpected("a frame is not AAC-LC at 48 kHz"));
    }
    let channels = (head[2] & 1) << 2 | head[3] >> 6;
    let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    if length <= ADTS_HEADER || length > bytes.len() || !(1..=2).contains(&channels) {
        return Err(TsError::Packets("an ADTS frame has not the length that it says"));
    }
    Ok((channels, length))
}
