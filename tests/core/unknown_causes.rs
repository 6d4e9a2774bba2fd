//! A hole costs nothing only where something says that no sound was made. A sender that falls silent without a word and comes back as
//! another stream is missing; one that sends only while it speaks, holds, pauses or is muted is not.

use bytes::Bytes;
use cloud_recorder::recording::{Cause, Input, Mode, TrackKind, Verdict};
use cloud_recorder::units::TrackId;

use crate::crash::{by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

fn record(story: &InputStory, end: u64) -> Recording {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    assert_eq!(recording.ledger, story.record(spec(Mode::Mix), end).ledger);
    recording
}

/// A talker's network is cut while it talks; `cut` of wall time later it is back, as another stream. The server gives it up after
/// `gives_up`, if that comes first.
fn cut(cut: u64, gives_up: u64) -> Recording {
    let (mut before, mut after) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(before.talk(SECOND, 10 * SECOND));
    let back = 10 * SECOND + cut;
    let left = (10 * SECOND + gives_up).min(back - 300 * MS);
    story.happens(left, Input::Left { uid: uid("7") }).joins(back - 200 * MS, "7", 2);
    story.hears(after.talk(back, back + 8 * SECOND));
    record(&story, back + 9 * SECOND)
}

#[test]
fn a_talker_whose_network_is_cut_is_missing_however_long() {
    for (seconds, gives_up) in [(3, 20), (8, 20), (12, 20), (25, 20), (25, 15), (34, 20)] {
        let recording = cut(seconds * SECOND, gives_up * SECOND);
        let account = recording.account("7");
        let known = by_cause(account);
        assert!(account.missing_ms.abs_diff(1_000 * seconds) <= 1_050, "{seconds} s: {:?}", gaps(account));
        assert_eq!(known[&Cause::Unknown], account.missing_ms, "{known:?}");
        assert_eq!(recording.ledger.verdict(), Verdict::Partial);
    }
}

#[test]
fn who_was_given_up_and_comes_back_much_later_is_missing_until_it_was() {
    let recording = cut(600 * SECOND, 20 * SECOND);
    let account = recording.account("7");
    assert!(account.missing_ms.abs_diff(19_500) <= 600, "{:?}", gaps(account));
}

#[test]
fn a_new_ssrc_and_a_new_track_after_silence_are_no_evidence() {
    for (track, removed) in [(1, false), (2, true)] {
        let (mut before, mut after) = (Talker::new(1, 7), Talker::new(track, 8));
        let mut story = InputStory::default();
        story.joins(0, "7", 1).hears(before.talk(SECOND, 10 * SECOND));
        if removed {
            story.happens(16 * SECOND, Input::TrackRemoved { track: TrackId(1) });
            story.happens(
                16 * SECOND,
                Input::TrackAdded { track: TrackId(2), uid: uid("7"), muted: false, kind: TrackKind::default() },
            );
        }
        story.hears(after.talk(16 * SECOND + 100 * MS, 20 * SECOND));
        let recording = record(&story, 21 * SECOND);
        let account = recording.account("7");
        assert!(account.missing_ms.abs_diff(6_000) <= 200, "{:?}", gaps(account));
    }
}

#[test]
fn no_more_is_missing_than_packets_are_lost() {
    // It sends only while it speaks, and the first two packets of a turn are lost.
    let mut agent = Talker::new(1, 7);
    let mut sent = agent.talk(SECOND, 4 * SECOND);
    for turn in 1..4 {
        sent.extend(agent.talk(turn * 20 * SECOND, turn * 20 * SECOND + 3 * SECOND).split_off(2));
    }
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone());
    let recording = record(&story, 70 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert_eq!(account.missing_ms + account.concealed_ms, 3 * 40, "{:?}", gaps(account));
}

#[test]
fn a_dtx_packet_that_is_lost_is_a_packet() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 4 * SECOND);
    for turn in 0..20 {
        sent.push(talker.send(4 * SECOND + turn * 400 * MS, vec![0x78, turn as u8].into()));
        talker.pause(380 * MS);
    }
    sent.extend(talker.talk(12 * SECOND, 15 * SECOND));
    sent.retain(|sent| sent.captured != 8 * SECOND);
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent);
    let account = record(&story, 16 * SECOND).account("7").clone();
    assert_eq!(account.missing_ms + account.concealed_ms, 20, "{:?}", gaps(&account));
}

