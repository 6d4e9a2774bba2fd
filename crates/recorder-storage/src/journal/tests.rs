//! The format: round trips, cuts, damage, hostile files.

mod damage;
mod hostile;
mod written_before;

use super::checkpoint::PART_BYTES;
use super::encode::Encoder;
use super::*;
use recorder_core::recording::{
    AudioProfile, Coding, Input, Mode, Packet, SegmentLength, Selection, Source, StallCause, TrackKind,
};
use recorder_core::units::{BootTime, Cname, Ssrc, TrackId, Uid, WallMs};

pub(super) fn spec(digit: &str) -> Spec {
    Spec {
        sid: Sid::new(&digit.repeat(32)).unwrap(),
        cname: Cname::new("room").unwrap(),
        start: WallMs(1_700_000_000_000),
        mode: Mode::Both,
        profile: AudioProfile::Mono64,
        segment: SegmentLength::default(),
        selection: Selection::All,
    }
}

pub(super) fn packet(sequence: u16, level: Option<u8>, payload: &[u8]) -> Input {
    Input::Packet(Packet {
        track: TrackId(1),
        ssrc: Ssrc(0xdead_beef),
        sequence,
        timestamp: u32::from(sequence).wrapping_mul(960),
        marker: sequence == 0,
        level,
        payload: Bytes::copy_from_slice(payload),
    })
}

pub(super) fn input(digit: &str, at: u64, input: Input) -> Record {
    Record::Input { sid: spec(digit).sid, input: TimedInput { at: Ticks(at), input } }
}

pub(super) fn checkpoint(digit: &str, state: &[u8]) -> Record {
    Record::Checkpoint { sid: spec(digit).sid, state: Bytes::copy_from_slice(state) }
}

fn added(uid: &Uid, kind: TrackKind) -> Input {
    Input::TrackAdded { track: TrackId(1), uid: uid.clone(), muted: true, kind }
}

fn one_of_each() -> Vec<Record> {
    let uid = Uid::new("42").unwrap();
    vec![
        Record::Started { spec: spec("a") },
        input("a", 5, Input::Joined { uid: uid.clone() }),
        input("a", 9, added(&uid, TrackKind::default())),
        input("a", 9, added(&uid, TrackKind { source: Source::Microphone, coding: Coding::Opus })),
        input("a", 9, added(&uid, TrackKind { source: Source::ScreenAudio, coding: Coding::Pcmu })),
        Record::Continued { spec: spec("b") },
        input("a", 960, packet(0, Some(127), b"first")),
        input("b", 48_000 * 3600 * 24, packet(0, None, b"")),
        input("a", 1920, packet(1, Some(0), b"second")),
        input("a", 1920, Input::Speaking { uid: uid.clone(), speaking: true }),
        input("a", 1920, Input::GivenUp { uid: uid.clone() }),
        input("a", 1920, Input::SenderReport { track: TrackId(1), ntp: u64::MAX, rtp: 7 }),
        input("a", 1921, Input::Muted { track: TrackId(1), muted: false }),
        input("a", 1922, Input::Overloaded { track: TrackId(1), overloaded: true }),
        input("a", 1922, Input::Select(Selection::Only([uid.clone()].into()))),
        input("a", 1923, Input::ChannelDown),
        input("a", 1924, Input::ChannelUp),
        input("a", 1925, Input::WorkerRestarted),
        input("a", 1925, Input::CodersRestarted),
        input("a", 1925, Input::Stalled { from: Ticks(925), cause: StallCause::Overload }),
        input("a", 1925, Input::ChannelLost { since: Ticks(0) }),
        input("a", 1925, Input::Unheard { uid: uid.clone(), since: Ticks(1900) }),
        input("a", 1925, Input::InputsLost { from: Ticks(1925) }),
        checkpoint("a", b"all so far"),
        checkpoint("b", b""),
        input("a", 1926, Input::TrackRemoved { track: TrackId(1) }),
        input("a", 1927, Input::Left { uid }),
        Record::Finished { sid: spec("a").sid, at: Ticks(2000) },
    ]
}

