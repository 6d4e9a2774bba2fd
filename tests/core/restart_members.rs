//! Who comes back after a restart, and how: mute that changed meanwhile, no track any more, ids that are somebody else's now, and a
//! worker that dies again before it met anybody.

use cloud_recorder::recording::{Cause, Input, Mode, Selection};
use cloud_recorder::units::{Ticks, TrackId};

use crate::crash::{Again, Crash, later_gaps};
use crate::world::{InputStory, MS, Recording, SECOND, Talker, spec, uid};

const CRASH: Crash = Crash { died: 20 * SECOND, back: 27 * SECOND };

fn again(name: &'static str, muted: bool) -> [Again; 1] {
    [Again { name, track: 1, muted }]
}

/// Anna is there and talks until 40 s, as far as she is not muted from 10 s on; `then` changes the story after the crash.
fn record(muted: bool, met: &[Again], then: impl FnOnce(&mut InputStory)) -> Recording {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 10 * SECOND));
    if muted {
        story.happens(10 * SECOND, Input::Muted { track: TrackId(1), muted: true });
    } else {
        story.hears(anna.talk(10 * SECOND, 40 * SECOND));
    }
    // Somebody whose packets say when the worker died.
    story.joins(0, "clock", 50).hears(Talker::new(50, 50).talk(SECOND, 20 * SECOND));
    CRASH.strike(&mut story, met);
    then(&mut story);
    story.record(spec(Mode::Both), 60 * SECOND)
}

fn annas(recording: &Recording) -> Vec<(Cause, u64, u64)> {
    later_gaps(recording.account("anna"))
}

#[test]
fn who_was_muted_and_comes_back_unmuted_may_have_spoken() {
    let recording = record(true, &again("anna", false), |_| ());
    let gaps = annas(&recording);
    let [(Cause::Muted, _, died), (Cause::WorkerRestart, from, to), (Cause::UnheardTail, _, 60_000)] = gaps[..] else {
        panic!("{gaps:?}");
    };
    assert!(died == from && from.abs_diff(20_010) <= 20 && to.abs_diff(27_150) <= 500, "{gaps:?}");
    assert!(recording.account("anna").missing_ms.abs_diff(7_150) <= 40);
}

#[test]
fn who_spoke_and_comes_back_muted_is_missing_until_then() {
    let recording = record(false, &again("anna", true), |story| {
        story.rewrite(|inputs| {
            inputs.into_iter().filter(|(at, input)| *at < CRASH.back || !matches!(input, Input::Packet(_))).collect()
        });
    });
    let gaps = annas(&recording);
    let [(Cause::WorkerRestart, from, 27_150), (Cause::Muted, 27_150, 60_000)] = gaps[..] else { panic!("{gaps:?}") };
    assert!(from.abs_diff(20_010) <= 20, "{gaps:?}");
}

#[test]
fn who_is_there_without_a_track_publishes_nothing() {
    let recording = record(false, &[], |story| {
        story.happens(CRASH.back + 100 * MS, Input::Joined { uid: uid("anna") });
    });
    let gaps = annas(&recording);
    let [(Cause::WorkerRestart, _, 42_000), (Cause::NotPublishing, 42_000, 60_000)] = gaps[..] else {
        panic!("{gaps:?}");
    };
}

#[test]
fn a_selection_made_before_anybody_is_met_forgets_nothing() {
    let others = Selection::Except([uid("nobody")].into());
    let recording = record(false, &again("anna", false), |story| {
        story.happens(CRASH.back + 10 * MS, Input::Select(others.clone()));
        story.happens(CRASH.back + 20 * MS, Input::Select(Selection::Except([uid("anna")].into())));
        story.happens(CRASH.back + 30 * MS, Input::Select(others));
    });
    let gaps = annas(&recording);
    let restart: u64 = gaps.iter().filter(|gap| gap.0 == Cause::WorkerRestart).map(|gap| gap.2 - gap.1).sum();
    assert!(restart.abs_diff(7_690) <= 40, "{gaps:?}");
}

