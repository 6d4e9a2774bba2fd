//! The tasks of all sessions of a worker: each is counted, and a worker that ends waits for them.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the last upload of a recording, which takes a moment where the bucket answers, is waited for when the worker ends.
const GRACE: Duration = Duration::from_millis(500);

/// All tasks that outlive the call that begins them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    ending: CancellationToken,
}

impl Tasks {
    /// Begins a task, and counts it until it ends.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tracker.spawn(task)
    }

    /// The same for a task that waits for the disk.
    pub(super) fn spawn_blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tracker.spawn_blocking(task)
    }

    /// Waits until the worker ends: for what may be left as it is at any moment, since the next run does it.
    pub(super) async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Waits until all have ended; what may be left as it is has only [`GRACE`]. Whether all ended in time.
    pub(super) async fn join(&self, patience: Duration) -> bool {
        self.tracker.close();
        if timeout(GRACE, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.ending.cancel();
        timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_ends_waits_for_what_has_to_be_done_and_for_nothing_else() {
        let tasks = Tasks::default();
        let done = tasks.spawn(async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            true
        });
        let upload = tasks.clone();
        let left = tasks.spawn(async move {
            tokio::select! {
                () = std::future::pending() => true,
                () = upload.ending() => false,
            }
        });
        assert!(!tasks.join(Duration::from_secs(1)).await, "one of them has work to do");
        assert!(tasks.join(Duration::from_secs(5)).await);
        assert!(done.await.unwrap() && !left.await.unwrap());
    }
}
