//! Mutes with a standing clock, clocks that jump, wraps, rejoins with a new SSRC, two tracks at once: position stays wall time.

use cloud_recorder::recording::{Cause, Input, Mode, Output, PlaylistId, TrackKind};
use cloud_recorder::units::TrackId;

use crate::world::{FRAME, InputStory, MS, SECOND, Talker, spec, uid};

fn muted(muted: bool) -> Input {
    Input::Muted { track: TrackId(1), muted }
}

#[test]
fn a_mute_with_a_standing_clock_keeps_its_length() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 10 * SECOND);
    sent.extend(talker.talk(25 * SECOND, 30 * SECOND));
    sent.extend(talker.talk(30 * SECOND + 700 * MS, 40 * SECOND));
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(sent.clone())
        .happens(10 * SECOND, muted(true))
        .happens(25 * SECOND, muted(false))
        .record(spec(Mode::Individual), 41 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    assert!(recording.gap_ms("7", Cause::Muted).abs_diff(15_000) <= 40, "{:?}", recording.account("7").gaps);
    let account = recording.account("7");
    assert_eq!(account.expected_ms, account.recorded_ms, "nothing was due while muted");
    let states: Vec<_> = recording
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::StreamState { receiving, at, .. } => Some((*receiving, at.0)),
            _ => None,
        })
        .collect();
    let first = |since: u64| since + 30 * MS;
    assert_eq!(
        states,
        [
            (true, first(SECOND)),
            (false, 10 * SECOND),
            (true, first(25 * SECOND)),
            (false, first(40 * SECOND) - FRAME + 2 * SECOND)
        ][..3],
    );
}

#[test]
fn a_mute_with_a_running_clock_keeps_its_length() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 10 * SECOND);
    talker.pause(600 * SECOND);
    sent.extend(talker.talk(610 * SECOND, 620 * SECOND));
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(sent.clone())
        .happens(10 * SECOND, muted(true))
        .happens(610 * SECOND, muted(false))
        .record(spec(Mode::Individual), 621 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
}

#[test]
fn clocks_that_jump_in_either_direction_move_nothing() {
    let mut talker = Talker::new(1, 7);
    let mut sent = Vec::new();
    for (second, jump) in [10.0, -10.0, 3_600.0, -7_200.0, 0.25, -0.25, 40_000.0, 0.0].into_iter().enumerate() {
        let from = (1 + 10 * second as u64) * SECOND;
        sent.extend(talker.talk(from, from + 10 * SECOND));
        talker.rtp += jump * SECOND as f64;
        talker.rtp = talker.rtp.rem_euclid(4_294_967_296.0);
    }
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 82 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
}

#[test]
fn one_packet_with_an_absurd_time_harms_only_itself() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 20 * SECOND);
    sent[300].packet.timestamp = sent[300].packet.timestamp.wrapping_add(1 << 30);
    sent[600].packet.timestamp = sent[600].packet.timestamp.wrapping_sub(1 << 30);
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 21 * SECOND);
    sent.remove(600);
    sent.remove(300);
    recording.assert_all_in_place("7", &sent, 30 * MS);
}

#[test]
fn a_rejoin_is_one_playlist_with_its_absence_named() {
    let mut before = Talker::new(1, 7);
    let mut after = Talker::new(2, 8);
    (after.rtp, after.delay) = (12_345.0, 45 * MS);
    let (first, second) = (before.talk(SECOND, 10 * SECOND), after.talk(20 * SECOND, 30 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(first.clone()).happens(10 * SECOND + 50 * MS, Input::Left { uid: uid("7") });
    story.joins(19 * SECOND, "7", 2).hears(second.clone());
    let recording = story.record(spec(Mode::Individual), 31 * SECOND);
    recording.assert_all_in_place("7", &first, 30 * MS);
    recording.assert_all_in_place("7", &second, 45 * MS);
    assert_eq!(recording.ledger.uids.len(), 1);
    assert!(recording.gap_ms("7", Cause::Left).abs_diff(9_000) <= 1_100, "{:?}", recording.account("7").gaps);
}

#[test]
fn a_republished_track_and_a_new_ssrc_follow_without_a_hole() {
    let mut talkers = [Talker::new(1, 7), Talker::new(1, 8), Talker::new(2, 9)];
    let mut sent = Vec::new();
    for (turn, talker) in talkers.iter_mut().enumerate() {
        let from = SECOND + turn as u64 * 5 * SECOND;
        sent.extend(talker.talk(from, from + 5 * SECOND));
    }
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(sent.clone())
        .happens(11 * SECOND, Input::TrackRemoved { track: TrackId(1) })
        .happens(
            11 * SECOND,
            Input::TrackAdded { track: TrackId(2), uid: uid("7"), muted: false, kind: TrackKind::default() },
        )
        .record(spec(Mode::Individual), 17 * SECOND);
    let in_time: Vec<_> =
        sent.into_iter().filter(|sent| sent.arrival < 11 * SECOND || sent.packet.track.0 == 2).collect();
    recording.assert_all_in_place("7", &in_time, 30 * MS);
}

#[test]
fn of_two_tracks_at_once_both_are_there() {
    let (mut old, mut new) = (Talker::new(1, 7), Talker::new(2, 8));
    let (old, new) = (old.talk(SECOND, 20 * SECOND), new.talk(5 * SECOND, 10 * SECOND));
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(old.clone())
        .happens(
            5 * SECOND,
            Input::TrackAdded { track: TrackId(2), uid: uid("7"), muted: false, kind: TrackKind::default() },
        )
        .hears(new.clone())
        .record(spec(Mode::Individual), 21 * SECOND);
    recording.assert_all_in_place("7", &old, 30 * MS);
    let other = PlaylistId::of(&uid("7"), Some("other2".parse().unwrap()));
    assert!(recording.places_in(&other, &new).iter().all(Option::is_some));
}
