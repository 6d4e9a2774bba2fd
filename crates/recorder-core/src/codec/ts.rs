//! AAC in MPEG-TS (ISO/IEC 13818-1), one file a segment: a program with one track of ADTS frames.
//!
//! A segment begins with PAT and PMT, so each can be played by itself; then PES packets of eight frames follow. A PES packet never spans two
//! segments nor parts a frame. Its time is that of its first frame on the recording's timeline ([`BASE`] and 1,920 for each frame), in 33
//! bits that wrap after 26 hours; the program's clock runs 100 ms ahead. Continuity counters begin at 0 in each segment.
//!
//! **What else is known of a segment** stands in private data of the first packet of the track, which players pass over: its place on the
//! timeline to the sample, as the playlist says it ([`super::aac`] says why frames lie earlier than that), its number, and where packets
//! sounded. So a worker that comes back and finds nothing but the file knows all that it needs.

mod read;
mod tables;

use bytes::Bytes;

pub use read::{Read, TsError, is_ts, note, read};

use super::aac::{AacError, adts};
use crate::units::Ticks;

/// Bytes of a packet.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// Time of frame 0, in 90 kHz: late enough for what comes before it.
pub const BASE: u64 = 900_000;
/// A frame of 1,024 samples at 48 kHz, in 90 kHz.
pub const FRAME_90K: u64 = 1_920;
/// Times have so many bits.
const TIME_MASK: u64 = (1 << 33) - 1;
/// How far the program's clock is ahead of what is to be heard, in 90 kHz.
const CLOCK_LEAD: u64 = 9_000;
/// Frames of a PES packet: headers are 9 % of the file then, and 2 % less of twice as many.
const FRAMES_PER_PES: usize = 8;

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const AUDIO_PID: u16 = 0x100;
/// Where the payload of a packet begins.
const HEADER: usize = 4;

/// Length of a slot of [`Note::sounding`].
const SLOT: Ticks = Ticks::from_ms(20);
/// Most slots: 15 s and a packet.
const MAX_SLOTS: usize = 760;
/// What private data begins with: whose it is, and its version.
const MARK: [u8; 3] = *b"CR\x01";

/// What a segment says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Counts from 0 within a playlist.
    pub index: u32,
    /// Place of its first sample in the playlist.
    pub start: Ticks,
    /// How long it is there.
    pub duration: Ticks,
    /// Slots of 20 ms from `start` on in which a packet sounds.
    pub sounding: Vec<bool>,
}

impl Note {
    /// Of a segment whose packets sound there, `from..to` on the timeline.
    pub fn new(index: u32, start: Ticks, duration: Ticks, sounding: &[(Ticks, Ticks)]) -> Self {
        let slots = (duration.0.div_ceil(SLOT.0) as usize).min(MAX_SLOTS);
        let mut note = Self { index, start, duration, sounding: vec![false; slots] };
        for (from, to) in sounding {
            let first = (*from - start).0 / SLOT.0;
            let behind = (*to - start).0.div_ceil(SLOT.0);
            let slots = note.sounding.iter_mut().skip(first as usize).take((behind - first) as usize);
            slots.for_each(|slot| *slot = true);
        }
        note
    }

    /// Where its packets sound, `from..to`, in order.
    pub fn spans(&self) -> Vec<(Ticks, Ticks)> {
        let mut spans = Vec::<(Ticks, Ticks)>::new();
        for (slot, _) in self.sounding.iter().enumerate().filter(|(_, sounds)| **sounds) {
            let from = self.start + Ticks(slot as u64 * SLOT.0);
            let to = (from + SLOT).min(self.start + self.duration);
            match spans.last_mut().filter(|span| span.1 == from) {
                Some(span) => span.1 = to,
                None => spans.push((from, to)),
            }
        }
        spans
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&self.start.0.to_be_bytes());
        bytes.extend_from_slice(&(self.duration.0 as u32).to_be_bytes());
        bytes.extend_from_slice(&(self.sounding.len() as u16).to_be_bytes());
        let byte =
            |slots: &[bool]| slots.iter().enumerate().map(|(bit, slot)| u8::from(*slot) << (7 - bit)).sum::<u8>();
        bytes.extend(self.sounding.chunks(8).map(byte));
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MARK[..])?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        let (start, rest) = rest.split_first_chunk::<8>()?;
        let (duration, rest) = rest.split_first_chunk::<4>()?;
        let (slots, rest) = rest.split_first_chunk::<2>()?;
        let slots = usize::from(u16::from_be_bytes(*slots));
        let duration = Ticks(u32::from_be_bytes(*duration).into());
        let fits = slots == (duration.0.div_ceil(SLOT.0) as usize).min(MAX_SLOTS) && rest.len() == slots.div_ceil(8);
        let bit = |slot: usize| rest[slot / 8] >> (7 - slot % 8) & 1 == 1;
        fits.then(|| Self {
            index: u32::from_be_bytes(*index),
            start: Ticks(u64::from_be_bytes(*start)),
            duration,
            sounding: (0..slots).map(bit).collect(),
        })
    }
}

