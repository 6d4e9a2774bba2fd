//! RTP times that disagree with the packets: a clock that is not 48 kHz, times that skip, repeat, go back, or are zero now and then. As
//! long as the sequence numbers and the arrivals are in order, everything that came is in its place and nothing is missing but what the
//! network lost.

use std::ops::Range;

use bytes::Bytes;
use cloud_recorder::recording::{Cause, Mode, Packet, Recorder, TrackLedger, Verdict};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::{Ssrc, TrackId};
use proptest::prelude::*;

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::replayed::fixture;
use crate::world::{Dice, FRAME, InputStory, MS, Recording, SECOND, Sent, spec};

/// How long every packet is under way, at the least.
const DELAY: u64 = 30 * MS;

/// How a sender makes its RTP times.
#[derive(Clone, Copy, Debug)]
enum Stamp {
    /// A clock of so many hertz that runs all the time.
    Hertz(f64),
    /// A clock of so many hertz that stands still while nothing is sent.
    Sent(f64),
    /// The same time for ever.
    Constant,
    /// Right, but for one of so many packets, which has time zero.
    Zero(u64),
    /// Right, but each second of talk the clock jumps by so many ticks.
    Jumps(i64),
    /// Right, but once a second a packet has the time of the one before.
    Repeats,
    /// Right, but each time is off by up to so many ticks.
    Noise(u64),
    /// Anything.
    Random,
}

const FOREIGN: [Stamp; 30] = [
    Stamp::Hertz(8_000.0),
    Stamp::Hertz(16_000.0),
    Stamp::Hertz(24_000.0),
    Stamp::Hertz(44_100.0),
    Stamp::Hertz(47_000.0),
    Stamp::Hertz(47_900.0),
    Stamp::Hertz(47_940.0),
    Stamp::Hertz(48_060.0),
    Stamp::Hertz(48_100.0),
    Stamp::Hertz(49_000.0),
    Stamp::Hertz(60_000.0),
    Stamp::Hertz(90_000.0),
    Stamp::Hertz(96_000.0),
    Stamp::Hertz(1_000.0),
    Stamp::Hertz(50.0),
    Stamp::Sent(8_000.0),
    Stamp::Sent(90_000.0),
    Stamp::Constant,
    Stamp::Zero(10),
    Stamp::Zero(4),
    Stamp::Zero(2),
    Stamp::Jumps(-4_800),
    Stamp::Jumps(-48_000),
    Stamp::Jumps(3_000),
    Stamp::Jumps(96_000),
    Stamp::Jumps(-960),
    Stamp::Repeats,
    Stamp::Noise(240),
    Stamp::Noise(4_800),
    Stamp::Random,
];

/// What a sender does, one after the other.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Talks for so many milliseconds.
    Talk(u64),
    /// Pauses for so long, with a DTX packet first and each 400 ms.
    Dtx(u64),
    /// Sends nothing, without a DTX packet.
    Quiet(u64),
}

/// A packet of so many milliseconds that is like no other.
fn speech(ms: u64, number: u32) -> Bytes {
    let toc = match ms {
        10 => 0x70,
        20 => 0x78,
        40 => 0x50,
        _ => 0x58,
    };
    let mut payload = vec![toc];
    payload.extend(number.to_be_bytes());
    payload.resize(24, 0x55);
    payload.into()
}

/// What a sender with frames of these lengths, taken in turn, sends from a second on; and when it is done.
fn sends(turns: &[Turn], frames: &[u64], stamp: Stamp, origin: u32) -> (Vec<Sent>, u64) {
    let (mut now, mut sound, mut sent, mut dice) = (SECOND, 0, Vec::<Sent>::new(), Dice(u64::from(origin)));
    let mut clock = f64::from(origin);
    let mut emit = |now: u64, payload: Bytes, sound: u64| {
        let number = sent.len() as u64;
        let is_on = sent.last().is_some_and(|last| now - last.captured <= 60 * MS);
        let right = u64::from(origin) + now;
        let timestamp = match stamp {
            Stamp::Hertz(rate) => (f64::from(origin) + now as f64 * rate / 48_000.0) as u64,
            Stamp::Sent(rate) => (f64::from(origin) + sound as f64 * rate / 48_000.0) as u64,
            Stamp::Constant => u64::from(origin),
            Stamp::Zero(every) if number % every == every / 2 => 0,
            Stamp::Zero(_) => right,
            Stamp::Jumps(by) => {
                if now % SECOND < FRAME && is_on {
                    clock += by as f64;
                }
                (clock + now as f64).rem_euclid(4_294_967_296.0) as u64
            }
            Stamp::Repeats if now % SECOND < FRAME => right - FRAME,
            Stamp::Repeats => right,
            Stamp::Noise(most) => right + dice.below(2 * most + 1),
            Stamp::Random => dice.below(1 << 31) * 2 + 1,
        };
        let packet = Packet {
            track: TrackId(1),
            ssrc: Ssrc(7),
            sequence: 65_400_u16.wrapping_add(number as u16),
            timestamp: timestamp as u32,
            marker: false,
            level: None,
            payload,
        };
        sent.push(Sent { captured: now, arrival: now + DELAY, packet });
    };
    let mut number = 0;
    for turn in turns {
        match turn {
            Turn::Talk(ms) => {
                let end = now + ms * MS;
                while now < end {
                    let length = frames[number as usize % frames.len()];
                    emit(now, speech(length, number), sound);
                    (number, now, sound) = (number + 1, now + length * MS, sound + length * MS);
                }
            }
            Turn::Dtx(ms) => {
                let end = now + ms * MS;
                while now < end {
                    emit(now, vec![0x78, (number % 250) as u8].into(), sound);
                    (number, now, sound) = (number + 1, (now + 20 * FRAME).min(end), sound + FRAME);
                }
            }
            Turn::Quiet(ms) => now += ms * MS,
        }
    }
    (sent, now)
}

