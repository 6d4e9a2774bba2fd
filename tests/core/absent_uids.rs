//! What a recording makes of who is not there: nothing while nothing happens, then few objects, with the cuts, positions and sound
//! that it always had.

use std::path::Path;
use std::process::Command;

use cloud_recorder::codec::fmp4;
use cloud_recorder::codec::playlist::Playlist;
use cloud_recorder::recording::{
    Coding, Input, LOOKAHEAD, Ledger, Mode, Output, PlaylistId, Recorder, Segment, SegmentLength, Selection, Source,
    Spec, TimedInput, TrackKind, Verdict,
};
use cloud_recorder::units::{Ticks, TrackId};
use proptest::prelude::*;

use crate::audio_probe::{self, level_db, tone_db};
use crate::hls;
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

const HOUR: u64 = 3_600 * SECOND;

/// Everything that a recorder gives out when it is asked every `step` ticks, and at each input; and its ledger.
fn asked(story: &InputStory, spec: Spec, end: u64, step: u64) -> (Vec<Output>, Ledger) {
    let mut recorder = Recorder::new(spec);
    let (mut outputs, mut now) = (Vec::new(), 0);
    let mut drain = |recorder: &mut Recorder| outputs.extend(std::iter::from_fn(|| recorder.poll()));
    for input in story.inputs() {
        while now + step < input.at.0 {
            now += step;
            recorder.advance(Ticks(now));
            drain(&mut recorder);
        }
        now = now.max(input.at.0);
        recorder.push(input);
        drain(&mut recorder);
    }
    while now + step < end {
        now += step;
        recorder.advance(Ticks(now));
        drain(&mut recorder);
    }
    recorder.finish(Ticks(end));
    drain(&mut recorder);
    (outputs, recorder.ledger())
}

fn segments<'a>(outputs: &'a [Output], playlist: &PlaylistId) -> Vec<&'a Segment> {
    let segments = outputs.iter().filter_map(|output| match output {
        Output::Segment(segment) if segment.playlist == *playlist => Some(segment),
        _ => None,
    });
    segments.collect()
}

