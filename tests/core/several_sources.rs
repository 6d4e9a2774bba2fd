//! Several publications of one uid at once: each source has a place of its own and is in the mix, what is silent silences nobody, and what
//! is published anew goes on where it was.

use std::collections::BTreeMap;

use cloud_recorder::recording::{
    Cause, Input, Ledger, MAX_SOURCES, Mode, Output, PlaylistId, Recorder, Source, TrackLedger, Verdict,
};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::{Ticks, TrackId};

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::replayed::fixture;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

use Source::{Microphone, ScreenAudio, Unspecified};

fn own() -> PlaylistId {
    PlaylistId::of(&uid("7"), None)
}

fn source(word: &str) -> PlaylistId {
    PlaylistId::of(&uid("7"), Some(word.parse().unwrap()))
}

fn entry<'a>(ledger: &'a Ledger, playlist: &PlaylistId) -> &'a TrackLedger {
    ledger.uids.iter().find(|entry| PlaylistId::of(&entry.uid, entry.source) == *playlist).unwrap()
}

/// Records a story in all modes, through checkpoints and without, and checks what holds for every one.
fn record(story: &InputStory, end: u64) -> Recording {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    let parted = story.record_with(spec(Mode::Individual), end, |recorder, next| {
        if next.0 % 7 == 0 {
            recorder.advance(next);
        }
        *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
    });
    assert_eq!(recording.ledger, parted.ledger);
    assert!(recording.outputs == parted.outputs, "through checkpoints it is the same");
    let mixed = story.record(spec(Mode::Both), end);
    assert_eq!(recording.ledger, mixed.ledger);
    recording
}

/// Every packet is in one of these playlists, bit for bit and within a frame of where it belongs; how many are in each.
pub(crate) fn places(recording: &Recording, playlists: &[PlaylistId], sent: &[Sent], delay: u64) -> Vec<usize> {
    let places: Vec<Vec<Option<u64>>> = playlists.iter().map(|playlist| recording.places_in(playlist, sent)).collect();
    for (index, sent) in sent.iter().enumerate() {
        let found: Vec<u64> = places.iter().filter_map(|places| places[index]).collect();
        assert_eq!(found.len(), 1, "made at {} ms by {:?}: {found:?}", sent.captured / MS, sent.packet.ssrc);
        let error = found[0] as i64 - (sent.captured + delay) as i64;
        assert!(error.unsigned_abs() <= FRAME, "made at {} ms, {error} ticks off", sent.captured / MS);
    }
    places.iter().map(|places| places.iter().flatten().count()).collect()
}

fn assert_complete(recording: &Recording) {
    for entry in &recording.ledger.uids {
        assert_eq!((entry.missing_ms, entry.concealed_ms), (0, 0), "{:?}: {:?}", entry.source, gaps(entry));
    }
    assert_eq!(recording.ledger.verdict(), Verdict::Complete);
}

/// DTX, as a sender does that has nothing to say.
pub(crate) fn silence(talker: &mut Talker, from: u64, to: u64) -> Vec<Sent> {
    let silent = |at| {
        let sent = talker.send(at, vec![0x78].into());
        talker.pause(19 * FRAME);
        sent
    };
    (from..to).step_by(20 * FRAME as usize).map(silent).collect()
}

/// Packets of digital silence, as many as of sound, each with a number that decoders pass over.
pub(crate) fn digital_silence(talker: &mut Talker, from: u64, to: u64) -> Vec<Sent> {
    let silent = |at| {
        let number = talker.made.to_be_bytes();
        talker.made += 1;
        talker.send(at, [&[0xF8, 0xFF, 0xFE][..], &number].concat().into())
    };
    (from..to).step_by(FRAME as usize).map(silent).collect()
}