fn record(sent: &[Sent], end: u64) -> Recording {
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.iter().cloned());
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    let mut inputs = 0;
    let parted = story.record_with(spec(Mode::Individual), end, |recorder, _| {
        inputs += 1;
        if inputs % 61 == 0 {
            *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        }
    });
    assert_eq!(recording.ledger, parted.ledger);
    assert!(recording.outputs == parted.outputs, "through checkpoints it is the same");
    recording
}

/// What is wrong unless all of it is placed, within a frame and `jitter` of where it was made, and nothing is missing but `lost` packets
/// of 20 ms.
fn flaw(recording: &Recording, sent: &[Sent], jitter: u64, lost: u64) -> Option<String> {
    let account: &TrackLedger = recording.account("7");
    let allowed = -(FRAME as i64)..=(FRAME + jitter) as i64;
    let mut astray = Vec::new();
    for (sent, place) in sent.iter().zip(recording.places("7", sent)) {
        let off = place.map(|place| place as i64 - (sent.captured + DELAY) as i64);
        // Packets of DTX may be alike.
        if sent.packet.payload.len() > 2 && !off.is_some_and(|off| allowed.contains(&off)) {
            astray.push((sent.captured / MS, off.map(|off| off / MS as i64)));
        }
    }
    let missing = account.missing_ms + account.concealed_ms;
    let is_whole = account.packets.placed as usize == sent.len()
        && astray.is_empty()
        && missing.abs_diff(20 * lost) <= if lost == 0 { 0 } else { 20 }
        && (lost > 0 || recording.ledger.verdict() == Verdict::Complete);
    astray.truncate(3);
    (!is_whole).then(|| format!("{astray:?}, {missing} ms, {:?} {:?}", account.packets, gaps(account)))
}

/// Tells the story of every clock with `frames`: the network does something to what was sent, and returns how much it lost.
fn with_all(turns: &[Turn], frames: &[u64], jitter: u64, mut network: impl FnMut(&mut Vec<Sent>) -> u64) {
    let mut flaws = Vec::new();
    for (stamp, origin) in FOREIGN.into_iter().zip([4_294_000_000, 77_000_000].into_iter().cycle()) {
        let (mut sent, end) = sends(turns, frames, stamp, origin);
        let lost = network(&mut sent);
        flaws.extend(flaw(&record(&sent, end + SECOND), &sent, jitter, lost).map(|flaw| format!("{stamp:?}: {flaw}")));
    }
    assert!(flaws.is_empty(), "frames of {frames:?}: {}", flaws.join("\n"));
}

const TALK: &[Turn] = &[Turn::Talk(14_000)];

#[test]
fn without_a_pause() {
    with_all(TALK, &[20], 0, |_| 0);
}

#[test]
fn with_frames_of_any_length() {
    for frames in [&[10_u64][..], &[40], &[60], &[10, 20, 40, 60]] {
        with_all(TALK, frames, 0, |_| 0);
    }
}

#[test]
fn with_dtx() {
    let turns = [
        Turn::Talk(3_000),
        Turn::Dtx(1_500),
        Turn::Talk(600),
        Turn::Dtx(60),
        Turn::Talk(300),
        Turn::Dtx(4_000),
        Turn::Talk(2_000),
        Turn::Dtx(100),
        Turn::Talk(2_000),
    ];
    with_all(&turns, &[20], 0, |_| 0);
}

