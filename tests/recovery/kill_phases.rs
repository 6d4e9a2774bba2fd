//! `kill -9` where it hurts: while a recording starts, while its bucket is dead, while a run still recovers from the kill before,
//! while the end is uploaded, right after a stop was answered.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::HANG_LIMIT;
use crate::figures::Figures;
use crate::kill_run::{KillRun, RECORDER, Recording};
use crate::rest::{Rest, Task};
use crate::seed;
use crate::talkers::Talkers;
use crate::test_env::TestEnv;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The caller does what callers do: it sends the same start again until it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_recording_starts() {
    let mut random = StdRng::seed_from_u64(seed("while a recording starts"));
    for _ in 0..3 {
        let test_env = TestEnv::new().await;
        let room = "room0".to_owned();
        let talkers = Talkers::join(&test_env, std::slice::from_ref(&room)).await;
        let rest = Rest::new(&test_env.door);
        let worker = test_env.ready_worker().await;
        let resource = rest.acquire(&room, RECORDER).await.unwrap();
        let killed_after = ms(random.random_range(0..250));
        let first = async { rest.start(&resource, &room, RECORDER).await };
        let first = tokio::join!(first, async {
            sleep(killed_after).await;
            drop(worker);
        })
        .0;
        let worker = test_env.ready_worker().await;
        let task = started_at_last(&rest, &resource, &room).await;
        if let Some((200, answer)) = first {
            assert_eq!(answer["sid"], task.sid.as_str(), "killed after {killed_after:?}: an answered start is kept");
        }
        let recording = Recording::new(&test_env, task);
        sleep(ms(2_500)).await;
        let kill_run = KillRun::of(test_env, talkers, worker, vec![recording]);
        finish(kill_run).await;
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
    let mut kill_run = KillRun::open(1).await;
    sleep(ms(2_500)).await;
    kill_run.test_env.cutoff_proxy.shut();
    sleep(ms(3_000)).await;
    kill_run.crash().await;
    sleep(ms(2_500)).await;
    kill_run.crash().await;
    sleep(ms(1_000)).await;
    kill_run.test_env.cutoff_proxy.open();
    sleep(ms(2_500)).await;
    finish(kill_run).await;
}

/// Two kills within a second: the second hits a run that has not got over the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_recovery() {
    let mut random = StdRng::seed_from_u64(seed("during recovery"));
    let mut kill_run = KillRun::open(1).await;
    sleep(ms(3_000)).await;
    for _ in 0..3 {
        kill_run.kill();
        kill_run.start();
        sleep(ms(random.random_range(0..120))).await;
        kill_run.crash().await;
        sleep(ms(random.random_range(0..400))).await;
        kill_run.crash().await;
        sleep(ms(2_500)).await;
    }
    finish(kill_run).await;
}

/// The recording has ended, its last objects are on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_end_is_uploaded() {
    let mut random = StdRng::seed_from_u64(seed("while the end is uploaded"));
    for round in 0..4 {
        let mut kill_run = KillRun::open(1).await;
        sleep(ms(2_500)).await;
        if round == 0 {
            kill_run.test_env.cutoff_proxy.shut();
        }
        kill_run.stop().await;
        sleep(ms(random.random_range(0..300))).await;
        kill_run.crash().await;
        if round == 0 {
            sleep(ms(1_500)).await;
            kill_run.crash().await;
            kill_run.test_env.cutoff_proxy.open();
        }
        kill_run.check().await;
    }
}

/// An answered stop is a promise: the recording ends, and nobody has to ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_after_a_stop_was_answered() {
    for _ in 0..3 {
        let mut kill_run = KillRun::open(1).await;
        sleep(ms(2_500)).await;
        kill_run.stop().await;
        kill_run.crash().await;
        kill_run.check().await;
    }
}

/// A stop that comes while the worker still recovers is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_during_recovery_is_taken() {
    let mut kill_run = KillRun::open(2).await;
    sleep(ms(4_000)).await;
    kill_run.crash().await;
    finish(kill_run).await;
}

async fn finish(mut kill_run: KillRun) -> Figures {
    kill_run.stop().await;
    kill_run.check().await
}
