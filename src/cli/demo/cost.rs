//! What a recording costs: the inputs that the demo captured go through the core once more, and the CPU time of that is taken.
//! Network, encryption and bucket are not in it; the whole process is told beside it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use cpu_time::{ProcessTime, ThreadTime};
use serde::Serialize;

use super::talkers::VOICES;
use crate::recording::{Input, Mode, Recorder, Selection, Spec, TimedInput};
use crate::storage::journal::{Reader, Record};
use crate::units::{Ticks, Uid};

/// CPU milliseconds a second.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    /// Of the core, for a second of a mix of two talkers.
    pub(super) mixed_second_ms: f64,
    /// Of the core, for a second of one talker's untouched track.
    pub(super) stream_second_ms: f64,
    /// Of the whole process, for a second of the demo: three talkers, the channel server, two recorders, bucket and callbacks.
    pub(super) process_second_ms: f64,
}

/// Measures with the inputs of a capture; `process` was taken when the demo began, `seconds` ago.
pub(super) fn measure(capture: &Path, process: ProcessTime, seconds: f64) -> anyhow::Result<Cost> {
    let process_second_ms = millis(process.elapsed()) / seconds;
    let (spec, inputs) = read(capture).with_context(|| format!("{} can't be read", capture.display()))?;
    let pair: BTreeSet<Uid> = [VOICES[0].uid, VOICES[2].uid].into_iter().map(Uid::new).collect::<Result<_, _>>()?;
    let both_talk = until_left(&inputs, VOICES[2].uid);
    let mix = Spec { mode: Mode::Mix, selection: Selection::Only(pair), ..spec.clone() };
    let (mixed, _) = run(mix, both_talk);
    let mixed_second_ms = mixed / end(both_talk).as_secs_f64();
    let (passed, recorder) = run(Spec { mode: Mode::Individual, ..spec }, &inputs);
    let streams: f64 = recorder.ledger().uids.iter().map(|uid| uid.recorded_ms as f64 / 1000.0).sum();
    Ok(Cost { mixed_second_ms, stream_second_ms: passed / streams, process_second_ms })
}

fn read(capture: &Path) -> anyhow::Result<(Spec, Vec<TimedInput>)> {
    let (mut spec, mut inputs) = (None, Vec::new());
    for record in Reader::open(capture)? {
        match record? {
            Record::Started { spec: started } => spec = Some(started),
            Record::Continued { .. } | Record::Checkpoint { .. } | Record::Stored { .. } => {}
            Record::Input { input, .. } => inputs.push(input),
            Record::Finished { .. } => break,
        }
    }
    Ok((spec.context("it has no beginning")?, inputs))
}

/// The inputs until this uid leaves.
fn until_left<'a>(inputs: &'a [TimedInput], uid: &str) -> &'a [TimedInput] {
    let left = |timed: &TimedInput| matches!(&timed.input, Input::Left { uid: gone } if gone.as_str() == uid);
    &inputs[..inputs.iter().position(left).unwrap_or(inputs.len())]
}

/// CPU milliseconds of the core, and the core with its ledger.
fn run(spec: Spec, inputs: &[TimedInput]) -> (f64, Recorder) {
    let (end, inputs) = (end(inputs), inputs.to_vec());
    let begin = ThreadTime::now();
    let mut recorder = Recorder::new(spec);
    for input in inputs {
        recorder.push(input);
        while recorder.poll().is_some() {}
    }
    recorder.finish(end);
    while recorder.poll().is_some() {}
    (millis(begin.elapsed()), recorder)
}

/// The length of the timeline.
fn end(inputs: &[TimedInput]) -> Ticks {
    inputs.last().map_or(Ticks::ZERO, |timed| timed.at)
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