#[test]
fn microphone_and_screen_each_have_a_track_whichever_comes_first() {
    for screen_first in [false, true] {
        let mut story = InputStory::default();
        story.happens(0, Input::Joined { uid: uid("7") });
        let mut tracks = [(1, Microphone), (2, ScreenAudio)];
        if screen_first {
            tracks.reverse();
        }
        for (track, kind) in tracks {
            story.publishes(0, "7", track, kind);
        }
        let mic = Talker::new(1, 7).talk(SECOND, 10 * SECOND);
        let screen = Talker::new(2, 8).talk(SECOND, 8 * SECOND);
        story.hears(mic.clone()).hears(screen.clone());
        let recording = record(&story, 11 * SECOND);
        let playlists = [own(), source("screen")];
        assert_eq!(places(&recording, &playlists, &mic, 30 * MS), [mic.len(), 0]);
        assert_eq!(places(&recording, &playlists, &screen, 30 * MS), [0, screen.len()]);
        assert_eq!(recording.playlists().collect::<Vec<_>>(), playlists.iter().collect::<Vec<_>>());
        assert_complete(&recording);
    }
}

#[test]
fn a_screen_alone_is_the_uids_track_until_a_microphone_comes() {
    let mut story = InputStory::default();
    story.happens(0, Input::Joined { uid: uid("7") }).publishes(0, "7", 2, ScreenAudio);
    let screen = Talker::new(2, 8).talk(SECOND, 20 * SECOND);
    let mic = Talker::new(1, 7).talk(9 * SECOND, 18 * SECOND);
    story.hears(screen.clone()).publishes(8 * SECOND, "7", 1, Microphone).hears(mic.clone());
    let recording = record(&story, 21 * SECOND);
    let playlists = [own(), source("screen")];
    assert_eq!(places(&recording, &playlists, &mic, 30 * MS), [mic.len(), 0]);
    let [before, after] = places(&recording, &playlists, &screen, 30 * MS)[..] else { panic!() };
    assert!(before.abs_diff(250) <= 2 && before + after == screen.len(), "up to what was not written yet: {before}");
    assert_complete(&recording);
    let gaps = gaps(entry(&recording.ledger, &source("screen")));
    assert!(gaps[0].0 == Cause::Left || gaps[0].0 == Cause::NotPublishing, "{gaps:?}");
}

#[test]
fn two_of_one_kind_are_one_source_until_both_sound() {
    for kind in [Unspecified, Microphone] {
        let (mut first, mut second) = (Talker::new(1, 7), Talker::new(2, 8));
        let mut story = InputStory::default();
        story.publishes(0, "7", 1, kind).publishes(0, "7", 2, kind);
        // They take turns, and then speak at once.
        let mut one = first.talk(SECOND, 4 * SECOND);
        first.pause(6 * SECOND);
        let mut other = second.talk(7 * SECOND, 9 * SECOND);
        second.pause(3 * SECOND);
        one.extend(first.talk(10 * SECOND, 20 * SECOND));
        other.extend(second.talk(12 * SECOND, 18 * SECOND));
        story.hears(one.clone()).hears(other.clone());
        let recording = record(&story, 21 * SECOND);
        let word = if kind == Microphone { "mic2" } else { "other2" };
        let playlists = [own(), source(word)];
        assert_eq!(places(&recording, &playlists, &one, 30 * MS), [one.len(), 0], "who was first goes on");
        assert_eq!(places(&recording, &playlists, &other, 30 * MS), [100, 300]);
        assert_complete(&recording);
        assert!(recording.ledger.uids.iter().all(|entry| entry.packets.superseded == 0));
    }
}

#[test]
fn what_is_silent_silences_nobody() {
    for (kind, digital) in [(Unspecified, false), (Unspecified, true), (ScreenAudio, false), (ScreenAudio, true)] {
        for silent_first in [false, true] {
            let (mut speaker, mut silent) = (Talker::new(1, 7), Talker::new(2, 8));
            let sent = speaker.talk(2 * SECOND, 10 * SECOND);
            let nothing = if digital {
                digital_silence(&mut silent, SECOND, 12 * SECOND)
            } else {
                silence(&mut silent, SECOND, 12 * SECOND)
            };
            let mut story = InputStory::default();
            story.happens(0, Input::Joined { uid: uid("7") });
            if silent_first {
                story.publishes(0, "7", 2, kind);
            }
            story.publishes(0, "7", 1, Unspecified).publishes(0, "7", 2, kind);
            let kind_of_speaker = if silent_first && kind == ScreenAudio { source("other") } else { own() };
            story.hears(sent.clone()).hears(nothing);
            let recording = record(&story, 13 * SECOND);
            assert_eq!(places(&recording, &[kind_of_speaker], &sent, 30 * MS), [sent.len()], "{kind:?} {digital}");
            assert_complete(&recording);
            assert_eq!(recording.ledger.uids.len(), if kind == ScreenAudio { 2 } else { 1 });
        }
    }
}