#[test]
fn dead_again_before_anybody_was_met_it_is_one_gap_and_nobody_had_left() {
    let mut anna = Talker::new(1, 7);
    let sent = anna.talk(SECOND, 100 * SECOND);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(sent.clone());
    CRASH.strike(&mut story, &[]);
    let second = Crash { died: 28 * SECOND, back: 90 * SECOND };
    second.strike(&mut story, &[Again { name: "anna", track: 1_001, muted: false }]);
    let recording = story.record(spec(Mode::Both), 101 * SECOND);
    recording.assert_all_in_place("anna", &second.survivors(&CRASH.survivors(&sent))[..900], 30 * MS);
    let gaps = annas(&recording);
    let [(Cause::WorkerRestart, from, to), (Cause::UnheardTail, ..)] = gaps[..] else { panic!("{gaps:?}") };
    assert!(from.abs_diff(20_010) <= 20 && to.abs_diff(90_710) <= 20, "{gaps:?}");
    assert_eq!(recording.account("anna").missing_ms, to - from);
}

#[test]
fn ids_that_are_somebody_elses_now_do_not_matter() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let (annas, bens) = (anna.talk(SECOND, 20 * SECOND), ben.talk(SECOND, 20 * SECOND));
    (anna.track, anna.ssrc, ben.track, ben.ssrc) = (ben.track, ben.ssrc, anna.track, anna.ssrc);
    anna.pause(8 * SECOND);
    ben.pause(8 * SECOND);
    let (annas_later, bens_later) = (anna.talk(28 * SECOND, 40 * SECOND), ben.talk(28 * SECOND, 40 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).hears(annas.clone()).hears(bens.clone());
    story.happens(27 * SECOND, Input::WorkerRestarted);
    story.joins(27 * SECOND + 100 * MS, "anna", 2).joins(27 * SECOND + 100 * MS, "ben", 1);
    story.hears(annas_later.clone()).hears(bens_later.clone());
    let recording = story.record(spec(Mode::Individual), 41 * SECOND);
    for (name, sent) in [("anna", [annas, annas_later]), ("ben", [bens, bens_later])] {
        recording.assert_all_in_place(name, &sent.concat(), 30 * MS);
        assert_eq!(recording.account(name).packets.placed as usize, sent[0].len() + sent[1].len());
    }
}

#[test]
fn a_channel_that_stays_out_of_reach_after_a_restart_is_the_reason_until_the_end() {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 8 * SECOND));
    story.happens(23 * SECOND, Input::WorkerRestarted);
    story.happens(23 * SECOND, Input::ChannelLost { since: Ticks(23 * SECOND) });
    let recording = story.record(spec(Mode::Both), 60 * SECOND);
    let gaps = annas(&recording);
    let lost = |cause: Cause| gaps.iter().filter(|gap| gap.0 == cause).map(|gap| gap.2 - gap.1).sum::<u64>();
    assert!(lost(Cause::WorkerRestart).abs_diff(15_000) <= 40, "{gaps:?}");
    assert!(lost(Cause::ChannelUnreachable).abs_diff(37_000) <= 40, "{gaps:?}");
    assert!(recording.account("anna").missing_ms.abs_diff(52_000) <= 40, "{gaps:?}");
}

#[test]
fn who_is_not_met_counts_from_when_the_channel_is_reached_again() {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 8 * SECOND));
    story.happens(9 * SECOND, Input::WorkerRestarted);
    story.happens(9 * SECOND, Input::ChannelLost { since: Ticks(9 * SECOND) });
    story.happens(39 * SECOND, Input::ChannelUp);
    let recording = story.record(spec(Mode::Individual), 70 * SECOND);
    let gaps = annas(&recording);
    assert!(matches!(gaps.last(), Some((Cause::Left, 54_000, 70_000))), "{gaps:?}");
}
