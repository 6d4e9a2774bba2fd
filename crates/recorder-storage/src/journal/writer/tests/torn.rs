//! Logs that were cut or damaged anywhere: all that is whole is read, sessions begin where they still can, and nothing panics.

use proptest::prelude::*;

use super::*;
use crate::journal::tests::{self, Frame, file, lay};
use recorder_core::recording::TimedInput;

const DIGITS: [&str; 3] = ["a", "b", "c"];

/// The records of a log, file by file.
type Log = Vec<Vec<Record>>;

/// Length of each file that is left, and the byte that is damaged, if one is.
struct Harm {
    lengths: Vec<usize>,
    flipped: Option<(usize, usize)>,
}

/// Writes the log as the harm left it, and reads it as the next run would.
fn recover(dir: &Path, log: &Log, harm: &Harm) -> (Vec<Record>, Vec<JournalError>) {
    for (number, records) in log.iter().enumerate() {
        let mut bytes = file(records).0;
        bytes.truncate(harm.lengths[number]);
        if let Some((_, at)) = harm.flipped.filter(|(damaged, _)| *damaged == number) {
            bytes[at] ^= 1 << (at % 8);
        }
        let path = log::path(dir, number as u64);
        // A file that is overwritten is synced by some file systems.
        let _ = fs::remove_file(&path);
        fs::write(path, bytes).unwrap();
    }
    let inherited_log = InheritedLog::survey(dir).unwrap();
    let state = Mutex::new(Pending::new(dir, Limits::default(), &inherited_log));
    let (news, synced) = (Notify::new(), watch::Sender::default());
    let shared = Arc::new(Shared { state, group_time: GROUP_TIME, inherited_log, news, synced });
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for record in Replay::new(shared, &DIGITS.map(|digit| spec(digit).sid).into()) {
        match record {
            Ok(record) => records.push(record),
            Err(error) => errors.push(error),
        }
    }
    (records, errors)
}

/// What must be read: of the records that the harm left, those from each session's last beginning on.
fn expected(log: &Log, harm: &Harm) -> Vec<Record> {
    let mut left: Vec<&Record> = Vec::new();
    for (number, records) in log.iter().enumerate() {
        let flipped = harm.flipped.filter(|(damaged, _)| *damaged == number).map(|(_, at)| at);
        let laid = lay(records);
        let good = |frame: &Frame| {
            frame.end <= harm.lengths[number] && flipped.is_none_or(|at| !(frame.start..frame.end).contains(&at))
        };
        let found = tests::left(records, &laid, good);
        left.extend(records.iter().zip(found).filter(|(_, found)| *found).map(|(record, _)| record));
    }
    let begins = |record: &Record| matches!(record, Record::Started { .. } | Record::Checkpoint { .. });
    let beginning = |digit: &str| {
        let sid = spec(digit).sid;
        left.iter().rposition(|record| *record.sid() == sid && begins(record)).unwrap_or_default()
    };
    let beginnings = DIGITS.map(|digit| (spec(digit).sid, beginning(digit)));
    let wanted = |(at, record): &(usize, &&Record)| {
        let (_, begun) = beginnings.iter().find(|(sid, _)| sid == record.sid()).unwrap();
        begun <= at && !matches!(record, Record::Continued { .. })
    };
    left.iter().enumerate().filter(wanted).map(|(_, record)| (*record).clone()).collect()
}

/// Session by session, without what says that something is lost, and without times: behind damage nobody knows them until a clock
/// record comes.
fn timeless(records: Vec<Record>) -> Vec<Record> {
    let lost = |record: &Record| matches!(record, Record::Input { input, .. } if matches!(input.input, Input::InputsLost { .. }));
    let timeless = |mut record: Record| {
        if let Record::Input { input: TimedInput { at, .. }, .. } | Record::Finished { at, .. } = &mut record {
            *at = Ticks::ZERO;
        }
        record
    };
    let mut records: Vec<_> = records.into_iter().filter(|record| !lost(record)).map(timeless).collect();
    records.sort_by(|one, other| one.sid().cmp(other.sid()));
    records
}

fn whole(log: &Log) -> Harm {
    Harm { lengths: log.iter().map(|records| file(records).0.len()).collect(), flipped: None }
}

/// Makes a log of what happens: each step is a session and what it does; 0 ends the file.
fn log_of(steps: &[(u8, usize)]) -> Log {
    let mut log: Log = vec![Vec::new()];
    let (mut begun, mut here, mut time) = ([false; 3], [false; 3], 0);
    for (what, session) in steps.iter().copied() {
        if what == 0 {
            log.push(Vec::new());
            here = [false; 3];
            continue;
        }
        let digit = DIGITS[session];
        let records = log.last_mut().unwrap();
        if !here[session] {
            let spec = spec(digit);
            records.push(if begun[session] { Record::Continued { spec } } else { Record::Started { spec } });
            (begun[session], here[session]) = (true, true);
        }
        time += 960;
        records.push(match what {
            1 => checkpoint(digit, &[7; 40]),
            2 => checkpoint(digit, &vec![session as u8; 140_000]),
            3 => input(digit, time, Input::ChannelUp),
            4 => Record::Finished { sid: spec(digit).sid, at: Ticks(time) },
            _ => input(digit, time, packet(time as u16, Some(1), &[what; 30])),
        });
    }
    log
}

