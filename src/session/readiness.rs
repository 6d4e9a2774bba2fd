//! Whether this worker takes new recordings, and why not.
//!
//! One list for both: what refuses a start is what readiness names. Recordings that run go on whatever stands here.

use std::time::Duration;

use tokio::time::timeout;

use super::Error;
use super::inner::Inner;
use super::sessions::Sessions;

/// How long the database has for its sign of life.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

impl Sessions {
    /// Why this worker takes no new recordings; empty when it does. Every error's fault has a word for machines.
    pub async fn readiness(&self) -> Vec<Error> {
        let mut obstacles = self.obstacles().await;
        match timeout(STORE_TIMEOUT, self.0.backing.store.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => obstacles.push(error.into()),
            Err(_) => obstacles.push(Error::StoreSilent),
        }
        obstacles
    }

    /// The same without asking the database.
    pub async fn obstacles(&self) -> Vec<Error> {
        self.0.obstacles().await
    }
}

impl Inner {
    /// Refuses what would begin a recording on a worker that should not begin one.
    pub(super) async fn check_worker(&self) -> Result<(), Error> {
        self.obstacles().await.into_iter().next().map_or(Ok(()), Err)
    }

    /// What is known without asking the database, which every start asks anyway.
    async fn obstacles(&self) -> Vec<Error> {
        let mut obstacles = Vec::new();
        if self.registry.is_closing() {
            obstacles.push(Error::ShuttingDown);
        }
        if let Err(trouble) = self.backing.disk.check().await {
            obstacles.push(trouble.into());
        }
        if let Err(full) = self.backing.spool.check_worker() {
            obstacles.push(full.into());
        }
        if let Some(trouble) = self.backing.journal.trouble() {
            obstacles.push(Error::Journal(trouble));
        }
        if let Some(cause) = self.stalls.trouble() {
            obstacles.push(Error::Stalled(cause));
        }
        obstacles
    }
}
