//! What a worker can say of itself when somebody asks: for `/metrics`.

use std::time::Duration;

use tokio::time::timeout;

use super::State;
use super::sessions::Sessions;
use crate::metrics::Metrics;
use crate::storage::{Disk, journal};
use crate::store::Undelivered;

/// How long the database has for its counts; without them the rest is told.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a worker is at one moment.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Recordings that are not over, by state; every such state is there.
    pub recordings: Vec<(State, usize)>,
    /// Whether it takes new recordings.
    pub ready: bool,
    /// Bytes on disk that wait for buckets or are kept for whole files.
    pub spool_bytes: u64,
    /// Bytes that wait in memory, because the disk did not take them.
    pub spool_memory_bytes: u64,
    /// The disk of the data directory.
    pub disk: Disk,
    /// The journal.
    pub journal: journal::Stats,
    /// Callbacks that no receiver has; none when the database did not say.
    pub callbacks: Option<Undelivered>,
}

impl Sessions {
    /// How this worker is.
    pub async fn gauges(&self) -> Gauges {
        let backing = &self.0.backing;
        let states = self.0.registry.states();
        let count = |state| (state, states.iter().filter(|one| **one == state).count());
        let apps = backing.dispatcher.apps();
        let callbacks = timeout(STORE_TIMEOUT, backing.store.outstanding(&apps)).await.ok().and_then(Result::ok);
        Gauges {
            recordings: State::UNDERWAY.into_iter().map(count).collect(),
            ready: self.readiness().await.is_empty(),
            spool_bytes: backing.spool.bytes(),
            spool_memory_bytes: backing.spool.memory_bytes(),
            disk: backing.disk.look().await,
            journal: backing.journal.stats(),
            callbacks,
        }
    }

    /// What this worker counts.
    pub fn metrics(&self) -> &Metrics {
        &self.0.settings.metrics
    }
}
