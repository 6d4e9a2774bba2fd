//! A disk that refuses: full, read-only, broken in the middle of a sync, or emptied by somebody. Deterministic: the faults are in the
//! layer below the log.

use proptest::prelude::*;

use super::sick::{Sick, Symptoms, after_a_kill, recovered};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_full_disk_costs_nothing_while_the_buffer_has_room() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits::default());
    writer.append(&started("a")).unwrap();
    packets("a", 0..50).for_each(|record| writer.append(&record).unwrap());
    writer.flush().await.unwrap();
    let synced = after_a_kill(dir.path());
    disk.set(|symptoms| symptoms.room = Some(1_234));
    packets("a", 50..100).for_each(|record| writer.append(&record).unwrap());
    let refused = writer.flush().await.unwrap_err();
    assert!(refused.to_string().contains("no storage space"), "{refused}");
    assert!(writer.trouble().is_some());
    let (records, whole) = after_a_kill(dir.path());
    assert!(whole && records.starts_with(&synced.0) && records.len() < 101, "whole records and a torn tail");
    tokio::time::sleep(Duration::from_secs(600)).await;
    disk.set(|symptoms| symptoms.room = None);
    recovered(&writer).await;
    assert_eq!((writer.trouble(), writer.stats().dropped), (None, 0));
    assert_eq!(after_a_kill(dir.path()), ([vec![started("a")], packets("a", 0..100).collect()].concat(), true));
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_while_the_disk_refuses_and_drops_are_told() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits { buffer_bytes: 10_000, ..Limits::default() });
    writer.append(&started("a")).unwrap();
    writer.flush().await.unwrap();
    disk.set(|symptoms| symptoms.read_only = true);
    let (mut kept, mut dropped) = (vec![started("a")], 0);
    for record in packets("a", 0..2_000) {
        match writer.append(&record) {
            Ok(()) => kept.push(record),
            Err(error) => {
                assert_eq!(error, AppendError::Overload);
                dropped += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((100..130).contains(&kept.len()), "a batch and a buffer of 10 kB hold {}", kept.len());
    assert_eq!(writer.stats().dropped, dropped);
    disk.set(|symptoms| symptoms.read_only = false);
    recovered(&writer).await;
    for record in packets("a", 2_000..2_010) {
        writer.append(&record).unwrap();
        kept.push(record);
    }
    writer.flush().await.unwrap();
    assert_eq!(after_a_kill(dir.path()), (kept, true), "what was taken is there, in order");
    assert!(writer.checkpoint_due(&spec("a").sid), "and the rest can be made good");
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_fails_leaves_no_damage_in_the_middle() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits::default());
    let mut kept = vec![started("a")];
    writer.append(&started("a")).unwrap();
    for round in 0..10u16 {
        for record in packets("a", round * 10..round * 10 + 10) {
            writer.append(&record).unwrap();
            kept.push(record);
        }
        let before = after_a_kill(dir.path()).0;
        disk.set(|symptoms| symptoms.bad_syncs = u32::from(round % 3));
        if writer.flush().await.is_err() {
            let (records, _) = after_a_kill(dir.path());
            assert!(records.starts_with(&before), "what was synced before is there while the disk is sick");
        }
        recovered(&writer).await;
        assert_eq!(after_a_kill(dir.path()), (kept.clone(), true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_not_synced_lets_go_of_nothing() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits { file_bytes: 2_000, ..Limits::default() });
    writer.append(&started("a")).unwrap();
    for chunk in 0..4 {
        packets("a", chunk * 20..chunk * 20 + 20).for_each(|record| writer.append(&record).unwrap());
        writer.flush().await.unwrap();
    }
    let before = (after_a_kill(dir.path()), file_count(dir.path()));
    disk.set(|symptoms| symptoms.bad_syncs = 5);
    writer.append(&checkpoint("a", &vec![7; 100_000])).unwrap();
    for _ in 0..4 {
        assert!(writer.flush().await.is_err());
        let (records, _) = after_a_kill(dir.path());
        assert_eq!((records, file_count(dir.path())), (before.0.0.clone(), before.1 + 1));
    }
    recovered(&writer).await;
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!((after_a_kill(dir.path()).0.len(), file_count(dir.path())), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_gets_room_when_recordings_end() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits { file_bytes: 5_000, ..Limits::default() });
    writer.append(&started("b")).unwrap();
    packets("b", 0..100).for_each(|record| writer.append(&record).unwrap());
    writer.flush().await.unwrap();
    disk.set(|symptoms| symptoms.room = Some(100));
    writer.append(&started("a")).unwrap();
    packets("a", 0..60).for_each(|record| writer.append(&record).unwrap());
    assert!(writer.flush().await.is_err());
    writer.retire(&spec("b").sid);
    recovered(&writer).await;
    assert_eq!(after_a_kill(dir.path()).0.len(), 61);
    assert_eq!(file_count(dir.path()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_sessions_are_over_is_not_written_when_the_disk_is_back() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits { file_bytes: 1_000, ..Limits::default() });
    disk.set(|symptoms| symptoms.room = Some(0));
    writer.append(&started("a")).unwrap();
    packets("a", 0..20).for_each(|record| writer.append(&record).unwrap());
    assert!(writer.flush().await.is_err());
    writer.retire(&spec("a").sid);
    recovered(&writer).await;
    assert_eq!((file_count(dir.path()), writer.trouble()), (0, None), "it needed no room");
    assert_eq!(writer.stats().files, 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_removed_is_given_up_and_checkpoints_make_it_good() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits::default());
    let sid = spec("a").sid;
    writer.append(&started("a")).unwrap();
    packets("a", 0..10).for_each(|record| writer.append(&record).unwrap());
    writer.flush().await.unwrap();
    fs::remove_file(log::path(dir.path(), 0)).unwrap();
    disk.set(|symptoms| symptoms.bad_syncs = 1);
    packets("a", 10..20).for_each(|record| writer.append(&record).unwrap());
    assert!(writer.flush().await.is_err(), "the sync");
    packets("a", 20..25).for_each(|record| writer.append(&record).unwrap());
    assert!(writer.flush().await.is_err(), "the file is gone");
    assert!(writer.trouble().unwrap().contains("gone"));
    assert_eq!(writer.stats().dropped, 15);
    writer.flush().await.unwrap();
    assert!(writer.checkpoint_due(&sid));
    writer.append(&checkpoint("a", b"all twenty-five")).unwrap();
    writer.append(&input("a", 96_000, Input::ChannelUp)).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(writer.trouble(), None);
    let expected = vec![checkpoint("a", b"all twenty-five"), input("a", 96_000, Input::ChannelUp)];
    assert_eq!(after_a_kill(dir.path()), (expected, true));
}

#[tokio::test(start_paused = true)]
async fn a_file_on_a_bad_place_is_given_up_and_keeps_what_it_holds() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits::default());
    writer.append(&started("a")).unwrap();
    packets("a", 0..10).for_each(|record| writer.append(&record).unwrap());
    writer.flush().await.unwrap();
    let synced = after_a_kill(dir.path()).0;
    disk.set(|symptoms| symptoms.bad_file = Some(log::path(dir.path(), 0)));
    packets("a", 10..20).for_each(|record| writer.append(&record).unwrap());
    for _ in 0..3 {
        assert!(writer.flush().await.is_err());
    }
    writer.flush().await.unwrap();
    assert_eq!(writer.stats().dropped, 10);
    assert!(writer.checkpoint_due(&spec("a").sid), "in a new file, which makes good what was lost");
    assert!(after_a_kill(dir.path()).0.starts_with(&synced));
    writer.append(&checkpoint("a", b"all twenty")).unwrap();
    packets("a", 20..22).for_each(|record| writer.append(&record).unwrap());
    writer.flush().await.unwrap();
    assert_eq!(writer.trouble(), None);
    let expected = [vec![checkpoint("a", b"all twenty")], packets("a", 20..22).collect()].concat();
    assert_eq!(after_a_kill(dir.path()), (expected, true));
}

#[tokio::test(start_paused = true)]
async fn files_that_cant_be_removed_are_removed_later() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
    let writer = disk.open(dir.path(), Limits::default());
    writer.append(&started("a")).unwrap();
    writer.flush().await.unwrap();
    disk.set(|symptoms| symptoms.read_only = true);
    writer.retire(&spec("a").sid);
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!((file_count(dir.path()), writer.trouble()), (1, None), "no recording is harmed by that");
    disk.set(|symptoms| symptoms.read_only = false);
    writer.append(&started("b")).unwrap();
    writer.flush().await.unwrap();
    assert_eq!((file_count(dir.path()), writer.stats().files), (1, 1));
}

/// What happens next to the log.
#[derive(Clone, Debug)]
enum Step {
    Say(u16),
    Flush,
    Checkpoint,
    Full(u64),
    BadSyncs(u32),
    ReadOnly,
    Well,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u16..40).prop_map(Step::Say),
        4 => Just(Step::Flush),
        1 => Just(Step::Checkpoint),
        1 => (0u64..3_000).prop_map(Step::Full),
        1 => (1u32..4).prop_map(Step::BadSyncs),
        1 => Just(Step::ReadOnly),
        2 => Just(Step::Well),
    ]
}

