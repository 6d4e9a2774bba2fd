//! The mix's coders start anew at a journalled point: a run that goes on, one that is taken up from the snapshot of that point and a
//! replay of everything give the same bytes, and nobody hears the seam.

use cloud_recorder::codec::opus::{Encoder, ResumableEncoder};
use cloud_recorder::recording::{Input, Mode, Output, Recorder, Spec, TimedInput};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::{Ticks, Uid};
use proptest::prelude::*;

use crate::audio_probe::hear;
use crate::input_scripts::{act, network, play};
use crate::replayed::fixture;
use crate::world::{Dice, FRAME, InputStory, MS, Placed, Recording, SECOND, Sent, spec};

/// Gives packets of speech the sound of a tone, so that the mix has something to code.
fn voiced(story: &mut InputStory, hertz: f64) {
    let mut encoder = Encoder::new(1, 32_000, 3).unwrap();
    let mut at = 0;
    story.rewrite(|mut inputs| {
        for (_, input) in &mut inputs {
            let Input::Packet(packet) = input else { continue };
            if packet.payload.len() > 2 {
                let sine = |n: u64| (n as f64 * hertz * std::f64::consts::TAU / SECOND as f64).sin() as f32 * 0.3;
                packet.payload = encoder.encode(&(at..at + FRAME).map(sine).collect::<Vec<f32>>()).unwrap();
                at += FRAME;
            }
        }
        inputs
    });
}

fn take(recorder: &mut Recorder, outputs: &mut Vec<Output>) {
    outputs.extend(std::iter::from_fn(|| recorder.poll()));
}

fn end(mut recorder: Recorder, mut outputs: Vec<Output>, end: u64) -> (Vec<Output>, Vec<u8>) {
    recorder.finish(Ticks(end));
    take(&mut recorder, &mut outputs);
    (outputs, recorder.snapshot())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn live_taken_up_and_replayed_are_the_same_bit_for_bit(
        anna in proptest::collection::vec((act(), 1_000..4_000_u64), 1..4),
        ben in proptest::collection::vec((act(), 1_000..4_000_u64), 1..4),
        network in network(),
        (seed, often) in (any::<u64>(), prop_oneof![Just(300_u64), Just(60)]),
    ) {
        let (mut story, _, first) = play("anna", 1, &anna, &network);
        voiced(&mut story, 440.0);
        let (mut other, _, second) = play("ben", 101, &ben, &network);
        voiced(&mut other, 700.0);
        story.meanwhile(other);
        let (mut dice, mut inputs) = (Dice(seed), Vec::new());
        for input in story.inputs() {
            let at = input.at;
            inputs.push(input);
            if dice.below(often) == 0 {
                inputs.push(TimedInput { at, input: Input::CodersRestarted });
            }
        }
        let (whole, ended) = (Recorder::new(spec(Mode::Both)), first.max(second));
        let (mut live, mut outputs, mut points) = (whole, Vec::new(), Vec::new());
        for (index, input) in inputs.iter().enumerate() {
            live.push(input.clone());
            take(&mut live, &mut outputs);
            if input.input == Input::CodersRestarted {
                let snapshot = live.snapshot();
                prop_assert!(Recorder::restore(&snapshot).unwrap().snapshot() == snapshot);
                points.push((index, outputs.len(), snapshot));
            }
        }
        let live = end(live, outputs, ended);

        let (mut replay, mut outputs) = (Recorder::new(spec(Mode::Both)), Vec::new());
        inputs.iter().for_each(|input| replay.push(input.clone()));
        take(&mut replay, &mut outputs);
        prop_assert!(end(replay, outputs, ended) == live, "the replay differs");

        for (index, made, snapshot) in points {
            let mut recorder = Recorder::restore(&snapshot).unwrap();
            let mut outputs = live.0[..made].to_vec();
            inputs[index + 1..].iter().for_each(|input| recorder.push(input.clone()));
            take(&mut recorder, &mut outputs);
            prop_assert!(end(recorder, outputs, ended) == live, "taken up after input {index} it differs");
        }
    }
}

#[test]
fn a_coder_that_started_anew_remembers_the_same() {
    let mut encoder = ResumableEncoder::new(1, 64_000, 10).unwrap();
    let frame = |n: u64| (n * 960..(n + 1) * 960).map(|n| (n as f32 * 0.05).sin() * 0.4).collect::<Vec<f32>>();
    (0..20).for_each(|n| drop(encoder.encode(&frame(n)).unwrap()));
    let mut once = Vec::new();
    for _ in 0..3 {
        encoder.restart();
        let kept = postcard::to_stdvec(&encoder).unwrap();
        assert!(once.is_empty() || once == kept);
        once = kept;
    }
    let mut other: ResumableEncoder = postcard::from_bytes(&once).unwrap();
    (20..30).for_each(|n| assert_eq!(encoder.encode(&frame(n)).unwrap(), other.encode(&frame(n)).unwrap()));
}

/// A fixture's recording, with the coders started anew at these moments.
fn record(name: &str, moments: &[u64]) -> Recording {
    let (mut recorder, mut outputs, mut moments) = (None, Vec::new(), moments.iter().peekable());
    for record in Reader::open(fixture(&format!("{name}.journal"))).unwrap() {
        match record.unwrap() {
            Record::Started { spec: started } => {
                recorder = Some(Recorder::new(Spec { mode: Mode::Both, ..started }));
            }
            Record::Input { input, .. } => {
                let recorder = recorder.as_mut().unwrap();
                if let Some(at) = moments.next_if(|moment| **moment <= input.at.0) {
                    recorder.push(TimedInput { at: Ticks(*at), input: Input::CodersRestarted });
                }
                recorder.push(input);
                take(recorder, &mut outputs);
            }
            Record::Finished { at, .. } => {
                let mut recorder = recorder.take().unwrap();
                recorder.finish(at);
                take(&mut recorder, &mut outputs);
                return Recording::new(outputs, recorder.ledger(), at.0);
            }
            _ => {}
        }
    }
    panic!("{name} does not end");
}

