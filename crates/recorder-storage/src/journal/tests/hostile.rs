//! Files that somebody made up: nothing panics, and nothing takes longer than its length allows (a reader whose time is not linear needs
//! minutes for these).

use proptest::prelude::*;

use super::*;
use crate::journal::clock::{Clock, ClockRecord};
use crate::journal::cursor::put_varint;
use crate::journal::decoder::Decoder;
use crate::journal::frame;

/// Bytes of such a file.
const LONG: usize = 4 << 20;

fn framed(out: &mut Vec<u8>, body: &[u8]) {
    let start = frame::open(out);
    out.extend_from_slice(body);
    assert!(frame::close(out, start));
}

/// How many records and damaged stretches there are.
fn counts(bytes: &[u8]) -> (usize, usize) {
    let mut reader = Reader::new(bytes).unwrap();
    let records = reader.by_ref().map(Result::unwrap).count();
    (records, reader.damages().len())
}

/// Heads that are whole, of bodies as long as can be, at every byte.
fn heads(length: usize) -> Vec<u8> {
    // Each byte is the two before it with the check's constant: a head begins everywhere.
    let mut bytes = vec![0xfe, 0xff];
    while bytes.len() < length {
        let next = bytes[bytes.len() - 1] ^ bytes[bytes.len() - 2] ^ 0xa5;
        bytes.push(next);
    }
    bytes
}

#[test]
fn a_head_at_every_byte_is_no_harm() {
    let mut bytes = file(&one_of_each()[..1]).0;
    bytes.extend(heads(LONG));
    assert_eq!(counts(&bytes), (1, 0));
}

#[test]
fn long_heads_between_short_frames_are_no_harm() {
    let mut bytes = file(&one_of_each()[..1]).0;
    while bytes.len() < LONG {
        bytes.extend([0xfe, 0xff, 0xa4, 0, 0, 0, 0]);
        framed(&mut bytes, &[kind::CHANNEL_UP, 0, 0]);
    }
    let end = bytes.len() + (1 << 16) + 7;
    bytes.resize(end, 0x11);
    let (records, damages) = counts(&bytes);
    assert!(records > LONG / 20 && damages > LONG / 20);
}

#[test]
fn sessions_without_number_and_damage_between_them_are_no_harm() {
    let mut bytes = file(&one_of_each()[..1]).0;
    for number in 0u64.. {
        let mut body = vec![kind::CLOCK];
        put_varint(&mut body, number);
        let sid = Sid::from_random(u128::from(number).to_le_bytes());
        ClockRecord { sid, clock: Clock { ticks: Ticks(5), time: BootTime::UNKNOWN } }.write(&mut body);
        framed(&mut bytes, &body);
        bytes.push(0);
        if bytes.len() > LONG / 2 {
            break;
        }
    }
    counts(&bytes);
}

#[test]
fn what_waits_is_bounded() {
    let mut bytes = file(&one_of_each()[..1]).0;
    bytes.push(0);
    for _ in 0..300_000 {
        framed(&mut bytes, &[kind::CHANNEL_UP, 0, 0]);
    }
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert!(matches!(reader.next(), Some(Ok(Record::Started { .. }))));
    assert!(matches!(reader.next(), Some(Ok(Record::Input { .. }))));
    assert!(reader.offset() < 11 * (1 << 17) + 1_000, "{}", reader.offset());
    assert_eq!(reader.map(Result::unwrap).count(), 300_000, "none of them is lost");
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
    fn hostile_bodies_with_right_sums_never_panic(
        bodies in prop::collection::vec((0u8..0x90, 0u8..3, prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 1..40),
    ) {
        let mut decoder = Decoder::default();
        decoder.take(&lay(&one_of_each()[..1]).bytes[HEADER_BYTES + 7..], 0).unwrap_err();
        for (end, (kind, session, rest, damaged)) in bodies.into_iter().enumerate() {
            let body = [vec![kind, session], rest].concat();
            if damaged {
                decoder.damage(Damage { offset: end as u64, bytes: 1, what: "" });
            }
            let _ = decoder.take(&body, end as u64);
            while decoder.pop().is_some() {}
        }
        decoder.give_up();
        decoder.carry(true);
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
