//! A mix whose recorder was put away while people speak sounds as well as one that never stopped, from the first frame on. Speech,
//! losses, a loud duet into the limiter and stereo, from the fixtures; each put away at many moments.

use std::ops::Range;

use cloud_recorder::recording::{Mode, Output, Recorder, Spec, TimedInput};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::{Ticks, Uid};

use crate::audio_probe::hear;
use crate::replayed::fixture;
use crate::world::{InputStory, MS, Placed, Recording, SECOND, Talker, spec};

/// Frames after the first packet that differs, over which sound is compared.
const SPANS: [Range<usize>; 4] = [0..1, 1..3, 3..10, 10..50];

struct Told {
    spec: Spec,
    inputs: Vec<TimedInput>,
}

fn told(name: &str) -> Told {
    let (mut spec, mut inputs) = (None, Vec::new());
    for record in Reader::open(fixture(&format!("{name}.journal"))).unwrap() {
        match record.unwrap() {
            Record::Started { spec: started } => spec = Some(Spec { mode: Mode::Both, ..started }),
            Record::Input { input, .. } => inputs.push(input),
            _ => {}
        }
    }
    Told { spec: spec.unwrap(), inputs }
}

/// A recorder that was put away: after so many inputs and outputs.
struct PutAway {
    snapshot: Vec<u8>,
    inputs: usize,
    outputs: usize,
}

impl Told {
    /// Records it up to `end`, and puts the recorder away before the first input at or after each of the moments.
    fn record(&self, mut moments: impl Iterator<Item = u64>, end: u64) -> (Recording, Vec<PutAway>) {
        let (mut recorder, mut outputs, mut put_away) = (Recorder::new(self.spec.clone()), Vec::new(), Vec::new());
        let mut moment = moments.next();
        for (index, input) in self.inputs.iter().enumerate().take_while(|(_, input)| input.at.0 < end) {
            if moment.take_if(|moment| input.at.0 >= *moment).is_some() {
                put_away.push(PutAway { snapshot: recorder.snapshot(), inputs: index, outputs: outputs.len() });
                moment = moments.next();
            }
            recorder.push(input.clone());
            outputs.extend(std::iter::from_fn(|| recorder.poll()));
        }
        (finish(recorder, outputs, end), put_away)
    }

    /// Goes on with a recorder that was put away, up to `end`; what came out of the `whole` before is a part of the recording.
    fn go_on(&self, from: &PutAway, whole: &Recording, end: u64) -> Recording {
        let mut recorder = Recorder::restore(&from.snapshot).unwrap();
        for input in self.inputs[from.inputs..].iter().take_while(|input| input.at.0 < end) {
            recorder.push(input.clone());
        }
        finish(recorder, whole.outputs[..from.outputs].to_vec(), end)
    }
}

fn finish(mut recorder: Recorder, mut outputs: Vec<Output>, end: u64) -> Recording {
    recorder.finish(Ticks(end));
    outputs.extend(std::iter::from_fn(|| recorder.poll()));
    Recording::new(outputs, recorder.ledger(), end)
}

/// The mix, and what it ought to be: everybody's own track added up.
fn sounds(recording: &Recording, talkers: &[&Uid], channels: u8) -> [Vec<f32>; 2] {
    let mut ideal: Vec<f32> = Vec::new();
    for uid in talkers {
        let sound = hear(recording.individual(uid.as_str()), channels);
        ideal.resize(ideal.len().max(sound.len()), 0.0);
        ideal.iter_mut().zip(sound).for_each(|(sum, sample)| *sum += sample);
    }
    [hear(recording.mix(), channels), ideal]
}

/// Energy of a signal, and of the difference of another one to it.
#[derive(Clone, Copy, Default)]
struct Likeness(f64, f64);

impl Likeness {
    fn add(&mut self, signal: &[f32], other: &[f32]) {
        for (signal, other) in signal.iter().zip(other) {
            self.0 += f64::from(*signal).powi(2);
            self.1 += f64::from(signal - other).powi(2);
        }
    }

    fn db(self) -> f64 {
        10.0 * (self.0.max(1e-9) / self.1.max(1e-12)).log10()
    }
}

fn first_difference(one: &[Placed], other: &[Placed]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one.bytes != other.bytes)
}

/// How like the mix of the whole recording is to the mix that was parted, and to what both ought to be, in each of [`SPANS`].
fn likenesses(name: &str) -> [[Likeness; 3]; SPANS.len()] {
    let told = told(name);
    let channels = told.spec.profile.channels();
    let mut likenesses = [[Likeness::default(); 3]; SPANS.len()];
    let moments = (0..11).map(|turn| (3_100 + turn * 830) * MS);
    let (whole, put_away) = told.record(moments.clone(), 17 * SECOND);
    let talkers: Vec<&Uid> = whole.ledger.uids.iter().map(|account| &account.uid).collect();
    let [mix, ideal] = sounds(&whole, &talkers, channels);
    let mut runs = 0;
    for (away, moment) in put_away.iter().zip(moments) {
        let parted = told.go_on(away, &whole, moment + 3 * SECOND);
        let Some(first) = first_difference(whole.mix(), parted.mix()) else { continue };
        runs += 1;
        let other = hear(parted.mix(), channels);
        for (span, [both, one, two]) in SPANS.iter().zip(&mut likenesses) {
            let at = |frame: usize| ((first + frame) * 960 * usize::from(channels)).min(mix.len());
            let span = at(span.start)..at(span.end);
            both.add(&mix[span.clone()], &other[span.clone()]);
            one.add(&ideal[span.clone()], &mix[span.clone()]);
            two.add(&ideal[span.clone()], &other[span]);
        }
    }
    assert!(runs >= 8, "{name}: put away in speech {runs} times only");
    likenesses
}

#[test]
fn it_is_as_close_to_the_talkers_as_the_one_that_never_stopped() {
    for name in ["two-talkers-dtx", "loss-reordering-duplicates", "stereo-talker"] {
        for (span, [both, whole, parted]) in SPANS.iter().zip(likenesses(name)) {
            let (both, whole, parted) = (both.db(), whole.db(), parted.db());
            assert!(both > 22.0, "{name}, frames {span:?}: the mixes are like each other to {both} dB");
            assert!(parted > whole - 1.5, "{name}, frames {span:?}: {parted} dB instead of {whole} dB");
        }
    }
}

#[test]
fn the_limiter_goes_on_where_it_was() {
    for (span, [both, ..]) in SPANS.iter().zip(likenesses("double-talk")) {
        assert!(both.db() > 20.0, "frames {span:?}: {} dB", both.db());
    }
}

#[test]
fn put_away_while_nobody_is_heard_it_is_the_same_bit_for_bit() {
    let mut talker = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(talker.talk(2 * SECOND, 4 * SECOND));
    talker.pause(5 * SECOND);
    story.hears(talker.talk(9 * SECOND, 11 * SECOND));
    let (told, end) = (Told { spec: spec(Mode::Both), inputs: story.inputs() }, 14 * SECOND);
    let (whole, put_away) = told.record([9 * SECOND].into_iter(), end);
    let parted = told.go_on(&put_away[0], &whole, end);
    assert!(whole.mix().iter().filter(|packet| packet.bytes.len() > 6).count() > 200, "both runs of packets are mixed");
    assert!(whole.outputs == parted.outputs);
}
