//! Segments that could not be kept: silence of the same length lies in their place, and the ledger says what they held.

use cloud_recorder::codec::opus::Encoder;
use cloud_recorder::recording::{Cause, Gap, Mode, Output, PlaylistId, Recorder, Verdict};
use cloud_recorder::units::Ticks;

use crate::audio_probe::{decode, level_db, tone_db};
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, Recording, SECOND, Talker, spec, uid};

const END: u64 = 25 * SECOND;

/// Two talkers with a tone each; `lost` says which segments could not be kept.
fn record(mode: Mode, lost: impl Fn(&PlaylistId, u64) -> bool) -> Recording {
    let mut story = InputStory::default();
    for (track, name, hertz) in [(1, "anna", 700.0), (2, "ben", 1_900.0)] {
        let (mut talker, mut encoder) = (Talker::new(track, track), Encoder::new(1, 64_000, 5).unwrap());
        let sine = |n: u64| (n as f64 * hertz * std::f64::consts::TAU / SECOND as f64).sin() as f32 * 0.3;
        story.joins(0, name, track).hears((2 * SECOND..24 * SECOND).step_by(FRAME as usize).map(|at| {
            let frame: Vec<f32> = (at..at + FRAME).map(sine).collect();
            talker.send(at, encoder.encode(&frame).unwrap())
        }));
    }
    let mut recorder = Recorder::new(spec(mode));
    let mut outputs = Vec::new();
    let mut keep = |recorder: &mut Recorder| {
        while let Some(output) = recorder.poll() {
            outputs.push(match output {
                Output::Segment(segment) if lost(&segment.playlist, segment.index) => {
                    recorder.lose(&segment.playlist, segment.start, segment.start + segment.duration);
                    Output::Segment(segment.silenced())
                }
                output => output,
            });
        }
    };
    for input in story.inputs() {
        recorder.push(input);
        keep(&mut recorder);
    }
    recorder.finish(Ticks(END));
    keep(&mut recorder);
    let ledger = recorder.ledger();
    Recording::new(outputs, ledger, END)
}

fn lost_in(recording: &Recording, name: &str) -> Vec<(u64, u64)> {
    let gaps = recording.account(name).gaps.iter().filter(|gap| gap.cause == Cause::DiskFull);
    gaps.map(|Gap { from, to, .. }| (from.as_ms(), to.as_ms())).collect()
}

#[test]
fn an_individual_segment_is_lost_for_its_uid() {
    let recording = record(Mode::Individual, |playlist, index| {
        *playlist == PlaylistId::Individual(uid("anna")) && (index == 0 || index == 2)
    });
    check_ledger(&recording, END);
    assert_eq!(recording.ledger.verdict(), Verdict::Partial);
    let [(from, to), second] = lost_in(&recording, "anna")[..] else { panic!("{:?}", recording.account("anna").gaps) };
    assert!((2_000..2_100).contains(&from) && to.abs_diff(6_000) <= 20, "what was sound, from {from} to {to}");
    assert!(second.0.abs_diff(12_000) <= 20 && second.1.abs_diff(18_000) <= 20, "{second:?}");
    let account = recording.account("anna");
    assert_eq!(account.missing_ms, to - from + second.1 - second.0);
    assert_eq!((account.recorded_ms + account.missing_ms, account.concealed_ms), (22_000, 0));
    assert_eq!((lost_in(&recording, "ben"), recording.account("ben").missing_ms), (vec![], 0));

    let (_folder, path) = recording.write(&PlaylistId::Individual(uid("anna")));
    let sound = decode(&path, 2);
    assert!(sound.len().abs_diff(END as usize) <= FRAME as usize, "the playlist has its length, and plays");
    for (from, to) in [(0.1, 5.9), (12.1, 17.9)] {
        assert!(level_db(sound.part(0, from, to)) < -80.0, "silence from {from} s");
    }
    for (from, to) in [(6.1, 11.9), (18.1, 23.9)] {
        let level = tone_db(sound.part(0, from, to), 700.0);
        assert!((level + 13.5).abs() < 0.5, "{level} dB from {from} s");
    }
}

#[test]
fn a_segment_of_the_mix_is_lost_for_everybody_and_what_both_lose_counts_once() {
    let mix = record(Mode::Both, |playlist, index| *playlist == PlaylistId::Mix && index == 1);
    let both = record(Mode::Both, |_, index| index == 1);
    for recording in [&mix, &both] {
        check_ledger(recording, END);
        for name in ["anna", "ben"] {
            let [(from, to)] = lost_in(recording, name)[..] else { panic!("{:?}", recording.account(name).gaps) };
            assert!(from.abs_diff(6_000) <= 20 && to.abs_diff(12_000) <= 20, "{name}: {from} to {to}");
            assert_eq!(recording.account(name).missing_ms, to - from);
        }
    }
}