/// A file, and what lies where in it.
pub(super) struct Laid {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: Vec<Frame>,
}

/// A frame of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The record that it is of, if it is not a clock record.
    pub(super) record: Option<usize>,
    /// Which part of a checkpoint.
    pub(super) part: usize,
}

pub(super) fn lay(records: &[Record]) -> Laid {
    let (mut encoder, mut bytes, mut frames) = (Encoder::new(), Encoder::header().to_vec(), Vec::new());
    for (number, record) in records.iter().enumerate() {
        let (mut start, mut part) = (bytes.len(), 0);
        encoder.encode(record, BootTime { boot: [9; 16], ms: number as u64 }, &mut bytes).unwrap();
        while start < bytes.len() {
            let end = start + 7 + usize::from(u16::from_le_bytes([bytes[start], bytes[start + 1]]));
            let clock = bytes[start + 7] == kind::CLOCK;
            frames.push(Frame { start, end, record: (!clock).then_some(number), part: part % parts(record) });
            (start, part) = (end, part + 1);
        }
    }
    Laid { bytes, frames }
}

/// Frames for one copy of a record.
fn parts(record: &Record) -> usize {
    match record {
        Record::Checkpoint { state, .. } => state.len().div_ceil(PART_BYTES).max(1),
        _ => 1,
    }
}

/// The records of which each part is in a frame that is good, once at least.
pub(super) fn left(records: &[Record], laid: &Laid, good: impl Fn(&Frame) -> bool) -> Vec<bool> {
    let mut found: Vec<_> = records.iter().map(|record| vec![false; parts(record)]).collect();
    for frame in laid.frames.iter().filter(|frame| good(frame)) {
        if let Some(record) = frame.record {
            found[record][frame.part] = true;
        }
    }
    found.into_iter().map(|parts| parts.into_iter().all(|found| found)).collect()
}

/// The file's bytes, and where each record ends; a checkpoint with its first copy.
pub(super) fn file(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let laid = lay(records);
    let end = |number: usize, record: &Record| {
        let of = laid.frames.iter().filter(|frame| frame.record == Some(number));
        of.take(parts(record)).last().unwrap().end
    };
    let ends = records.iter().enumerate().map(|(number, record)| end(number, record)).collect();
    (laid.bytes, ends)
}

fn read(bytes: &[u8]) -> Result<(Vec<Record>, Option<u64>), JournalError> {
    let mut reader = Reader::new(bytes)?;
    let records = reader.by_ref().collect::<Result<_, _>>()?;
    Ok((records, reader.torn()))
}

#[test]
fn every_record_survives_the_round_trip() {
    let records = one_of_each();
    assert_eq!(read(&file(&records).0).unwrap(), (records, None));
}

#[test]
fn a_file_cut_anywhere_yields_its_whole_records_and_a_torn_tail() {
    let records = one_of_each();
    let (laid, (bytes, ends)) = (lay(&records), file(&records));
    for cut in 0..bytes.len() {
        let (read, torn) = read(&bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(read, records[..whole], "cut at {cut}");
        let start = laid.frames.iter().map(|frame| frame.end).rfind(|end| *end <= cut).unwrap_or(HEADER_BYTES);
        let expected = if cut < HEADER_BYTES { Some(0) } else { (cut > start).then_some(start as u64) };
        assert_eq!(torn, expected, "cut at {cut}");
    }
}

#[test]
fn a_tail_that_was_never_written_is_torn() {
    let records = one_of_each();
    let (laid, (bytes, ends)) = (lay(&records), file(&records));
    for zeroed in [ends[3] + 3, ends[5]] {
        let mut bytes = bytes.clone();
        bytes[zeroed..].fill(0);
        bytes.resize(bytes.len() + 10_000, 0);
        let whole = ends.iter().filter(|end| **end <= zeroed).count();
        match read(&bytes) {
            Ok((read, torn)) => {
                assert_eq!(read, records[..whole]);
                let start = laid.frames.iter().rfind(|frame| frame.end <= zeroed).unwrap().end;
                assert_eq!(torn, Some(start as u64));
            }
            Err(error) => panic!("zeros from {zeroed}: {error}"),
        }
    }
}

#[test]
fn other_files_and_versions_are_refused() {
    assert!(matches!(read(b"#EXTM3U and more bytes than a header"), Err(JournalError::NotAJournal)));
    let mut header = Encoder::header();
    header[8] = 9;
    let crc = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(read(&header), Err(JournalError::Version { found: 9, readable: 1 })));
}

