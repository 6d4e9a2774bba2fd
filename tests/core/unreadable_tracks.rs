//! A track that can't be read is missing from its publication to its end, while it is not muted, and nothing else is: whoever was
//! unheard is in the ledger, and what was heard is recorded as ever.

use cloud_recorder::recording::{
    Cause, Coding, Input, Mode, Output, Recorder, Selection, Source, Spec, TrackKind, Verdict,
};
use cloud_recorder::units::{Ticks, TrackId};

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, Recording, SECOND, Talker, spec, uid};

fn publish(story: &mut InputStory, at: u64, name: &str, track: u32, source: Source, coding: Coding) {
    let kind = TrackKind { source, coding };
    story.happens(at, Input::TrackAdded { track: TrackId(track), uid: uid(name), muted: false, kind });
}

fn encrypted(story: &mut InputStory, at: u64, name: &str, track: u32) {
    publish(story, at, name, track, Source::Microphone, Coding::Encrypted);
}

/// Records it in each mode, live and put away at every third input; the ledger is the same.
fn record(story: &InputStory, end: u64) -> Recording {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    for mode in [Mode::Mix, Mode::Both] {
        assert_eq!(story.record(spec(mode), end).ledger, recording.ledger);
    }
    let mut number = 0;
    let put_away = story.record_with(spec(Mode::Individual), end, |recorder, _| {
        number += 1;
        if number % 3 == 0 {
            *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        }
    });
    assert_eq!(put_away.ledger, recording.ledger);
    assert_eq!(put_away.outputs, recording.outputs);
    recording
}

