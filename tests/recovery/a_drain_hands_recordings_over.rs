//! SIGTERM under load: new recordings are refused, with a word on when to come again; those that run go on, here or in the next
//! run, and nothing is missing but the time between the two.

use std::time::Duration;

use cloud_recorder::clock;
use tokio::time::sleep;

use crate::checks::Allowance;
use crate::figures::Kill;
use crate::place::{Place, Wishes};
use crate::stage::{RECORDER, Stage};

/// How long the drained worker waits for its recordings.
const DRAIN: Duration = Duration::from_secs(6);
/// What it may need on top to say goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

/// How soon twenty recorders are back in their rooms.
const ALL_BACK_MS: u64 = 5_000;

/// Drains a worker that is recording these rooms with talkers, and as many with nobody in them.
async fn drain(talking: usize, silent: usize) {
    let server = format!("drain_seconds = {}\n", DRAIN.as_secs());
    let place = Place::with(Wishes { server, ..Wishes::default() }).await;
    let mut stage = Stage::at(place, talking).await;
    for room in 0..silent {
        stage.rest.record(&format!("silent{room}"), RECORDER).await;
    }
    let resource = stage.rest.acquire("late", RECORDER).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    let told = clock::now().0;
    stage.worker().terminate();
    sleep(Duration::from_millis(500)).await;
    refuses(&stage, &resource).await;

    // A recording that ends while the worker drains ends as it always does.
    let mut first = stage.recordings.remove(0);
    first.stop(&stage.rest, true).await;
    stage.recordings.push(first);
    let status = stage.worker().ended(DRAIN + GOODBYE).await.expect("a drained worker ends");
    let gone = clock::now().0;
    assert!(status.success(), "a drain is a good end: {status}");
    assert!(gone - told > 3_000, "recordings go on while the worker drains; it ended after {} ms", gone - told);
    stage.kills.0.push(Kill { at: gone, ready: None, held_up: 0 });
    stage.start();
    stage.ready().await;
    let (status, answer) = stage.rest.start(&resource, "late", RECORDER).await.expect("the next run answers");
    assert_eq!(status, 200, "the refused start can be sent again: {answer}");
    sleep(Duration::from_millis(3_000)).await;
    stage.stop().await;
    let allowance = Allowance { after: ALL_BACK_MS, ..Allowance::default() };
    stage.judge_with(allowance).await.print("a drain");
}

/// What a worker says that takes no more recordings.
async fn refuses(stage: &Stage, resource: &str) {
    let (ready, body) = stage.rest.get("/readyz").await.expect("a draining worker answers");
    assert_eq!(ready, 503, "/readyz: {body}");
    let (alive, body) = stage.rest.get("/livez").await.expect("a draining worker answers");
    assert_eq!(alive, 200, "/livez: {body}");
    let start = stage.rest.start_answer(resource, "late", RECORDER).await.expect("a draining worker answers");
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
