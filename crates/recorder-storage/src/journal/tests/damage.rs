//! Files that are damaged anywhere: a frame costs itself, and everything else comes out as it was, with its time and its SSRC.

mod harm;

use std::collections::BTreeSet;

use harm::{Harm, said};
use proptest::prelude::*;

use super::*;
use crate::journal::ZeroFill;
use crate::journal::zero_fill::tests::Bad;
use recorder_core::units::TICKS_PER_MS;

const DIGITS: [&str; 3] = ["a", "b", "c"];

/// An SSRC lasts this long, in milliseconds: longer than it takes to say it again.
const SSRC_MS: u64 = 4_000;

/// A file of three sessions: each step says whose it is, what happens, and how many milliseconds after the one before.
fn story(steps: &[(usize, u8, u64)]) -> Vec<Record> {
    let (mut records, mut begun, mut ms) = (Vec::new(), BTreeSet::new(), 0);
    let end = (0..3).flat_map(|session| [(session, 20, 1_100), (session, 20, 10), (session, 21, 10), (session, 9, 10)]);
    for (number, (session, what, after)) in steps.iter().copied().chain(end.clone()).chain(end).enumerate() {
        let digit = DIGITS[session];
        ms += after;
        if begun.insert(session) {
            let spec = spec(digit);
            records.push(if session == 2 { Record::Continued { spec } } else { Record::Started { spec } });
        }
        let at = ms * TICKS_PER_MS + 7;
        let uid = Uid::new("42").unwrap();
        records.push(match what {
            0 => checkpoint(digit, &number.to_le_bytes().repeat(20)),
            1 => checkpoint(digit, &number.to_le_bytes().repeat(10_000)),
            2 => input(digit, at, Input::Stalled { from: Ticks(at - 5), cause: StallCause::WorkerStalled }),
            3 => input(digit, at, Input::Joined { uid }),
            4 => {
                input(digit, at, Input::TrackAdded { track: TrackId(1), uid, muted: false, kind: TrackKind::default() })
            }
            5..9 => input(digit, at, Input::Muted { track: TrackId(2), muted: what % 2 == 0 }),
            9 => input(digit, at, Input::ChannelLost { since: Ticks(at - 40) }),
            _ => {
                let track = 1 + u32::from(what % 2);
                let ssrc = Ssrc(100 * track + (ms / SSRC_MS) as u32);
                let Input::Packet(packet) = packet(number as u16, Some(what), &[what; 40]) else { unreachable!() };
                input(digit, at, Input::Packet(Packet { track: TrackId(track), ssrc, ..packet }))
            }
        });
    }
    records
}

fn is_told(record: &Record) -> bool {
    matches!(record, Record::Input { input, .. } if matches!(input.input, Input::InputsLost { .. }))
}

fn at(record: &Record) -> Option<Ticks> {
    match record {
        Record::Input { input, .. } => Some(input.at),
        Record::Finished { at, .. } => Some(*at),
        _ => None,
    }
}

/// The record as far as it can be known.
fn known(record: &Record, time: bool, ssrc: bool) -> Record {
    let mut record = record.clone();
    if let Record::Input { input, .. } = &mut record {
        if let (false, Input::Packet(packet)) = (ssrc, &mut input.input) {
            packet.ssrc = Ssrc(0);
        }
        if !time {
            input.at = Ticks::ZERO;
            if let Input::Stalled { from: at, .. } | Input::ChannelLost { since: at } = &mut input.input {
                *at = Ticks::ZERO;
            }
        }
    }
    record
}

