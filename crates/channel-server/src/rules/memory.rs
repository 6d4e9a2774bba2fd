//! A keeper that forgets: for servers without a store.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{KeeperError, NewRule, Rule, RuleId, RuleKeeper};
use recorder_core::units::WallMs;

/// Numbers rules and keeps none.
#[derive(Debug, Default)]
pub(crate) struct Memory(AtomicU64);

#[async_trait]
impl RuleKeeper for Memory {
    async fn load(&self, _: WallMs) -> Result<Vec<Rule>, KeeperError> {
        Ok(Vec::new())
    }

    async fn insert(&self, _: &NewRule) -> Result<RuleId, KeeperError> {
        Ok(RuleId(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }

    async fn change(&self, _: RuleId, _: WallMs, _: WallMs) -> Result<(), KeeperError> {
        Ok(())
    }

    async fn remove(&self, _: RuleId) -> Result<(), KeeperError> {
        Ok(())
    }
}
