//! The recordings that run on this worker, and those that are about to.
//!
//! A recording is on the list before its row is committed ([`Registry::reserve`]), so whoever learns its sid from the store finds it here.
//! Limits are looked at in the same moment. Only starts that are about the same thing wait for each other ([`Registry::turn`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::command::Command;
use super::{Error, Report, State};
use crate::units::{AppId, Sid};

/// How long start waits for the bot to be in the channel.
pub(super) const ENTER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a recording's task has to say how things are: it may be waiting for its disk.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// All running recordings, found by sid. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(Arc<List>);

#[derive(Debug, Default)]
struct List {
    entries: Mutex<HashMap<Sid, Arc<Entry>>>,
    /// What is being started: resources and keys, each held by one start at a time.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
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

    /// What is true of it now, as far as its task says so in [`LOOK_TIMEOUT`]; else what is known.
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

/// A place on the list for a recording whose row is not committed yet; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation(Option<Listed>);

impl Reservation {
    /// The row is committed.
    pub(super) fn keep(mut self) -> Option<Listed> {
        self.0.take()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(Listed { registry, sid }) = &self.0 {
            registry.lock().remove(sid);
        }
    }
}

/// How many recordings there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) of_app: usize,
    pub(super) of_worker: usize,
}

/// The right to start a thing; the next one has it when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    registry: Registry,
    what: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.registry.turns();
        self.held = None;
        // Who waits has a copy, and makes one only under this lock.
        if turns.get(&self.what).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.what);
        }
    }
}

impl Registry {
    /// Waits until no other start holds `what`: a resource, or a key.
    pub(super) async fn turn(&self, what: String) -> Turn {
        let waiting = Arc::clone(self.turns().entry(what.clone()).or_default());
        let mut turn = Turn { registry: self.clone(), what, held: None };
        turn.held = Some(waiting.lock_owned().await);
        turn
    }

    /// Lists a recording that is about to be bound, if it may be.
    pub(super) fn reserve(&self, sid: Sid, entry: Arc<Entry>, limits: Limits) -> Result<Reservation, Error> {
        let mut entries = self.lock();
        if self.is_closing() {
            return Err(Error::ShuttingDown);
        }
        check(&entries, &entry.app, limits)?;
        entries.insert(sid.clone(), entry);
        Ok(Reservation(Some(Listed { registry: self.clone(), sid })))
    }

    /// Whether there may be one more recording of this app.
    pub(super) fn check(&self, app: &AppId, limits: Limits) -> Result<(), Error> {
        check(&self.lock(), app, limits)
    }

    /// Lists a recording until the guard is dropped, which its task does when it ends, however it ends.
    #[must_use]
    pub(super) fn insert(&self, sid: Sid, entry: Arc<Entry>) -> Listed {
        self.lock().insert(sid.clone(), entry);
        Listed { registry: self.clone(), sid }
    }

    /// The worker goes: nothing new is reserved, and what does not end before is handed over.
    pub(super) fn close(&self) {
        let _entries = self.lock();
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

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, Arc<Entry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the recordings that take sound, or are about to, leave room for one more.
fn check(entries: &HashMap<Sid, Arc<Entry>>, app: &AppId, limits: Limits) -> Result<(), Error> {
    let running = || entries.values().filter(|entry| entry.report.borrow().state.is_running());
    if running().filter(|entry| entry.app == *app).count() >= limits.of_app {
        return Err(Error::Overloaded(limits.of_app));
    }
    if running().count() >= limits.of_worker {
        return Err(Error::WorkerOverloaded(limits.of_worker));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::session::plan::tests::plan;

    fn entry(app: char) -> Arc<Entry> {
        let app = AppId::new(&app.to_string().repeat(32)).unwrap();
        let (report, commands) = (watch::Sender::new(plan().report()).subscribe(), mpsc::channel(1).0);
        Arc::new(Entry::new(app, report, commands))
    }

    fn sid(number: u8) -> Sid {
        Sid::from_random([number; 16])
    }

    #[tokio::test]
    async fn starts_of_one_thing_wait_for_each_other_and_others_do_not() {
        let registry = Registry::default();
        let slow = registry.turn("a".into()).await;
        let mut replicator = std::pin::pin!(registry.turn("a".into()));
        assert!(replicator.as_mut().now_or_never().is_none(), "the first one is on its way to the disk");
        drop(registry.turn("b".into()).now_or_never().expect("another app's start does not wait for it"));
        drop(slow);
        drop(replicator.now_or_never().expect("its turn has come"));
        assert!(registry.turns().is_empty(), "nothing is kept of what is done");
    }

    #[tokio::test]
    async fn a_place_is_taken_before_the_row_is_written_and_given_back_without_one() {
        let (registry, limits) = (Registry::default(), Limits { of_app: 1, of_worker: 2 });
        let reserved = registry.reserve(sid(1), entry('a'), limits).unwrap();
        assert!(registry.get(&sid(1)).is_some(), "who reads of it in the store finds it");
        assert!(matches!(registry.reserve(sid(2), entry('a'), limits), Err(Error::Overloaded(1))));
        drop(reserved);
        assert!(registry.get(&sid(1)).is_none());
        let kept = registry.reserve(sid(3), entry('a'), limits).unwrap().keep();
        let _other = registry.reserve(sid(4), entry('b'), limits).unwrap();
        assert!(matches!(registry.reserve(sid(5), entry('c'), limits), Err(Error::WorkerOverloaded(2))));
        drop(kept);
        assert!(registry.get(&sid(3)).is_none());
        registry.close();
        assert!(matches!(registry.reserve(sid(6), entry('a'), limits), Err(Error::ShuttingDown)));
    }
}
