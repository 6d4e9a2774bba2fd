//! What the REST API costs: `cargo bench --bench rest`. About a minute; prints two tables.
//!
//! The built worker serves with everything embedded: store and spool on the disk of the target folder, the embedded bucket, the embedded
//! channel server. A caller on the same machine starts recordings of idle channels and stops them, over connections that it keeps: acquire,
//! start (which proves the bucket with a PUT and a DELETE, and waits until the bot is in the channel), query, stop (which waits for the
//! bot to leave and for the log and the manifest to be in the bucket). Beside it, in the same run and on the same port, `GET /livez`:
//! what HTTP alone costs here.

mod caller;
mod worker;

use std::time::Duration;

use caller::{Caller, Times};
use tokio::task::JoinSet;
use tokio::time::Instant;
use worker::Worker;

/// Callers at the same time, for each measurement.
const CALLERS: [usize; 3] = [1, 8, 32];
/// How long each measurement takes.
const RUN: Duration = Duration::from_secs(10);
/// How long what is not measured yet runs, so that connections stand and files exist.
const WARM_UP: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let worker = Worker::serve().await?;
    println!("callers | GET /livez a second | p50 ms | p99 ms");
    for callers in CALLERS {
        floor(&worker, callers, WARM_UP).await?;
        let begin = Instant::now();
        let mut times = floor(&worker, callers, RUN).await?;
        let calls = rate(&times, begin);
        let (half, most) = (times.percentile(50), times.percentile(99));
        println!("{callers:>7} | {calls:>19.0} | {half:>6.2} | {most:>6.2}");
    }
    println!("\ncallers | recordings a second | call    | p50 ms | p99 ms");
    for callers in CALLERS {
        cycles(&worker, callers, WARM_UP).await?;
        let begin = Instant::now();
        let mut all = cycles(&worker, callers, RUN).await?;
        let recordings = rate(&all[0].1, begin);
        for (name, times) in &mut all {
            let (half, most) = (times.percentile(50), times.percentile(99));
            println!("{callers:>7} | {recordings:>19.1} | {name:<7} | {half:>6.1} | {most:>6.1}");
        }
    }
    worker.stop().await
}

/// `GET /livez`, again and again.
async fn floor(worker: &Worker, callers: usize, run: Duration) -> anyhow::Result<Times> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let caller = Caller::new(worker);
        tasks.spawn(async move {
            let (end, mut times) = (Instant::now() + run, Times::default());
            while Instant::now() < end {
                times.add(caller.livez().await?);
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(times) = tasks.join_next().await {
        all.merge(times??);
    }
    Ok(all)
}

/// Whole recordings, again and again; the times of each call by its name.
async fn cycles(worker: &Worker, callers: usize, run: Duration) -> anyhow::Result<Vec<(&'static str, Times)>> {
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let caller = Caller::new(worker);
        tasks.spawn(async move {
            let (end, mut times) = (Instant::now() + run, <[Times; 4]>::default());
            while Instant::now() < end {
                for (times, took) in times.iter_mut().zip(caller.cycle(number).await?) {
                    times.add(took);
                }
            }
            anyhow::Ok(times)
        });
    }
    let mut all = caller::CALLS.map(|name| (name, Times::default())).to_vec();
    while let Some(times) = tasks.join_next().await {
        for ((_, all), times) in all.iter_mut().zip(times??) {
            all.merge(times);
        }
    }
    Ok(all)
}

/// How many there were in a second; what was under way at the end of a run is waited for.
fn rate(times: &Times, begin: Instant) -> f64 {
    times.count() as f64 / begin.elapsed().as_secs_f64()
}