/// Whether `verify` finds nothing wrong with a playlist, and what it says.
fn verify(list: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"));
    let output = command.args(["verify", "--playlist-only"]).arg(list).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `name` is there from `from`, says something for a second, and leaves a second later.
fn guest(story: &mut InputStory, name: &str, track: u32, from: u64) -> Vec<Sent> {
    let said = Talker::new(track, track).talk(from, from + SECOND);
    story.joins(from, name, track).hears(said.clone());
    story.happens(from + 2 * SECOND, Input::Left { uid: uid(name) });
    said
}

#[test]
fn who_left_costs_nothing_until_it_returns_or_the_recording_ends() {
    let mut story = InputStory::default();
    story.joins(0, "host", 1).hears(Talker::new(1, 1).talk(0, HOUR / 2));
    let mut said = guest(&mut story, "guest", 2, 10 * SECOND);
    said.extend(guest(&mut story, "guest", 3, HOUR / 3 + 7 * MS));
    let recording = story.record(spec(Mode::Individual), HOUR / 2);
    recording.assert_all_in_place("guest", &said, 30 * MS);
    let guest = PlaylistId::Individual(uid("guest"));
    let made = segments(&recording.outputs, &guest);
    // One before its first visit, one or two with it, 20 minutes in two objects, one or two with its second visit, 10 minutes, and the ends.
    assert!(made.len() <= 10, "{}", made.len());
    assert_eq!(segments(&recording.outputs, &PlaylistId::Individual(uid("host"))).len(), 300);
    let host_until = |at: u64| {
        let is_there =
            |output: &Output| matches!(output, Output::Segment(it) if it.playlist != guest && it.start.0 >= at);
        recording.outputs.iter().position(is_there).unwrap()
    };
    let (from, to) = (host_until(20 * SECOND), host_until(HOUR / 3 - 12 * SECOND));
    assert_eq!(segments(&recording.outputs[from..to], &guest).len(), 0, "nothing while nothing happens");

    let (_folder, list) = recording.write(&guest);
    let text = std::fs::read_to_string(list).unwrap();
    assert!(text.contains("#EXT-X-TARGETDURATION:6\n"));
    let read = Playlist::parse(&text).unwrap();
    assert_eq!(read.entries.len(), made.len());
    assert!(text.matches("#EXTINF").count().abs_diff(300) <= 1, "as many segments as ever");
}

#[test]
fn the_cuts_and_packets_are_those_of_somebody_present() {
    let (mut away, mut there) = (InputStory::default(), InputStory::default());
    for story in [&mut away, &mut there] {
        story.joins(0, "7", 1).hears(Talker::new(1, 1).talk(SECOND, 9 * SECOND));
        story.joins(300 * SECOND + 13 * MS, "7", 2);
        story.hears(Talker::new(2, 2).talk(301 * SECOND + 5 * MS, 304 * SECOND));
    }
    away.happens(10 * SECOND, Input::Left { uid: uid("7") });
    there.happens(10 * SECOND, Input::Muted { track: TrackId(1), muted: true });
    let [away, there] = [away, there].map(|story| story.record(spec(Mode::Individual), 400 * SECOND));
    assert_eq!(away.individual("7"), there.individual("7"));
    let cuts = |recording: &Recording| -> Vec<(u32, u64, u64)> {
        let made = segments(&recording.outputs, &PlaylistId::Individual(uid("7")));
        let each = made.iter().flat_map(|segment| {
            let read = fmp4::read_segment(&segment.bytes).unwrap();
            let mut at = read.base;
            let fragments = read.fragments.clone();
            fragments
                .into_iter()
                .enumerate()
                .map(move |(index, fragment)| {
                    let start = at;
                    at += fragment.duration;
                    (read.sequence_number + index as u32, start.0, fragment.duration.0)
                })
                .collect::<Vec<_>>()
        });
        each.collect()
    };
    assert_eq!(cuts(&away), cuts(&there));
    let count = |recording: &Recording| segments(&recording.outputs, &PlaylistId::Individual(uid("7"))).len();
    assert_eq!(count(&there), 67, "who is present but muted is recorded as ever");
    assert!(count(&away) < 30, "{}", count(&away));
}

#[test]
fn others_play_it_and_verify_knows_it() {
    let tone = hls::sine(700.0, 3, 1);
    let mut story = InputStory::default();
    for (track, from) in [(1, 2 * SECOND), (2, 71 * SECOND)] {
        let mut talker = Talker::new(track, track);
        let said: Vec<Sent> = tone
            .iter()
            .enumerate()
            .map(|(number, sample)| talker.send(from + number as u64 * FRAME, sample.bytes.clone()))
            .collect();
        story.joins(from, "7", track).hears(said).happens(from + 4 * SECOND, Input::Left { uid: uid("7") });
    }
    let recording = story.record(spec(Mode::Both), 150 * SECOND);
    for playlist in [PlaylistId::Mix, PlaylistId::Individual(uid("7"))] {
        let (_folder, list) = recording.write(&playlist);
        assert!(std::fs::read_to_string(&list).unwrap().contains("#EXT-X-BYTERANGE:"));
        let (sound_list, said) = verify(&list);
        assert!(sound_list, "{playlist:?}: {said}");
        let sound = audio_probe::decode(&list, 1);
        assert!((sound.len() as i64 - 150 * audio_probe::RATE as i64).abs() <= 960, "{playlist:?}: {}", sound.len());
        for from in [2.2, 71.2] {
            assert!(tone_db(sound.part(0, from, from + 2.6), 700.0) > -14.0, "{playlist:?} at {from}");
        }
        for (from, to) in [(0.0, 1.9), (5.3, 70.9), (74.3, 149.5)] {
            assert!(level_db(sound.part(0, from, to)) < -80.0, "{playlist:?} from {from} to {to}");
        }
        let text = std::fs::read_to_string(&list).unwrap();
        let first = text.find("#EXT-X-BYTERANGE:").unwrap() + 17;
        let end = text[first..].find('@').unwrap() + first;
        let wrong: u64 = text[first..end].parse::<u64>().unwrap() - 1;
        let damaged = format!("{}{wrong}{}", &text[..first], &text[end..]).replacen(
            &format!("@{}", wrong + 1),
            &format!("@{wrong}"),
            1,
        );
        std::fs::write(&list, damaged).unwrap();
        let (sound_list, said) = verify(&list);
        assert!(!sound_list && said.contains("byte range"), "{said}");
    }
}

#[test]
fn an_idle_recording_wants_no_wake_ups() {
    for mode in [Mode::Mix, Mode::Individual, Mode::Both] {
        let mut recorder = Recorder::new(spec(mode));
        assert_eq!(recorder.next_wake(), None, "nobody ever came");
        let mut story = InputStory::default();
        guest(&mut story, "1", 1, SECOND);
        guest(&mut story, "2", 2, 2 * SECOND);
        story.inputs().into_iter().for_each(|input| recorder.push(input));
        let mut wakes = 0;
        while let Some(at) = recorder.next_wake() {
            recorder.advance(at);
            wakes += 1;
            assert!(wakes < 20 && at < Ticks::from_secs(20), "{mode:?}: {at:?}");
        }
        let made = std::iter::from_fn(|| recorder.poll()).filter(|output| matches!(output, Output::Segment(_)));
        let playlists = if mode == Mode::Both {
            3
        } else if mode == Mode::Mix {
            1
        } else {
            2
        };
        assert_eq!(made.count(), playlists, "the open segments close in their time");
        recorder.advance(Ticks(9 * HOUR));
        assert_eq!((recorder.next_wake(), recorder.poll()), (None, None));
        assert_eq!(recorder.ledger().verdict(), Verdict::Complete);
    }
}

#[test]
fn a_source_that_is_not_published_any_more_costs_nothing() {
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(Talker::new(1, 1).talk(0, HOUR));
    let mut shared = Vec::new();
    for (track, from) in [(2, 10 * SECOND), (3, HOUR / 2 + 7 * MS)] {
        story.publishes(from, "7", track, Source::ScreenAudio);
        shared.extend(Talker::new(track, track).talk(from + SECOND, from + 3 * SECOND));
        story.happens(from + 3 * SECOND + 50 * MS, Input::TrackRemoved { track: TrackId(track) });
    }
    story.hears(shared.clone());
    let recording = story.record(spec(Mode::Individual), HOUR);
    let screen = PlaylistId::of(&uid("7"), Some("screen".parse().unwrap()));
    let made = segments(&recording.outputs, &screen).len();
    assert!((8..=16).contains(&made), "{made}");
    assert_eq!(segments(&recording.outputs, &PlaylistId::Individual(uid("7"))).len(), 600);
    assert!(recording.places_in(&screen, &shared).iter().all(Option::is_some));
    let missing: Vec<u64> = recording.ledger.uids.iter().map(|entry| entry.missing_ms).collect();
    assert_eq!(missing, [0, 0], "{:?}", recording.ledger);
}

/// Some of three uids come, stay, share, can't be read, are not to be recorded and go.
fn coming_and_going(acts: &[(u32, u32, u64)]) -> (InputStory, u64) {
    let (mut story, mut now) = (InputStory::default(), SECOND);
    for (number, (who, what, wait)) in acts.iter().enumerate() {
        let (name, track) = (format!("{who}"), number as u32 + 1);
        let kind = |source, coding| TrackKind { source, coding };
        let added = |kind| Input::TrackAdded { track: TrackId(track), uid: uid(&name), muted: false, kind };
        let removed = Input::TrackRemoved { track: TrackId(track) };
        match what {
            0 | 1 => {
                story.joins(now, &name, track).hears(Talker::new(track, track).talk(now + 100 * MS, now + 700 * MS));
                let muted = Input::Muted { track: TrackId(track), muted: true };
                story.happens(now + SECOND, if *what == 0 { Input::Left { uid: uid(&name) } } else { muted });
            }
            2 => {
                story.happens(now, added(kind(Source::ScreenAudio, Coding::Opus)));
                story
                    .hears(Talker::new(track, track).talk(now + 100 * MS, now + 900 * MS))
                    .happens(now + SECOND, removed);
            }
            3 => drop(
                story.happens(now, added(kind(Source::Microphone, Coding::Encrypted))).happens(now + SECOND, removed),
            ),
            4 => drop(story.happens(now, Input::Select(Selection::Except([uid(&name)].into())))),
            5 => drop(story.happens(now, Input::Select(Selection::All))),
            6 => drop(story.happens(now, Input::Left { uid: uid(&name) })),
            7 => drop(story.happens(now, Input::WorkerRestarted)),
            _ => drop(story.happens(now, Input::ChannelDown).happens(now + SECOND, Input::ChannelUp)),
        }
        now += wait * MS;
    }
    (story, now + 20 * SECOND + 11)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whoever_comes_and_goes_it_is_the_same_however_it_is_made(
        acts in proptest::collection::vec((0..3_u32, 0..9_u32, 1_000..60_000_u64), 1..8), both: bool,
    ) {
        let (story, end) = coming_and_going(&acts);
        let spec = spec(if both { Mode::Both } else { Mode::Individual });
        let often = asked(&story, spec.clone(), end, SECOND / 10);
        let seldom = asked(&story, spec.clone(), end, 2 * HOUR);
        prop_assert!(often.0 == seldom.0, "steps that are left out change nothing");
        prop_assert_eq!(&often.1, &seldom.1);
        let again = story.record_with(spec, end, |recorder, next| {
            recorder.advance(next);
            *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        });
        prop_assert!(both || again.outputs == often.0, "through checkpoints it is the same");
        prop_assert_eq!(&again.ledger, &often.1);
        check_ledger(&Recording::new(often.0, often.1, end), end);
    }
}

#[test]
fn who_is_present_but_silent_gives_a_segment_each_target_duration() {
    let mut story = InputStory::default();
    story.joins(0, "1", 1).hears(Talker::new(1, 1).talk(0, SECOND));
    story.happens(2 * SECOND, Input::Muted { track: TrackId(1), muted: true });
    let recording = story.record(spec(Mode::Both), HOUR);
    for playlist in [PlaylistId::Mix, PlaylistId::Individual(uid("1"))] {
        assert_eq!(segments(&recording.outputs, &playlist).len(), 600, "one object, and the playlist that names it");
    }
}

#[test]
fn who_comes_late_begins_with_few_objects_and_an_empty_channel_is_one_stretch() {
    let mut story = InputStory::default();
    let said = guest(&mut story, "late", 1, 2 * HOUR);
    let recording = story.record(spec(Mode::Both), 3 * HOUR);
    recording.assert_all_in_place("late", &said, 30 * MS);
    for playlist in [PlaylistId::Mix, PlaylistId::Individual(uid("late"))] {
        let made = segments(&recording.outputs, &playlist).len();
        assert!((18..=26).contains(&made), "{playlist:?}: {made}");
    }
}

#[test]
fn what_comes_out_does_not_depend_on_when_it_was_asked_for() {
    let mut story = InputStory::default();
    guest(&mut story, "a", 1, 3 * SECOND);
    guest(&mut story, "b", 2, 1_500 * SECOND + 11);
    guest(&mut story, "a", 3, 1_900 * SECOND + 7);
    story.joins(2_000 * SECOND, "c", 4).hears(Talker::new(4, 4).talk(2_001 * SECOND, 2_003 * SECOND));
    story.happens(2_010 * SECOND, Input::Muted { track: TrackId(4), muted: true });
    story.happens(3_000 * SECOND, Input::Select(Selection::Except([uid("c")].into())));
    for mode in [Mode::Individual, Mode::Both] {
        let often = asked(&story, spec(mode), HOUR, SECOND / 10);
        for step in [7 * SECOND, 5_000 * SECOND] {
            let seldom = asked(&story, spec(mode), HOUR, step);
            assert!(often.0 == seldom.0, "{mode:?} asked every {step}");
            assert_eq!(often.1, seldom.1, "{mode:?} asked every {step}");
        }
    }
}

#[test]
fn steps_that_are_left_out_leave_the_same_state() {
    let mut story = InputStory::default();
    guest(&mut story, "a", 1, 3 * SECOND);
    story.joins(20 * SECOND, "c", 4).hears(Talker::new(4, 4).talk(21 * SECOND, 23 * SECOND));
    for mode in [Mode::Individual, Mode::Mix] {
        let [one, other] = [SECOND / 10, 9_000 * SECOND].map(|step| {
            let mut recorder = Recorder::new(spec(mode));
            story.inputs().into_iter().for_each(|input| recorder.push(input));
            (0..).map(|n| 30 * SECOND + n * step).take_while(|at| *at < 4_000 * SECOND).for_each(|at| {
                recorder.advance(Ticks(at));
                std::iter::from_fn(|| recorder.poll()).for_each(drop);
            });
            recorder.advance(Ticks(4_000 * SECOND));
            std::iter::from_fn(|| recorder.poll()).for_each(drop);
            recorder.ledger()
        });
        assert_eq!(one, other, "{mode:?}");
    }
}

#[test]
fn a_recorder_that_is_put_away_in_an_absence_goes_on() {
    let mut story = InputStory::default();
    guest(&mut story, "a", 1, 3 * SECOND);
    let middle = guest(&mut story, "b", 2, 900 * SECOND);
    guest(&mut story, "a", 3, 1_200 * SECOND + 7);
    let whole = story.record(spec(Mode::Both), 2_000 * SECOND);
    for at in [middle[0].arrival, 700 * SECOND, 1_700 * SECOND] {
        let mut recorder = Recorder::new(spec(Mode::Both));
        let (mut outputs, mut kept) = (Vec::new(), false);
        let finish = TimedInput { at: Ticks(2_000 * SECOND), input: Input::ChannelUp };
        for input in story.inputs().into_iter().chain([finish]) {
            if !kept && input.at.0 >= at {
                recorder.advance(Ticks(at));
                recorder = Recorder::restore(&recorder.snapshot()).unwrap();
                kept = true;
            }
            if input.at.0 < 2_000 * SECOND {
                recorder.push(input);
            }
            outputs.extend(std::iter::from_fn(|| recorder.poll()));
        }
        recorder.finish(Ticks(2_000 * SECOND));
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        let places = |outputs: &[Output]| -> Vec<_> {
            let each = outputs.iter().filter_map(|output| match output {
                Output::Segment(it) => Some((it.playlist.clone(), it.index, it.start, it.duration)),
                _ => None,
            });
            each.collect()
        };
        assert_eq!(places(&outputs), places(&whole.outputs), "put away at {at}");
    }
}

#[test]
fn a_member_that_flaps_costs_no_more_than_one_that_stays() {
    let mut story = InputStory::default();
    for second in 0..120 {
        story.joins(second * SECOND, "f", second as u32 + 1);
        story.happens(second * SECOND + SECOND / 2, Input::Left { uid: uid("f") });
    }
    let recording = story.record(spec(Mode::Both), 120 * SECOND);
    for playlist in [PlaylistId::Mix, PlaylistId::Individual(uid("f"))] {
        assert_eq!(segments(&recording.outputs, &playlist).len(), 20);
    }
}

#[test]
fn a_hundred_guests_who_left_cost_nothing_an_hour_and_little_at_the_end() {
    for (seconds, guests, hours) in [(2, 2, 8), (6, 100, 1), (15, 2, 8)] {
        let spec = Spec { segment: SegmentLength::from_secs(seconds).unwrap(), ..spec(Mode::Individual) };
        let mut recorder = Recorder::new(spec);
        let mut story = InputStory::default();
        for number in 0..guests {
            guest(&mut story, &number.to_string(), number + 1, u64::from(number) * SECOND);
        }
        story.inputs().into_iter().for_each(|input| recorder.push(input));
        recorder.advance(Ticks(150 * SECOND) + LOOKAHEAD);
        std::iter::from_fn(|| recorder.poll()).for_each(drop);
        recorder.advance(Ticks(hours * HOUR));
        assert_eq!((recorder.poll(), recorder.next_wake()), (None, None));
        recorder.finish(Ticks(hours * HOUR + FRAME));
        let (mut objects, mut bytes, mut largest) = (0, 0, 0);
        while let Some(output) = recorder.poll() {
            if let Output::Segment(segment) = output {
                (objects, bytes) = (objects + 1, bytes + segment.bytes.len());
                largest = largest.max(segment.bytes.len());
            }
        }
        println!("{seconds} s, {guests} guests, {hours} h: {objects} objects, {bytes} bytes, the largest {largest}");
        let most = u64::from(guests) * (6 * hours + 3);
        assert!(objects <= most && largest <= 140_000, "{objects} objects, the largest of {largest} bytes");
    }
}
