//! Whatever senders and networks do: each packet has one fate, in packets and in samples; what is expected is what was recorded, concealed
//! and missing; and what was sent and is not there is missing, no more and no less than the clocks' inexactness allows.
//!
//! `FATE_CASES` is the number of stories; 2,000 unless it is set.

use std::collections::BTreeSet;

use cloud_recorder::recording::{Cause, Input, Mode, PlaylistId, Source, TrackLedger};
use cloud_recorder::units::TrackId;
use proptest::prelude::*;

use crate::crash::by_cause;
use crate::input_scripts::{Act, act, network, play};
use crate::random_inputs::{check_ledger, source};
use crate::several_sources::{digital_silence, places, silence};
use crate::world::{Dice, FRAME, InputStory, MS, SECOND, Sent, Talker, spec, uid};

fn cases() -> u32 {
    std::env::var("FATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

fn told(story: &InputStory, end: u64) -> TrackLedger {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    recording.account("7").clone()
}

/// How many packets come of a track that is not there any more.
fn of_tracks_that_are_gone(story: &InputStory) -> u64 {
    let (mut there, mut gone) = (BTreeSet::new(), 0);
    for timed in story.inputs() {
        match timed.input {
            Input::TrackAdded { track, .. } => _ = there.insert(track),
            Input::Left { .. } => there.clear(),
            Input::Packet(packet) => gone += u64::from(!there.contains(&packet.track)),
            _ => {}
        }
    }
    gone
}

/// What a sender's RTP times are.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Right,
    /// Of another rate, in thousandths of the right one.
    Rate(u64),
    Constant,
    /// One of so many is zero.
    Zero(u16),
}

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![
        6 => Just(Clock::Right),
        1 => prop_oneof![Just(167), Just(333), 20..980_u64, 1_020..4_000_u64].prop_map(Clock::Rate),
        1 => Just(Clock::Constant),
        1 => (2..50_u16).prop_map(Clock::Zero),
    ]
}

