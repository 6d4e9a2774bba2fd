//! The worker is stopped for some seconds and goes on, as in a paused machine: what was said meanwhile is missing, with a cause that
//! names the worker, for everybody who spoke and in every mode.

use std::path::Path;
use std::time::Duration;

use cloud_recorder::clock;
use cloud_recorder::recording::{Input, TimedInput};
use cloud_recorder::storage::journal::{Reader, Record};
use serde_json::{Value, json};

use crate::HANG_LIMIT;
use crate::audio_probe::{Sound, Span};
use crate::checks::assert_right;
use crate::kill_run::KillRun;
use crate::rest::Task;
use crate::sound_check::Voice;
use crate::test_env::APP;

/// Sound that is recorded before the stop, and after the bot is back.
const QUIET: Duration = Duration::from_secs(4);
/// Who talks without a pause.
const TALKERS: [Voice; 2] = [Voice::Staircase, Voice::Tone];
/// No buffer keeps this much, in milliseconds.
const LONG_MS: u64 = 9_000;
/// How exactly the hole is measured: two ticks, a packet, and a busy machine.
const EDGE_MS: u64 = 700;
/// The grain of the decoded silences and a packet.
const BLINK_MS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_four_seconds() {
    assert_right(&stopped_for(4).await);
}

/// For `make faults`: longer than the server's and the bot's own patience with each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes four minutes; make faults runs it"]
async fn for_ten_to_forty_seconds() {
    let mut problems = Vec::new();
    for seconds in [10, 18, 25, 30, 40] {
        let found = stopped_for(seconds).await;
        problems.extend(found.into_iter().map(|found| format!("{seconds} s: {found}")));
    }
    assert_right(&problems);
}

/// For `make faults`: less than a percent of a processor, for half a minute; with three percent nothing is lost of
/// these talkers. What came so late that its place was written is called `late`. Arrival times mean little in such a worker, so that the mix
/// is not asked for its steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; make faults runs it"]
async fn and_one_that_starves_too() {
    let mut kill_run = KillRun::open(1).await;
    tokio::time::sleep(QUIET).await;
    let from = clock::now().0;
    let used = kill_run.worker().used();
    kill_run.worker().starve(Duration::from_secs(30)).await;
    println!("it used {:?} of a processor", kill_run.worker().used() - used);
    assert_right(&go_on(kill_run, (from, clock::now().0), &["overload", "worker_stalled", "late"]).await);
}

async fn stopped_for(seconds: u64) -> Vec<String> {
    let mut kill_run = KillRun::open(1).await;
    tokio::time::sleep(QUIET).await;
    kill_run.worker().freeze().await;
    let from = clock::now().0;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let to = clock::now().0;
    kill_run.worker().resume();
    go_on(kill_run, (from, to), &["worker_stalled"]).await
}

/// The worker runs again: what is wrong in the end.
async fn go_on(mut kill_run: KillRun, stop: Span, causes: &'static [&'static str]) -> Vec<String> {
    refuses_for_a_while(&kill_run, causes).await;
    until_recording(&kill_run).await;
    tokio::time::sleep(QUIET).await;
    kill_run.stop().await;
    let task = kill_run.recordings[0].task.clone();
    let mut problems = Vec::new();
    if !crate::event_log_check::ends(&kill_run.test_env, &task.sid).await {
        problems.push("it never ended".to_owned());
    }
    println!("journalled: {}", journalled(&kill_run, &task));
    let folder = kill_run.test_env.objects();
    problems.extend(tokio::task::spawn_blocking(move || check(&folder, &task, stop, causes)).await.unwrap());
    problems
}

/// The stalls that the journal has, in milliseconds from the recording's start.
fn journalled(kill_run: &KillRun, task: &Task) -> String {
    let mut files: Vec<_> =
        std::fs::read_dir(kill_run.test_env.data.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some());
    files.sort();
    let records = files.iter().flat_map(|file| Reader::open(file).unwrap().map_while(Result::ok));
    let stalls = records.filter_map(|record| match record {
        Record::Input { sid, input: TimedInput { at, input: Input::Stalled { from, cause } } }
            if sid.as_str() == task.sid =>
        {
            Some(format!("{cause:?} {}-{}", from.as_ms(), at.as_ms()))
        }
        _ => None,
    });
    stalls.collect::<Vec<_>>().join(", ")
}

/// Readiness and starts say why there are no new recordings, and it is over by itself.
async fn refuses_for_a_while(kill_run: &KillRun, causes: &[&str]) {
    let (status, answer) = kill_run.rest.get("/readyz").await.expect("the worker answers");
    let named = |code: &Value| causes.iter().any(|cause| code == cause);
    assert!(status == 503 && named(&answer["reasons"][0]["code"]), "{answer}");
    let body = json!({ "cname": "another room", "uid": "1", "clientRequest": {} });
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let (status, answer) = kill_run.rest.post(&path, &body).await.expect("the worker answers");
    assert!(status == 503 && named(&answer["fault"]), "{answer}");
    let ready = async {
        while kill_run.rest.get("/readyz").await.is_none_or(|(status, _)| status != 200) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, ready).await.expect("it never gets ready again");
}

