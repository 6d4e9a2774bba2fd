//! The worker's log: one for all sessions, so that one fsync a group serves them all.
//!
//! [`Writer::append`] only copies into a bounded buffer. A task writes the buffer out [`GROUP_TIME`] after its first byte came
//! and syncs it; while nothing comes, no timer runs. A log is a row of files, each a journal of its own; a new one begins at
//! [`Limits::file_bytes`]. A file goes when no session that is in it is open.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::flusher::{self, Synced};
use super::pending::{OldFile, Pending};
use super::{EncodeError, JournalError, Record, log};
use crate::fault::{Explain, Fault};
use crate::units::Sid;

/// Longest time between an append and the begin of its fsync.
pub const GROUP_TIME: Duration = Duration::from_millis(500);

/// How much a log holds in memory and in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that wait for the disk; with this many or more, what comes on top is refused.
    pub buffer_bytes: usize,
    /// Length at which a file is ended and the next one begins.
    pub file_bytes: u64,
}

impl Default for Limits {
    /// 16 MiB, two seconds of a thousand talkers; 64 MiB.
    fn default() -> Self {
        Self { buffer_bytes: 16 << 20, file_bytes: 64 << 20 }
    }
}

/// Why a record is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk does not keep up: the record is dropped and counted.
    #[error("the journal's buffer is full: the disk does not keep up, the record is dropped")]
    Overload,
    /// It can't be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Explain for AppendError {
    fn fault(&self) -> Fault {
        match self {
            Self::Overload => Fault::ours("journal_overload", true),
            Self::Encode(_) => Fault::ours("journal_record", false),
        }
    }
}

/// Appends to the worker's log. Cheap to clone; when the last clone is dropped, the rest is written and the task ends.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Handle>);

impl Writer {
    /// Opens the log in `dir`, made where it is missing. What an earlier worker left is read through once (blocking) and stays
    /// until [`Writer::retire`]; its sessions may be continued. New records go to a new file. A directory serves one writer at a
    /// time. Needs a tokio runtime.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, JournalError> {
        Self::with_limits(dir, Limits::default())
    }

    /// Like [`Writer::open`].
    pub fn with_limits(dir: impl Into<PathBuf>, limits: Limits) -> Result<Self, JournalError> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse,
            TryLockError::Error(error) => JournalError::Io(error),
        })?;
        let mut state = Pending::new(&dir, limits);
        for file in log::files(&dir)? {
            let specs = log::introduced(&file.path)?;
            state.number = file.number + 1;
            if specs.is_empty() {
                fs::remove_file(&file.path)?;
                continue;
            }
            state.old.push(OldFile { path: file.path, sids: specs.iter().map(|spec| spec.sid.clone()).collect() });
            state.specs.extend(specs.into_iter().map(|spec| (spec.sid.clone(), spec)));
        }
        let shared =
            Arc::new(Shared { state: Mutex::new(state), news: Notify::new(), synced: watch::Sender::default() });
        tokio::spawn(flusher::run(Arc::clone(&shared)));
        Ok(Self(Arc::new(Handle { shared, _lock: lock })))
    }

    /// Appends a record; on the disk within [`GROUP_TIME`] and an fsync. A session's first record is [`Record::Started`], unless
    /// an earlier worker's log holds it. Never waits.
    pub fn append(&self, record: &Record) -> Result<(), AppendError> {
        let shared = &self.0.shared;
        let mut state = shared.state();
        let was_empty = state.buffer.is_empty();
        let appended = state.append(record);
        let notify = was_empty && !state.buffer.is_empty();
        drop(state);
        if notify {
            shared.news.notify_one();
        }
        appended
    }

    /// Writes and syncs what was appended so far. An error says that the disk refused it just now; the log goes on trying.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let shared = &self.0.shared;
        let mut synced = shared.synced.subscribe();
        let target = {
            let mut state = shared.state();
            state.urgent = true;
            state.appended
        };
        let failures = synced.borrow().failures;
        shared.news.notify_one();
        let reached = synced.wait_for(|synced| synced.bytes >= target || synced.failures > failures).await;
        let ended = || JournalError::Io(io::Error::other("the log's task ended"));
        let reached = reached.map_err(|_| ended())?;
        if reached.bytes >= target {
            return Ok(());
        }
        let error = reached.error.as_deref().unwrap_or("the disk refused the journal just now");
        Err(JournalError::Io(io::Error::other(error)))
    }

    /// Everything of the session is in the bucket: its records are needed no more.
    pub fn retire(&self, sid: &Sid) {
        let shared = &self.0.shared;
        shared.state().retire(sid);
        shared.news.notify_one();
    }

    /// Records that were dropped because the buffer was full, since the log was opened.
    pub fn dropped(&self) -> u64 {
        self.0.shared.state().dropped
    }

    /// What the disk said last, while it refuses.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.0.shared.synced.borrow().error.clone()
    }
}

/// What the handles and the task share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<Pending>,
    pub(super) news: Notify,
    pub(super) synced: watch::Sender<Synced>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the task when the last writer is gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// Held until the last writer is gone.
    _lock: File,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.news.notify_one();
    }
}

#[cfg(test)]
mod tests;
