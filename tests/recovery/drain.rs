//! SIGTERM under load: new recordings are refused, with a word on when to come again; those that run go on, here or in the next
//! run, and nothing is missing but the time between the two.

use std::time::Duration;

use cloud_recorder::clock;
use tokio::time::sleep;

use crate::checks::Allowance;
use crate::figures::Kill;
use crate::kill_run::{KillRun, RECORDER};
use crate::test_env::{Options, TestEnv};

/// How long the drained worker waits for its recordings.
const DRAIN: Duration = Duration::from_secs(6);
/// What it may need on top to say goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

/// How soon twenty recorders are back in their rooms.
const ALL_BACK_MS: u64 = 5_000;

/// Drains a worker that is recording these rooms with talkers, and as many with nobody in them.
async fn drain(talking: usize, silent: usize) {
    let server = format!("drain_seconds = {}\n", DRAIN.as_secs());
    let test_env = TestEnv::with(Options { server, ..Options::default() }).await;
    let mut kill_run = KillRun::at(test_env, talking).await;
    for room in 0..silent {
        kill_run.rest.record(&format!("silent{room}"), RECORDER).await;
    }
    let resource = kill_run.rest.acquire("late", RECORDER).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    let told = clock::now().0;
    kill_run.worker().terminate();
    sleep(Duration::from_millis(500)).await;
    refuses(&kill_run, &resource).await;

    // A recording that ends while the worker drains ends as it always does.
    let mut first = kill_run.recordings.remove(0);
    first.stop(&kill_run.rest, true).await;
    kill_run.recordings.push(first);
    let status = kill_run.worker().ended(DRAIN + GOODBYE).await.expect("a drained worker ends");
    let gone = clock::now().0;
    assert!(status.success(), "a drain is a good end: {status}");
    assert!(gone - told > 3_000, "recordings go on while the worker drains; it ended after {} ms", gone - told);
    kill_run.kills.0.push(Kill { at: gone, ready: None, held_up: 0 });
    kill_run.start();
    kill_run.ready().await;
    let (status, answer) = kill_run.rest.start(&resource, "late", RECORDER).await.expect("the next run answers");
    assert_eq!(status, 200, "the refused start can be sent again: {answer}");
    sleep(Duration::from_millis(3_000)).await;
    kill_run.stop().await;
    let allowance = Allowance { after: ALL_BACK_MS, ..Allowance::default() };
    kill_run.check_with(allowance).await.print("a drain");
}

/// What a worker says that takes no more recordings.
async fn refuses(kill_run: &KillRun, resource: &str) {
    let (ready, body) = kill_run.rest.get("/readyz").await.expect("a draining worker answers");
    assert_eq!(ready, 503, "/readyz: {body}");
    let (alive, body) = kill_run.rest.get("/livez").await.expect("a draining worker answers");
    assert_eq!(alive, 200, "/livez: {body}");
    let start = kill_run.rest.start_answer(resource, "late", RECORDER).await.expect("a draining worker answers");
    let (status, retry, body) = start;
    assert_eq!(status, 503, "start: {body}");
    let retry: u64 = retry.expect("503 comes with Retry-After").parse().expect("Retry-After is in seconds");
    assert!((1..=3600).contains(&retry), "Retry-After: {retry}");
    assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "a refusal has a reason: {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_twenty_recordings() {
    drain(3, 17).await;
}
