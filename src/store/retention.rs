//! Forgetting: what keeps the database from growing for ever.

use super::rows::signed;
use super::{Store, StoreError};
use crate::units::WallMs;

impl Store {
    /// Forgets up to `limit` sessions that ended before `before` and whose events are all delivered or dead, with their
    /// events and resources, and resources of that age that were never started. Says how many sessions went.
    pub async fn forget(&self, before: WallMs, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let forgotten = sqlx::query(
            "DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions s WHERE s.ended < ? AND NOT EXISTS \
             (SELECT 1 FROM deliveries d WHERE d.sid = s.sid AND d.delivered IS NULL AND d.dead IS NULL) LIMIT ?)",
        )
        .bind(signed(before.0))
        .bind(limit)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        sqlx::query(
            "DELETE FROM resources WHERE created < ? AND (sid IS NULL OR sid NOT IN (SELECT sid FROM sessions))",
        )
        .bind(signed(before.0))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(forgotten)
    }
}
