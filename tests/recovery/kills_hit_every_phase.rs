//! `kill -9` where it hurts: while a recording starts, while its bucket is dead, while a run still recovers from the kill before,
//! while the end is uploaded, right after a stop was answered.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::HANG_LIMIT;
use crate::crowd::Crowd;
use crate::figures::Figures;
use crate::place::Place;
use crate::rest::{Rest, Task};
use crate::seed;
use crate::stage::{RECORDER, Recording, Stage};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The caller does what callers do: it sends the same start again until it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_recording_starts() {
    let mut random = StdRng::seed_from_u64(seed("while a recording starts"));
    for _ in 0..3 {
        let place = Place::new().await;
        let room = "room0".to_owned();
        let crowd = Crowd::join(&place, std::slice::from_ref(&room)).await;
        let rest = Rest::new(&place.door);
        let worker = place.ready_worker().await;
        let resource = rest.acquire(&room, RECORDER).await.unwrap();
        let killed_after = ms(random.random_range(0..250));
        let first = async { rest.start(&resource, &room, RECORDER).await };
        let first = tokio::join!(first, async {
            sleep(killed_after).await;
            drop(worker);
        })
        .0;
        let worker = place.ready_worker().await;
        let task = started_at_last(&rest, &resource, &room).await;
        if let Some((200, answer)) = first {
            assert_eq!(answer["sid"], task.sid.as_str(), "killed after {killed_after:?}: an answered start is kept");
        }
        let recording = Recording::new(&place, task);
        sleep(ms(2_500)).await;
        let stage = Stage::of(place, crowd, worker, vec![recording]);
        finish(stage).await;
    }
}

/// Sends the same start until it is answered with a recording.
async fn started_at_last(rest: &Rest, resource: &str, room: &str) -> Task {
    let started = async {
        loop {
            match rest.start(resource, room, RECORDER).await {
                Some((200 | 201, answer)) => return answer["sid"].as_str().unwrap().to_owned(),
                Some((status @ (400..500), answer)) => panic!("the same start again: {status} {answer}"),
                _ => sleep(ms(50)).await,
            }
        }
    };
    let sid = tokio::time::timeout(HANG_LIMIT, started).await.expect("a start is answered at last");
    Task { room: room.into(), uid: RECORDER.into(), resource: resource.into(), sid, mode: "mix" }
}

/// The bucket is dead before, during and after; it comes back while nobody looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_bucket_is_dead() {
    let mut stage = Stage::open(1).await;
    sleep(ms(2_500)).await;
    stage.place.gate.shut();
    sleep(ms(3_000)).await;
    stage.crash().await;
    sleep(ms(2_500)).await;
    stage.crash().await;
    sleep(ms(1_000)).await;
    stage.place.gate.open();
    sleep(ms(2_500)).await;
    finish(stage).await;
}

/// Two kills within a second: the second hits a run that has not got over the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_recovery() {
    let mut random = StdRng::seed_from_u64(seed("during recovery"));
    let mut stage = Stage::open(1).await;
    sleep(ms(3_000)).await;
    for _ in 0..3 {
        stage.kill();
        stage.start();
        sleep(ms(random.random_range(0..120))).await;
        stage.crash().await;
        sleep(ms(random.random_range(0..400))).await;
        stage.crash().await;
        sleep(ms(2_500)).await;
    }
    finish(stage).await;
}

/// The recording has ended, its last objects are on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_end_is_uploaded() {
    let mut random = StdRng::seed_from_u64(seed("while the end is uploaded"));
    for round in 0..4 {
        let mut stage = Stage::open(1).await;
        sleep(ms(2_500)).await;
        if round == 0 {
            stage.place.gate.shut();
        }
        stage.stop().await;
        sleep(ms(random.random_range(0..300))).await;
        stage.crash().await;
        if round == 0 {
            sleep(ms(1_500)).await;
            stage.crash().await;
            stage.place.gate.open();
        }
        stage.judge().await;
    }
}

/// An answered stop is a promise: the recording ends, and nobody has to ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_after_a_stop_was_answered() {
    for _ in 0..3 {
        let mut stage = Stage::open(1).await;
        sleep(ms(2_500)).await;
        stage.stop().await;
        stage.crash().await;
        stage.judge().await;
    }
}

/// A stop that comes while the worker still recovers is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_during_recovery_is_taken() {
    let mut stage = Stage::open(2).await;
    sleep(ms(4_000)).await;
    stage.crash().await;
    finish(stage).await;
}

async fn finish(mut stage: Stage) -> Figures {
    stage.stop().await;
    stage.judge().await
}