/// The log and what must be in it.
struct Story {
    disk: Sick,
    writer: Writer,
    /// What was taken since the last checkpoint that was taken, that first.
    taken: Vec<Record>,
    /// What was acknowledged as synced.
    synced: Vec<Record>,
    said: u16,
}

impl Story {
    fn append(&mut self, record: Record) {
        match self.writer.append(&record) {
            Ok(()) if matches!(record, Record::Checkpoint { .. }) => self.taken = vec![record],
            Ok(()) => self.taken.push(record),
            Err(error) => assert_eq!(error, AppendError::Overload),
        }
    }

    async fn tell(&mut self, dir: &Path, step: Step) {
        match step {
            Step::Say(count) => {
                for record in packets("a", self.said..self.said + count) {
                    self.append(record);
                }
                self.said += count;
            }
            Step::Checkpoint => self.append(checkpoint("a", &self.said.to_le_bytes().repeat(35_000))),
            Step::Full(room) => self.disk.set(|symptoms| symptoms.room = Some(room)),
            Step::BadSyncs(count) => self.disk.set(|symptoms| symptoms.bad_syncs = count),
            Step::ReadOnly => self.disk.set(|symptoms| symptoms.read_only = true),
            Step::Well => self.disk.set(|symptoms| *symptoms = Symptoms::default()),
            Step::Flush => {
                let flushed = self.writer.flush().await;
                let (records, whole) = after_a_kill(dir);
                if flushed.is_ok() {
                    assert_eq!((&records, whole), (&self.taken, true));
                    self.synced = records;
                } else {
                    // What is not synced may be there as well, a checkpoint that stands for all before it too.
                    let more = !records.is_empty() && self.taken.starts_with(&records);
                    assert!(records.starts_with(&self.synced) || more);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_read_whatever_the_disk_does(steps in prop::collection::vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (dir, disk) = (tempfile::tempdir().unwrap(), Sick::default());
            let writer = disk.open(dir.path(), Limits { buffer_bytes: 20_000, file_bytes: 8_000, ..Limits::default() });
            let mut story = Story { disk, writer, taken: Vec::new(), synced: Vec::new(), said: 0 };
            story.append(started("a"));
            for step in steps {
                story.tell(dir.path(), step).await;
            }
            story.tell(dir.path(), Step::Well).await;
            recovered(&story.writer).await;
            story.tell(dir.path(), Step::Flush).await;
        });
    }
}
