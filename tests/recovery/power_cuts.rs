//! The power goes: whatever the worker did not sync is gone, and what it synced is not. A `kill -9` leaves the kernel's cache and
//! proves nothing of that; here the worker's folder is on a disk of its own, of which only what was synced is kept.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::disk::{Disk, skipped};
use crate::figures::Figures;
use crate::kill_run::KillRun;
use crate::seed;
use crate::test_env::{Options, TestEnv};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_goes_at_any_instant() {
    cut_often("power cuts", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; make faults runs it"]
async fn the_power_goes_fifty_times() {
    cut_often("fifty power cuts", 10).await;
}

/// Rounds of five power cuts each.
async fn cut_often(test: &str, rounds: u64) {
    let (seed, mut figures) = (seed(test), Figures::default());
    for round in 0..rounds {
        let Some(disk) = Disk::with_power() else { return skipped(test) };
        figures.add(cut(disk, seed + round).await);
    }
    figures.print(test);
}

async fn cut(mut disk: Disk, seed: u64) -> Figures {
    let mut random = StdRng::seed_from_u64(seed);
    let wishes = Options {
        data: Some(disk.path().join("data")),
        server: "disk_reserve_mib = 16\n".into(),
        ..Options::default()
    };
    let test_env = TestEnv::with(wishes).await;
    let mut kill_run = KillRun::at(test_env, 1).await;
    for round in 0..5 {
        let alive = if round == 0 { 3_000..4_000 } else { 200..4_000 };
        tokio::time::sleep(Duration::from_millis(random.random_range(alive))).await;
        kill_run.worker().freeze().await;
        let cut = disk.cut();
        kill_run.kill();
        disk.back(&cut);
        kill_run.start();
        kill_run.ready().await;
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    kill_run.stop().await;
    kill_run.check().await
}
