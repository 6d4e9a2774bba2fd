//! Whatever happens in a channel, in whatever order: playlists are as long as the session and have no hole, what came in time is
//! in its place bit for bit, the ledger adds up, and when the core was asked to advance changes nothing.

use cloud_recorder::recording::{Cause, Coding, Input, Mode, Packet, Selection, Source, StallCause, TrackKind};
use cloud_recorder::units::{Ssrc, Ticks, TrackId};
use proptest::prelude::*;

use crate::input_scripts::{act, network, play};
use crate::world::{Dice, FRAME, InputStory, MS, Recording, spec, uid};

pub(crate) fn check_ledger(recording: &Recording, end: u64) {
    for account in &recording.ledger.uids {
        assert_eq!(account.expected_ms, account.recorded_ms + account.concealed_ms + account.missing_ms);
        assert_eq!(account.packets.received, account.packets.fates(), "{account:?}");
        assert_eq!(account.samples.received, account.samples.fates(), "{account:?}");
        assert!(account.gaps.windows(2).all(|pair| pair[0].to <= pair[1].from), "{:?}", account.gaps);
        let silent = account.gaps.iter().filter(|gap| gap.cause != Cause::Adopted);
        let gaps: u64 = silent.map(|gap| (gap.to - gap.from).0).sum();
        if account.gaps.iter().all(|gap| gap.cause == Cause::Adopted) && !account.gaps.is_empty() {
            continue; // Nothing but what the bucket held is known of it.
        }
        let total = Ticks(gaps).as_ms() + account.recorded_ms;
        assert!(total.abs_diff(Ticks(end).as_ms()) <= 25, "{total} ms booked of {}: {account:?}", Ticks(end).as_ms());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_came_in_time_is_in_its_place(
        acts in proptest::collection::vec((act(), 1_000..6_000_u64), 1..7),
        network in network(),
    ) {
        let (story, sent, end) = play("7", 1, &acts, &network);
        let recording = story.record(spec(Mode::Individual), end);
        check_ledger(&recording, end);
        let account = recording.account("7");
        let (mut absent, mut jitter) = (0, (network.jitter_ms * MS) as i64);
        jitter += 30 * MS as i64 + FRAME as i64;
        for (sent, place) in sent.iter().zip(recording.places("7", &sent)) {
            if sent.packet.payload.len() == 2 {
                continue;
            }
            let Some(place) = place else {
                absent += 1;
                continue;
            };
            let error = place as i64 - sent.captured as i64;
            prop_assert!((30 * MS as i64 - FRAME as i64..=jitter).contains(&error), "made at {} off by {error}", sent.captured);
        }
        let packets = account.packets;
        prop_assert!(absent <= packets.late + packets.left_out + packets.superseded + packets.malformed, "{absent} absent, {packets:?}");
        prop_assert!(packets.late + packets.left_out <= 3 * acts.len() as u64, "{packets:?}");
    }

    #[test]
    fn asking_to_advance_changes_nothing(
        acts in proptest::collection::vec((act(), 1_000..4_000_u64), 1..4),
        network in network(),
    ) {
        let (story, _, end) = play("7", 1, &acts, &network);
        let quiet = story.record(spec(Mode::Both), end);
        let (mut dice, mut last) = (Dice(network.seed), 0);
        let asked = story.record_with(spec(Mode::Both), end, |recorder, next| {
            while last < next.0 && dice.below(3) == 0 {
                last += dice.below(next.0 - last + 1);
                recorder.advance(Ticks(last));
            }
            last = next.0;
        });
        prop_assert_eq!(quiet.ledger, asked.ledger);
        prop_assert!(quiet.outputs == asked.outputs, "the outputs differ");
    }
}

fn hostile_packet() -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(vec![0x78; 25]),
        Just(vec![0x1B, 0x06, 0, 0, 0, 0, 0, 0]),
        Just(Vec::new()),
    ];
    let sequence = prop_oneof![any::<u16>(), 0..50_u16];
    let timestamp = prop_oneof![any::<u32>(), (0..200_u32).prop_map(|n| n * 960), Just(1 << 31)];
    (0..4_u32, 0..12_u32, sequence, timestamp, payload).prop_map(|(track, ssrc, sequence, timestamp, payload)| Packet {
        track: TrackId(track),
        ssrc: Ssrc(ssrc),
        sequence,
        timestamp,
        marker: false,
        level: None,
        payload: payload.into(),
    })
}

pub(crate) fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just(Source::Unspecified), Just(Source::Microphone), Just(Source::ScreenAudio)]
}

fn kind() -> impl Strategy<Value = TrackKind> {
    use Coding::{Encrypted, Opus, Pcma, Pcmu, Unsupported};
    let source = proptest::sample::select(vec![Source::Unspecified, Source::Microphone, Source::ScreenAudio]);
    let coding = proptest::sample::select(vec![Opus, Opus, Opus, Pcmu, Pcma, Unsupported, Encrypted]);
    (source, coding).prop_map(|(source, coding)| TrackKind { source, coding })
}

fn hostile_input() -> impl Strategy<Value = Input> {
    let who = || (0..3_u32).prop_map(|n| uid(&n.to_string()));
    let track = || (0..4_u32).prop_map(TrackId);
    let moment = || prop_oneof![(0..4_000_000_u64).prop_map(Ticks), Just(Ticks(u64::MAX))];
    prop_oneof![
        20 => hostile_packet().prop_map(Input::Packet),
        1 => who().prop_map(|uid| Input::Joined { uid }),
        1 => who().prop_map(|uid| Input::Left { uid }),
        1 => who().prop_map(|uid| Input::GivenUp { uid }),
        1 => (who(), any::<bool>()).prop_map(|(uid, speaking)| Input::Speaking { uid, speaking }),
        3 => (track(), who(), any::<bool>(), kind()).prop_map(|(track, uid, muted, kind)| Input::TrackAdded { track, uid, muted, kind }),
        1 => track().prop_map(|track| Input::TrackRemoved { track }),
        1 => (track(), any::<bool>()).prop_map(|(track, muted)| Input::Muted { track, muted }),
        1 => (track(), any::<bool>()).prop_map(|(track, overloaded)| Input::Overloaded { track, overloaded }),
        1 => Just(Input::ChannelDown),
        1 => Just(Input::ChannelUp),
        1 => Just(Input::WorkerRestarted),
        1 => Just(Input::CodersRestarted),
        1 => moment().prop_map(|from| Input::Stalled { from, cause: StallCause::WorkerStalled }),
        1 => moment().prop_map(|from| Input::Stalled { from, cause: StallCause::Overload }),
        1 => moment().prop_map(|since| Input::ChannelLost { since }),
        1 => (who(), moment()).prop_map(|(uid, since)| Input::Unheard { uid, since }),
        1 => moment().prop_map(|from| Input::InputsLost { from }),
        1 => Just(Input::Select(Selection::All)),
        1 => who().prop_map(|uid| Input::Select(Selection::Except([uid].into()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_input_does_harm(
        inputs in proptest::collection::vec((0..30_000_u64, hostile_input()), 0..250),
        tail in 0..200_000_u64,
    ) {
        let (mut story, mut at) = (InputStory::default(), 0);
        for (step, input) in inputs {
            at += step;
            story.happens(at, input);
        }
        let end = at + tail;
        check_ledger(&story.record(spec(Mode::Both), end), end);
    }
}