/// What was told: who, how many of the kind, and when.
fn told(recording: &Recording) -> Vec<(String, u64, u64)> {
    let told = recording.outputs.iter().filter_map(|output| match output {
        Output::Unreadable { uid, number, at, .. } => Some((uid.as_str().to_owned(), *number, at.as_ms())),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_is_said_on_it_is_missing_to_the_tick_and_a_mute_is_not() {
    for (coding, cause) in [(Coding::Encrypted, Cause::Encrypted), (Coding::Unsupported, Cause::UnsupportedCodec)] {
        let mut story = InputStory::default();
        story.happens(0, Input::Joined { uid: uid("anna") });
        publish(&mut story, 3 * SECOND, "anna", 1, Source::Microphone, coding);
        story.happens(20 * SECOND, Input::Muted { track: TrackId(1), muted: true });
        story.happens(30 * SECOND, Input::Muted { track: TrackId(1), muted: false });
        story.happens(45 * SECOND, Input::TrackRemoved { track: TrackId(1) });
        let recording = record(&story, 60 * SECOND);
        let account = recording.account("anna");
        assert_eq!(
            gaps(account)[1..],
            [
                (cause, 3_000, 20_000),
                (Cause::Muted, 20_000, 30_000),
                (cause, 30_000, 45_000),
                (Cause::NotPublishing, 45_000, 60_000),
            ]
        );
        assert_eq!((account.expected_ms, account.recorded_ms, account.missing_ms), (32_000, 0, 32_000));
        assert_eq!(recording.ledger.verdict(), Verdict::Partial, "somebody sent something");
        assert!(recording.ledger.holds_nothing());
        assert_eq!(told(&recording), [("anna".to_owned(), 1, 3_000)]);
    }
}

#[test]
fn a_readable_track_beside_it_is_recorded_as_ever() {
    let talk = |story: &mut InputStory| {
        let mut anna = Talker::new(2, 7);
        let mut sent = anna.talk(2 * SECOND, 12 * SECOND);
        sent.drain(100..130);
        anna.pause(8 * SECOND);
        sent.extend(anna.talk(20 * SECOND, 25 * SECOND));
        story.hears(sent.clone());
        sent
    };
    let (mut alone, mut both) = (InputStory::default(), InputStory::default());
    talk(alone.joins(0, "anna", 2));
    let sent = talk(both.joins(0, "anna", 2));
    publish(&mut both, 5 * SECOND, "anna", 1, Source::ScreenAudio, Coding::Encrypted);
    both.happens(22 * SECOND, Input::TrackRemoved { track: TrackId(1) });
    let (alone, both) = (record(&alone, 30 * SECOND), record(&both, 30 * SECOND));
    both.assert_all_in_place("anna", &sent, 30 * MS);
    assert_eq!(alone.individual("anna"), both.individual("anna"));
    let (before, account) = (alone.account("anna"), both.account("anna"));
    assert_eq!((before.recorded_ms, before.concealed_ms), (account.recorded_ms, account.concealed_ms));
    assert_eq!(account.missing_ms - before.missing_ms, 17_000, "{:?}", gaps(account));
    let stall = alone.gap_ms("anna", Cause::SenderStall) - both.gap_ms("anna", Cause::SenderStall);
    assert_eq!(both.gap_ms("anna", Cause::Encrypted), stall, "where nothing else is");
    assert_eq!(account.overlaid_ms[&Cause::Encrypted], 17_000 - stall, "and where there is");
    assert_eq!((alone.ledger.verdict(), both.ledger.verdict()), (Verdict::Partial, Verdict::Partial));
}

#[test]
fn two_of_them_at_once_count_once_and_each_is_told() {
    let mut story = InputStory::default();
    encrypted(&mut story, SECOND, "anna", 1);
    publish(&mut story, 4 * SECOND, "anna", 2, Source::ScreenAudio, Coding::Encrypted);
    story.happens(10 * SECOND, Input::Muted { track: TrackId(1), muted: true });
    story.happens(15 * SECOND, Input::TrackRemoved { track: TrackId(2) });
    encrypted(&mut story, 16 * SECOND, "anna", 3);
    story.happens(20 * SECOND, Input::Left { uid: uid("anna") });
    let recording = record(&story, 30 * SECOND);
    let account = recording.account("anna");
    assert_eq!(account.missing_ms, 14_000 + 4_000, "{:?}", gaps(account));
    let anna = |number, at| ("anna".to_owned(), number, at);
    assert_eq!(told(&recording), [anna(1, 1_000), anna(1, 4_000), anna(2, 16_000)]);
}

#[test]
fn a_track_that_becomes_readable_is_recorded_from_then_on() {
    let mut story = InputStory::default();
    encrypted(&mut story, SECOND, "anna", 1);
    let mut anna = Talker::new(1, 7);
    story.hears(anna.talk(2 * SECOND, 3 * SECOND));
    story.happens(10 * SECOND, Input::TrackRemoved { track: TrackId(1) });
    publish(&mut story, 10 * SECOND, "anna", 2, Source::Microphone, Coding::Opus);
    let sent = Talker::new(2, 8).talk(10 * SECOND + 500 * MS, 20 * SECOND);
    story.hears(sent.clone());
    let recording = record(&story, 21 * SECOND);
    let account = recording.account("anna");
    assert_eq!(account.missing_ms, 9_000, "{:?}", gaps(account));
    assert_eq!((account.packets.malformed, account.packets.received), (50, 50 + sent.len() as u64));
    recording.assert_all_in_place("anna", &sent, 30 * MS);
}

#[test]
fn who_is_not_selected_is_neither_missing_nor_told_until_it_is() {
    let mut story = InputStory::default();
    encrypted(&mut story, SECOND, "anna", 1);
    story.happens(8 * SECOND, Input::Select(Selection::All));
    let only = Selection::Only([uid("ben")].into());
    let spec = Spec { selection: only.clone(), ..spec(Mode::Individual) };
    let recording = story.record(spec.clone(), 20 * SECOND);
    assert_eq!((recording.account("anna").missing_ms, told(&recording)), (12_000, vec![("anna".to_owned(), 1, 8_000)]));
    story.happens(15 * SECOND, Input::Select(only));
    assert_eq!(story.record(spec, 20 * SECOND).account("anna").missing_ms, 7_000);
}

/// The worker dies at 10 s with an encrypted track published since 1 s and is back at 14 s.
fn restarted(after: impl FnOnce(&mut InputStory)) -> Recording {
    let mut story = InputStory::default();
    story.happens(0, Input::Joined { uid: uid("anna") });
    encrypted(&mut story, SECOND, "anna", 1);
    story.happens(10 * SECOND, Input::Joined { uid: uid("ben") });
    story.happens(14 * SECOND, Input::WorkerRestarted);
    after(&mut story);
    record(&story, 60 * SECOND)
}

#[test]
fn a_restart_changes_nothing_for_whom_is_met_again() {
    let recording = restarted(|story| {
        story.happens(15 * SECOND, Input::Joined { uid: uid("anna") });
        encrypted(story, 15 * SECOND, "anna", 1);
        story.happens(40 * SECOND, Input::Left { uid: uid("anna") });
    });
    assert_eq!(recording.account("anna").missing_ms, 39_000, "{:?}", gaps(recording.account("anna")));
    assert_eq!(told(&recording).len(), 1, "the track is the same");
}

#[test]
fn after_a_restart_who_is_readable_or_never_met_again_is_not_missing_for_ever() {
    let recording = restarted(|story| {
        publish(story, 15 * SECOND, "anna", 1, Source::Microphone, Coding::Opus);
        story.hears(Talker::new(1, 7).talk(16 * SECOND, 30 * SECOND));
    });
    assert_eq!(recording.account("anna").missing_ms, 14_000, "{:?}", gaps(recording.account("anna")));
    let recording = restarted(|_| {});
    assert_eq!(recording.account("anna").missing_ms, 28_000, "{:?}", gaps(recording.account("anna")));
}

#[test]
fn a_patience_that_ended_while_the_worker_was_dead_gave_nobody_up() {
    let recording = restarted(|story| {
        // It dies again at 20 s, before the patience is over, and is back at 35 s.
        story.happens(20 * SECOND, Input::Joined { uid: uid("ben") });
        story.happens(35 * SECOND, Input::WorkerRestarted);
        encrypted(story, 36 * SECOND, "anna", 1);
    });
    assert_eq!(recording.account("anna").missing_ms, 59_000, "{:?}", gaps(recording.account("anna")));
    assert_eq!(told(&recording).len(), 1);
}

#[test]
fn an_outage_of_the_channel_is_counted_once() {
    let mut story = InputStory::default();
    encrypted(&mut story, SECOND, "anna", 1);
    story.happens(10 * SECOND, Input::ChannelLost { since: Ticks(9 * SECOND) });
    story.happens(20 * SECOND, Input::ChannelUp);
    let recording = record(&story, 31 * SECOND);
    assert_eq!(recording.account("anna").missing_ms, 30_000, "{:?}", gaps(recording.account("anna")));
}
