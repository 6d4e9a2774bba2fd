//! How much may wait on disk: for a worker and for each app.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::SpoolError;
use crate::units::AppId;

/// Bytes that may wait on disk when a session begins.
#[derive(Clone, Debug)]
pub struct SpoolLimits {
    /// Of all sessions together.
    pub worker: u64,
    /// Of the sessions of an app; an app that is not named has the worker's.
    pub apps: HashMap<AppId, u64>,
}

impl From<u64> for SpoolLimits {
    /// A bound for the worker alone.
    fn from(worker: u64) -> Self {
        Self { worker, apps: HashMap::new() }
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
    pub(super) const fn knob(&self) -> &'static str {
        match self {
            Self::Worker => "server.spool_gib",
            Self::App(_) => "spool_gib of the app",
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

    /// Bytes on disk, of the open sessions of an app.
    pub(super) fn app(&self, app: &AppId) -> Arc<AtomicU64> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }

    pub(super) fn check(&self, app: &AppId) -> Result<(), SpoolError> {
        let within = |scope, used: &AtomicU64, limit| match used.load(Ordering::Relaxed) {
            used if used >= limit => Err(SpoolError::Full { scope, used, limit }),
            _ => Ok(()),
        };
        within(SpoolScope::Worker, &self.worker, self.limits.worker)?;
        match self.limits.apps.get(app) {
            Some(limit) => within(SpoolScope::App(app.clone()), &self.app(app), *limit),
            None => Ok(()),
        }
    }
}
