//! How much may wait on disk: for a worker and for each app.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::SpoolError;
use super::memory::{MEMORY_PER_SESSION, MEMORY_PER_WORKER, Memory};
use recorder_core::units::AppId;

/// Segments are kept for whole files while less than this part of a bound is used.
const KEEPING_PART: u64 = 2;

/// Bytes that may wait.
#[derive(Clone, Debug)]
pub struct SpoolLimits {
    /// On disk when a session begins, of all sessions together.
    pub worker: u64,
    /// On disk when a session begins, of the sessions of an app; an app that is not named has the worker's.
    pub apps: HashMap<AppId, u64>,
    /// In memory while the disk takes nothing, of a session.
    pub session_memory: u64,
    /// In memory while the disk takes nothing, of all sessions together.
    pub worker_memory: u64,
}

impl From<u64> for SpoolLimits {
    /// On disk for the worker alone; the usual ones in memory.
    fn from(worker: u64) -> Self {
        let (session_memory, worker_memory) = (MEMORY_PER_SESSION, MEMORY_PER_WORKER);
        Self { worker, apps: HashMap::new(), session_memory, worker_memory }
    }
}

/// Whose bytes reached a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolScope {
    /// Of all sessions together.
    Worker,
    /// Of one app's sessions.
    App(AppId),
}

impl SpoolScope {
    /// The key in the configuration.
    pub(super) const fn key(&self) -> &'static str {
        match self {
            Self::Worker => "server.spool_gib",
            Self::App(_) => "apps.spool_gib",
        }
    }
}

impl fmt::Display for SpoolScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker => f.write_str("this worker"),
            Self::App(app) => write!(f, "app {app}"),
        }
    }
}

/// What waits, against its bounds.
#[derive(Debug)]
pub(super) struct Usage {
    limits: SpoolLimits,
    worker: Arc<AtomicU64>,
    memory: Arc<AtomicU64>,
    /// One entry for each app that had a session: as many as are configured.
    apps: Mutex<HashMap<AppId, Arc<AtomicU64>>>,
}

impl Usage {
    pub(super) fn new(limits: SpoolLimits) -> Self {
        Self { limits, worker: Arc::default(), memory: Arc::default(), apps: Mutex::default() }
    }

    /// Bytes on disk, of all sessions.
    pub(super) const fn worker(&self) -> &Arc<AtomicU64> {
        &self.worker
    }

    /// Bytes in memory, of all sessions.
    pub(super) const fn memory(&self) -> &Arc<AtomicU64> {
        &self.memory
    }

    /// What a new session holds in memory.
    pub(super) fn session_memory(&self) -> Memory {
        Memory::new(self.limits.session_memory, self.limits.worker_memory, Arc::clone(&self.memory))
    }

    /// Bytes on disk from which on a session of this app keeps no segments any more: of all sessions, and of the app's.
    pub(super) fn keeping(&self, app: &AppId) -> (u64, u64) {
        let app = self.limits.apps.get(app).copied().unwrap_or(u64::MAX);
        (self.limits.worker / KEEPING_PART, app / KEEPING_PART)
    }

    /// Bytes on disk, of the open sessions of an app.
    pub(super) fn app(&self, app: &AppId) -> Arc<AtomicU64> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }

    pub(super) fn check_worker(&self) -> Result<(), SpoolError> {
        within(SpoolScope::Worker, &self.worker, self.limits.worker)
    }

    pub(super) fn check(&self, app: &AppId) -> Result<(), SpoolError> {
        self.check_worker()?;
        match self.limits.apps.get(app) {
            Some(limit) => within(SpoolScope::App(app.clone()), &self.app(app), *limit),
            None => Ok(()),
        }
    }
}

fn within(scope: SpoolScope, used: &AtomicU64, limit: u64) -> Result<(), SpoolError> {
    match used.load(Ordering::Relaxed) {
        used if used >= limit => Err(SpoolError::Full { scope, used, limit }),
        _ => Ok(()),
    }
}
