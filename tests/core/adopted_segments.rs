//! The bucket holds sound that the worker's journal does not: it is kept, and the ledger says that its record is lost.

use cloud_recorder::recording::{Cause, Gap, Input, Mode, PlaylistId, Recorder, Verdict};
use cloud_recorder::units::Ticks;

use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, Recording, SECOND, Talker, spec, uid};

const END: u64 = 30 * SECOND;

/// Anna talks; the worker was dead, or its journal is damaged, 10 to 16 s; `adopt` is told before the input number `when`, or at the end.
fn record(mode: Mode, restart: bool, adopt: &[(PlaylistId, u64, u64)], when: usize) -> Recording {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 10 * SECOND));
    if restart {
        story.happens(16 * SECOND, Input::WorkerRestarted).joins(16 * SECOND + 100 * MS, "anna", 11);
        story.hears(Talker::new(11, 17).talk(16 * SECOND + 200 * MS, 28 * SECOND));
    } else {
        anna.talk(10 * SECOND, 16 * SECOND);
        story.happens(16 * SECOND, Input::InputsLost { from: Ticks(10 * SECOND) });
        story.hears(anna.talk(16 * SECOND, 28 * SECOND));
    }
    let adopts = |recorder: &mut Recorder| {
        adopt.iter().for_each(|(playlist, from, to)| recorder.adopt(playlist, Ticks(*from), Ticks(*to)));
    };
    let (mut recorder, mut outputs) = (Recorder::new(spec(mode)), Vec::new());
    for (index, input) in story.inputs().into_iter().enumerate() {
        if index == when {
            adopts(&mut recorder);
        }
        recorder.push(input);
        recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
    }
    recorder.finish(Ticks(END));
    if when == usize::MAX {
        adopts(&mut recorder);
    }
    outputs.extend(std::iter::from_fn(|| recorder.poll()));
    let recording = Recording::new(outputs, recorder.ledger(), END);
    check_ledger(&recording, END);
    recording
}

fn own() -> PlaylistId {
    PlaylistId::Individual(uid("anna"))
}

fn adopted(recording: &Recording) -> Vec<(u64, u64)> {
    let gaps = recording.account("anna").gaps.iter().filter(|gap| gap.cause == Cause::Adopted);
    gaps.map(|Gap { from, to, .. }| (from.0, to.0)).collect()
}

#[test]
fn it_counts_as_recorded_whenever_it_is_told() {
    for restart in [true, false] {
        let plain = record(Mode::Individual, restart, &[], 0);
        let cause = if restart { Cause::WorkerRestart } else { Cause::JournalDamaged };
        for when in [0, 300, 700, usize::MAX] {
            let stretch = [(own(), 12 * SECOND, 15 * SECOND), (own(), 15 * SECOND, 27 * SECOND)];
            let recording = record(Mode::Individual, restart, &stretch, when);
            let (poor, rich) = (plain.account("anna"), recording.account("anna"));
            let [(from, to)] = adopted(&recording)[..] else { panic!("{:?}", rich.gaps) };
            assert!(from == 12 * SECOND && to.abs_diff(16 * SECOND) <= 250 * MS, "{from} to {to}");
            let kept = Ticks(to - from).as_ms();
            assert!((rich.recorded_ms - poor.recorded_ms).abs_diff(kept) <= 1);
            assert!((poor.missing_ms - rich.missing_ms).abs_diff(kept) <= 1 && rich.concealed_ms == poor.concealed_ms);
            assert!(recording.gap_ms("anna", cause).abs_diff(2_000) <= 40, "what was not adopted is missing");
            assert_eq!((recording.ledger.verdict(), recording.ledger.adopted_ms), (Verdict::Partial, 15_000));
        }
    }
}

#[test]
fn all_of_the_gap_adopted_is_still_no_complete_recording() {
    let recording = record(Mode::Individual, true, &[(own(), 9 * SECOND, 18 * SECOND)], 0);
    assert_eq!((recording.account("anna").missing_ms, recording.ledger.verdict()), (0, Verdict::Partial));
    let nothing_missing_there = record(Mode::Individual, true, &[(own(), 2 * SECOND, 3 * SECOND)], 0);
    assert_eq!(adopted(&nothing_missing_there), []);
    assert_eq!(nothing_missing_there.ledger.verdict(), Verdict::Partial);
}

#[test]
fn beside_a_mix_it_counts_where_both_playlists_were_adopted() {
    let mix = (PlaylistId::Mix, 11 * SECOND, 14 * SECOND);
    let recording = record(Mode::Both, true, std::slice::from_ref(&mix), 0);
    assert_eq!(adopted(&recording), []);
    let recording = record(Mode::Both, true, &[mix.clone(), (own(), 12 * SECOND, 20 * SECOND)], 500);
    assert_eq!(adopted(&recording), [(12 * SECOND, 14 * SECOND)]);
    let recording = record(Mode::Mix, true, &[mix], 500);
    assert_eq!(adopted(&recording), [(11 * SECOND, 14 * SECOND)]);
}

#[test]
fn a_uid_that_only_the_bucket_knows_is_in_the_ledger() {
    let ben = PlaylistId::Individual(uid("ben"));
    let recording = record(Mode::Individual, true, &[(ben, 2 * SECOND, 5 * SECOND)], 0);
    let account = recording.account("ben");
    assert_eq!((account.expected_ms, account.recorded_ms, account.missing_ms), (3_000, 3_000, 0));
    assert_eq!(account.gaps[0].cause, Cause::Adopted);
}

#[test]
fn what_is_lost_may_be_told_before_it_is_written_and_again() {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 28 * SECOND));
    let record = |moments: &[usize]| {
        let mut recorder = Recorder::new(spec(Mode::Individual));
        for (index, input) in story.inputs().into_iter().enumerate() {
            if moments.contains(&index) {
                recorder.lose(&own(), Ticks(6 * SECOND), Ticks(12 * SECOND));
            }
            recorder.push(input);
        }
        recorder.finish(Ticks(END));
        recorder.ledger()
    };
    let after = record(&[1_000]);
    assert!(after.uids[0].missing_ms.abs_diff(6_000) <= 1, "{:?}", after.uids[0].gaps);
    assert_eq!(after, record(&[0]));
    assert_eq!(after, record(&[10, 400, 500, 1_200]));
}