/// A segment: `frames`, raw data blocks of AAC, the first of which is frame `first` of the timeline.
pub fn segment(note: &Note, first: u64, frames: &[Vec<u8>], channels: u8) -> Result<Bytes, AacError> {
    let mut file = Vec::new();
    tables::write(&mut file);
    let (mut counter, mut private) = (0_u8, Some(note.bytes()));
    for (number, frames) in frames.chunks(FRAMES_PER_PES).enumerate() {
        let time = BASE + FRAME_90K * (first + (number * FRAMES_PER_PES) as u64);
        let mut payload = Vec::new();
        for frame in frames {
            payload.extend_from_slice(&adts(frame, channels)?);
            payload.extend_from_slice(frame);
        }
        let pes = [&pes_header(payload.len(), time)[..], &payload].concat();
        packets(&pes, time - CLOCK_LEAD, private.take(), &mut counter, &mut file);
    }
    Ok(file.into())
}

/// A PES header with a time and nothing else.
fn pes_header(payload: usize, time: u64) -> [u8; 14] {
    const STREAM: u8 = 0xC0;
    const BEHIND_LENGTH: usize = 8;
    let length = (payload + BEHIND_LENGTH) as u16;
    let time = time & TIME_MASK;
    let [high, low] = length.to_be_bytes();
    [
        0,
        0,
        1,
        STREAM,
        high,
        low,
        // The payload begins with a frame.
        0x84,
        // A presentation time, and no decoding time of its own.
        0x80,
        5,
        0x21 | ((time >> 29) as u8 & 0x0E),
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// Cuts a PES packet into packets; the first brings the clock, and private data where there is some.
fn packets(pes: &[u8], clock: u64, private: Option<Vec<u8>>, counter: &mut u8, file: &mut Vec<u8>) {
    let mut rest = pes;
    let mut head = Some(adaptation(clock, private));
    while !rest.is_empty() {
        let begins = head.is_some();
        let mut field = head.take().unwrap_or_default();
        let room = PACKET - HEADER - field.len();
        if rest.len() < room {
            stuff(&mut field, room - rest.len());
        }
        let (now, later) = rest.split_at(rest.len().min(PACKET - HEADER - field.len()));
        let control = if field.is_empty() { 0x10 } else { 0x30 };
        header(AUDIO_PID, begins, control | *counter, file);
        *counter = (*counter + 1) & 15;
        file.extend_from_slice(&field);
        file.extend_from_slice(now);
        rest = later;
    }
}

fn header(pid: u16, begins: bool, control: u8, file: &mut Vec<u8>) {
    let [high, low] = pid.to_be_bytes();
    file.extend_from_slice(&[SYNC, u8::from(begins) << 6 | high, low, control]);
}

/// An adaptation field: decoding can begin here, the clock, private data.
fn adaptation(clock: u64, private: Option<Vec<u8>>) -> Vec<u8> {
    let clock = clock & TIME_MASK;
    let flags = 0x50 | u8::from(private.is_some()) << 1;
    // 33 bits of clock, six reserved, nine of extension.
    let mut field = vec![0, flags];
    field.extend_from_slice(&[
        (clock >> 25) as u8,
        (clock >> 17) as u8,
        (clock >> 9) as u8,
        (clock >> 1) as u8,
        (clock << 7) as u8 | 0x7E,
        0,
    ]);
    if let Some(private) = private {
        field.push(private.len() as u8);
        field.extend_from_slice(&private);
    }
    field[0] = (field.len() - 1) as u8;
    field
}

/// Makes an adaptation field, or one that is not there, longer by so many bytes.
fn stuff(field: &mut Vec<u8>, bytes: usize) {
    for _ in 0..bytes {
        match field.len() {
            0 => field.push(0),
            1 => field.push(0),
            _ => field.push(0xFF),
        }
    }
    if let Some(length) = field.len().checked_sub(1) {
        field[0] = length as u8;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use mpeg2ts::es::StreamType;
    use mpeg2ts::pes::{PesPacketReader, ReadPesPacket};
    use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};
    use proptest::prelude::*;

    use super::*;

    pub(super) fn blocks(sizes: &[usize]) -> Vec<Vec<u8>> {
        sizes.iter().enumerate().map(|(n, size)| vec![(n % 251) as u8; *size]).collect()
    }

    fn pes_of(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut reader = PesPacketReader::new(TsPacketReader::new(Cursor::new(file)));
        let mut all = Vec::new();
        while let Some(pes) = reader.read_pes_packet().unwrap() {
            assert!(pes.header.data_alignment_indicator && pes.header.dts.is_none());
            all.push((pes.header.pts.unwrap().as_u64(), pes.data));
        }
        all
    }

    #[test]
    fn another_reader_finds_the_tables_the_clock_and_the_track() {
        let note = Note::new(7, Ticks::from_secs(42), Ticks::from_secs(6), &[]);
        let file = segment(&note, 1_967, &blocks(&[171; 20]), 1).unwrap();
        let mut reader = TsPacketReader::new(Cursor::new(&file[..]));
        let (mut kinds, mut clocks) = (Vec::new(), Vec::new());
        while let Some(packet) = reader.read_ts_packet().unwrap() {
            if let Some(field) = &packet.adaptation_field
                && let Some(pcr) = field.pcr
            {
                assert!(field.random_access_indicator);
                clocks.push(pcr.as_u64() / 300);
            }
            match packet.payload {
                Some(TsPayload::Pat(pat)) => kinds.push(format!("pat {}", pat.table[0].program_map_pid.as_u16())),
                Some(TsPayload::Pmt(pmt)) => {
                    assert_eq!(pmt.es_info.len(), 1);
                    assert_eq!(pmt.es_info[0].stream_type, StreamType::AdtsAac);
                    assert_eq!(
                        (pmt.es_info[0].elementary_pid.as_u16(), pmt.pcr_pid.unwrap().as_u16()),
                        (AUDIO_PID, AUDIO_PID)
                    );
                    kinds.push("pmt".into());
                }
                _ => {}
            }
        }
        assert_eq!(kinds, [format!("pat {PMT_PID}"), "pmt".into()]);
        let times = [0, 8, 16].map(|frame| BASE + FRAME_90K * (1_967 + frame));
        assert_eq!(clocks, times.map(|time| time - CLOCK_LEAD));
        assert_eq!(pes_of(&file).iter().map(|(time, _)| *time).collect::<Vec<_>>(), times);
    }

    #[test]
    fn times_wrap_after_33_bits() {
        let first = ((1 << 33) - BASE) / FRAME_90K - 3;
        let note = Note::new(0, Ticks(first * 1024 + 2_500), Ticks(16 * 1024), &[]);
        let file = segment(&note, first, &blocks(&[9; 16]), 1).unwrap();
        let times: Vec<u64> = pes_of(&file).into_iter().map(|(time, _)| time).collect();
        assert!(times[0] > times[1], "{times:?}");
        assert_eq!(read(&file).unwrap().first, first);
    }

    #[test]
    fn a_note_fits_its_packet_for_the_longest_segment() {
        let (start, length) = (Ticks::from_secs(3_600 * 48), Ticks::from_ms(15_060));
        let note = Note::new(u32::MAX, start, length, &[(start, start + length)]);
        assert!(note.bytes().len() + 9 < PACKET - HEADER - 20);
        let file = segment(&note, super::super::aac::first_frame(start), &blocks(&[170; 703]), 2).unwrap();
        assert_eq!(super::note(&file), Some(note));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_us_and_by_another(
            sizes in proptest::collection::vec(1_usize..900, 1..40),
            start in 3_000_u64..20_000_000_000, length in 960_u64..700_000, sounds in proptest::collection::vec(0_u64..700, 0..4),
            stereo: bool,
        ) {
            let (start, length, channels) = (Ticks(start), Ticks(length), 1 + u8::from(stereo));
            let sounding: Vec<_> = sounds.iter().map(|slot| (start + Ticks(slot * 960), start + Ticks(slot * 960 + 960))).collect();
            let note = Note::new(3, start, length, &sounding);
            let (frames, first) = (blocks(&sizes), super::super::aac::first_frame(start));
            let file = segment(&note, first, &frames, channels).unwrap();
            prop_assert_eq!(file.len() % PACKET, 0);
            let got = read(&file).unwrap();
            prop_assert_eq!((&got.note, got.first, got.channels), (&note, first, channels));
            let blocks: Vec<Vec<u8>> = got.blocks.iter().map(|block| block.to_vec()).collect();
            prop_assert_eq!(&blocks, &frames);
            let theirs: Vec<u8> = pes_of(&file).into_iter().flat_map(|(_, data)| data).collect();
            let ours: Vec<u8> = frames.iter().flat_map(|frame| [&adts(frame, channels).unwrap()[..], frame].concat()).collect();
            prop_assert_eq!(theirs, ours);
        }

        #[test]
        fn damage_is_named_and_never_a_panic(at in 0_usize..2_000, byte: u8, cut in 0_usize..2_000) {
            let note = Note::new(0, Ticks(96_000), Ticks(9_600), &[]);
            let mut file = segment(&note, 91, &blocks(&[171; 10]), 1).unwrap().to_vec();
            let at = at.min(file.len() - 1);
            file[at] = byte;
            _ = read(&file.into());
            let file = segment(&note, 91, &blocks(&[171; 10]), 1).unwrap();
            let cut = cut.min(file.len() - 1);
            prop_assert!(read(&file.slice(..cut)).is_err());
        }
    }
}
