//! Group commit, overload, rotation, restart, a disk that refuses.

mod checkpoints;
mod faults;
mod inherited;
mod sick;
mod torn;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::journal::tests::{checkpoint, input, packet, spec};
use crate::journal::{MAX_CHECKPOINT_BYTES, Reader, log, scan};
use recorder_core::recording::Input;
use recorder_core::units::Ticks;

fn started(digit: &str) -> Record {
    Record::Started { spec: spec(digit) }
}

fn packets(digit: &str, numbers: std::ops::Range<u16>) -> impl Iterator<Item = Record> {
    numbers.map(move |number| input(digit, 960 * u64::from(number), packet(number, Some(1), &[7; 80])))
}

fn read(dir: &Path, digit: &str) -> Vec<Record> {
    let files = log::files(dir).unwrap();
    let readers = files.iter().map(|file| Reader::open(&file.path).unwrap().for_session(&spec(digit).sid));
    readers.flatten().map(Result::unwrap).collect()
}

async fn until_empty(writer: &Writer, dir: &Path) {
    let mut synced = writer.0.shared.synced.subscribe();
    while file_count(dir) > 0 {
        synced.changed().await.unwrap();
    }
}

fn file_count(dir: &Path) -> usize {
    log::files(dir).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn many_appends_of_many_sessions_share_one_fsync_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    let mut synced = writer.0.shared.synced.subscribe();
    for digit in ["a", "b", "c"] {
        writer.append(&started(digit)).unwrap();
    }
    let begin = tokio::time::Instant::now();
    for (a, b) in packets("a", 0..500).zip(packets("b", 0..500)) {
        writer.append(&a).unwrap();
        writer.append(&b).unwrap();
    }
    synced.changed().await.unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(1));
    assert_eq!(synced.borrow_and_update().bytes, writer.0.shared.state().appended, "one group took them all");
    assert_eq!(read(dir.path(), "a").len(), 501);
    assert_eq!(read(dir.path(), "b")[1..], packets("b", 0..500).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!synced.has_changed().unwrap(), "nothing is done while nothing comes");
}

#[tokio::test]
async fn a_full_buffer_refuses_counts_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { buffer_bytes: 10_000, ..Limits::default() };
    let writer = Writer::with_limits(dir.path(), limits).unwrap();
    writer.append(&started("a")).unwrap();
    let results: Vec<_> = packets("a", 0..200).map(|record| writer.append(&record)).collect();
    let dropped = results.iter().filter(|result| **result == Err(AppendError::Overload)).count();
    assert!(dropped > 50);
    assert_eq!(writer.stats().dropped, dropped as u64);
    writer.flush().await.unwrap();
    writer.append(&input("a", 960_000, Input::ChannelUp)).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(read(dir.path(), "a").len(), 1 + 200 - dropped + 1);
}

#[tokio::test]
async fn each_file_can_be_read_alone_and_goes_with_its_last_session() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), Limits { file_bytes: 5_000, ..Limits::default() }).unwrap();
    for digit in ["a", "b"] {
        writer.append(&started(digit)).unwrap();
    }
    for chunk in 0..10 {
        for record in packets("a", chunk * 20..chunk * 20 + 20).chain(packets("b", chunk..chunk + 1)) {
            writer.append(&record).unwrap();
        }
        writer.flush().await.unwrap();
    }
    assert!(file_count(dir.path()) > 2);
    for file in log::files(dir.path()).unwrap() {
        assert_eq!(scan::scan(&file.path).sessions.len(), 2);
    }
    let inputs = |records: Vec<Record>| {
        records.into_iter().filter(|record| matches!(record, Record::Input { .. })).collect::<Vec<_>>()
    };
    assert_eq!(inputs(read(dir.path(), "a")), packets("a", 0..200).collect::<Vec<_>>());
    writer.retire(&spec("a").sid);
    writer.flush().await.unwrap();
    assert_eq!(inputs(read(dir.path(), "b")).len(), 10, "the other session keeps the files");
    writer.retire(&spec("b").sid);
    writer.append(&started("c")).unwrap();
    writer.flush().await.unwrap();
    assert!(file_count(dir.path()) <= 2);
    assert_eq!(read(dir.path(), "c").len(), 1);
    writer.retire(&spec("c").sid);
    until_empty(&writer, dir.path()).await;
}

#[tokio::test]
async fn the_next_worker_finds_the_sessions_and_continues_them() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    assert!(matches!(Writer::open(dir.path()), Err(JournalError::InUse)));
    writer.append(&started("a")).unwrap();
    for record in packets("a", 0..10) {
        writer.append(&record).unwrap();
    }
    writer.flush().await.unwrap();
    drop(writer);

    let writer = Writer::open(dir.path()).unwrap();
    writer.append(&input("a", 96_000, Input::WorkerRestarted)).unwrap();
    writer.append(&Record::Finished { sid: spec("a").sid, at: Ticks(96_001) }).unwrap();
    let unknown = writer.append(&input("b", 0, Input::ChannelUp));
    assert_eq!(unknown, Err(AppendError::Encode(EncodeError::NotStarted)));
    writer.flush().await.unwrap();
    let found = read(dir.path(), "a");
    assert_eq!(found.len(), 1 + 10 + 1 + 2, "started, packets, continued, the end");
    assert_eq!(found.last(), Some(&Record::Finished { sid: spec("a").sid, at: Ticks(96_001) }));
    writer.retire(&spec("a").sid);
    until_empty(&writer, dir.path()).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let writer = Writer::open(&logs).unwrap();
    fs::remove_dir_all(&logs).unwrap();
    writer.append(&started("a")).unwrap();
    assert!(matches!(writer.flush().await, Err(JournalError::Io(_))));
    assert!(writer.trouble().is_some());
    fs::create_dir(&logs).unwrap();
    while writer.flush().await.is_err() {}
    assert_eq!((read(&logs, "a").len(), writer.trouble()), (1, None));
}
