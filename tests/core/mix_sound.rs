//! The mix, heard by libopus and by ffmpeg: everybody is in it, at the right time, and nothing clips.

use cloud_recorder::codec::opus::Encoder;
use cloud_recorder::recording::{Mode, PlaylistId};

use crate::audio_probe::{RATE, decode, hear, level_db, tone_db};
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

/// What a talker says from `from` to `to`: `sound(n)` is its sample at tick `n`.
fn says(talker: &mut Talker, from: u64, to: u64, sound: impl Fn(u64) -> f32) -> Vec<Sent> {
    let mut encoder = Encoder::new(1, 64_000, 10).unwrap();
    let frames = (from..to).step_by(FRAME as usize);
    frames
        .map(|at| {
            let frame: Vec<f32> = (at..at + FRAME).map(&sound).collect();
            talker.send(at, encoder.encode(&frame).unwrap())
        })
        .collect()
}

fn sine(hertz: f64, amplitude: f64) -> impl Fn(u64) -> f32 {
    move |n| ((n as f64 * hertz * std::f64::consts::TAU / RATE as f64).sin() * amplitude) as f32
}

fn both_ears(recording: &Recording) -> [Vec<f32>; 2] {
    let (_folder, path) = recording.write(&PlaylistId::Mix);
    [hear(recording.mix(), 1), decode(&path, 1).channels.remove(0)]
}

fn part(sound: &[f32], from_ms: u64, to_ms: u64) -> &[f32] {
    &sound[(from_ms * MS) as usize..(to_ms * MS) as usize]
}

#[test]
fn two_talkers_are_heard_when_they_speak_and_only_then() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    ben.delay = 80 * MS;
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2);
    story.hears(says(&mut anna, 2 * SECOND, 8 * SECOND, sine(700.0, 0.3)));
    story.hears(says(&mut ben, 5 * SECOND, 12 * SECOND, sine(1_900.0, 0.3)));
    anna.pause(12 * SECOND);
    story.hears(says(&mut anna, 20 * SECOND, 22 * SECOND, sine(700.0, 0.3)));
    let recording = story.record(spec(Mode::Both), 25 * SECOND);
    let silent = recording.mix().iter().filter(|packet| packet.bytes == [0xF8, 0xFF, 0xFE][..]).count();
    assert!(silent > 50 * 10, "silence is not encoded: {silent}");
    for sound in both_ears(&recording) {
        assert!(sound.len().abs_diff(25 * RATE) <= FRAME as usize);
        for (hertz, spans) in [(700.0, vec![(2_030, 8_030), (20_030, 22_030)]), (1_900.0, vec![(5_080, 12_080)])] {
            for ms in (0..24_500).step_by(100) {
                let level = tone_db(part(&sound, ms, ms + 100), hertz);
                let inside = spans.iter().any(|(from, to)| ms >= *from && ms + 100 <= *to);
                let outside = spans.iter().all(|(from, to)| ms >= *to + 40 || ms + 140 <= *from);
                assert!(!inside || (level + 13.5).abs() < 1.0, "{hertz} Hz at {ms} ms: {level} dB");
                assert!(!outside || level < -55.0, "{hertz} Hz at {ms} ms: {level} dB");
            }
        }
        for (from, to) in [(0, 1_900), (13_000, 19_900), (23_000, 24_900)] {
            assert!(level_db(part(&sound, from, to)) < -80.0, "silence at {from} ms");
        }
    }
    for (name, hertz, other) in [("anna", 700.0, 1_900.0), ("ben", 1_900.0, 700.0)] {
        let (_folder, path) = recording.write(&PlaylistId::Individual(uid(name)));
        let sound = decode(&path, 1).channels.remove(0);
        let heard = part(&sound, 6_000, 7_000);
        assert!(tone_db(heard, hertz) > -20.0 && tone_db(heard, other) < -60.0, "{name} alone");
    }
}

#[test]
fn a_sound_is_where_it_was_made_to_a_few_samples() {
    let noise = |n: u64| {
        let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 29;
        x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((x >> 40) as f32 / 8_388_608.0 - 1.0) * 0.4
    };
    let (start, length) = (3 * SECOND + 4_321, 4_800);
    let burst = |n: u64| if (start..start + length).contains(&n) { noise(n) } else { 0.0 };
    let mut talker = Talker::new(1, 7);
    talker.delay = 37 * MS + 5;
    let sent = says(&mut talker, SECOND + 77, 6 * SECOND, burst);
    let recording = InputStory::default().joins(0, "7", 1).hears(sent).record(spec(Mode::Both), 7 * SECOND);
    for sound in both_ears(&recording) {
        let likeness = |shift: i64| -> f64 {
            let at = |n: u64| sound[(n as i64 + talker.delay as i64 + shift) as usize];
            (start..start + length).map(|n| f64::from(at(n)) * f64::from(burst(n))).sum()
        };
        let best = (-400..400).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        assert!(best.abs() <= 3, "{best} samples off");
        let before = start + talker.delay;
        assert!(level_db(&sound[before as usize - 2_400..before as usize - 480]) < -45.0, "nothing before the burst");
    }
}

#[test]
fn three_loud_talkers_do_not_clip() {
    let mut story = InputStory::default();
    for (track, hertz) in [(1, 310.0), (2, 523.0), (3, 881.0)] {
        let mut talker = Talker::new(track, track);
        story.joins(0, &track.to_string(), track);
        story.hears(says(&mut talker, SECOND, 6 * SECOND, sine(hertz, 0.6)));
    }
    let recording = story.record(spec(Mode::Mix), 7 * SECOND);
    assert_eq!(recording.ledger.uids.len(), 3);
    for sound in both_ears(&recording) {
        // The limiter holds -1 dBFS (its own tests); the coder's noise adds a little to it.
        let peak = sound.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.8..0.95).contains(&peak), "peak {peak}");
        for hertz in [310.0, 523.0, 881.0] {
            assert!(tone_db(part(&sound, 2_000, 5_000), hertz) > -13.0);
        }
        for overtone in [620.0, 930.0, 1_569.0] {
            assert!(tone_db(part(&sound, 2_000, 5_000), overtone) < -45.0, "limited, not clipped");
        }
    }
}

#[test]
fn losses_and_pauses_do_not_move_or_swell_the_mix() {
    let mut talker = Talker::new(1, 7);
    let mut sent = says(&mut talker, SECOND, 20 * SECOND, sine(700.0, 0.3));
    let mut number = 0;
    sent.retain(|_| {
        number += 1;
        number % 20 != 0
    });
    let recording = InputStory::default().joins(0, "7", 1).hears(sent).record(spec(Mode::Mix), 21 * SECOND);
    for sound in both_ears(&recording) {
        for ms in (1_500..19_500).step_by(500) {
            let level = tone_db(part(&sound, ms, ms + 500), 700.0);
            assert!((level + 13.5).abs() < 1.5, "{level} dB at {ms} ms");
        }
    }
}