#[test]
fn a_packet_costs_about_twenty_bytes_over_its_payload() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    encoder.encode(&Record::Started { spec: spec("a") }, BootTime::UNKNOWN, &mut bytes).unwrap();
    let mut cost = |number: u16| {
        let before = bytes.len();
        let record = input("a", 960 * u64::from(number), packet(number, Some(30), &[1; 100]));
        encoder.encode(&record, BootTime { boot: [1; 16], ms: 1 << 30 }, &mut bytes).unwrap();
        bytes.len() - before - 100
    };
    let _ = cost(0);
    assert_eq!((cost(1), cost(2)), (23, 19), "behind a clock record the SSRC is said again");
    let second: usize = (3..53).map(&mut cost).sum();
    assert!((50 * 19..50 * 19 + 70).contains(&second), "{second}");
}

#[test]
fn what_cant_be_encoded_leaves_no_trace() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    assert_eq!(
        encoder.encode(&input("a", 0, Input::ChannelUp), BootTime::UNKNOWN, &mut bytes),
        Err(EncodeError::NotStarted)
    );
    encoder.encode(&Record::Started { spec: spec("a") }, BootTime::UNKNOWN, &mut bytes).unwrap();
    let before = bytes.len();
    let long = input("a", 0, packet(0, None, &vec![0; MAX_BODY_BYTES]));
    assert_eq!(encoder.encode(&long, BootTime::UNKNOWN, &mut bytes), Err(EncodeError::TooLong));
    assert_eq!(bytes.len(), before);
}

#[test]
fn a_long_checkpoint_is_read_whole_or_not_at_all() {
    let state: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let records = [
        Record::Started { spec: spec("a") },
        checkpoint("a", &state[..200_000]),
        checkpoint("a", &state),
        input("a", 960, Input::ChannelUp),
    ];
    let (bytes, ends) = file(&records);
    assert_eq!(read(&bytes).unwrap(), (records.to_vec(), None));
    for cut in (ends[1]..ends[2]).step_by(30_011).chain([ends[2] - 1]) {
        assert_eq!(read(&bytes[..cut]).unwrap().0, records[..2], "cut at {cut}");
    }
    assert_eq!(read(&bytes[..ends[2]]).unwrap().0, records[..3]);
}

#[test]
fn a_checkpoint_above_the_limit_is_refused() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    encoder.encode(&Record::Started { spec: spec("a") }, BootTime::UNKNOWN, &mut bytes).unwrap();
    let before = bytes.len();
    let state = vec![0; MAX_CHECKPOINT_BYTES + 1];
    let refused = encoder.encode(&checkpoint("a", &state), BootTime::UNKNOWN, &mut bytes);
    assert_eq!((refused, bytes.len()), (Err(EncodeError::CheckpointTooLong { bytes: state.len() }), before));
}

#[test]
fn captures_hold_no_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capture.journal");
    let mut writer = FileWriter::create(&path).unwrap();
    let (checkpoints, others): (Vec<_>, Vec<_>) =
        one_of_each().into_iter().partition(|record| matches!(record, Record::Checkpoint { .. }));
    for record in others.iter().chain(&checkpoints) {
        writer.append(record).unwrap();
    }
    writer.finish().unwrap();
    let read: Vec<_> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!((read, checkpoints.len()), (others, 2));
}

#[test]
fn a_session_can_be_read_alone() {
    let (bytes, _) = file(&one_of_each());
    let reader = Reader::new(bytes.as_slice()).unwrap().for_session(&spec("b").sid);
    assert_eq!(reader.map(Result::unwrap).count(), 3);
}