fn three_files() -> Log {
    let talk = |session: usize| [(5, session), (6, session), (3, session)];
    let mut steps = Vec::new();
    for file in 0..3 {
        steps.extend([talk(0), talk(1), talk(2)].concat());
        steps.extend([(1, file)]);
        steps.extend([talk(1), talk(0)].concat());
        steps.extend((file < 2).then_some((0, 0)));
    }
    log_of(&steps)
}

#[test]
fn a_log_that_ends_anywhere_is_read_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let log = three_files();
    let all = whole(&log);
    assert_eq!(recover(dir.path(), &log, &all).0, expected(&log, &all));
    for cut in 0..all.lengths[2] {
        let harm = Harm { lengths: vec![all.lengths[0], all.lengths[1], cut], flipped: None };
        let (records, errors) = recover(dir.path(), &log, &harm);
        assert_eq!(records, expected(&log, &harm), "cut at {cut}");
        assert!(errors.is_empty(), "a torn tail is not damage: cut at {cut}, {errors:?}");
    }
}

#[test]
fn a_log_that_is_damaged_anywhere_loses_that_frame() {
    let dir = tempfile::tempdir().unwrap();
    let log = three_files();
    let all = expected(&log, &whole(&log));
    for (damaged, length) in whole(&log).lengths.into_iter().enumerate() {
        for at in (damaged..length).step_by(3) {
            let harm = Harm { flipped: Some((damaged, at)), ..whole(&log) };
            let (records, errors) = recover(dir.path(), &log, &harm);
            assert!(errors.is_empty(), "byte {at} of file {damaged}: {errors:?}");
            assert_eq!(timeless(records.clone()), timeless(expected(&log, &harm)), "byte {at} of file {damaged}");
            // A checkpoint outlives it, and so does every session that has one.
            for digit in DIGITS {
                let first =
                    |records: &[Record]| records.iter().find(|record| *record.sid() == spec(digit).sid).cloned();
                assert_eq!(first(&records), first(&all), "byte {at} of file {damaged}");
            }
        }
    }
}

#[test]
fn a_session_without_its_beginning_is_given_out_from_its_first_record_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&[(5, 0), (5, 1), (5, 0), (0, 0), (5, 1), (5, 0)]);
    let harm = Harm { flipped: Some((0, 40)), ..whole(&log) };
    let (records, errors) = recover(dir.path(), &log, &harm);
    assert!(errors.is_empty());
    let of_a: Vec<_> = records.iter().filter(|record| *record.sid() == spec("a").sid).collect();
    let lost = |at: u64| input("a", at, Input::InputsLost { from: Ticks::ZERO });
    let numbers = |record: &&&Record| at_of(record);
    assert_eq!(of_a[0], &lost(960));
    assert_eq!(of_a[1..].iter().map(|record| numbers(&record)).collect::<Vec<_>>(), [960, 2_880, 4_800]);
}

fn at_of(record: &Record) -> u64 {
    match record {
        Record::Input { input, .. } => input.at.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_between_the_files_of_a_session_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(&[(5, 0), (5, 0), (5, 0), (0, 0), (5, 0), (5, 0)]);
    let lay_of_first = lay(&log[0]);
    let last = lay_of_first.frames.iter().rfind(|frame| frame.record.is_some()).unwrap().start;
    // The last record of the first file: a torn tail, but nobody restarted.
    let harm = Harm { flipped: Some((0, last + 9)), ..whole(&log) };
    let (records, _) = recover(dir.path(), &log, &harm);
    let lost = input("a", 3_840, Input::InputsLost { from: Ticks(1_920) });
    assert_eq!(records.iter().position(|record| *record == lost), Some(3), "{records:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_log_survives_any_harm(
        steps in prop::collection::vec((0u8..9, 0usize..3), 1..60),
        cut in 0.0..1.5f64,
        flipped in prop::option::of((any::<prop::sample::Index>(), 0.0..1.0f64)),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let log = log_of(&steps);
        let mut harm = whole(&log);
        let last = log.len() - 1;
        harm.lengths[last] = harm.lengths[last].min((harm.lengths[last] as f64 * cut) as usize);
        harm.flipped = flipped.and_then(|(file, at)| {
            let file = file.index(log.len());
            (harm.lengths[file] > 0).then(|| (file, (harm.lengths[file] as f64 * at) as usize))
        });
        let (records, _) = recover(dir.path(), &log, &harm);
        prop_assert_eq!(timeless(records), timeless(expected(&log, &harm)));
    }
}
