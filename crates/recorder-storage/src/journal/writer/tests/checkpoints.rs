//! Checkpoints let go of files, and only of files that are needed no more.

use super::sick::after_a_kill;
use super::*;
use crate::journal::checkpoint::MAX_DOUBLED_BYTES;

const SMALL: Limits = Limits { buffer_bytes: 1 << 20, file_bytes: 5_000, group_time: GROUP_TIME };

fn numbers(dir: &Path) -> Vec<u64> {
    log::files(dir).unwrap().into_iter().map(|file| file.number).collect()
}

/// Twenty packets; three times this ends a file.
async fn talk(writer: &Writer, digit: &str, chunk: u16) {
    for record in packets(digit, chunk * 20..chunk * 20 + 20) {
        writer.append(&record).unwrap();
    }
    writer.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_go_while_long_recordings_run() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    let sid = spec("a").sid;
    writer.append(&started("a")).unwrap();
    let (mut checkpoints, mut most) = (0, 0);
    for chunk in 0..200 {
        talk(&writer, "a", chunk).await;
        if writer.checkpoint_due(&sid) {
            writer.append(&checkpoint("a", &chunk.to_le_bytes())).unwrap();
            checkpoints += 1;
            assert!(!writer.checkpoint_due(&sid), "once a file");
        }
        most = most.max(numbers(dir.path()).len());
    }
    assert!((50..=100).contains(&checkpoints), "{checkpoints}");
    assert!(most <= 3, "{most} files");
    let stats = writer.stats();
    assert_eq!(stats.files, numbers(dir.path()).len() as u64);
    assert!(stats.file_bytes < 20_000 && stats.bytes > 400_000, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_lets_go_of_its_own_sessions_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    writer.append(&started("b")).unwrap();
    for chunk in 0..9 {
        if chunk == 3 {
            writer.append(&started("a")).unwrap();
        }
        talk(&writer, if chunk < 3 { "b" } else { "a" }, chunk).await;
    }
    assert_eq!(numbers(dir.path()), [0, 1, 2], "b is in the first, a in the others");
    writer.append(&checkpoint("a", b"state")).unwrap();
    writer.flush().await.unwrap();
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(numbers(dir.path()), [0, 3], "b never checkpoints and keeps its file");
    writer.append(&checkpoint("b", b"state")).unwrap();
    writer.flush().await.unwrap();
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(numbers(dir.path()), [3]);
}

#[tokio::test(start_paused = true)]
async fn checkpoints_never_cost_more_than_the_inputs_do() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    let (digits, state) = (["a", "b", "c", "d"], vec![1; 10_000]);
    digits.iter().for_each(|digit| writer.append(&started(digit)).unwrap());
    let mut checkpoint_bytes = 0;
    for chunk in 0..200 {
        for digit in digits {
            talk(&writer, digit, chunk).await;
            if writer.checkpoint_due(&spec(digit).sid) {
                writer.append(&checkpoint(digit, &state)).unwrap();
                checkpoint_bytes += state.len() as u64;
            }
        }
    }
    writer.flush().await.unwrap();
    assert!(checkpoint_bytes > 500_000, "{checkpoint_bytes}");
    assert!(checkpoint_bytes * 2 < writer.stats().bytes + 50_000, "{checkpoint_bytes} of {:?}", writer.stats());
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_due_at_once_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), Limits { file_bytes: 5_000, ..Limits::default() }).unwrap();
    for digit in ["a", "b", "c"] {
        writer.append(&started(digit)).unwrap();
    }
    talk(&writer, "a", 0).await;
    talk(&writer, "a", 1).await;
    talk(&writer, "a", 2).await;
    let due = || ["a", "b", "c"].map(|digit| writer.checkpoint_due(&spec(digit).sid));
    assert_eq!(due(), [true, true, true]);
    writer.append(&checkpoint("a", &vec![1; 3 << 19])).unwrap();
    assert_eq!(due(), [false, true, true], "there is room for more");
    writer.append(&checkpoint("b", &vec![1; 3 << 19])).unwrap();
    assert_eq!(due(), [false, false, false], "c waits");
    writer.flush().await.unwrap();
    assert_eq!(due(), [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_healed_by_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), Limits { buffer_bytes: 4_000, ..SMALL }).unwrap();
    let due = |digit: &str| writer.checkpoint_due(&spec(digit).sid);
    writer.append(&started("a")).unwrap();
    assert!(!due("a"));
    while writer.append(&input("a", 0, packet(0, None, &[1; 80]))).is_ok() {}
    assert_eq!(writer.append(&started("b")), Err(AppendError::Overload));
    assert!(!due("a"), "the disk does not keep up: a checkpoint would be refused as well");
    assert_eq!(writer.append(&checkpoint("a", b"state")), Err(AppendError::Overload));
    assert_eq!(writer.stats().dropped, 2, "a refused checkpoint loses nothing");
    writer.flush().await.unwrap();
    for digit in ["a", "b"] {
        assert!(due(digit));
        writer.append(&checkpoint(digit, b"state")).unwrap();
        writer.append(&input(digit, 960, Input::ChannelUp)).unwrap();
        assert!(!due(digit));
    }
    writer.flush().await.unwrap();
    drop(writer);
    let writer = Writer::open(dir.path()).unwrap();
    let both = ["a", "b"].map(|digit| spec(digit).sid);
    let records: Vec<_> = writer.inherited(&both.into()).map(Result::unwrap).collect();
    let of = |digit| [checkpoint(digit, b"state"), input(digit, 960, Input::ChannelUp)];
    assert_eq!(records, [of("a"), of("b")].concat());
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_above_the_limit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    writer.append(&started("a")).unwrap();
    for chunk in 0..3 {
        talk(&writer, "a", chunk).await;
    }
    let refused = writer.append(&checkpoint("a", &vec![0; MAX_CHECKPOINT_BYTES + 1]));
    assert!(matches!(refused, Err(AppendError::Encode(EncodeError::CheckpointTooLong { .. }))));
    writer.flush().await.unwrap();
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(numbers(dir.path())[0], 0, "the files are still needed");
    assert!(writer.checkpoint_due(&spec("a").sid));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_written_once_lets_go_of_what_the_one_before_it_let_go_of() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    writer.append(&started("a")).unwrap();
    let mut begun = Vec::new();
    for chunk in 1..=3u8 {
        let state = vec![chunk; MAX_DOUBLED_BYTES + 1];
        // It is longer than the whole buffer, and inputs go on to be taken.
        writer.append(&checkpoint("a", &state)).unwrap();
        writer.append(&input("a", 48_000 * 60 * u64::from(chunk), packet(0, None, &[0]))).unwrap();
        writer.flush().await.unwrap();
        begun.extend(numbers(dir.path()).last().copied());
        // A file ends when it holds as many bytes of inputs as of checkpoints.
        let payload = vec![0; 60_000];
        for number in 0..(MAX_DOUBLED_BYTES / payload.len()) as u64 + 2 {
            let at = 48_000 * 60 * u64::from(chunk) + number;
            writer.append(&input("a", at, packet(number as u16, None, &payload))).unwrap();
            writer.flush().await.unwrap();
        }
    }
    assert_eq!(numbers(dir.path())[0], begun[1], "with the checkpoint before the last one");
    let chunk_of = |records: &[Record]| match &records[0] {
        Record::Checkpoint { state, .. } => (state[0], records.len()),
        other => panic!("{other:?}"),
    };
    drop(writer);
    let (last, after_last) = chunk_of(&after_a_kill(dir.path()).0);
    assert_eq!(last, 3);
    let path = log::path(dir.path(), begun[2]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (last, after_the_one_before) = chunk_of(&after_a_kill(dir.path()).0);
    assert_eq!((last, after_the_one_before > 2 * after_last - 5), (2, true), "and all that followed");
}
