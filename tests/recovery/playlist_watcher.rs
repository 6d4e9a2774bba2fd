//! Somebody who asks for a recording's state all the time, and somebody who reads its playlists in the bucket: neither may ever
//! see nonsense.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::rest::{Rest, Task};
use crate::test_env::TestEnv;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(70);
/// How soon everybody knows that a worker ended by itself.
const OBITUARY: Duration = Duration::from_millis(200);

/// Watches one recording.
pub(crate) struct PlaylistWatcher {
    seen: Arc<Seen>,
    _query: AbortOnDropHandle<()>,
    _bucket: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The caller has asked for a stop: from here on it may be over.
    stopping: AtomicBool,
    answers: Mutex<u64>,
    nonsense: Mutex<Vec<String>>,
}

impl PlaylistWatcher {
    pub(crate) fn of(test_env: &TestEnv, task: &Task) -> Self {
        let seen = Arc::<Seen>::default();
        let query = tokio::spawn(query(Rest::new(&test_env.door), task.clone(), Arc::clone(&seen)));
        let bucket = tokio::spawn(playlists(test_env.objects(), task.sid.clone(), Arc::clone(&seen)));
        Self { seen, _query: AbortOnDropHandle::new(query), _bucket: AbortOnDropHandle::new(bucket) }
    }

    /// From here on the recording may end.
    pub(crate) fn stopping(&self) {
        self.seen.stopping.store(true, Ordering::SeqCst);
    }

    /// What was wrong; and whether anything was seen at all.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.seen.nonsense.lock().unwrap().clone();
        if *self.seen.answers.lock().unwrap() == 0 {
            problems.push("no query was ever answered".into());
        }
        problems
    }
}

async fn query(rest: Rest, task: Task, seen: Arc<Seen>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (address, before) = (rest.address(), seen.stopping.load(Ordering::SeqCst));
        if address.is_none() {
            continue;
        }
        let answer = rest.query(&task).await;
        let after = before || seen.stopping.load(Ordering::SeqCst);
        let wrong = match &answer {
            Some((status, body)) => check(*status, body, &task, after),
            None => {
                tokio::time::sleep(OBITUARY).await;
                (rest.address() == address).then(|| "no answer from a living worker".into())
            }
        };
        *seen.answers.lock().unwrap() += u64::from(answer.is_some());
        seen.nonsense.lock().unwrap().extend(wrong.map(|wrong| format!("query of {}: {wrong}", task.sid)));
    }
}

fn check(status: u16, body: &Value, task: &Task, stopping: bool) -> Option<String> {
    let state = body["state"].as_str().unwrap_or("none");
    let fits = match (status, state) {
        (200, "starting" | "recording" | "recovering") => true,
        (200, "stopping" | "ended") => stopping,
        (404, "ended") => stopping,
        _ => false,
    };
    let known = body["sid"] == task.sid.as_str();
    (!fits || !known).then(|| format!("{status} {body}"))
}

/// Invariant 1, seen from the bucket: what a playlist names is there. Objects never go, so looking later is fair.
async fn playlists(folder: PathBuf, sid: String, seen: Arc<Seen>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (folder, sid) = (folder.clone(), sid.clone());
        let ahead = tokio::task::spawn_blocking(move || named_and_missing(&folder, &sid)).await.unwrap_or_default();
        seen.nonsense.lock().unwrap().extend(ahead);
    }
}

fn named_and_missing(folder: &std::path::Path, sid: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut missing = BTreeSet::new();
    for playlist in names.filter(|name| name.starts_with(sid) && name.ends_with(".m3u8")) {
        let text = std::fs::read_to_string(folder.join(&playlist)).unwrap_or_default();
        let named = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        missing.extend(
            named
                .filter(|name| !folder.join(name).exists())
                .map(|name| format!("{playlist} names {name}, which is not there")),
        );
    }
    missing
}
