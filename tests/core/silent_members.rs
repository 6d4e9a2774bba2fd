//! A member that fell silent without a word, and whose stream never goes on: what it may have said is missing where something says that it
//! spoke (the server gave it up, it was back soon, the server reported it as speaking), and only listed where nothing does.

use cloud_recorder::recording::{Cause, Input, Mode, TrackLedger, Verdict};
use cloud_recorder::units::TrackId;

use crate::crash::{by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, SECOND, Talker, spec, uid};

/// Uid 7 speaks from 1 s to 10 s, and then `more` happens; its account at the end of 60 s.
fn account(more: impl Fn(&mut InputStory, &mut Talker)) -> (TrackLedger, Verdict) {
    let mut talker = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(talker.talk(SECOND, 10 * SECOND));
    more(&mut story, &mut talker);
    let recording = story.record(spec(Mode::Individual), 60 * SECOND);
    check_ledger(&recording, 60 * SECOND);
    (recording.account("7").clone(), recording.ledger.verdict())
}

fn gone(story: &mut InputStory, at: u64) {
    story.happens(at, Input::GivenUp { uid: uid("7") });
    story.happens(at, Input::Left { uid: uid("7") });
}

fn reports(story: &mut InputStory, at: u64, speaking: bool) {
    story.happens(at, Input::Speaking { uid: uid("7"), speaking });
}

#[track_caller]
fn assert_missing((account, verdict): &(TrackLedger, Verdict), ms: u64) {
    assert!(account.missing_ms.abs_diff(ms) <= 600, "{} ms: {:?}", account.missing_ms, gaps(account));
    assert_eq!(by_cause(account).get(&Cause::Unknown).copied().unwrap_or_default(), account.missing_ms);
    assert_eq!(*verdict, if ms == 0 { Verdict::Complete } else { Verdict::Partial });
}

#[test]
fn who_times_out_while_talking_is_missing_until_then() {
    assert_missing(&account(|story, _| gone(story, 35 * SECOND)), 25_000);
    assert_missing(&account(|story, _| _ = story.happens(35 * SECOND, Input::Left { uid: uid("7") })), 0);
}

#[test]
fn who_times_out_and_is_back_much_later_without_a_word_is_missing_until_then() {
    let back = |story: &mut InputStory, _: &mut Talker| {
        gone(story, 30 * SECOND);
        story.joins(50 * SECOND, "7", 2);
    };
    assert_missing(&account(back), 20_000);
}

#[test]
fn who_goes_after_a_silence_and_is_back_soon_had_not_gone() {
    let returns = |at: u64| {
        move |story: &mut InputStory, _: &mut Talker| {
            story.happens(30 * SECOND, Input::Left { uid: uid("7") });
            story.happens(at, Input::Joined { uid: uid("7") });
        }
    };
    assert_missing(&account(returns(38 * SECOND)), 20_000);
    assert_missing(&account(returns(55 * SECOND)), 0);
}

#[test]
fn a_crash_of_a_client_that_said_nothing_is_no_loss() {
    // Muted, DTX, unpublished, or a sender that is known to send only while it speaks.
    let muted = |story: &mut InputStory, _: &mut Talker| {
        story.happens(10 * SECOND + 40 * MS, Input::Muted { track: TrackId(1), muted: true });
        gone(story, 40 * SECOND);
    };
    let unpublished = |story: &mut InputStory, _: &mut Talker| {
        story.happens(10 * SECOND + 40 * MS, Input::TrackRemoved { track: TrackId(1) });
        gone(story, 40 * SECOND);
    };
    let dtx = |story: &mut InputStory, talker: &mut Talker| {
        for turn in 0..5 {
            story.hears(vec![talker.send(10 * SECOND + turn * 20 * FRAME, vec![0x78, turn as u8].into())]);
            talker.pause(19 * FRAME);
        }
        gone(story, 40 * SECOND);
    };
    let agent = |story: &mut InputStory, talker: &mut Talker| {
        story.hears(talker.talk(20 * SECOND, 22 * SECOND));
        gone(story, 50 * SECOND);
    };
    assert_missing(&account(muted), 0);
    assert_missing(&account(unpublished), 0);
    assert_missing(&account(dtx), 0);
    assert_missing(&account(agent), 0);
}

#[test]
fn who_is_reported_as_speaking_and_is_not_heard_is_missing_while_it_is() {
    let reported = |story: &mut InputStory, _: &mut Talker| {
        reports(story, SECOND + 400 * MS, true);
        reports(story, 24 * SECOND, false);
    };
    assert_missing(&account(reported), 14_000);
    let to_the_end = |story: &mut InputStory, _: &mut Talker| reports(story, 20 * SECOND, true);
    assert_missing(&account(to_the_end), 40_000);
    let heard_again = |story: &mut InputStory, talker: &mut Talker| {
        reports(story, 2 * SECOND, true);
        story.hears(talker.talk(30 * SECOND, 40 * SECOND));
        reports(story, 41 * SECOND, false);
    };
    assert_missing(&account(heard_again), 20_000);
}

#[test]
fn a_report_that_outlives_the_sound_or_is_about_a_muted_member_is_no_evidence() {
    let smoothed = |story: &mut InputStory, _: &mut Talker| {
        reports(story, 2 * SECOND, true);
        reports(story, 12 * SECOND, false);
    };
    assert_missing(&account(smoothed), 0);
    let muted = |story: &mut InputStory, _: &mut Talker| {
        reports(story, 2 * SECOND, true);
        story.happens(10 * SECOND + 40 * MS, Input::Muted { track: TrackId(1), muted: true });
        reports(story, 30 * SECOND, false);
    };
    assert_missing(&account(muted), 0);
    let disconnected = |story: &mut InputStory, _: &mut Talker| {
        reports(story, 2 * SECOND, true);
        story.happens(10 * SECOND + 100 * MS, Input::Left { uid: uid("7") });
        reports(story, 30 * SECOND, false);
    };
    assert_missing(&account(disconnected), 0);
}

#[test]
fn a_member_whose_media_never_arrive_is_missing_while_it_is_reported() {
    let mut story = InputStory::default();
    story.joins(0, "7", 1);
    reports(&mut story, 10 * SECOND, true);
    reports(&mut story, 18 * SECOND, false);
    let recording = story.record(spec(Mode::Mix), 30 * SECOND);
    check_ledger(&recording, 30 * SECOND);
    let account = recording.account("7");
    assert!(account.missing_ms.abs_diff(8_000) <= 1_000, "{:?}", gaps(account));
}