/// Everything that the file must still say, of one session.
fn check(records: &[Record], laid: &Laid, harm: &Harm, digit: &str, read: &[Record]) {
    let sid = spec(digit).sid;
    let (_, good) = harm.to(laid);
    let left = left(records, laid, |frame| good[laid.frames.iter().position(|f| f.start == frame.start).unwrap()]);
    let saids: Vec<_> = laid.frames.iter().map(|frame| said(&laid.bytes[frame.start + 7..frame.end])).collect();
    let first_bad = good.iter().position(|good| !good).unwrap_or(good.len());
    let last_bad = good.iter().rposition(|good| !good).unwrap_or(0);
    let introduced =
        laid.frames.iter().position(|frame| frame.record.is_some_and(|record| *records[record].sid() == sid));
    let introduced = introduced.unwrap();
    let index = saids[introduced].index;
    let behind = |number: usize| (number > last_bad && last_bad >= first_bad) || matches!(harm, Harm::Cut(0, _));
    let of = |number: usize| good[number] && saids[number].index == index;
    let timed = (0..good.len()).any(|number| of(number) && saids[number].clock && behind(number));
    let named = timed || good[introduced] || (0..good.len()).any(|number| of(number) && saids[number].clock);

    let ours: Vec<_> = read.iter().filter(|record| *record.sid() == sid).collect();
    let mut told = ours.iter().filter(|record| !is_told(record));
    let (mut seen_before, mut lost_from) = (false, None);
    let mut first_behind = None;
    for (number, record) in records.iter().enumerate().filter(|(number, record)| *record.sid() == sid && left[*number])
    {
        let mut frames = (0..good.len()).filter(|frame| laid.frames[*frame].record == Some(number) && good[*frame]);
        let frame = frames.next_back().unwrap();
        let behind = behind(frame);
        if !named {
            continue;
        }
        let sure = match saids[frame].source {
            Some((track, None)) if behind => {
                let Record::Input { input: TimedInput { input: Input::Packet(packet), .. }, .. } = record else {
                    unreachable!()
                };
                let explicit = |number: &usize| {
                    of(*number) && matches!(saids[*number].source, Some((other, Some(_))) if other == track)
                };
                let before = (0..frame).rev().find(|number| explicit(number));
                let next = (frame..good.len()).find(explicit);
                let source = |number: usize| saids[number].source.unwrap().1.unwrap();
                before.is_some_and(|number| {
                    behind_or_whole(number, &good)
                        || source(number).0 == packet.ssrc && next.is_none_or(|next| !source(next).1)
                }) || next.is_some_and(|next| source(next).1)
            }
            _ => true,
        };
        let came = told.next().unwrap_or_else(|| panic!("{digit}: {record:?} is missing"));
        assert_eq!(known(came, timed || !behind, sure), known(record, timed || !behind, sure));
        if !behind {
            seen_before = true;
            lost_from = at(record).or(lost_from);
        } else if at(record).is_some() && first_behind.is_none() {
            first_behind = at(record);
        }
    }
    assert_eq!(told.next(), None);

    let notes: Vec<_> = ours.iter().filter(|record| is_told(record)).collect();
    let harmed = first_bad < good.len();
    let expected =
        harmed && named && first_behind.is_some() && (introduced <= last_bad) && (seen_before || !good[introduced]);
    assert_eq!(notes.len(), usize::from(expected), "{notes:?}");
    if let [Record::Input { input: TimedInput { at, input: Input::InputsLost { from } }, .. }] = notes[..] {
        assert_eq!(*from, lost_from.unwrap_or_default());
        assert!(!timed || Some(*at) == first_behind);
    }
}

/// Whether nothing is damaged from there on until a later place that is whole: the damage is before it.
fn behind_or_whole(number: usize, good: &[bool]) -> bool {
    good[number..].iter().all(|good| *good)
}

