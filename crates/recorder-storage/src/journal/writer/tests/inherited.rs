//! What a run finds of the runs before it: one pass, one beginning a session, and nothing that is not needed.

use std::collections::BTreeSet;

use super::*;
use crate::journal::HEADER_BYTES;

const SMALL: Limits = Limits { buffer_bytes: 1 << 20, file_bytes: 2_000, group_time: GROUP_TIME };

fn sids(digits: &[&str]) -> BTreeSet<Sid> {
    digits.iter().map(|digit| spec(digit).sid).collect()
}

async fn write(writer: &Writer, records: impl IntoIterator<Item = Record>) {
    for record in records {
        writer.append(&record).unwrap();
    }
    writer.flush().await.unwrap();
}

/// What another run yields of these sessions.
fn inherited(dir: &Path, digits: &[&str]) -> Vec<Record> {
    let writer = Writer::open(dir).unwrap();
    writer.inherited(&sids(digits)).map(Result::unwrap).collect()
}

fn finished(digit: &str, at: u64) -> Record {
    Record::Finished { sid: spec(digit).sid, at: Ticks(at) }
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_its_start_or_its_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    write(&writer, [started("a"), started("b"), started("c")]).await;
    for chunk in 0..6 {
        write(&writer, packets("a", chunk * 10..chunk * 10 + 10)).await;
        write(&writer, packets("b", chunk * 10..chunk * 10 + 10)).await;
        write(&writer, packets("c", chunk * 10..chunk * 10 + 10)).await;
        if chunk == 1 || chunk == 3 {
            write(&writer, [checkpoint("b", &[chunk as u8; 100])]).await;
        }
    }
    write(&writer, [finished("a", 100_000)]).await;
    drop(writer);

    let b = [vec![checkpoint("b", &[3; 100])], packets("b", 40..60).collect()].concat();
    let a = [vec![started("a")], packets("a", 0..60).collect(), vec![finished("a", 100_000)]].concat();
    assert_eq!(inherited(dir.path(), &["b"]), b);
    assert_eq!(inherited(dir.path(), &["a", "d"]), a, "nobody knows d");
    let both = inherited(dir.path(), &["a", "b"]);
    let (of_a, of_b): (Vec<_>, Vec<_>) = both.into_iter().partition(|record| *record.sid() == spec("a").sid);
    assert_eq!((of_a, of_b), (a, b));
}

#[tokio::test(start_paused = true)]
async fn runs_follow_each_other_and_the_running_one_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    write(&writer, [started("a")].into_iter().chain(packets("a", 0..5))).await;
    drop(writer);
    let writer = Writer::open(dir.path()).unwrap();
    write(&writer, packets("a", 5..9)).await;
    drop(writer);

    let writer = Writer::open(dir.path()).unwrap();
    let sid = spec("a").sid;
    assert!(writer.checkpoint_due(&sid), "its start is in an older file");
    write(&writer, packets("a", 9..12)).await;
    let records: Vec<_> = writer.inherited(&sids(&["a"])).map(Result::unwrap).collect();
    assert_eq!(records, [vec![started("a")], packets("a", 0..9).collect()].concat());
    write(&writer, [checkpoint("a", b"state")]).await;
    assert!(!writer.checkpoint_due(&sid));
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(file_count(dir.path()), 1, "what the earlier runs left is needed no more");
    assert_eq!(writer.inherited(&sids(&["a"])).count(), 0);
    drop(writer);
    assert_eq!(inherited(dir.path(), &["a"]), [checkpoint("a", b"state")]);
}

/// A log of session `a`: three files, with packets 0 to 59.
async fn three_files(dir: &Path) -> Vec<Record> {
    let writer = Writer::with_limits(dir, SMALL).unwrap();
    write(&writer, [started("a")]).await;
    for chunk in 0..6 {
        write(&writer, packets("a", chunk * 10..chunk * 10 + 10)).await;
    }
    assert!(file_count(dir) >= 3);
    [vec![started("a")], packets("a", 0..60).collect()].concat()
}

