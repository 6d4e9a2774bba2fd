//! The format: round trips, cuts, damage, hostile files.

use proptest::prelude::*;

use super::decode::Decoder;
use super::encode::Encoder;
use super::*;
use crate::recording::{AudioProfile, Input, Mode, Packet, SegmentLength, Selection, StallCause};
use crate::units::{Cname, Ssrc, TrackId, Uid, WallMs};

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

fn one_of_each() -> Vec<Record> {
    let uid = Uid::new("42").unwrap();
    vec![
        Record::Started { spec: spec("a") },
        input("a", 5, Input::Joined { uid: uid.clone() }),
        input("a", 9, Input::TrackAdded { track: TrackId(1), uid: uid.clone(), muted: true }),
        Record::Continued { spec: spec("b") },
        input("a", 960, packet(0, Some(127), b"first")),
        input("b", 48_000 * 3600 * 24, packet(0, None, b"")),
        input("a", 1920, packet(1, Some(0), b"second")),
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
        input("a", 1925, Input::InputsLost { from: Ticks(1925) }),
        checkpoint("a", b"all so far"),
        checkpoint("b", b""),
        input("a", 1926, Input::TrackRemoved { track: TrackId(1) }),
        input("a", 1927, Input::Left { uid }),
        Record::Finished { sid: spec("a").sid, at: Ticks(2000) },
    ]
}

/// The file's bytes, and where each record ends.
pub(super) fn file(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Encoder::header().to_vec();
    let mut encoder = Encoder::new();
    let ends = records.iter().map(|record| {
        encoder.encode(record, &mut bytes).unwrap();
        bytes.len()
    });
    let ends = ends.collect();
    (bytes, ends)
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
    let (bytes, ends) = file(&records);
    for cut in 0..bytes.len() {
        let (read, torn) = read(&bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(read, records[..whole], "cut at {cut}");
        let start = ends[..whole].last().copied().unwrap_or(HEADER_BYTES);
        let expected = if cut < HEADER_BYTES { Some(0) } else { (cut > start).then_some(start as u64) };
        assert_eq!(torn, expected, "cut at {cut}");
    }
}

#[test]
fn a_tail_that_was_never_written_is_torn() {
    let records = one_of_each();
    let (bytes, ends) = file(&records);
    for zeroed in [ends[3] + 3, ends[5]] {
        let mut bytes = bytes.clone();
        bytes[zeroed..].fill(0);
        bytes.resize(bytes.len() + 10_000, 0);
        let whole = ends.iter().filter(|end| **end <= zeroed).count();
        match read(&bytes) {
            Ok((read, torn)) => {
                assert_eq!(read, records[..whole]);
                assert_eq!(torn, Some(ends[whole - 1] as u64));
            }
            Err(error) => panic!("zeros from {zeroed}: {error}"),
        }
    }
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_its_place() {
    let records = one_of_each();
    let (bytes, ends) = file(&records);
    let last = ends[ends.len() - 2];
    for at in HEADER_BYTES..last {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let frame = ends.iter().rfind(|end| **end <= at).copied().unwrap_or(HEADER_BYTES) as u64;
        match read(&damaged) {
            Err(JournalError::Damaged { offset, .. }) => assert_eq!(offset, frame, "flipped byte {at}"),
            other => panic!("flipped byte {at}: {other:?}"),
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
    encoder.encode(&Record::Started { spec: spec("a") }, &mut bytes).unwrap();
    encoder.encode(&input("a", 0, packet(0, Some(30), &[1; 100])), &mut bytes).unwrap();
    let before = bytes.len();
    encoder.encode(&input("a", 960, packet(1, Some(30), &[1; 100])), &mut bytes).unwrap();
    assert_eq!(bytes.len() - before - 100, 19);
}

#[test]
fn what_cant_be_encoded_leaves_no_trace() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    assert_eq!(encoder.encode(&input("a", 0, Input::ChannelUp), &mut bytes), Err(EncodeError::NotStarted));
    encoder.encode(&Record::Started { spec: spec("a") }, &mut bytes).unwrap();
    let before = bytes.len();
    let long = input("a", 0, packet(0, None, &vec![0; MAX_BODY_BYTES]));
    assert_eq!(encoder.encode(&long, &mut bytes), Err(EncodeError::TooLong));
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
    for cut in (ends[1]..ends[3]).step_by(30_011).chain([ends[2] - 1]) {
        assert_eq!(read(&bytes[..cut]).unwrap().0, records[..2], "cut at {cut}");
    }
    assert_eq!(read(&bytes[..ends[2]]).unwrap().0, records[..3]);
}

#[test]
fn a_checkpoint_above_the_limit_is_refused() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    encoder.encode(&Record::Started { spec: spec("a") }, &mut bytes).unwrap();
    let before = bytes.len();
    let state = vec![0; MAX_CHECKPOINT_BYTES + 1];
    let refused = encoder.encode(&checkpoint("a", &state), &mut bytes);
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

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut file = Encoder::header().to_vec();
        file.extend_from_slice(&bytes);
        let _ = read(&file);
        let _ = read(&bytes);
    }

    #[test]
    fn hostile_bodies_with_right_sums_never_panic(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..20)) {
        let mut decoder = Decoder::default();
        decoder.decode(&file(&one_of_each()[..1]).0[HEADER_BYTES + 7..], 0).unwrap();
        for body in bodies {
            let _ = decoder.decode(&body, 0);
        }
    }

    #[test]
    fn packets_survive_the_round_trip(
        packets in prop::collection::vec((any::<u32>(), 0u32..4, any::<u32>(), any::<u16>(), any::<u32>(), any::<bool>(), prop::option::of(0u8..128), prop::collection::vec(any::<u8>(), 0..300)), 0..40),
    ) {
        let mut records = vec![Record::Started { spec: spec("a") }];
        records.extend(packets.into_iter().map(|(at, track, ssrc, sequence, timestamp, marker, level, payload)| {
            input("a", u64::from(at), Input::Packet(Packet {
                track: TrackId(track), ssrc: Ssrc(ssrc), sequence, timestamp, marker, level, payload: payload.into(),
            }))
        }));
        prop_assert_eq!(read(&file(&records).0).unwrap(), (records, None));
    }
}