fn survives(records: &[Record], laid: &Laid, harm: &Harm) {
    let (bytes, good) = harm.to(laid);
    let result = read(&bytes);
    let Ok((read_once, torn)) = result else {
        assert!(!good.contains(&true), "{harm:?}: {result:?}");
        return;
    };
    assert_eq!(read(&bytes).unwrap(), (read_once.clone(), torn), "the same each time");
    if !harm.is_without_trace(laid) {
        DIGITS.iter().for_each(|digit| check(records, laid, harm, digit, &read_once));
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, u8, u64)>> {
    let step = (
        0usize..3,
        prop_oneof![1 => 0u8..10, 1 => Just(20u8), 3 => 10u8..24],
        prop_oneof![4 => 0u64..60, 1 => 0u64..1_500],
    );
    prop::collection::vec(step, 0..150)
}

/// Steps that have everything in them, with a checkpoint of two parts.
fn one_story() -> Vec<Record> {
    let mut steps: Vec<_> =
        (0..180u64).map(|step| ((step % 3) as usize, 10 + (step / 3 % 14) as u8, 20 + step % 7)).collect();
    for (at, what) in [(5, 4), (20, 0), (40, 3), (41, 9), (70, 2), (90, 5), (120, 0)] {
        steps[at].1 = what;
    }
    story(&steps)
}

#[test]
fn any_bit_that_flips_costs_its_frame() {
    let records = one_story();
    let laid = lay(&records);
    for at in (0..laid.bytes.len()).filter(|at| *at < 2_000 || at % 5 == 0) {
        survives(&records, &laid, &Harm::Flip(at, (at % 8) as u8));
    }
}

#[test]
fn any_block_of_zeros_costs_the_frames_in_it() {
    let records = one_story();
    let laid = lay(&records);
    for from in (0..laid.bytes.len()).step_by(61) {
        survives(&records, &laid, &Harm::Zero(from, laid.bytes.len().min(from + 512)));
    }
}

#[test]
fn a_page_that_the_disk_cannot_read_costs_the_frames_in_it() {
    let records = [vec![Record::Started { spec: spec("a") }], (0..900).map(packet_at).collect()].concat();
    let laid = lay(&records);
    let page = 4 << 10;
    for from in (0..laid.bytes.len() / page - 1).map(|number| number * page) {
        let bad = Bad::new(laid.bytes.clone(), from as u64 + 5..from as u64 + 6);
        let mut reader = Reader::new(ZeroFill::new(bad).unwrap()).unwrap();
        let read: Vec<_> = reader.by_ref().map(Result::unwrap).filter(|record| !is_told(record)).collect();
        let hit = laid.frames.iter().filter(|frame| frame.start < from + page && frame.end > from).count();
        assert!(read.len() + hit >= records.len(), "{} of {} with {hit} frames in the page", read.len(), records.len());
        assert_eq!(read.last(), records.last());
    }
}

fn packet_at(number: u64) -> Record {
    input("a", 960 * number, packet(number as u16, None, &[7; 40]))
}

#[test]
fn what_is_damaged_is_named() {
    let records = one_story();
    let laid = lay(&records);
    for frame in &laid.frames[..laid.frames.len() - 1] {
        for at in [frame.start, frame.start + 2, frame.start + 4, frame.end - 1] {
            let (bytes, _) = Harm::Flip(at, 3).to(&laid);
            let mut reader = Reader::new(bytes.as_slice()).unwrap();
            reader.by_ref().for_each(drop);
            let places: Vec<_> = reader.damages().iter().map(|damage| (damage.offset, damage.bytes)).collect();
            assert_eq!(places, [(frame.start as u64, (frame.end - frame.start) as u64)]);
        }
    }
}

#[test]
fn a_header_that_is_damaged_or_gone_costs_nothing_else() {
    let records = one_story();
    let laid = lay(&records);
    for from in [1, 7, HEADER_BYTES] {
        let mut reader = Reader::new(&laid.bytes[from..]).unwrap();
        let read: Vec<_> = reader.by_ref().map(Result::unwrap).filter(|record| !is_told(record)).collect();
        assert_eq!(read, records);
        assert_eq!(reader.damages().len(), 1);
    }
    let foreign = [b"#EXTM3U".as_slice(), &laid.bytes[HEADER_BYTES + 1..laid.frames[0].end]].concat();
    assert!(matches!(read(&foreign), Err(JournalError::NotAJournal)));
    let mut alone = laid.bytes[..HEADER_BYTES].to_vec();
    alone[12] ^= 1;
    assert!(matches!(read(&alone), Err(JournalError::Damaged { offset: 0, .. })));
}

#[test]
fn a_number_that_stands_for_two_sessions_is_no_harm() {
    let one = lay(&one_story());
    let other = lay(&[Record::Started { spec: spec("d") }, input("d", 960, packet(1, None, b"other"))]);
    let joined = [one.bytes.as_slice(), &other.bytes[HEADER_BYTES..]].concat();
    let (records, _) = read(&joined).unwrap();
    assert_eq!(records.iter().filter(|record| *record.sid() == spec("d").sid).count(), 2);
    assert!(Reader::new(joined.as_slice()).unwrap().damages().is_empty());
}

#[test]
fn records_that_are_gone_without_a_trace_are_told() {
    let records: Vec<_> = (0..200).map(|number| input("a", 960 * number, packet(number as u16, None, b"x"))).collect();
    let records = [vec![Record::Started { spec: spec("a") }], records].concat();
    let laid = lay(&records);
    let (from, to) = (laid.frames[80].start, laid.frames[120].end);
    let (read, _) = read(&Harm::Cut(from, to).to(&laid).0).unwrap();
    assert_eq!(read.iter().filter(|record| is_told(record)).count(), 1);
    assert_eq!(read.last(), records.last());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_harm_costs_what_it_met(steps in steps(), flips in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 8), cuts in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 8)) {
        let records = story(&steps);
        let laid = lay(&records);
        survives(&records, &laid, &Harm::Zero(0, 0));
        for (at, bit) in flips {
            survives(&records, &laid, &Harm::Flip(at.index(laid.bytes.len()), bit % 8));
        }
        for [from, length] in cuts {
            let from = from.index(laid.bytes.len());
            let to = from + length.index((laid.bytes.len() - from).min(2_000));
            survives(&records, &laid, &Harm::Cut(from, to));
            survives(&records, &laid, &Harm::Zero(from, laid.bytes.len().min(from + 512)));
        }
    }

    #[test]
    fn much_harm_never_panics(steps in steps(), harms in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..40)) {
        let mut bytes = lay(&story(&steps)).bytes;
        for (at, kind, length) in harms {
            let at = at.index(bytes.len());
            let to = bytes.len().min(at + usize::from(length));
            match kind % 3 {
                0 => bytes[at] ^= 1 << (length % 8),
                1 => bytes[at..to].fill(0),
                _ => drop(bytes.drain(at..to.min(bytes.len() - 1).max(at))),
            }
        }
        if let Ok(once) = read(&bytes) {
            prop_assert_eq!(once, read(&bytes).unwrap());
        }
    }
}