async fn until_recording(kill_run: &KillRun) {
    let recording = async {
        loop {
            let (status, answer) = kill_run.rest.query(&kill_run.recordings[0].task).await.expect("the worker answers");
            assert_eq!(status, 200, "{answer}");
            if answer["state"] == "recording" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, recording).await.expect("the bot never comes back");
}

/// A gap of the ledger in wall time.
type Gap = (Span, String);

fn check(folder: &Path, task: &Task, stop: Span, causes: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let stem = format!("{}_{}", task.sid, task.room);
    let manifest = std::fs::read(folder.join(format!("{stem}_manifest.json"))).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let start = manifest["startMs"].as_u64().unwrap();
    let mix = Sound::decode(&folder.join(format!("{stem}.m3u8")), start, true).unwrap();
    for voice in TALKERS {
        let entries = manifest["ledger"]["uids"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["uid"] == voice.uid()).unwrap();
        let wall = |ticks: &Value| start + ticks.as_u64().unwrap() / 48;
        let gaps = entry["gaps"].as_array().unwrap().iter();
        let gaps: Vec<Gap> = gaps
            .map(|gap| ((wall(&gap["from"]), wall(&gap["to"])), gap["cause"].as_str().unwrap().to_owned()))
            .collect();
        let alone = folder.join(format!("{stem}__uid_s_{}__uid_e_audio.m3u8", voice.uid()));
        let alone = Sound::decode(&alone, start, false).unwrap();
        let starved = causes.len() > 1;
        for (name, sound) in [("alone", &alone), ("in the mix", &mix)].into_iter().take(if starved { 1 } else { 2 }) {
            let silences = sound.silences(voice);
            problems.extend(weigh(stop, causes, &silences, &gaps).map(|wrong| format!("{voice:?} {name}: {wrong}")));
        }
        let silent: u64 = within(&alone.silences(voice), stop).iter().map(|(from, to)| to - from).sum();
        let stalled: u64 = of(&gaps, causes).map(|(from, to)| to - from).sum();
        let missing = entry["missingMs"].as_u64().unwrap();
        println!("{voice:?}: stopped for {} ms, worker_stalled {stalled} ms, missing {missing} ms", stop.1 - stop.0);
        // How much of it the sockets' buffers keep is the kernel's to say.
        if stalled + EDGE_MS < silent || stalled > stop.1 - stop.0 + EDGE_MS || missing < stalled.min(silent) {
            let relative: Vec<_> = gaps.iter().map(|((from, to), cause)| (from - start, to - start, cause)).collect();
            problems.push(format!("{voice:?}: {missing} ms missing, {stalled} of them worker_stalled: {relative:?}"));
        }
        if silent > EDGE_MS && manifest["verdict"] != "partial" {
            problems.push(format!("{voice:?}: {silent} ms are silent and the verdict is {}", manifest["verdict"]));
        }
        if silent == 0 && stop.1 - stop.0 > LONG_MS {
            problems.push(format!("{voice:?}: nothing is silent, the test is void"));
        }
        let blamed = of(&gaps, &["sender_stall"]).filter(|(from, to)| to - from > BLINK_MS);
        for (from, to) in blamed.filter(|(from, to)| *from < stop.1 && stop.0 < *to) {
            problems.push(format!("{voice:?}: the sender is blamed from {} to {} ms", from - start, to - start));
        }
    }
    problems
}

fn of<'a>(gaps: &'a [Gap], causes: &'a [&str]) -> impl Iterator<Item = Span> + 'a {
    gaps.iter().filter(move |(_, named)| causes.contains(&named.as_str())).map(|(span, _)| *span)
}

/// What is silent while the worker stands still is called that.
fn weigh(stop: Span, causes: &[&str], silences: &[Span], gaps: &[Gap]) -> impl Iterator<Item = String> {
    let mut named: Vec<Span> = Vec::new();
    for (from, to) in of(gaps, causes) {
        match named.last_mut().filter(|last| from <= last.1 + BLINK_MS) {
            Some(last) => last.1 = to,
            None => named.push((from, to)),
        }
    }
    within(silences, stop).into_iter().filter_map(move |(from, to)| {
        let covered = named.iter().any(|gap| gap.0 <= from + BLINK_MS && to <= gap.1 + BLINK_MS);
        (!covered)
            .then(|| format!("silent {} ms after the stop for {} ms, not worker_stalled", from - stop.0, to - from))
    })
}

/// What is silent while the worker stands still.
fn within(silences: &[Span], stop: Span) -> Vec<Span> {
    let within = silences.iter().map(|(from, to)| ((*from).max(stop.0), (*to).min(stop.1)));
    within.filter(|(from, to)| to.saturating_sub(*from) > BLINK_MS).collect()
}