/// Energies of 16 bands of a frame, in dB, up to 8 kHz, by a discrete Fourier transform of 20 ms under a Hann window.
fn bands(frame: &[f32]) -> [f64; 16] {
    let mut bands = [1e-7; 16];
    for bin in 1..160 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in frame.iter().enumerate() {
            let angle = std::f64::consts::TAU * (bin * n) as f64 / frame.len() as f64;
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / frame.len() as f64).cos();
            re += f64::from(*sample) * window * angle.cos();
            im -= f64::from(*sample) * window * angle.sin();
        }
        bands[bin / 10] += (re * re + im * im) / (frame.len() * frame.len()) as f64;
    }
    bands.map(|energy| 10.0 * energy.log10())
}

/// Root mean square change of the bands, in dB, from one frame to the next.
fn flux(sound: &[f32], at: usize) -> f64 {
    let [one, other] = [bands(&sound[at - 960..at]), bands(&sound[at..at + 960])];
    (one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum::<f64>() / 16.0).sqrt()
}

fn ratio_db(signal: &[f32], other: &[f32]) -> f64 {
    let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| f64::from(sample).powi(2)).sum::<f64>();
    let noise = energy(&mut signal.iter().zip(other).map(|(one, other)| one - other));
    10.0 * (energy(&mut signal.iter().copied()).max(1e-9) / noise.max(1e-12)).log10()
}

#[test]
fn nobody_hears_the_seam() {
    let moments: Vec<u64> = (0..11).map(|turn| (3_100 + turn * 830) * MS).collect();
    let (mut fluxes, mut noises, mut likenesses) = (Vec::new(), Vec::new(), Vec::new());
    for name in ["two-talkers-dtx", "loss-reordering-duplicates", "double-talk"] {
        let (whole, restarted) = (record(name, &[]), record(name, &moments));
        let [one, other] = [hear(whole.mix(), 1), hear(restarted.mix(), 1)];
        let uids: Vec<&Uid> = whole.ledger.uids.iter().map(|account| &account.uid).collect();
        let mut ideal = vec![0.0; one.len()];
        for uid in uids {
            let sound = hear(whole.individual(uid.as_str()), 1);
            ideal.iter_mut().zip(sound).for_each(|(sum, sample)| *sum += sample);
        }
        let differs = |(one, other): (&Placed, &Placed)| one.bytes != other.bytes;
        for moment in &moments {
            // The first frame after the moment that another encoder made.
            let behind = ((moment / FRAME) as usize).saturating_sub(190);
            let packets = whole.mix().iter().zip(restarted.mix()).skip(behind).take(130);
            let Some(seam) =
                packets.enumerate().find(|(_, pair)| differs(*pair)).map(|(index, _)| (behind + index) * 960)
            else {
                continue;
            };
            let near = seam + 312..seam + 312 + 3 * 960;
            if ideal[near.clone()].iter().all(|sample| sample.abs() < 0.01) {
                continue;
            }
            let worst = |sound: &[f32]| (0..3).map(|n| flux(sound, seam + 312 + n * 960)).fold(0.0, f64::max);
            fluxes.push((worst(&other), worst(&one)));
            if name != "double-talk" {
                // There the limiter makes the mix differ from the sum of all.
                noises.push((
                    ratio_db(&ideal[near.clone()], &other[near.clone()]),
                    ratio_db(&ideal[near.clone()], &one[near.clone()]),
                ));
            }
            likenesses.push(ratio_db(&one[near.clone()], &other[near]));
        }
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let flux = mean(&mut fluxes.iter().map(|(seam, smooth)| seam - smooth));
    let worst = fluxes.iter().map(|(seam, smooth)| seam - smooth).fold(f64::MIN, f64::max);
    let noise = mean(&mut noises.iter().map(|(seam, smooth)| seam - smooth));
    println!(
        "{} seams: spectral flux {flux:+.2} dB against the run without them (at most {worst:+.2} dB); coding noise {:.1} dB below the \
         sound ({noise:+.2} dB against that run); like that run to {:.1} dB",
        fluxes.len(),
        mean(&mut noises.iter().map(|(seam, _)| *seam)),
        mean(&mut likenesses.iter().copied()),
    );
    assert!(fluxes.len() >= 12, "{} seams in sound", fluxes.len());
    assert!(flux.abs() < 0.5 && worst < 4.0, "{fluxes:?}");
    assert!(noise > -1.5, "{noises:?}");
}

#[test]
fn without_a_mix_and_in_silence_it_changes_nothing() {
    let mut talker = crate::world::Talker::new(1, 7);
    let sent: Vec<Sent> = talker.talk(SECOND, 3 * SECOND);
    let story = |restarts: bool| {
        let mut story = InputStory::default();
        story.joins(0, "7", 1).hears(sent.clone());
        if restarts {
            story.happens(2 * SECOND, Input::CodersRestarted).happens(9 * SECOND, Input::CodersRestarted);
        }
        story
    };
    let records = |mode, restarts| story(restarts).record(spec(mode), 10 * SECOND);
    assert!(records(Mode::Individual, true).outputs == records(Mode::Individual, false).outputs);
    assert_eq!(records(Mode::Mix, true).ledger, records(Mode::Mix, false).ledger);
}
