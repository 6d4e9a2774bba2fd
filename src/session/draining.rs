//! How a worker goes: it takes no new recordings, and those that run end, or go on with its next run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::State;
use super::command::Command;
use super::registry::Entry;
use super::sessions::Sessions;
use crate::callback::event::LeaveCode;

/// How long recordings have to leave their channels and to write down the rest. What is not written by then is what a crash
/// would lose, less than a second.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long their tasks may take to end after that.
const JOIN_TIMEOUT: Duration = Duration::from_secs(1);

impl Sessions {
    /// Takes no new recordings, waits up to `patience` for those that run to end, and hands the others over: their bots leave the
    /// channels, the journal is on the disk, nothing is said, and the next run of the worker goes on with them.
    pub async fn drain(&self, patience: Duration) {
        self.take_no_more();
        let running = self.underway().into_iter().filter(|entry| entry.report().state.is_running());
        let ended = join_all(running.map(|entry| async move { entry.wait(|state| !state.is_running()).await }));
        if timeout(patience, ended).await.is_err() {
            tracing::info!("recordings still run; the next run of the worker goes on with them");
        }
        self.hand_over().await;
        if let Err(error) = self.0.backing.journal.flush().await {
            tracing::error!("the last second of some recordings may be lost: {error}");
        }
    }

    /// Takes no new recordings, ends those that run, and waits up to `patience` for their uploads. What is not done by then is
    /// done by the next run of the worker.
    pub async fn end_all(&self, patience: Duration) {
        self.take_no_more();
        let entries = self.underway();
        for entry in &entries {
            if entry.first_stop() && entry.commands.send(Command::Stop(LeaveCode::Interrupted)).await.is_err() {
                tracing::debug!("a recording ended just before the worker");
            }
        }
        let all = join_all(entries.iter().map(|entry| entry.wait(State::is_over)));
        if timeout(patience, all).await.is_err() {
            tracing::warn!("recordings wait for their buckets; the next run goes on with them");
        }
        self.hand_over().await;
    }

    /// Leaves what is not over to the next run of the worker, and waits until no task of a session runs any more.
    async fn hand_over(&self) {
        let left = self.underway();
        let handed_over = join_all(left.iter().map(|entry| entry.hand_over()));
        if timeout(HAND_OVER_TIMEOUT, handed_over).await.is_err() {
            tracing::warn!("some recordings did not leave their channels in time; they are recovered as after a crash");
        }
        if !self.0.tasks.join(JOIN_TIMEOUT).await {
            tracing::warn!(
                "tasks of some recordings did not end in time; what they were at is recovered as after a crash"
            );
        }
    }

    /// From here on every recording that there will be is on the list.
    fn take_no_more(&self) {
        self.0.registry.close();
    }

    /// The recordings that are not over, and have somebody who cares for them.
    fn underway(&self) -> Vec<Arc<Entry>> {
        let all = self.0.registry.all().into_iter();
        all.filter(|entry| !entry.report().state.is_over() && !entry.commands.is_closed()).collect()
    }
}

impl Entry {
    /// Answers when the recording's task is gone.
    async fn hand_over(&self) {
        if self.commands.send(Command::HandOver).await.is_ok() {
            self.commands.closed().await;
        }
    }
}
