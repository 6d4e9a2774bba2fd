//! The worker's log: one for all sessions, so that one fsync a group serves them all.
//!
//! [`Writer::append`] only copies into a bounded buffer. A task writes the buffer out [`Limits::group_time`] after its first byte came
//! and syncs it; while nothing comes, no timer runs. A log is a row of files, each a journal of its own; a new one begins at
//! [`Limits::file_bytes`].
//!
//! A file goes when no open session needs it. A session needs the file with its start or its last synced [`Record::Checkpoint`], and
//! those after it that it is in. The order is: write, sync, remove.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::disk::Disk;
use super::flusher::{self, Synced};
use super::inherited_log::InheritedLog;
use super::log_storage::{FileSystem, LogStorage};
use super::pending::Pending;
use super::replay::Replay;
use super::{Clock, EncodeError, JournalError, Record, StoredObject};
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::recording::Spec;
use recorder_core::units::Sid;
use recorder_edge::clock;

/// What [`Limits::group_time`] is, unless a test says otherwise.
pub const GROUP_TIME: Duration = Duration::from_millis(250);

/// How much a log holds in memory and in one file, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that wait for the disk, checkpoints left out; with this many or more, what comes on top is refused. As many again may be under
    /// way to it.
    pub buffer_bytes: usize,
    /// A file ends when it holds this many bytes beside checkpoints, and at least as many as it has of checkpoints.
    pub file_bytes: u64,
    /// Longest time between an append and the begin of its fsync.
    pub group_time: Duration,
}

impl Default for Limits {
    /// 16 MiB, two seconds of a thousand talkers; 64 MiB; [`GROUP_TIME`].
    fn default() -> Self {
        Self { buffer_bytes: 16 << 20, file_bytes: 64 << 20, group_time: GROUP_TIME }
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

impl Classify for AppendError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Overload => ErrorClass::ours("journal_overload", true),
            Self::Encode(_) => ErrorClass::ours("journal_record", false),
        }
    }
}

/// What a log costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes made durable since the log was opened.
    pub bytes: u64,
    /// Syncs since then, of files and of the folder.
    pub fsyncs: u64,
    /// Files that lie on the disk.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Records lost since the log was opened, because the buffer was full or the file that they continued was gone.
    pub dropped: u64,
}

/// Appends to the worker's log. Cheap to clone; when the last clone is dropped, the rest is written and the task ends.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Handle>);

impl Writer {
    /// Opens the log in `dir`, made where it is missing. What an earlier run left is read through once (blocking) and stays until
    /// [`Writer::retire`] or a checkpoint; its sessions may be continued. New records go to a new file. A directory serves one writer
    /// at a time. Needs a tokio runtime.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, JournalError> {
        Self::with_limits(dir, Limits::default())
    }

    /// Like [`Writer::open`].
    pub fn with_limits(dir: impl Into<PathBuf>, limits: Limits) -> Result<Self, JournalError> {
        Self::on(Box::new(FileSystem), &dir.into(), limits)
    }

    fn on(log_storage: Box<dyn LogStorage>, dir: &Path, limits: Limits) -> Result<Self, JournalError> {
        fs::create_dir_all(dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse,
            TryLockError::Error(error) => JournalError::Io(error),
        })?;
        let inherited_log = InheritedLog::survey(dir)?;
        let state = Mutex::new(Pending::new(dir, limits, &inherited_log));
        let disk =
            Disk::new(log_storage, inherited_log.files.iter().map(|left| (left.file.number, left.bytes)).collect());
        let synced = watch::Sender::new(Synced { usage: disk.usage(), ..Synced::default() });
        let shared =
            Arc::new(Shared { state, group_time: limits.group_time, inherited_log, news: Notify::new(), synced });
        tokio::spawn(flusher::run(Arc::clone(&shared), disk));
        Ok(Self(Arc::new(Handle { shared, _lock: lock })))
    }

    /// Appends a record; on the disk within [`Limits::group_time`] and an fsync. A session's first record is [`Record::Started`], unless
    /// an earlier worker's log holds it. Never waits.
    pub fn append(&self, record: &Record) -> Result<(), AppendError> {
        let shared = &self.0.shared;
        let mut state = shared.state();
        let was_empty = state.is_empty();
        let appended = state.append(record, clock::boot_time());
        let notify = was_empty && !state.is_empty();
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
        if reached.failures == failures {
            return Ok(());
        }
        let error = reached.error.as_deref().unwrap_or("the disk refused the journal just now");
        Err(JournalError::Io(io::Error::other(error)))
    }

    /// What earlier runs left of these sessions: one pass over their files, never over those that this writer writes.
    pub fn inherited(&self, sids: &BTreeSet<Sid>) -> Replay {
        Replay::new(Arc::clone(&self.0.shared), sids)
    }

    /// What the bucket confirmed of a session in earlier runs, since its start or last checkpoint, in order.
    pub fn stored(&self, sid: &Sid) -> Vec<StoredObject> {
        self.0.shared.inherited_log.sessions.get(sid).map(|left| left.stored.clone()).unwrap_or_default()
    }

    /// Makes a session known of which earlier runs may have left nothing: its records can be appended, and a checkpoint is due that
    /// makes the log whole.
    pub fn know(&self, spec: &Spec) {
        self.0.shared.state().know(spec);
    }

    /// A time that earlier runs noted on both clocks, the session's and the machine's: the one that was noted with the least delay.
    pub fn inherited_clock(&self, sid: &Sid) -> Option<Clock> {
        self.0.shared.inherited_log.sessions.get(sid)?.anchor
    }

    /// Whether the session should append a [`Record::Checkpoint`] now: its start or last checkpoint is in an older file than the one
    /// that is written, or a record of it was refused. Then older files can go and the log is whole again. False while the disk is
    /// busy with others' checkpoints. Cheap.
    pub fn checkpoint_due(&self, sid: &Sid) -> bool {
        self.0.shared.state().checkpoint_due(sid)
    }

    /// Of the sessions that earlier runs left, only these are still open: the others are retired.
    pub fn retain(&self, open: &BTreeSet<Sid>) {
        self.0.shared.state().retain(open);
        self.0.shared.news.notify_one();
    }

    /// Everything of the session is in the bucket: its records are needed no more.
    pub fn retire(&self, sid: &Sid) {
        let shared = &self.0.shared;
        shared.state().retire(sid);
        shared.news.notify_one();
    }

    /// What the log costs, for metrics.
    pub fn stats(&self) -> Stats {
        let shared = &self.0.shared;
        let usage = shared.synced.borrow().usage;
        let dropped = shared.state().dropped;
        Stats { bytes: usage.bytes, fsyncs: usage.fsyncs, files: usage.files, file_bytes: usage.file_bytes, dropped }
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
    /// See [`Limits`].
    pub(super) group_time: Duration,
    pub(super) inherited_log: InheritedLog,
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
