//! Forgetting: what keeps the database from growing for ever.

use super::rows::signed;
use super::{Store, StoreError};
use crate::units::WallMs;

impl Store {
    /// Forgets up to `limit` sessions that ended before `settled_before`, with their events and resources. Those that still
    /// have events to deliver stay until they ended before `pending_before`, the earlier time: an app without a receiver
    /// has such events for ever. Says how many sessions went.
    pub async fn forget(&self, settled_before: WallMs, pending_before: WallMs, limit: u32) -> Result<u64, StoreError> {
        let forgotten = sqlx::query(
            "DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions s WHERE s.ended < ? AND (s.ended < ? OR NOT EXISTS \
             (SELECT 1 FROM deliveries d WHERE d.sid = s.sid AND d.due IS NOT NULL)) ORDER BY s.ended LIMIT ?)",
        )
        .bind(signed(settled_before.0))
        .bind(signed(pending_before.0))
        .bind(limit)
        .execute(&self.writer)
        .await?;
        Ok(forgotten.rows_affected())
    }
}