/// The old track ends `over` after the new one begins, and is silent from then on; or speaks until a moment before.
#[test]
fn a_microphone_that_is_published_anew_stays_one_track() {
    for (over, gap) in [(0, 200), (500, 0), (2_000, 0), (2_000, 40), (1_500, 1_000)] {
        let (mut old, mut new) = (Talker::new(1, 7), Talker::new(2, 8));
        let mut sent = old.talk(SECOND, 5 * SECOND);
        let rest = silence(&mut old, 5 * SECOND, 5 * SECOND + over * MS);
        let from = 5 * SECOND + gap * MS;
        sent.extend(new.talk(from, 10 * SECOND));
        let mut story = InputStory::default();
        story.publishes(0, "7", 1, Microphone).publishes(5 * SECOND + 10 * MS, "7", 2, Microphone);
        story.happens(5 * SECOND + 40 * MS + over * MS, Input::TrackRemoved { track: TrackId(1) });
        story.hears(sent.clone()).hears(rest);
        let recording = record(&story, 11 * SECOND);
        recording.assert_all_in_place("7", &sent, 30 * MS);
        assert_eq!(recording.playlists().count(), 1, "{over} {gap}");
        assert_complete(&recording);
    }
}

#[test]
fn an_old_track_that_speaks_on_beside_the_new_one_loses_nothing_and_the_new_one_stays() {
    let (old, new) = (Talker::new(1, 7).talk(SECOND, 6 * SECOND), Talker::new(2, 8).talk(5 * SECOND, 12 * SECOND));
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(5 * SECOND, "7", 2, Microphone);
    story.happens(6 * SECOND + 40 * MS, Input::TrackRemoved { track: TrackId(1) });
    story.hears(old.clone()).hears(new.clone());
    let recording = record(&story, 13 * SECOND);
    let playlists = [own(), source("mic2")];
    assert_eq!(places(&recording, &playlists, &new, 30 * MS), [new.len(), 0]);
    assert_eq!(places(&recording, &playlists, &old, 30 * MS), [200, 50]);
    assert_complete(&recording);
}

#[test]
fn a_microphone_that_is_published_anew_beside_a_screen() {
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(0, "7", 2, ScreenAudio);
    let mut mic = Talker::new(1, 7).talk(SECOND, 6 * SECOND);
    let screen = Talker::new(2, 8).talk(SECOND, 14 * SECOND);
    mic.extend(Talker::new(3, 9).talk(7 * SECOND, 14 * SECOND));
    story.happens(6 * SECOND + 50 * MS, Input::TrackRemoved { track: TrackId(1) });
    story.publishes(6_500 * MS, "7", 3, Microphone);
    story.hears(mic.clone()).hears(screen.clone());
    let recording = record(&story, 15 * SECOND);
    let playlists = [own(), source("screen")];
    assert_eq!(places(&recording, &playlists, &mic, 30 * MS), [mic.len(), 0]);
    assert_eq!(places(&recording, &playlists, &screen, 30 * MS), [0, screen.len()]);
    assert_complete(&recording);
}

