//! Snapshots that an older version of the recorder wrote are taken up, and the recording goes on: whoever is replaced by a newer
//! worker leaves them to it.
//!
//! `fixtures/snapshots/version-<n>-*.bin` were written by the last recorder that wrote format n, in the middle of [`story`], at
//! [`TAKEN`].

use cloud_recorder::codec::opus::Encoder;
use cloud_recorder::recording::{Cause, Input, Mode, Recorder, TrackKind};
use cloud_recorder::units::{Ticks, TrackId};

use crate::random_inputs::check_ledger;
use crate::replayed::fixture;
use crate::world::{FRAME, InputStory, MS, Placed, Recording, SECOND, Sent, Talker, spec, uid};

/// When the snapshots were taken: Anna and Ben speak, packets are missing, Cora is muted, Dora has not been met again.
const TAKEN: u64 = 21 * SECOND + 333 * MS;

/// How long the recording is.
const END: u64 = 40 * SECOND;

/// A talker whose packets libopus made: a tone of its own.
fn tone(talker: &mut Talker, hertz: f64, from: u64, to: u64) -> Vec<Sent> {
    let mut encoder = Encoder::new(1, 32_000, 5).unwrap();
    let sine = |n: u64| (n as f64 * hertz * std::f64::consts::TAU / SECOND as f64).sin() as f32 * 0.3;
    let send = |at: u64| {
        let frame: Vec<f32> = (at..at + FRAME).map(sine).collect();
        talker.send(at, encoder.encode(&frame).unwrap())
    };
    (from..to).step_by(FRAME as usize).map(send).collect()
}

/// A lively channel, and what Anna and Ben send after the worker's restart at 15 s.
fn story() -> (InputStory, Vec<Sent>, Vec<Sent>) {
    let mut story = InputStory::default();
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let (mut cora, mut dora) = (Talker::new(3, 9), Talker::new(4, 10));
    for (track, name) in [(1, "anna"), (2, "ben"), (3, "cora"), (4, "dora")] {
        story.joins(0, name, track);
    }
    story.hears(tone(&mut anna, 440.0, SECOND, 12 * SECOND)).hears(tone(&mut ben, 700.0, 3 * SECOND, 9 * SECOND));
    story.hears(cora.talk(2 * SECOND, 8 * SECOND)).hears(dora.talk(SECOND, 12 * SECOND));
    story.happens(8 * SECOND, Input::Muted { track: TrackId(3), muted: true });
    story.happens(15 * SECOND, Input::WorkerRestarted);
    for (track, name, muted) in [(11, "anna", false), (12, "ben", false), (13, "cora", true)] {
        story.happens(15 * SECOND + 100 * MS, Input::Joined { uid: uid(name) });
        story.happens(
            15 * SECOND + 150 * MS,
            Input::TrackAdded { track: TrackId(track), uid: uid(name), muted, kind: TrackKind::default() },
        );
    }
    let (mut anna, mut ben) = (Talker::new(11, 17), Talker::new(12, 18));
    let mut annas = tone(&mut anna, 440.0, 16 * SECOND, 30 * SECOND);
    annas.drain(200..212);
    let mut bens = tone(&mut ben, 700.0, 16 * SECOND, 20 * SECOND);
    for turn in 0..3 {
        bens.push(ben.send(20 * SECOND + turn * 20 * FRAME, vec![0x78, turn as u8].into()));
        ben.pause(19 * FRAME);
    }
    bens.extend(tone(&mut ben, 700.0, 21 * SECOND + 200 * MS, 34 * SECOND));
    story.hears(annas.clone()).hears(bens.clone());
    (story, annas, bens)
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Mix => "mix",
        Mode::Individual => "individual",
        Mode::Both => "both",
    }
}

#[test]
fn format_1_is_taken_up_in_mid_speech_and_the_recording_goes_on() {
    taken_up(1);
}

#[test]
fn format_2_is_taken_up_in_mid_speech_and_the_recording_goes_on() {
    taken_up(2);
}

#[test]
fn format_3_is_taken_up_in_mid_speech_and_the_recording_goes_on() {
    taken_up(3);
}

fn taken_up(version: u8) {
    let (story, annas, bens) = story();
    for mode in [Mode::Mix, Mode::Individual, Mode::Both] {
        let bytes = std::fs::read(fixture(&format!("snapshots/version-{version}-{}.bin", name(mode)))).unwrap();
        assert_eq!(bytes[4..6], [version, 0], "written by the last recorder that wrote this format");
        let mut recorder = Recorder::restore(&bytes).unwrap();
        // What came out before it was put away is made again: the story is the same.
        let (mut before, mut outputs) = (Recorder::new(spec(mode)), Vec::new());
        for input in story.inputs() {
            if input.at.0 < TAKEN {
                before.push(input);
                outputs.extend(std::iter::from_fn(|| before.poll()));
            } else {
                recorder.push(input);
                outputs.extend(std::iter::from_fn(|| recorder.poll()));
            }
        }
        recorder.finish(Ticks(END));
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        let recording = Recording::new(outputs, recorder.ledger(), END);
        check_ledger(&recording, END);
        if mode.keeps_individuals() {
            // Packets of a tone may be alike: what is sent after another one is looked for behind it.
            for (name, sent) in [("anna", &annas), ("ben", &bens)] {
                let mut placed = recording.individual(name).iter();
                for sent in sent {
                    let wanted = sent.captured + 30 * MS;
                    let is_it =
                        |placed: &&Placed| placed.bytes == sent.packet.payload && placed.at.abs_diff(wanted) <= FRAME;
                    assert!(
                        placed.any(|placed| is_it(&placed)),
                        "{name}'s packet made at {} is missing",
                        sent.captured
                    );
                }
            }
        }
        let account = recording.account("anna");
        assert!(recording.gap_ms("anna", Cause::WorkerRestart).abs_diff(4_000) <= 40, "{:?}", account.gaps);
        assert_eq!(account.packets.placed as usize, 550 + annas.len());
        assert!(recording.gap_ms("cora", Cause::Muted) > 31_000, "{:?}", recording.account("cora").gaps);
        assert!(recording.gap_ms("dora", Cause::Left) > 9_000, "{:?}", recording.account("dora").gaps);
        assert_eq!(Recorder::restore(&recorder.snapshot()).unwrap().ledger(), recorder.ledger());
    }
}
