//! What the journal costs: `cargo bench --bench journal`. About half a minute; prints three tables.
//!
//! Recordings of three talkers, 50 packets of about 120 bytes a second each, go into a log on the disk of the target folder in real
//! time. Beside it the same inputs go through the core, which mixes them. All CPU times are of this process, kernel included.

mod inputs;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::recording::{Mode, Recorder};
use cloud_recorder::storage::journal::{Record, Stats, Writer};
use cloud_recorder::units::Sid;
use cpu_time::{ProcessTime, ThreadTime};
use inputs::{Inputs, PACKET_TIME, sid};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Recordings at the same time, for each measurement.
const RECORDINGS: [usize; 3] = [1, 10, 100];
/// Real time of each.
const RUN: Duration = Duration::from_secs(5);
/// Seconds of sound that the core is measured with.
const CORE_SECONDS: u32 = 30;
/// Lengths of states, in bytes.
const STATES: [usize; 3] = [100 << 10, 1 << 20, 8 << 20];
/// How much is left for recovery to read: 64 MiB.
const LEFT: u64 = 64 << 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let inputs = Inputs::new()?;
    println!("three talkers a recording, packets of {:.0} B on average\n", inputs.mean_bytes());
    let (mixed, individual) = (core(&inputs, Mode::Mix)?, core(&inputs, Mode::Individual)?);
    writing(&inputs, mixed).await?;
    println!("core, CPU ms for a second of a recording: {mixed:.2} mixed, {individual:.2} individual tracks\n");
    checkpoints().await?;
    recovery(&inputs).await
}

/// CPU milliseconds of the core for a second of a recording.
fn core(inputs: &Inputs, mode: Mode) -> anyhow::Result<f64> {
    let mut recorder = Recorder::new(inputs.spec(0, mode)?);
    let all = inputs.all(CORE_SECONDS)?;
    let begin = ThreadTime::now();
    for input in all {
        recorder.push(input);
        while recorder.poll().is_some() {}
    }
    Ok(millis(begin.elapsed()) / f64::from(CORE_SECONDS))
}

async fn writing(inputs: &Inputs, core: f64) -> anyhow::Result<()> {
    println!("recordings | journal kB/s | fsyncs/s | dropped | CPU ms a recording second | share of the mixing core");
    for count in RECORDINGS {
        let (stats, cpu) = in_real_time(inputs, count).await?;
        let seconds = RUN.as_secs_f64();
        let each = cpu / (seconds * count as f64);
        println!(
            "{count:>10} | {:>12.1} | {:>8.1} | {:>7} | {each:>25.3} | {:>22.1} %",
            stats.bytes as f64 / seconds / 1000.0,
            stats.fsyncs as f64 / seconds,
            stats.dropped,
            each / core * 100.0,
        );
    }
    println!();
    Ok(())
}

/// Journals this many recordings; what the log says it cost, and CPU milliseconds.
async fn in_real_time(inputs: &Inputs, count: usize) -> anyhow::Result<(Stats, f64)> {
    let dir = folder()?;
    let writer = Writer::open(dir.path())?;
    for number in 0..count {
        begin(inputs, &writer, number)?;
    }
    writer.flush().await?;
    let (sids, before) = ((0..count).map(sid).collect::<Vec<_>>(), writer.stats());
    let (cpu, begin) = (ProcessTime::now(), Instant::now());
    let mut ticks = interval(PACKET_TIME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for frame in 0.. {
        if ticks.tick().await >= begin + RUN {
            break;
        }
        for sid in &sids {
            for input in inputs.frame(frame) {
                // What does not fit is counted.
                let _ = writer.append(&Record::Input { sid: sid.clone(), input });
            }
        }
    }
    writer.flush().await?;
    let (cpu, after) = (millis(cpu.elapsed()), writer.stats());
    Ok((Stats { bytes: after.bytes - before.bytes, fsyncs: after.fsyncs - before.fsyncs, ..after }, cpu))
}

async fn checkpoints() -> anyhow::Result<()> {
    println!("checkpoint kB | append ms (CPU) | durable after ms");
    for length in STATES {
        let dir = folder()?;
        let writer = Writer::open(dir.path())?;
        let inputs = Inputs::silent();
        begin(&inputs, &writer, 0)?;
        writer.flush().await?;
        let record = Record::Checkpoint { sid: sid(0), state: Bytes::from(vec![0x5a; length]) };
        let (cpu, start) = (ThreadTime::now(), Instant::now());
        writer.append(&record)?;
        let appended = millis(cpu.elapsed());
        writer.flush().await?;
        let durable = millis(start.elapsed());
        println!("{:>13} | {appended:>15.2} | {durable:>16.1}", length >> 10);
    }
    println!();
    Ok(())
}

async fn recovery(inputs: &Inputs) -> anyhow::Result<()> {
    let dir = folder()?;
    let count = RECORDINGS[2];
    leave(inputs, dir.path(), count).await?;
    let start = Instant::now();
    let writer = Writer::open(dir.path())?;
    let opened = millis(start.elapsed());
    println!("recovery of {} MiB, files: {}", writer.stats().file_bytes >> 20, writer.stats().files);
    println!("open: {opened:.0} ms");
    let all: BTreeSet<Sid> = (0..count).map(sid).collect();
    for (wanted, text) in [(BTreeSet::from([sid(0)]), "one recording"), (all, "all recordings")] {
        let (start, mut records) = (Instant::now(), 0_u64);
        for record in writer.inherited(&wanted) {
            record?;
            records += 1;
        }
        println!("{text}: {:.0} ms, {records} records", millis(start.elapsed()));
    }
    Ok(())
}

/// Writes a log as a run leaves it that was killed.
async fn leave(inputs: &Inputs, dir: &Path, count: usize) -> anyhow::Result<()> {
    let writer = Writer::open(dir)?;
    for number in 0..count {
        begin(inputs, &writer, number)?;
    }
    let sids: Vec<_> = (0..count).map(sid).collect();
    for frame in 0.. {
        for sid in &sids {
            for input in inputs.frame(frame) {
                writer.append(&Record::Input { sid: sid.clone(), input })?;
            }
        }
        if frame % 100 == 0 {
            writer.flush().await?;
            if writer.stats().file_bytes >= LEFT {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Introduces a recording and its talkers.
fn begin(inputs: &Inputs, writer: &Writer, number: usize) -> anyhow::Result<()> {
    writer.append(&Record::Started { spec: inputs.spec(number, Mode::Mix)? })?;
    for input in inputs.arrivals()? {
        writer.append(&Record::Input { sid: sid(number), input })?;
    }
    Ok(())
}

/// On the disk that the project is built on; `/tmp` may be memory.
fn folder() -> anyhow::Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