#[test]
fn one_is_muted_the_other_goes_on_and_the_uid_is_received_as_long_as_either_is() {
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(0, "7", 2, ScreenAudio);
    let mut mic = Talker::new(1, 7);
    let mut sent = mic.talk(SECOND, 5 * SECOND);
    sent.extend(mic.talk(9 * SECOND, 12 * SECOND));
    let screen = Talker::new(2, 8).talk(SECOND, 14 * SECOND);
    let muted = |muted| Input::Muted { track: TrackId(1), muted };
    story.happens(5 * SECOND + 40 * MS, muted(true)).happens(9 * SECOND, muted(false));
    story.happens(12 * SECOND + 50 * MS, Input::TrackRemoved { track: TrackId(1) });
    story.happens(14 * SECOND + 50 * MS, Input::Left { uid: uid("7") });
    story.hears(sent.clone()).hears(screen.clone());
    let recording = record(&story, 16 * SECOND);
    let playlists = [own(), source("screen")];
    assert_eq!(places(&recording, &playlists, &sent, 30 * MS), [sent.len(), 0]);
    assert_eq!(places(&recording, &playlists, &screen, 30 * MS), [0, screen.len()]);
    assert_complete(&recording);
    assert!(recording.gap_ms("7", Cause::Muted).abs_diff(4_000) <= 40, "{:?}", gaps(recording.account("7")));
    let causes: Vec<Cause> = gaps(entry(&recording.ledger, &playlists[1])).iter().map(|gap| gap.0).collect();
    assert_eq!(causes, [Cause::Left, Cause::SenderStall, Cause::Left], "before it was heard and after it left");
    let states = recording.outputs.iter().filter_map(|output| match output {
        Output::StreamState { receiving, at, .. } => Some((*receiving, at.0)),
        _ => None,
    });
    let states: Vec<_> = states.collect();
    assert_eq!(states, [(true, SECOND + 30 * MS), (false, 14 * SECOND + 50 * MS)]);
}

/// The second speaks beside the first, is muted, and both are over before it is known that they are two.
#[test]
fn a_mute_of_one_of_two_before_they_part_is_a_mute() {
    let mut story = InputStory::default();
    story.publishes(SECOND / 2, "7", 1, Microphone).publishes(SECOND / 2, "7", 3, Microphone);
    story
        .hears(Talker::new(1, 1).talk(SECOND, 3 * SECOND))
        .hears(Talker::new(3, 3).talk(SECOND + 500 * MS, 2 * SECOND));
    story.happens(2 * SECOND + 40 * MS, Input::Muted { track: TrackId(3), muted: true });
    story.publishes(3 * SECOND, "7", 2, Microphone);
    story.happens(3 * SECOND + 100 * MS, Input::TrackRemoved { track: TrackId(1) });
    story.happens(3 * SECOND + 300 * MS, Input::Muted { track: TrackId(3), muted: false });
    story.happens(3 * SECOND + 900 * MS, Input::TrackRemoved { track: TrackId(3) });
    story.hears(Talker::new(2, 2).talk(3 * SECOND + 200 * MS, 4 * SECOND));
    assert_complete(&record(&story, 9 * SECOND));
}

#[test]
fn three_sources_are_three_tracks() {
    let mut story = InputStory::default();
    let mut all = Vec::new();
    for (track, kind) in [(1, ScreenAudio), (2, Microphone), (3, Unspecified)] {
        story.publishes(0, "7", track, kind);
        all.push(Talker::new(track, 10 + track).talk(SECOND, 9 * SECOND));
    }
    all.iter().for_each(|sent| _ = story.hears(sent.clone()));
    let recording = record(&story, 10 * SECOND);
    let playlists = [own(), source("screen"), source("other")];
    assert_eq!(places(&recording, &playlists, &all[0], 30 * MS), [0, 400, 0]);
    assert_eq!(places(&recording, &playlists, &all[1], 30 * MS), [400, 0, 0]);
    assert_eq!(places(&recording, &playlists, &all[2], 30 * MS), [0, 0, 400]);
    assert_complete(&recording);
}

