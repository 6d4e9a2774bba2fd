//! Where channel events come in: a bounded queue between the channels, which never wait, and the database.
//!
//! What nobody wants is not taken. What finds the queue full is lost, counted and logged; nothing else is. An event is in the
//! store before the receiver can hear of it (invariant 2).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Dispatcher;
use crate::clock;
use crate::error_class::Classify;
use crate::metrics::Metrics;
use crate::store::{NewChannelNotice, Store};
use crate::units::AppId;

/// Channel events that may wait for the database.
pub const MAX_WAITING_NOTICES: usize = 4096;
/// Channel events that are written with one flush of the disk.
const BATCH: usize = 256;
/// The longest pause between two attempts to write.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long the last ones may take when the worker ends.
const LAST_TIMEOUT: Duration = Duration::from_secs(3);

/// The way in. The task ends when it is dropped and everything is written.
#[derive(Debug)]
pub struct Intake {
    queue: mpsc::Sender<NewChannelNotice>,
    dispatcher: Dispatcher,
    metrics: Metrics,
    task: JoinHandle<()>,
}

impl Intake {
    /// Starts writing.
    pub fn spawn(store: Store, dispatcher: Dispatcher, metrics: Metrics) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING_NOTICES);
        let writer = Writer { store, dispatcher: dispatcher.clone(), metrics: metrics.clone() };
        Self { queue, dispatcher, metrics, task: tokio::spawn(writer.run(waiting)) }
    }

    /// Whether somebody wants to hear of it.
    pub fn wants(&self, app: &AppId, event_type: u16) -> bool {
        self.dispatcher.wants_channel(app, event_type)
    }

    /// Takes an event, if its app wants it. Never waits; says whether it was not lost.
    pub fn offer(&self, notice: NewChannelNotice) -> bool {
        if !self.wants(&notice.app, notice.event_type) {
            return true;
        }
        match self.queue.try_send(notice) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.lost(1);
                false
            }
        }
    }

    /// So many events never came here.
    pub fn lost(&self, count: u64) {
        tracing::error!(count, "channel events are lost: the database does not keep up");
        self.metrics.channel_events_lost(count);
    }

    /// Takes no more, and waits until everything is written; not long.
    pub async fn finish(self) {
        drop(self.queue);
        if timeout(LAST_TIMEOUT, self.task).await.is_err() {
            tracing::error!("the last channel events are lost: the database does not answer");
        }
    }
}

struct Writer {
    store: Store,
    dispatcher: Dispatcher,
    metrics: Metrics,
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<NewChannelNotice>) {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.write(&batch).await;
            batch.clear();
        }
    }

    /// Tries until it is written: a later event must not overtake.
    async fn write(&self, batch: &[NewChannelNotice]) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.store.append_channel_notices(batch, clock::now()).await {
                Ok(refused) => {
                    self.metrics.channel_events_written(batch.len() as u64 - refused);
                    if refused > 0 {
                        tracing::error!(refused, "channel events are not kept: too many wait for their receiver");
                        self.metrics.channel_events_lost(refused);
                    }
                    let apps: BTreeSet<_> = batch.iter().map(|notice| &notice.app).collect();
                    return apps.into_iter().for_each(|app| self.dispatcher.nudge_channel(app));
                }
                Err(error) if error.error_class().retry => {
                    tracing::warn!("channel events wait for the database: {error}");
                    sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                Err(error) => {
                    tracing::error!(count = batch.len(), "channel events can't be written: {error}");
                    return self.metrics.channel_events_lost(batch.len() as u64);
                }
            }
        }
    }
}