#[tokio::test(start_paused = true)]
async fn any_bit_that_flips_costs_a_record_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_files(dir.path()).await;
    let second = log::path(dir.path(), 1);
    let found = scan::scan(&second);
    assert!(!found.damaged && found.sessions[&spec("a").sid].begun.is_none());
    let bytes = fs::read(&second).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&second, damaged).unwrap();
        let read = inherited(dir.path(), &["a"]);
        let lost = |record: &Record| matches!(record, Record::Input { input, .. } if matches!(input.input, Input::InputsLost { .. }));
        let (told, read): (Vec<_>, Vec<_>) = read.into_iter().partition(lost);
        let missing: Vec<_> = all.iter().filter(|record| !read.contains(record)).collect();
        assert!(missing.len() <= 1 && read.iter().all(|record| all.contains(record)), "byte {at}: {missing:?}");
        // Nothing of a session lies before its introduction.
        assert_eq!(told.len(), usize::from(at >= HEADER_BYTES), "byte {at}: the session may have lost something");
        assert_eq!(read, all.iter().filter(|record| !missing.contains(record)).cloned().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_files_stay_as_long_as_a_session_may_need_them() {
    let dir = tempfile::tempdir().unwrap();
    for digit in ["a", "b"] {
        let writer = Writer::open(dir.path()).unwrap();
        write(&writer, [started(digit)].into_iter().chain(packets(digit, 0..4))).await;
    }
    let second = log::path(dir.path(), 1);
    let mut bytes = fs::read(&second).unwrap();
    let last = bytes.len() - 150;
    bytes[last] ^= 4;
    fs::write(&second, bytes).unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    writer.retain(&sids(&["a"]));
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(file_count(dir.path()), 2, "what is damaged may be a's");
    writer.retire(&spec("a").sid);
    until_empty(&writer, dir.path()).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_description_is_lost_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    write(&writer, [started("a")].into_iter().chain(packets("a", 0..4))).await;
    drop(writer);
    let first = log::path(dir.path(), 0);
    let mut bytes = fs::read(&first).unwrap();
    bytes[30] ^= 4;
    fs::write(&first, bytes).unwrap();
    let lost = input("a", 0, Input::InputsLost { from: Ticks::ZERO });
    let writer = Writer::open(dir.path()).unwrap();
    write(&writer, packets("a", 4..8)).await;
    let records: Vec<_> = writer.inherited(&sids(&["a"])).map(Result::unwrap).collect();
    assert_eq!(records, [vec![lost.clone()], packets("a", 0..4).collect()].concat());
    drop(writer);
    assert_eq!(inherited(dir.path(), &["a"]), [vec![lost], packets("a", 0..8).collect()].concat());
    let writer = Writer::open(dir.path()).unwrap();
    assert!(writer.checkpoint_due(&spec("a").sid));
    write(&writer, [checkpoint("a", b"state")]).await;
    drop(writer);
    assert_eq!(inherited(dir.path(), &["a"]), [checkpoint("a", b"state")]);
}

#[tokio::test(start_paused = true)]
async fn the_last_time_on_both_clocks_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let before = clock::boot_time();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    write(&writer, [started("a"), started("b")].into_iter().chain(packets("a", 0..70))).await;
    write(&writer, [checkpoint("a", b"state")]).await;
    assert_eq!(writer.inherited_clock(&spec("a").sid), None);
    drop(writer);
    let writer = Writer::open(dir.path()).unwrap();
    let clock = writer.inherited_clock(&spec("a").sid).unwrap();
    assert_eq!(clock.ticks, Ticks(960 * 50), "the second one, a second behind the first");
    assert!(clock.time.since(before).is_some() && clock::boot_time().since(clock.time).is_some());
    assert_eq!(writer.inherited_clock(&spec("b").sid), None, "it had no record with a time");
}