impl Clock {
    fn tells(self, mut input: Input) -> Input {
        if let Input::Packet(packet) = &mut input {
            match self {
                Self::Rate(rate) => packet.timestamp = (u64::from(packet.timestamp) * rate / 1_000) as u32,
                Self::Constant => packet.timestamp = 5,
                Self::Zero(every) if packet.sequence.is_multiple_of(every) => packet.timestamp = 0,
                Self::Right | Self::Zero(_) => {}
            }
        }
        input
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_exact_and_nothing_is_hidden_or_made_up(
        acts in proptest::collection::vec((act(), 300..2_500_u64), 1..4),
        network in network(),
        delay in prop_oneof![4 => Just(0_u64), 1 => 0..4_000_u64],
        clock in clock(),
    ) {
        let (mut story, sent, end) = play("7", 1, &acts, &network);
        story.rewrite(|inputs| inputs.into_iter().map(|(at, input)| (at, clock.tells(input))).collect());
        let mut held = story.clone();
        // Everything of the last second is late by so much.
        let from = end.saturating_sub(4 * SECOND);
        held.delay_packets(from, delay * MS);
        let end = end + 5 * SECOND;
        let account = told(&held, end);
        let packets = account.packets;
        // What comes of a track that is gone already has no account.
        let gone = of_tracks_that_are_gone(&held);
        prop_assert!(gone + packets.placed + packets.late + packets.left_out + packets.superseded + packets.malformed
            + packets.before_start + packets.after_end + packets.overflow + packets.duplicate >= sent.len() as u64, "{packets:?}");

        // Where RTP times mean nothing, a stretch that comes again may be that of a sender that counts anew.
        let placed_twice = matches!(clock, Clock::Right) && packets.placed > sent.len() as u64;
        prop_assert!(!placed_twice, "{packets:?}");

        // Of what reached the recorder, what is not there is missing with its cause.
        let lost_here = account.samples.late + account.samples.superseded + account.samples.overflow;
        let named: u64 = by_cause(&account).iter().filter(|(cause, _)| cause.loses()).map(|(_, ms)| ms).sum();
        let overlaid: u64 = account.overlaid_ms.values().sum();
        prop_assert!(named + overlaid + 20 >= lost_here / 48 * 9 / 10, "{account:?}");
        prop_assert!(account.missing_ms + account.concealed_ms <= named + overlaid + 2, "{account:?}");

        // A network that loses nothing, and clocks that do not jump: nothing is missing.
        let jumps = acts.iter().any(|(act, _)| matches!(act, Act::Jump(_) | Act::Rejoin));
        if network.loss_percent == 0 && delay == 0 && !jumps {
            prop_assert!(account.missing_ms + account.concealed_ms == 0, "{account:?}");
        }
    }
}

/// What a source does next.
#[derive(Clone, Debug)]
enum Turn {
    Talk,
    /// Has nothing to say: DTX, or packets of digital silence.
    Silent(bool),
    /// Sends nothing; its clock stands still.
    Mute,
    /// Is published anew; the track before ends so many milliseconds later.
    Anew(u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => Just(Turn::Talk),
        1 => any::<bool>().prop_map(Turn::Silent),
        1 => Just(Turn::Mute),
        1 => (0..2_000_u64).prop_map(Turn::Anew),
    ]
}

/// A source of uid 7 does all that; what of it sounds.
fn act_out(story: &mut InputStory, first: u32, kind: Source, turns: &[(Turn, u64)]) -> (Vec<Sent>, Vec<Sent>, u64) {
    let (mut track, mut now) = (first, SECOND + u64::from(first) * 111);
    let (mut talker, mut sound, mut silent) = (Talker::new(first, first), Vec::new(), Vec::new());
    talker.rtp = f64::from(first) * 7_777.0;
    story.publishes(SECOND / 2, "7", track, kind);
    for (turn, ms) in turns {
        let length = ms * MS / FRAME * FRAME;
        match turn {
            Turn::Talk => sound.extend(talker.talk(now, now + length)),
            Turn::Silent(true) => silent.extend(digital_silence(&mut talker, now, now + length)),
            Turn::Silent(false) => {
                let said = silence(&mut talker, now, now + length);
                now += (said.len() as u64 * 20 * FRAME).saturating_sub(length);
                silent.extend(said);
            }
            Turn::Mute => {
                story.happens(now + 40 * MS, Input::Muted { track: TrackId(track), muted: true });
                story.happens(now + length, Input::Muted { track: TrackId(track), muted: false });
            }
            Turn::Anew(later) => {
                story.publishes(now, "7", track + 1, kind);
                story.happens(now + 100 * MS + later * MS, Input::TrackRemoved { track: TrackId(track) });
                let old = digital_silence(&mut talker, now, now + later * MS);
                silent.extend(old);
                track += 1;
                talker = Talker { made: talker.made + 500, ..Talker::new(track, track) };
                now += 200 * MS;
            }
        }
        now += if matches!(turn, Turn::Anew(_)) { 0 } else { length };
    }
    (sound, silent, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn several_sources_of_a_uid_are_all_there(
        sources in proptest::collection::vec((source(), proptest::collection::vec((turn(), 300..3_000_u64), 1..5)), 1..5),
        (loss_percent, seed) in (prop_oneof![3 => Just(0_u64), 1 => 1..10_u64], any::<u64>()),
        mixed in any::<bool>(),
    ) {
        let (mut story, mut sound, mut silent, mut end) = (InputStory::default(), Vec::new(), Vec::new(), 0);
        story.happens(0, Input::Joined { uid: uid("7") });
        for (number, (kind, turns)) in sources.iter().enumerate() {
            let (said, nothing, until) = act_out(&mut story, 100 * (number as u32 + 1), *kind, turns);
            sound.extend(said);
            silent.extend(nothing);
            end = end.max(until);
        }
        let end = end + 4 * SECOND;
        let (mut dice, made) = (Dice(seed), sound.len() as u64);
        sound.retain(|_| dice.below(100) >= loss_percent);
        story.hears(sound.clone()).hears(silent.clone());
        let recording = story.record(spec(if mixed { Mode::Both } else { Mode::Individual }), end);
        check_ledger(&recording, end);
        let ledger = &recording.ledger;
        let sum = |number: fn(&TrackLedger) -> u64| ledger.uids.iter().map(number).sum::<u64>();
        prop_assert_eq!(sum(|entry| entry.packets.received), (sound.len() + silent.len()) as u64);
        let late = sum(|entry| entry.packets.late);
        prop_assert!(late == 0, "{ledger:?}");
        let kept = sum(|entry| entry.packets.placed + entry.packets.superseded);
        prop_assert_eq!(kept + late, sum(|entry| entry.packets.received));
        let playlists: Vec<_> = recording.playlists().filter(|playlist| **playlist != PlaylistId::Mix).cloned().collect();
        if late == 0 {
            places(&recording, &playlists, &sound, 30 * MS);
        }
        let gone = sum(|entry| entry.missing_ms + entry.concealed_ms);
        let lost = 20 * (made - sound.len() as u64 + late);
        prop_assert!(gone <= lost, "{gone} of {lost}: {ledger:?}");
        for entry in &ledger.uids {
            let told = |cause: &Cause| matches!(cause, Cause::NetworkLoss | Cause::Late);
            prop_assert!(entry.overlaid_ms.keys().all(told), "{entry:?}");
        }
    }
}

fn talk(sent: Vec<Sent>, end: u64) -> TrackLedger {
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent);
    told(&story, end)
}

#[test]
fn a_copy_that_comes_after_its_original_was_placed_is_a_copy() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 10 * SECOND);
    let copies: Vec<Sent> =
        sent[50..100].iter().cloned().map(|copy| Sent { arrival: copy.arrival + 4 * SECOND, ..copy }).collect();
    sent.extend(copies);
    let account = talk(sent, 11 * SECOND);
    assert_eq!((account.packets.duplicate, account.packets.late, account.missing_ms), (50, 0, 0), "{account:?}");
}