#[test]
fn a_new_ssrc_in_one_of_two_harms_neither() {
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(0, "7", 2, ScreenAudio);
    let mut mic = Talker::new(1, 7).talk(SECOND, 5 * SECOND);
    mic.extend(Talker::new(1, 9).talk(5 * SECOND, 10 * SECOND));
    let screen = Talker::new(2, 8).talk(SECOND, 10 * SECOND);
    story.hears(mic.clone()).hears(screen.clone());
    let recording = record(&story, 11 * SECOND);
    let playlists = [own(), source("screen")];
    assert_eq!(places(&recording, &playlists, &mic, 30 * MS), [mic.len(), 0]);
    assert_eq!(places(&recording, &playlists, &screen, 30 * MS), [0, screen.len()]);
    assert_complete(&recording);
}

#[test]
fn after_a_restart_each_goes_on_where_it_was() {
    // Kinds that are told apart, in another order and with ids that were others'; and two of one kind.
    for (kinds, again) in [([Microphone, ScreenAudio], [2, 1]), ([Microphone, Microphone], [1, 2])] {
        let mut story = InputStory::default();
        story.happens(0, Input::Joined { uid: uid("7") });
        let mut talkers = [(1, 7), (2, 8)].map(|(track, ssrc)| Talker::new(track, ssrc));
        for (track, kind) in [1, 2].into_iter().zip(kinds) {
            story.publishes(0, "7", track, kind);
        }
        let mut sent = talkers.each_mut().map(|talker| talker.talk(SECOND, 10 * SECOND));
        story.happens(20 * SECOND, Input::WorkerRestarted).happens(21 * SECOND, Input::Joined { uid: uid("7") });
        let order = if kinds[1] == ScreenAudio { [1, 0] } else { [0, 1] };
        for index in order {
            story.publishes(21 * SECOND + index as u64, "7", again[index], kinds[index]);
        }
        for (index, talker) in talkers.iter_mut().enumerate() {
            talker.track = TrackId(again[index]);
            talker.pause(11 * SECOND);
            sent[index].extend(talker.talk(21 * SECOND, 30 * SECOND));
        }
        sent.iter().for_each(|sent| _ = story.hears(sent.clone()));
        let recording = record(&story, 31 * SECOND);
        let playlists = [own(), source(if kinds[1] == ScreenAudio { "screen" } else { "mic2" })];
        assert_eq!(places(&recording, &playlists, &sent[0], 30 * MS), [900, 0], "{kinds:?}");
        assert_eq!(places(&recording, &playlists, &sent[1], 30 * MS), [0, 900], "{kinds:?}");
        for entry in &recording.ledger.uids {
            assert!(entry.missing_ms.abs_diff(11_000) <= 60, "{kinds:?} {:?}: {:?}", entry.source, gaps(entry));
        }
    }
}

#[test]
fn who_is_not_selected_any_more_is_silent_in_all_sources() {
    use cloud_recorder::recording::Selection;
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(0, "7", 2, ScreenAudio);
    let sent = [Talker::new(1, 7).talk(SECOND, 15 * SECOND), Talker::new(2, 8).talk(SECOND, 15 * SECOND)];
    story.happens(5 * SECOND, Input::Select(Selection::Except([uid("7")].into())));
    story.happens(10 * SECOND, Input::Select(Selection::All));
    sent.iter().for_each(|sent| _ = story.hears(sent.clone()));
    let recording = record(&story, 16 * SECOND);
    for (playlist, sent) in [own(), source("screen")].iter().zip(&sent) {
        let placed = recording.places_in(playlist, sent).iter().flatten().count();
        assert!(placed.abs_diff(450) <= 2, "{placed}");
    }
    assert_complete(&recording);
}

