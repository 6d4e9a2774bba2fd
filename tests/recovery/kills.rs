//! `kill -9` at random instants, again and again: recordings go on under their sid, in their playlists, at their place in time;
//! what a kill costs is a second of sound before it and the time until the next run is back, and nothing else.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checks::{Allowance, assert_right};
use crate::figures::Figures;
use crate::kill_run::KillRun;
use crate::seed;

/// Recordings of one worker.
const ROOMS: usize = 2;
/// Kills of one worker before its recordings are stopped and judged.
const KILLS: usize = 10;
/// Invariant 5, in milliseconds.
const A_SECOND: u64 = 1_000;
/// Sound that is recorded before the first kill and after the last one.
const QUIET: Duration = Duration::from_millis(2_500);

/// What the harness says of a worker that nothing happens to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_nothing_is_missing() {
    let mut kill_run = KillRun::open(ROOMS).await;
    tokio::time::sleep(2 * QUIET).await;
    kill_run.stop().await;
    kill_run.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_times() {
    let seed = seed("kills");
    let mut figures = Figures::default();
    for round in 0..2 {
        figures.add(killed_often(seed + round, KILLS).await.check().await);
    }
    figures.print("kill -9 at random instants");
    assert!(figures.usual_cost() <= A_SECOND, "a kill usually costs {} ms of sound", figures.usual_cost());
}

/// For `make faults`: as many kills as `RECOVERY_KILLS` says, of two workers at a time. Goes on after a failure, to the last kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour; make faults runs it"]
async fn five_hundred_times() {
    let kills = std::env::var("RECOVERY_KILLS").map_or(500, |count| count.parse().expect("RECOVERY_KILLS is a number"));
    let seed = seed("kills");
    let (mut figures, mut problems) = (Figures::default(), Vec::new());
    for round in (0..).step_by(2) {
        if figures.kills >= kills {
            break;
        }
        let left = (kills - figures.kills).div_ceil(2).min(KILLS);
        let weighed = async |seed: u64| killed_often(seed, left).await.weigh(Allowance::default()).await;
        let (one, other) = tokio::join!(weighed(seed + round), weighed(seed + round + 1));
        for (number, (wrong, cost)) in [one, other].into_iter().enumerate() {
            wrong.iter().for_each(|wrong| println!("seed {}: {wrong}", seed + round + number as u64));
            problems.extend(wrong);
            figures.add(cost);
        }
        println!("{} of {kills} kills, {} problems", figures.kills, problems.len());
    }
    figures.print("kill -9 at random instants");
    assert_right(&problems);
}

/// One worker, killed so often; its recordings are stopped.
async fn killed_often(seed: u64, kills: usize) -> KillRun {
    let mut random = StdRng::seed_from_u64(seed);
    let mut kill_run = KillRun::open(ROOMS).await;
    tokio::time::sleep(QUIET).await;
    for _ in 1..kills {
        kill_run.kill();
        kill_run.start();
        match random.random_range(0..10) {
            // Before it answers.
            0 => tokio::time::sleep(ms(&mut random, 0, 150)).await,
            // While it reads its journal and joins its rooms.
            1 | 2 => {
                kill_run.ready().await;
                tokio::time::sleep(ms(&mut random, 0, 500)).await;
            }
            _ => {
                kill_run.ready().await;
                tokio::time::sleep(ms(&mut random, 500, 4_000)).await;
            }
        }
    }
    kill_run.crash().await;
    tokio::time::sleep(QUIET).await;
    kill_run.stop().await;
    kill_run
}

fn ms(random: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.random_range(from..to))
}