#[test]
fn with_pauses_that_nothing_announces() {
    let turns = [Turn::Talk(3_500), Turn::Quiet(2_000), Turn::Talk(1_000), Turn::Quiet(15_000), Turn::Talk(3_000)];
    with_all(&turns, &[20], 0, |_| 0);
}

#[test]
fn with_loss() {
    for percent in [1, 10] {
        let mut dice = Dice(percent);
        with_all(TALK, &[20], 0, |sent| {
            let all = sent.len();
            let (first, last) = (sent[0].captured, sent[all - 1].captured);
            let mut stays = |sent: &Sent| [first, last].contains(&sent.captured) || dice.below(100) >= percent;
            sent.retain(|sent| stays(sent));
            (all - sent.len()) as u64
        });
    }
}

#[test]
fn with_jitter_and_reordering() {
    let mut dice = Dice(3);
    with_all(&[Turn::Talk(20_000)], &[20], 0, |sent| {
        sent.iter_mut().for_each(|sent| sent.arrival += dice.below(100) * MS);
        0
    });
}

/// What would arrive in `range` stands in a queue until its end, and comes then.
fn held(sent: &mut [Sent], range: Range<u64>) {
    for sent in sent.iter_mut().filter(|sent| range.contains(&sent.arrival)) {
        sent.arrival = range.end;
    }
}

#[test]
fn behind_a_queue() {
    for late in [200, 1_000] {
        with_all(TALK, &[20], 0, |sent| {
            held(sent, SECOND..SECOND + DELAY + late * MS);
            0
        });
    }
}

#[test]
fn over_bursts() {
    with_all(TALK, &[20], 0, |sent| {
        held(sent, 5 * SECOND..6 * SECOND);
        held(sent, 9 * SECOND..9 * SECOND + 400 * MS);
        0
    });
}

/// One after the other, on one SSRC: what each sends goes on from the sequence number of the one before.
fn joined(parts: &[(&[Turn], Stamp)]) -> (Vec<Sent>, u64) {
    let (mut all, mut now) = (Vec::<Sent>::new(), SECOND);
    for (part, (turns, stamp)) in parts.iter().enumerate() {
        let (sent, end) = sends(turns, &[20], *stamp, 500_000_000 * (part as u32 + 1));
        let (shift, number) = (now - SECOND, all.len());
        all.extend(sent.into_iter().enumerate().map(|(index, mut sent)| {
            (sent.captured, sent.arrival) = (sent.captured + shift, sent.arrival + shift);
            sent.packet.sequence = 65_400_u16.wrapping_add((number + index) as u16);
            if sent.packet.payload.len() > 2 {
                sent.packet.payload = speech(20, (number + index) as u32);
            }
            sent
        }));
        now = end + shift;
    }
    (all, now)
}

#[test]
fn from_one_clock_to_another_and_back() {
    let turns = [Turn::Talk(4_000), Turn::Dtx(800), Turn::Talk(1_000)];
    for stamp in FOREIGN {
        let right = Stamp::Hertz(48_000.0);
        let (sent, end) =
            joined(&[(&turns, right), (&turns, stamp), (&turns, right), (&turns, Stamp::Hertz(90_000.0))]);
        let flaw = flaw(&record(&sent, end + SECOND), &sent, 0, 0);
        assert_eq!(flaw, None, "{stamp:?}");
    }
}

#[test]
fn a_sender_that_counts_anew_loses_nothing() {
    for back in [1, 60, 300] {
        for stamp in [Stamp::Hertz(8_000.0), Stamp::Hertz(90_000.0), Stamp::Constant, Stamp::Random] {
            let (mut sent, end) = sends(TALK, &[20], stamp, 77_000_000);
            sent[400..].iter_mut().for_each(|sent| sent.packet.sequence = sent.packet.sequence.wrapping_sub(back));
            assert_eq!(flaw(&record(&sent, end + SECOND), &sent, 0, 0), None, "{stamp:?} back by {back}");
        }
    }
}

#[test]
fn copies_are_copies() {
    for stamp in FOREIGN {
        let (sent, end) = sends(TALK, &[20], stamp, 77_000_000);
        let copies = sent.iter().step_by(7).cloned().map(|sent| Sent { arrival: sent.arrival + 90 * MS, ..sent });
        let all: Vec<Sent> = sent.iter().cloned().chain(copies).collect();
        let account = record(&all, end + SECOND).account("7").clone();
        let counts = (account.packets.placed, account.packets.duplicate, account.missing_ms);
        assert_eq!(counts, (700, 100, 0), "{stamp:?}");
    }
}

