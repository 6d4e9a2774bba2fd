//! Forgets what is long over, once at start and once a day.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::store::Store;
use crate::units::WallMs;

/// How often the store is cleaned.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// Rows of one clean-up step; in between others get at the store.
const STEP: u32 = 500;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Cleans until it is aborted; what ended `days` ago or earlier goes.
pub(super) fn spawn(store: Store, days: u16) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let before = WallMs(clock::now().0.saturating_sub(u64::from(days) * DAY_MS));
            if let Err(error) = forget(&store, before).await {
                tracing::warn!(%error, "old recordings can't be forgotten; tried again tomorrow");
            }
        }
    })
}

async fn forget(store: &Store, before: WallMs) -> Result<(), crate::store::StoreError> {
    while store.forget(before, before, STEP).await? > 0 {
        tokio::task::yield_now().await;
    }
    while store.forget_channel_notices(before, STEP).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
