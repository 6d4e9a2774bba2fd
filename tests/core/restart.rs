//! The worker dies among people who go on talking: what lies outside the cut is in its place, the cut is `worker_restart` in every
//! track that was to be heard, who was muted stays muted, and who does not come back has left.

use cloud_recorder::recording::{Cause, Input, Mode};
use cloud_recorder::units::{Ticks, TrackId};
use proptest::prelude::*;

use crate::crash::{Again, Crash, FLOWING, by_cause, gaps, later_gaps};
use crate::random_inputs::check_ledger;
use crate::world::{Dice, FRAME, InputStory, MS, SECOND, Talker, spec};

#[test]
fn each_has_the_gap_that_is_its_own() {
    let crash = Crash { died: 20 * SECOND, back: 27 * SECOND };
    let (mut anna, mut ben, mut dora) = (Talker::new(1, 7), Talker::new(2, 8), Talker::new(3, 9));
    let (annas, doras) = (anna.talk(SECOND, 58 * SECOND), dora.talk(SECOND, 22 * SECOND));
    let bens = ben.talk(SECOND, 10 * SECOND);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).joins(0, "dora", 3);
    story.hears(annas.clone()).hears(bens.clone()).hears(doras.clone());
    story.happens(10 * SECOND, Input::Muted { track: TrackId(2), muted: true });
    let met = [("anna", 1, false), ("ben", 2, true)].map(|(name, track, muted)| Again { name, track, muted });
    crash.strike(&mut story, &met);
    let recording = story.record(spec(Mode::Both), 60 * SECOND);
    check_ledger(&recording, 60 * SECOND);

    recording.assert_all_in_place("anna", &crash.survivors(&annas), 30 * MS);
    recording.assert_all_in_place("ben", &bens, 30 * MS);
    recording.assert_all_in_place("dora", &crash.survivors(&doras), 30 * MS);

    let annas = later_gaps(recording.account("anna"));
    let [(Cause::WorkerRestart, from, to), (Cause::UnheardTail, ended, 60_000)] = annas[..] else {
        panic!("{annas:?}");
    };
    assert!(from.abs_diff(20_000) <= 20 && to.abs_diff(Ticks(crash.back + FLOWING).as_ms()) <= 20, "{from} to {to}");
    assert!(ended.abs_diff(58_030) <= 20);
    let account = recording.account("anna");
    assert_eq!((account.missing_ms, account.concealed_ms), (to - from, 0));

    assert_eq!(recording.account("ben").missing_ms, 0);
    let bens = later_gaps(recording.account("ben"));
    assert!(matches!(bens[..], [(Cause::Muted, _, 60_000)]), "{bens:?}");

    let doras = later_gaps(recording.account("dora"));
    let [(Cause::WorkerRestart, from, 42_000), (Cause::Left, 42_000, 60_000)] = doras[..] else {
        panic!("{doras:?}");
    };
    assert!(from.abs_diff(20_000) <= 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whenever_it_dies_and_however_long(
        died in 5_000..20_000_u64,
        dead in 50..25_000_u64,
        jitter in 0..90_u64,
        seed in any::<u64>(),
    ) {
        let crash = Crash { died: died * MS, back: (died + dead) * MS };
        let (mut anna, mut ben, mut dice) = (Talker::new(1, 7), Talker::new(2, 8), Dice(seed));
        let end = crash.back + 12 * SECOND;
        let mut sent = [anna.talk(SECOND, end - SECOND), ben.talk(SECOND + 555, end - SECOND)];
        sent.iter_mut().flatten().for_each(|sent| sent.arrival += dice.below(jitter + 1) * MS);
        let mut story = InputStory::default();
        story.joins(0, "anna", 1).joins(0, "ben", 2).hears(sent.iter().flatten().cloned());
        let met = [("anna", 1), ("ben", 2)].map(|(name, track)| Again { name, track, muted: false });
        crash.strike(&mut story, &met);
        let recording = story.record(spec(Mode::Individual), end);
        check_ledger(&recording, end);
        for (name, sent) in ["anna", "ben"].iter().zip(&sent) {
            let survivors = crash.survivors(sent);
            for (sent, place) in survivors.iter().zip(recording.places(name, &survivors)) {
                let Some(place) = place else {
                    prop_assert!(false, "{name}'s packet made at {} is missing", sent.captured);
                    continue;
                };
                let error = place as i64 - (sent.captured + 30 * MS) as i64;
                prop_assert!((-(FRAME as i64)..=(jitter * MS + FRAME) as i64).contains(&error), "off by {error}");
            }
            let account = recording.account(name);
            let causes = by_cause(account);
            let restart = causes.get(&Cause::WorkerRestart).copied().unwrap_or_default();
            let missing = sent.len() - survivors.len();
            prop_assert!(restart.abs_diff(20 * missing as u64) <= 40 + jitter, "{:?}", gaps(account));
            // A cut in mid-jitter takes a packet here and leaves a later one there: such holes are the network's.
            let network = causes.get(&Cause::NetworkLoss).copied().unwrap_or_default();
            prop_assert!(network <= 2 * jitter, "{:?}", gaps(account));
            prop_assert!((account.missing_ms + account.concealed_ms).abs_diff(restart + network) <= 2);
        }
    }
}