#[test]
fn what_comes_too_late_is_late_and_not_the_networks_loss() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 20 * SECOND);
    sent[200..210].iter_mut().for_each(|sent| sent.arrival += 6 * SECOND);
    let account = talk(sent, 21 * SECOND);
    assert_eq!(account.packets.late, 10);
    let causes = by_cause(&account);
    assert_eq!((causes.get(&Cause::Late), causes.get(&Cause::NetworkLoss)), (Some(&200), None), "{causes:?}");
    assert_eq!(account.missing_ms + account.concealed_ms, 200);
}

#[test]
fn what_gives_way_to_a_newer_stream_of_its_track_is_missing() {
    let (mut old, mut new) = (Talker::new(1, 7), Talker::new(1, 8));
    let mut story = InputStory::default();
    story.joins(0, "7", 1);
    story.hears(old.talk(SECOND, 10 * SECOND)).hears(new.talk(4 * SECOND, 6 * SECOND));
    let account = told(&story, 11 * SECOND);
    let superseded = account.samples.superseded / 48;
    assert!(superseded.abs_diff(2_500) <= 40, "{account:?}");
    assert_eq!((account.overlaid_ms[&Cause::Superseded], account.missing_ms), (superseded, superseded));
}

#[test]
fn garbage_is_missing_as_such() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 3 * SECOND);
    sent.extend((0..10).map(|n| talker.send(3 * SECOND + n * FRAME, vec![0xFB, 0].into())));
    sent.extend(talker.talk(3 * SECOND + 10 * FRAME, 5 * SECOND));
    let account = talk(sent, 6 * SECOND);
    assert_eq!(by_cause(&account).get(&Cause::Malformed), Some(&200), "{account:?}");
    assert_eq!((account.missing_ms, account.concealed_ms), (100, 100));
}

#[test]
fn a_clock_that_is_much_too_fast_is_no_drift() {
    let mut talker = Talker::new(1, 7);
    talker.rate = 1.004;
    let account = talk(talker.talk(SECOND, 120 * SECOND), 121 * SECOND);
    let (left_out, placed) = (account.samples.left_out / 48, account.samples.placed / 48);
    assert!(left_out.abs_diff(476) <= 80, "{account:?}");
    assert!(account.overlaid_ms[&Cause::LeftOut].abs_diff(left_out - placed / 1_000 - 40) <= 20, "{account:?}");
    assert_eq!(account.missing_ms, account.overlaid_ms[&Cause::LeftOut]);
}