/// Clean stories: nothing is missing, whatever they look like.
fn assert_clean(name: &str, story: &InputStory, sent: &[Sent], end: u64) -> Recording {
    let recording = record(story, end);
    let account = recording.account("7");
    assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{name}: {:?}", gaps(account));
    let verdict = if sent.is_empty() { Verdict::Empty } else { Verdict::Complete };
    assert_eq!(recording.ledger.verdict(), verdict, "{name}");
    recording.assert_all_in_place("7", sent, 30 * MS);
    recording
}

#[test]
fn a_publisher_that_sends_only_while_it_speaks_lacks_nothing() {
    for running in [false, true] {
        let mut agent = Talker::new(1, 7);
        let mut sent = Vec::new();
        for (turn, length) in [(1, 3), (10, 1), (40, 5), (47, 2), (170, 4)] {
            sent.extend(agent.talk(turn * SECOND, (turn + length) * SECOND));
            if running {
                let next = [10, 40, 47, 170, 200][[1, 10, 40, 47, 170].iter().position(|at| *at == turn).unwrap()];
                agent.pause((next - turn - length) * SECOND);
            }
        }
        let mut story = InputStory::default();
        story.joins(0, "7", 1).hears(sent.clone());
        let recording = assert_clean("agent", &story, &sent, 260 * SECOND);
        assert!(
            recording.gap_ms("7", Cause::UnheardTail).abs_diff(86_000) <= 600,
            "{:?}",
            gaps(recording.account("7"))
        );
        // It leaves when it has long been silent, and comes back.
        story.happens(230 * SECOND, Input::Left { uid: uid("7") }).joins(238 * SECOND, "7", 2);
        let again = Talker { made: 9_999, ..Talker::new(2, 8) }.talk(240 * SECOND, 250 * SECOND);
        story.hears(again.clone());
        sent.extend(again);
        assert_clean("agent that comes back", &story, &sent, 260 * SECOND);
    }
}

#[test]
fn a_published_track_that_never_sends_lacks_nothing() {
    let mut story = InputStory::default();
    story.joins(0, "7", 1);
    assert_clean("silent track", &story, &[], 60 * SECOND);
    story.happens(40 * SECOND, Input::TrackRemoved { track: TrackId(1) });
    story.happens(
        40 * SECOND,
        Input::TrackAdded { track: TrackId(2), uid: uid("7"), muted: false, kind: TrackKind::default() },
    );
    let sent = Talker::new(2, 8).talk(45 * SECOND, 50 * SECOND);
    story.hears(sent.clone());
    assert_clean("its successor", &story, &sent, 60 * SECOND);
}

#[test]
fn a_track_that_is_replaced_by_nothing_and_a_call_on_hold_lack_nothing() {
    for (name, length, running) in [("replaceTrack(null)", 12, true), ("hold", 75, false), ("long hold", 400, true)] {
        let mut talker = Talker::new(1, 7);
        let mut sent = talker.talk(SECOND, 10 * SECOND);
        if running {
            talker.pause(length * SECOND);
        }
        sent.extend(talker.talk((10 + length) * SECOND, (15 + length) * SECOND));
        let mut story = InputStory::default();
        story.joins(0, "7", 1).hears(sent.clone());
        assert_clean(name, &story, &sent, (16 + length) * SECOND);
    }
}

#[test]
fn a_lid_that_closes_while_muted_lacks_nothing() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 10 * SECOND);
    sent.extend(Talker { made: 5_000, ..Talker::new(2, 8) }.talk(60 * SECOND, 65 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone());
    story.happens(10 * SECOND + 40 * MS, Input::Muted { track: TrackId(1), muted: true });
    story.happens(38 * SECOND, Input::Left { uid: uid("7") }).joins(58 * SECOND, "7", 2);
    assert_clean("lid", &story, &sent, 66 * SECOND);
}

#[test]
fn dtx_and_a_leave_lack_nothing() {
    let (mut talker, mut again) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut sent = talker.talk(SECOND, 4 * SECOND);
    for turn in 0..50 {
        sent.push(talker.send(4 * SECOND + turn * 20 * FRAME, Bytes::copy_from_slice(&[0x78, turn as u8])));
        talker.pause(19 * FRAME);
    }
    again.made = 7_000;
    let mut story = InputStory::default();
    story.joins(0, "7", 1);
    story.happens(24 * SECOND + 100 * MS, Input::Left { uid: uid("7") }).joins(30 * SECOND, "7", 2);
    sent.extend(again.talk(31 * SECOND, 35 * SECOND));
    story.hears(sent.clone());
    assert_clean("dtx", &story, &sent, 36 * SECOND);
}