#[test]
fn more_sources_than_there_are_tracks_for_are_missing_and_said_to_be() {
    for count in [MAX_SOURCES as u32, 12, 32, 40] {
        let mut story = InputStory::default();
        let mut sent = Vec::new();
        for track in 1..=count {
            story.publishes(0, "7", track, Microphone);
            let mut talker = Talker::new(track, 100 + track);
            talker.delay += u64::from(track) * 7;
            sent.push(talker.talk(SECOND, 5 * SECOND));
        }
        sent.iter().for_each(|sent| _ = story.hears(sent.clone()));
        let recording = story.record(spec(Mode::Individual), 6 * SECOND);
        check_ledger(&recording, 6 * SECOND);
        let ledger = &recording.ledger;
        assert_eq!(ledger.uids.len(), MAX_SOURCES);
        let sum = |number: fn(&TrackLedger) -> u64| ledger.uids.iter().map(number).sum::<u64>();
        assert_eq!(sum(|entry| entry.packets.received), 200 * u64::from(count));
        assert_eq!(sum(|entry| entry.recorded_ms), 4_000 * MAX_SOURCES as u64, "{count}");
        let missing = sum(|entry| entry.missing_ms);
        assert_eq!(missing, 4_000 * u64::from(count - MAX_SOURCES as u32), "{count}");
        let named = sum(|entry| entry.overlaid_ms.get(&Cause::TooManySources).copied().unwrap_or_default());
        assert_eq!(named, missing, "{count}");
    }
}

#[test]
fn what_was_lost_before_a_track_went_to_a_place_of_its_own_is_missing_once() {
    let (mut first, mut second) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone).publishes(0, "7", 2, Microphone);
    let mut other = second.talk(SECOND, 5 * SECOND);
    let one = first.talk(4 * SECOND + 960, 9 * SECOND);
    // What is lost lies where the other begins.
    other.retain(|sent| !(4 * SECOND - 2 * FRAME..4 * SECOND + 3 * FRAME).contains(&sent.captured));
    story.hears(one).hears(other);
    let recording = record(&story, 10 * SECOND);
    let total: u64 = recording.ledger.uids.iter().map(|entry| entry.missing_ms + entry.concealed_ms).sum();
    assert_eq!(total, 100, "{:?}", recording.ledger.uids.iter().map(gaps).collect::<Vec<_>>());
}

#[test]
fn the_small_cases_have_their_right_values() {
    for (name, entries) in [("two-sources", 2), ("silent-second-source", 1)] {
        let mut recorder = None;
        for record in Reader::open(fixture(&format!("cases/{name}.journal"))).unwrap() {
            match record.unwrap() {
                Record::Started { spec } => recorder = Some(Recorder::new(spec)),
                Record::Input { input, .. } => recorder.as_mut().unwrap().push(input),
                Record::Finished { at, .. } => recorder.as_mut().unwrap().finish(at),
                _ => {}
            }
        }
        let ledger = recorder.unwrap().ledger();
        assert_eq!((ledger.verdict(), ledger.uids.len()), (Verdict::Complete, entries), "{name}: {ledger:?}");
        for entry in &ledger.uids {
            assert_eq!((entry.packets.placed, entry.missing_ms, entry.concealed_ms), (100, 0, 0), "{name}: {entry:?}");
        }
    }
}

#[test]
fn a_late_second_source_of_a_long_recording_is_caught_up_with() {
    let mut story = InputStory::default();
    story.publishes(0, "7", 1, Microphone);
    let hour = 3_600 * SECOND;
    let mut mic = Talker::new(1, 7);
    let mut sent = mic.talk(SECOND, 2 * SECOND);
    mic.pause(hour - 2 * SECOND);
    sent.extend(mic.talk(hour, hour + 10 * SECOND));
    let screen = Talker::new(2, 8).talk(hour + SECOND, hour + 10 * SECOND);
    story.publishes(hour, "7", 2, ScreenAudio).hears(sent.clone()).hears(screen.clone());
    let recording = story.record(spec(Mode::Both), hour + 11 * SECOND);
    check_ledger(&recording, hour + 11 * SECOND);
    let playlists = [own(), source("screen")];
    assert_eq!(places(&recording, &playlists, &sent, 30 * MS), [sent.len(), 0]);
    assert_eq!(places(&recording, &playlists, &screen, 30 * MS), [0, screen.len()]);
    let lengths: BTreeMap<&PlaylistId, Ticks> = recording
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Closed { playlist, end } => Some((playlist, *end)),
            _ => None,
        })
        .collect();
    assert_eq!(lengths.len(), 3);
}
