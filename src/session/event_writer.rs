//! Writes a session's log: one task a session, so that audio never waits for the database.
//!
//! Invariant 2: what an event reports is committed with it, before anybody hears of it. Order is the order of the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::WallClock;
use super::tasks::Tasks;
use crate::callback::Dispatcher;
use crate::callback::event::RecordingEvent;
use crate::error_class::Classify;
use crate::metrics::Metrics;
use crate::store::{NewEvent, SessionUpdate, Store};
use crate::units::{AppId, Sid};

/// Entries that may wait for the database; past it the session waits.
const MAX_WAITING: usize = 256;
/// The longest pause between two attempts to write one entry.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long a checkpoint waits for the log.
const CHECKPOINT_TIME: Duration = Duration::from_secs(1);

/// The writing end of a session's log. The task ends when it is dropped and everything is written.
#[derive(Clone, Debug)]
pub(super) struct EventWriter {
    entries: mpsc::Sender<Entry>,
    /// Entries that were told and are not committed.
    waiting: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Write { update: Box<SessionUpdate>, events: Vec<NewEvent> },
    Flush(oneshot::Sender<()>),
}

impl EventWriter {
    /// Starts the task.
    pub(super) fn spawn(
        app: AppId,
        sid: Sid,
        store: Store,
        dispatcher: Dispatcher,
        clock: WallClock,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> Self {
        let (entries, queue) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::<AtomicU64>::default();
        let written = Arc::clone(&waiting);
        tasks.spawn(Writer { app, sid, store, dispatcher, clock, metrics, waiting: written }.run(queue));
        Self { entries, waiting }
    }

    /// Changes the session's row and writes the events that tell of it, both or neither.
    pub(super) async fn record(&self, update: SessionUpdate, events: Vec<RecordingEvent>) {
        let events = events.iter().map(RecordingEvent::encode).collect();
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.entries
            .send(Entry::Write { update: Box::new(update), events })
            .await
            .expect("the writer lives as long as its scribe");
    }

    /// Waits until all that was told before is committed.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.entries.send(Entry::Flush(done)).await.expect("the writer lives as long as its scribe");
        written.await.expect("the writer answers before it ends");
    }

    /// Whether all that was told is committed.
    pub(super) fn is_written(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Waits a little until all that was told is committed; whether it is. A checkpoint stands for what led to it, so that nothing would
    /// say it again.
    pub(super) async fn is_written_soon(&self) -> bool {
        self.is_written() || timeout(CHECKPOINT_TIME, self.flush()).await.is_ok()
    }
}

struct Writer {
    app: AppId,
    sid: Sid,
    store: Store,
    dispatcher: Dispatcher,
    clock: WallClock,
    metrics: Metrics,
    waiting: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Entry>) {
        while let Some(entry) = queue.recv().await {
            match entry {
                Entry::Write { update, events } => {
                    self.write(&update, events).await;
                    self.waiting.fetch_sub(1, Ordering::AcqRel);
                }
                Entry::Flush(done) => {
                    // Nobody waits any more when the caller is gone, which is its own decision.
                    let _gone = done.send(());
                }
            }
        }
    }

    /// Tries until it is written: an event must not be lost, and a later one must not overtake it.
    async fn write(&self, update: &SessionUpdate, events: Vec<NewEvent>) {
        let mut pause = Duration::from_millis(50);
        loop {
            let written = self.store.append_events(&self.sid, update, events.clone(), (self.clock)()).await;
            match written {
                Ok(written) => {
                    self.metrics.events_written(written.len() as u64);
                    return self.dispatcher.nudge(&self.app);
                }
                Err(error) if error.error_class().retry => {
                    tracing::warn!(sid = %self.sid, "the event log waits for the database: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                Err(error) => {
                    tracing::error!(sid = %self.sid, "an event can't be written: {error}");
                    return;
                }
            }
        }
    }
}
