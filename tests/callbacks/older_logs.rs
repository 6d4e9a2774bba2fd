//! What an older binary logged is recognised as the same events by today's, so that a recording that goes on logs nothing twice.
//! The logs are those of `fixtures/upgrade` (tests/recovery/upgrade.rs says what happened in each).

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use cloud_recorder::callback::event::{EventKey, LoggedEvent};
use cloud_recorder::store::{Event, Store};
use cloud_recorder::units::{EventType, Sid};

const CASES: [&str; 8] = [
    "6109b9e/killed",
    "6109b9e/handed-over",
    "6109b9e/killed-later",
    "6109b9e/backup",
    "6109b9e/files",
    "6109b9e/stopping",
    "d7276c4/absent",
    "d7276c4/absent-handed-over",
];

/// Events that no later run makes again.
const ALARMS: [EventType; 4] =
    [EventType::Error, EventType::Warning, EventType::StatusUpdate, EventType::UploadingProgress];

/// The log of a case's one recording.
async fn log(case: &str) -> Vec<Event> {
    let dir = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/upgrade/{case}.tar.gz"));
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir.path()).status().unwrap();
    assert!(unpacked.success(), "{case}");
    let store = Store::open(&dir.path().join("data/recorder.db")).await.unwrap();
    // What it made is named for it, in the spool or in the bucket.
    let folders = ["data/spool", "buckets/calls"].map(|folder| dir.path().join(folder));
    let names = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let names = names.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.get(..32)).map(str::to_owned));
    let sid = names.into_iter().find_map(|name| Sid::new(&name).ok()).unwrap();
    store.events(&sid, None, 1000).await.unwrap()
}

#[tokio::test]
async fn each_event_of_an_older_log_has_its_key() {
    for case in CASES {
        let log = log(case).await;
        let mut keys = HashSet::new();
        let mut marks = Vec::new();
        for line in &log {
            let event_type = EventType::of(line.event_type).unwrap();
            let read = LoggedEvent::read(line.event_type, &line.details);
            marks.extend(read.mark);
            match read.key {
                Some(key) => assert!(keys.insert(key.clone()), "{case}: {key:?} twice"),
                None => assert!(ALARMS.contains(&event_type), "{case}: {line:?}"),
            }
        }
        assert!(keys.contains(&EventKey::Once(EventType::RecorderStarted)), "{case}");
        let streams: HashSet<_> = keys
            .iter()
            .filter_map(|key| match key {
                EventKey::StreamState { uid, receiving: true, .. } => Some(uid),
                _ => None,
            })
            .collect();
        let slices = keys.iter().filter(|key| matches!(key, EventKey::SliceStart { .. })).count();
        assert!(streams.len() == 3 && slices >= 4, "{case}: {keys:?}");
        assert!(marks.is_empty(), "{case}: no run had failed, or used the backup: {marks:?}");
    }
}
