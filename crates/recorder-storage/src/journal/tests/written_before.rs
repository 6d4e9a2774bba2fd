//! A file that the program wrote before there were clock records: commit 6109b9e.

use super::*;

const FILE: &[u8] = include_bytes!("before_clocks.journal");

/// What was written.
fn records() -> Vec<Record> {
    let mut records = one_of_each();
    records.retain(|record| {
        let Record::Input { input: TimedInput { input, .. }, .. } = record else { return true };
        use Input::{ChannelLost, CodersRestarted, GivenUp, InputsLost, Speaking, Stalled, TrackAdded, Unheard};
        let kind = matches!(input, TrackAdded { kind, .. } if *kind != TrackKind::default());
        let since = matches!(input, ChannelLost { .. } | InputsLost { .. } | Stalled { .. } | Unheard { .. });
        !kind && !since && !matches!(input, CodersRestarted | GivenUp { .. } | Speaking { .. })
    });
    let state: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    records.insert(records.len() - 3, checkpoint("a", &state));
    records
}

#[test]
fn it_is_read_as_it_was() {
    assert_eq!(read(FILE).unwrap(), (records(), None));
}

#[test]
fn damage_costs_a_frame_and_the_times_behind_it() {
    let whole = records();
    let same = |one: &Record, other: &Record| match (one, other) {
        (Record::Input { sid, input }, Record::Input { sid: other, input: same }) => {
            sid == other && std::mem::discriminant(&input.input) == std::mem::discriminant(&same.input)
        }
        (Record::Finished { sid, .. }, Record::Finished { sid: other, .. }) => sid == other,
        _ => one == other,
    };
    for at in (HEADER_BYTES..FILE.len()).filter(|at| *at < 1_500 || at % 1_009 == 0) {
        let mut bytes = FILE.to_vec();
        bytes[at] ^= 4;
        let (read, _) = read(&bytes).unwrap();
        let told = |record: &&Record| !matches!(record, Record::Input { input, .. } if matches!(input.input, Input::InputsLost { .. }));
        let missing = whole.iter().filter(|record| !read.iter().any(|left| same(left, record))).count();
        // Nothing says whose the records are when the introduction is gone.
        let introduced = [Record::Started { spec: spec("a") }, Record::Continued { spec: spec("b") }];
        if introduced.iter().all(|record| read.contains(record)) {
            assert!(missing <= 1 && read.iter().filter(told).count() + 1 >= whole.len(), "flipped byte {at}: {read:?}");
        }
    }
}
