//! A recorder that is put away as bytes and taken up again, at any moment and as often as one likes, records what it would have
//! recorded had it never stopped.

use cloud_recorder::codec::fmp4;
use cloud_recorder::recording::{Mode, Output, PlaylistId, Recorder, Segment, Spec};
use proptest::prelude::*;

use crate::crash::{Again, Crash};
use crate::input_scripts::{act, network, play};
use crate::world::{Dice, InputStory, MS, Recording, SECOND, spec};

/// Records a story; one time in `often` before an input, the recorder is put away and taken up again, with and without outputs
/// that wait.
fn interrupted(story: &InputStory, spec: Spec, end: u64, (seed, often): (u64, u64)) -> Recording {
    let mut dice = Dice(seed);
    story.record_with(spec, end, |recorder, next| {
        if dice.below(often) == 0 {
            if dice.below(2) == 0 {
                recorder.advance(next);
            }
            *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        }
    })
}

/// The outputs, with the lengths of the mix's packets instead of their bytes.
fn but_for_the_mixs_sound(recording: &Recording) -> Vec<Output> {
    let but_for_sound = |output: &Output| match output {
        Output::Segment(segment @ Segment { playlist: PlaylistId::Mix, .. }) => {
            let samples = fmp4::read_segment(&segment.bytes).unwrap().samples;
            let lengths: Vec<u8> = samples.iter().flat_map(|sample| sample.duration.0.to_be_bytes()).collect();
            Output::Segment(Segment { bytes: lengths.into(), ..segment.clone() })
        }
        other => other.clone(),
    };
    recording.outputs.iter().map(but_for_sound).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn individual_tracks_events_and_ledger_are_the_same_bit_for_bit(
        anna in proptest::collection::vec((act(), 1_000..5_000_u64), 1..5),
        ben in proptest::collection::vec((act(), 1_000..5_000_u64), 1..5),
        network in network(),
        moments in (any::<u64>(), prop_oneof![Just(1_000_u64), Just(40)]),
    ) {
        let (mut story, _, first) = play("anna", 1, &anna, &network);
        let (other, _, second) = play("ben", 101, &ben, &network);
        story.meanwhile(other);
        let end = first.max(second);
        let (whole, parted) =
            (story.record(spec(Mode::Individual), end), interrupted(&story, spec(Mode::Individual), end, moments));
        prop_assert_eq!(whole.ledger, parted.ledger);
        prop_assert!(whole.outputs == parted.outputs, "the outputs differ");
    }

    #[test]
    fn around_a_restart_too(
        anna in proptest::collection::vec((act(), 1_000..5_000_u64), 2..5),
        network in network(),
        (died, dead, met) in (2_000..10_000_u64, 50..30_000_u64, any::<bool>()),
        moments in (any::<u64>(), prop_oneof![Just(1_000_u64), Just(20)]),
    ) {
        let (mut story, _, end) = play("anna", 1, &anna, &network);
        let back = [Again { name: "anna", track: 1, muted: false }];
        Crash { died: died * MS, back: (died + dead) * MS }.strike(&mut story, if met { &back } else { &[] });
        let end = end.max((died + dead) * MS + 20 * SECOND);
        let (whole, parted) =
            (story.record(spec(Mode::Individual), end), interrupted(&story, spec(Mode::Individual), end, moments));
        prop_assert_eq!(whole.ledger, parted.ledger);
        prop_assert!(whole.outputs == parted.outputs, "the outputs differ");
    }

    #[test]
    fn beside_a_mix_too(
        anna in proptest::collection::vec((act(), 1_000..4_000_u64), 1..4),
        ben in proptest::collection::vec((act(), 1_000..4_000_u64), 1..4),
        network in network(),
        moments in (any::<u64>(), prop_oneof![Just(1_000_u64), Just(40)]),
    ) {
        let (mut story, _, first) = play("anna", 1, &anna, &network);
        let (other, _, second) = play("ben", 101, &ben, &network);
        story.meanwhile(other);
        let end = first.max(second);
        let (whole, parted) = (story.record(spec(Mode::Both), end), interrupted(&story, spec(Mode::Both), end, moments));
        prop_assert_eq!(&whole.ledger, &parted.ledger);
        prop_assert!(but_for_the_mixs_sound(&whole) == but_for_the_mixs_sound(&parted), "the outputs differ");
    }
}
