//! The recordings that run on this worker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::live::Command;
use super::{Report, State};
use crate::units::{AppId, Sid};

/// How long a recording's task has to say how things are: it may be waiting for its disk.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// All running recordings, found by sid. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(Arc<List>);

#[derive(Debug, Default)]
struct List {
    entries: Mutex<HashMap<Sid, Arc<Entry>>>,
    /// The worker goes. What is handed over to its next run stays on the list: callers must not take it for ended.
    closing: AtomicBool,
}

/// A running recording, seen from outside its task.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) app: AppId,
    pub(super) report: watch::Receiver<Report>,
    pub(super) commands: mpsc::Sender<Command>,
    /// Held while a change is written to the store and told to the task, so that both see changes in one order.
    pub(super) changing: tokio::sync::Mutex<()>,
    stop_asked: AtomicBool,
}

impl Entry {
    pub(super) const fn new(app: AppId, report: watch::Receiver<Report>, commands: mpsc::Sender<Command>) -> Self {
        Self { app, report, commands, changing: tokio::sync::Mutex::const_new(()), stop_asked: AtomicBool::new(false) }
    }

    /// What is known of it now.
    pub(super) fn report(&self) -> Report {
        self.report.borrow().clone()
    }

    /// What is true of it now, as far as its task says so in [`LOOK_PATIENCE`]; else what is known.
    pub(super) async fn look(&self) -> Report {
        let (done, looked) = oneshot::channel();
        let recording = matches!(self.report.borrow().state, State::Recording | State::Recovering);
        if recording && self.commands.try_send(Command::Look(done)).is_ok() {
            // Whether it answers or not: what is known then is the best that there is.
            let _known = timeout(LOOK_TIMEOUT, looked).await;
        }
        self.report()
    }

    /// Whether this is the first to ask for a stop.
    pub(super) fn first_stop(&self) -> bool {
        !self.stop_asked.swap(true, Ordering::Relaxed)
    }

    /// Waits until `reached` holds of the state, or the task is gone; the report then.
    pub(super) async fn wait(&self, reached: impl Fn(State) -> bool) -> Report {
        let mut report = self.report.clone();
        let seen = report.wait_for(|report| reached(report.state)).await.map(|report| report.clone());
        seen.unwrap_or_else(|_| self.report())
    }
}

/// Keeps a recording on the list.
#[derive(Debug)]
pub(super) struct Listed {
    registry: Registry,
    sid: Sid,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let handed_over = |entry: &Arc<Entry>| !entry.report.borrow().state.is_over();
        let closing = self.registry.is_closing();
        let mut entries = self.registry.lock();
        if !(closing && entries.get(&self.sid).is_some_and(handed_over)) {
            entries.remove(&self.sid);
        }
    }
}

impl Registry {
    /// Lists a recording until the guard is dropped, which its task does when it ends, however it ends.
    #[must_use]
    pub(super) fn insert(&self, sid: Sid, entry: Arc<Entry>) -> Listed {
        self.lock().insert(sid.clone(), entry);
        Listed { registry: self.clone(), sid }
    }

    /// The worker goes: nothing new is listed, and what does not end before is handed over.
    pub(super) fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    /// Whether the worker goes.
    pub(super) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, sid: &Sid) -> Option<Arc<Entry>> {
        self.lock().get(sid).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    /// The state of each recording.
    pub(super) fn states(&self) -> Vec<State> {
        self.lock().values().map(|entry| entry.report.borrow().state).collect()
    }

    /// How many of an app's recordings take sound, or are about to.
    pub(super) fn running(&self, app: &AppId) -> usize {
        self.lock().values().filter(|entry| entry.app == *app && entry.report.borrow().state.is_running()).count()
    }

    /// How many of all apps do.
    pub(super) fn all_running(&self) -> usize {
        self.lock().values().filter(|entry| entry.report.borrow().state.is_running()).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, Arc<Entry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