/// A stretch that comes again, of which some was taken already and the rest still waits.
#[test]
fn a_stretch_that_comes_again_is_copies() {
    for stamp in FOREIGN {
        let (sent, end) = sends(TALK, &[20], stamp, 77_000_000);
        let again = sent[251].arrival + 300 * MS;
        let copies = sent[150..250].iter().cloned().map(|sent| Sent { arrival: again, ..sent });
        let all: Vec<Sent> = sent.iter().cloned().chain(copies).collect();
        let account = record(&all, end + SECOND).account("7").clone();
        let counts = (account.packets.placed, account.packets.duplicate, account.missing_ms);
        assert_eq!(counts, (700, 100, 0), "{stamp:?}: {account:?}");
    }
}

/// A network that holds everything back for a while, or a clock that runs a little fast, makes no clock foreign: pauses are as long as
/// the RTP time says.
#[test]
fn a_clock_of_48_khz_is_believed() {
    let turns = [Turn::Talk(4_000), Turn::Dtx(4_000), Turn::Talk(2_000), Turn::Dtx(2_000), Turn::Talk(3_000)];
    for stamp in [Stamp::Hertz(48_000.0), Stamp::Hertz(48_048.0), Stamp::Hertz(47_952.0)] {
        for (from, to) in [(5_500, 6_500), (9_000, 10_500), (12_300, 13_000), (0, 0)] {
            let (mut sent, end) = sends(&turns, &[20], stamp, 4_294_000_000);
            let mut dice = Dice(from);
            sent.iter_mut().for_each(|sent| sent.arrival += dice.below(80) * MS);
            held(&mut sent, from * MS..to * MS);
            let recording = record(&sent, end + SECOND);
            assert_eq!(flaw(&recording, &sent, 10 * MS, 0), None, "{stamp:?}, held from {from} to {to} ms");
            assert!(recording.gap_ms("7", Cause::SenderStall) <= 1_200, "{:?}", gaps(recording.account("7")));
        }
    }
}

#[test]
fn the_small_case_has_its_right_value() {
    let mut recorder = None;
    for record in Reader::open(fixture("cases/clock-8k.journal")).unwrap() {
        match record.unwrap() {
            Record::Started { spec } => recorder = Some(Recorder::new(spec)),
            Record::Input { input, .. } => recorder.as_mut().unwrap().push(input),
            Record::Finished { at, .. } => recorder.as_mut().unwrap().finish(at),
            _ => {}
        }
    }
    let ledger = recorder.unwrap().ledger();
    let account = &ledger.uids[0];
    assert_eq!((account.packets.placed, account.recorded_ms, account.missing_ms), (100, 2_000, 0), "{account:?}");
    assert_eq!(ledger.verdict(), Verdict::Complete);
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![
        4 => (1_000.0..46_000.0_f64).prop_map(Stamp::Hertz),
        2 => (50_000.0..192_000.0_f64).prop_map(Stamp::Hertz),
        2 => (47_000.0..49_000.0_f64).prop_map(Stamp::Hertz),
        1 => Just(Stamp::Constant),
        1 => (2..40_u64).prop_map(Stamp::Zero),
        1 => Just(Stamp::Random),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_rate_the_frames_and_the_network(
        stamp in any_stamp(),
        origin in any::<u32>(),
        frames in proptest::collection::vec(prop_oneof![Just(10_u64), Just(20), Just(40), Just(60)], 1..4),
        turns in proptest::collection::vec((500..4_000_u64, prop_oneof![Just(0_u64), 60..3_000_u64]), 1..5),
        jitter in 0..100_u64,
        loss in 0..4_u64,
        seed in any::<u64>(),
    ) {
        let turns: Vec<Turn> = turns.iter().flat_map(|(talk, dtx)| [Turn::Talk(*talk), Turn::Dtx(*dtx)]).collect();
        let frames = if loss > 0 { vec![20] } else { frames };
        let (mut sent, end) = sends(&turns, &frames, stamp, origin);
        let (mut dice, all) = (Dice(seed), sent.len());
        let mut stays = |sent: &Sent| sent.captured < 2 * SECOND || dice.below(100) >= loss;
        sent.retain(|sent| stays(sent));
        let lost = (all - sent.len()) as u64;
        sent.iter_mut().for_each(|sent| sent.arrival += dice.below(jitter + 1) * MS);
        let account = record(&sent, end + SECOND).account("7").clone();
        let (packets, missing) = (account.packets, account.missing_ms + account.concealed_ms);
        prop_assert!(packets.late + packets.malformed + packets.overflow == 0, "{packets:?}");
        // A DTX packet that came late pushes others about.
        prop_assert!(packets.left_out <= 1 + 2 * turns.len() as u64, "{packets:?}");
        prop_assert!(missing <= 20 * lost + 20, "{missing} of {lost} lost: {account:?}");
    }
}