#[tokio::test(start_paused = true)]
async fn what_is_over_goes_and_what_cant_be_read_stays() {
    let dir = tempfile::tempdir().unwrap();
    for digit in ["a", "b", "c"] {
        let writer = Writer::open(dir.path()).unwrap();
        write(&writer, [started(digit)]).await;
    }
    let foreign = log::path(dir.path(), 3);
    fs::write(&foreign, b"not a journal at all, but long enough").unwrap();
    fs::write(log::path(dir.path(), 4), b"").unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    write(&writer, [started("d")]).await;
    assert_eq!(file_count(dir.path()), 5, "an empty file goes at once");
    writer.retain(&sids(&["b"]));
    tokio::time::sleep(GROUP_TIME * 2).await;
    let left: Vec<_> = log::files(dir.path()).unwrap().into_iter().map(|file| file.number).collect();
    assert_eq!(left, [1, 3, 5], "b, what nobody understands, and d of this run");
    assert_eq!(writer.inherited(&sids(&["a", "b", "c", "d"])).map(Result::unwrap).collect::<Vec<_>>(), [started("b")]);
    let stats = writer.stats();
    assert_eq!(stats.files, 3);
    let length = |number| fs::metadata(log::path(dir.path(), number)).unwrap().len();
    assert_eq!(stats.file_bytes, length(1) + length(3) + length(5));
}

#[tokio::test(start_paused = true)]
async fn a_newer_programs_log_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut header = crate::journal::frame::header();
    header[8] = 2;
    let crc = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    fs::write(log::path(dir.path(), 0), header).unwrap();
    let refused = Writer::open(dir.path()).unwrap_err();
    assert_eq!(refused.error_class().code, "journal_version");
    assert_eq!(file_count(dir.path()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_the_parts_of_a_checkpoint_goes_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    write(&writer, [started("a"), checkpoint("a", b"first")]).await;
    write(&writer, packets("a", 0..30)).await;
    let before = fs::read(log::path(dir.path(), 0)).unwrap();
    write(&writer, [checkpoint("a", &vec![2; 150_000])]).await;
    drop(writer);
    let second = log::path(dir.path(), 1);
    let whole = fs::read(&second).unwrap();
    assert!(whole.len() > 150_000);
    // The parts of one copy, behind some 150 bytes, and then those of the other.
    for cut in [100, 65_000, 66_000, 131_500, 150_000, 160_000, whole.len()] {
        fs::write(log::path(dir.path(), 0), &before).unwrap();
        fs::write(&second, &whole[..cut]).unwrap();
        let expected = match cut >= 160_000 {
            true => vec![checkpoint("a", &vec![2; 150_000])],
            false => [vec![checkpoint("a", b"first")], packets("a", 0..30).collect()].concat(),
        };
        assert_eq!(inherited(dir.path(), &["a"]), expected, "cut at {cut}");
        tokio::time::sleep(GROUP_TIME * 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_old_files_are_removed_leaves_no_file_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::with_limits(dir.path(), SMALL).unwrap();
    write(&writer, [started("a")].into_iter().chain(packets("a", 0..30))).await;
    let first = fs::read(log::path(dir.path(), 0)).unwrap();
    write(&writer, [checkpoint("a", b"state")].into_iter().chain(packets("a", 30..32))).await;
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(file_count(dir.path()), 1);
    drop(writer);
    fs::write(log::path(dir.path(), 0), first).unwrap();

    let writer = Writer::open(dir.path()).unwrap();
    let records: Vec<_> = writer.inherited(&sids(&["a"])).map(Result::unwrap).collect();
    assert_eq!(records, [vec![checkpoint("a", b"state")], packets("a", 30..32).collect()].concat());
    tokio::time::sleep(GROUP_TIME * 2).await;
    assert_eq!(file_count(dir.path()), 1);
}
