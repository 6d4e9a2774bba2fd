//! The state of each event's delivery. Per session only the oldest pending event is ever due, so order is a property of the
//! data and not of whoever delivers.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::events::event;
use super::rows::{optional_wall, signed, unsigned, wall};
use super::{Event, Store, StoreError};
use crate::units::{AppId, Sid, WallMs};

/// The longest error text kept, in characters.
const MAX_ERROR_CHARS: usize = 300;

macro_rules! deliveries_where {
    ($condition:literal) => {
        concat!(
            "SELECT e.*, s.app, s.cname, s.uid, s.mode, d.attempts, d.due, d.delivered, d.dead, d.asked, d.last_error ",
            "FROM deliveries d JOIN events e ON e.sid = d.sid AND e.sequence = d.sequence ",
            "JOIN sessions s ON s.sid = d.sid WHERE ",
            $condition
        )
    };
}

/// An event and how far its delivery got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What is delivered.
    pub event: Event,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it was asked for again after it had been given up.
    pub asked: Option<WallMs>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// An earlier event of the session comes first.
    Waiting,
    /// Next in its session, to be attempted at this time.
    Due(WallMs),
    /// The receiver has it since.
    Delivered(WallMs),
    /// Given up at this time; kept to be seen.
    Dead(WallMs),
}

/// Everything that [`delivery`] reads; a condition follows.
pub(super) const DELIVERIES: &str = deliveries_where!("");

impl Store {
    /// Up to `limit` deliveries of an app that are next in their sessions, the earliest due first, whether their time has
    /// come or not. At most one a session.
    pub async fn pending_deliveries(&self, app: &AppId, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(deliveries_where!("d.app = ? AND d.due IS NOT NULL ORDER BY d.due, d.sid LIMIT ?"))
            .bind(app.as_str())
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// Up to `limit` deliveries of a session in order, those after sequence `after` or all from the first.
    pub async fn deliveries(&self, sid: &Sid, after: Option<u64>, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(deliveries_where!("d.sid = ? AND d.sequence >= ? ORDER BY d.sequence LIMIT ?"))
            .bind(sid.as_str())
            .bind(signed(after.map_or(0, |after| after.saturating_add(1))))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// The receiver has it: the session's next event becomes due. A second call changes nothing.
    pub async fn mark_delivered(&self, sid: &Sid, sequence: u64, now: WallMs) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE deliveries SET delivered = ?, due = NULL WHERE sid = ? AND sequence = ? AND due IS NOT NULL",
        )
        .bind(signed(now.0))
        .bind(sid.as_str())
        .bind(signed(sequence))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() > 0 {
            promote(&mut transaction, sid, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// An attempt failed: it is due again at `next`.
    pub async fn mark_attempt(&self, sid: &Sid, sequence: u64, next: WallMs, error: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, due = ?, last_error = ? \
             WHERE sid = ? AND sequence = ? AND due IS NOT NULL",
        )
        .bind(signed(next.0))
        .bind(shortened(error))
        .bind(sid.as_str())
        .bind(signed(sequence))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The last attempt failed: given up, kept as a dead letter, and the session's next event becomes due.
    pub async fn mark_dead(&self, sid: &Sid, sequence: u64, now: WallMs, error: &str) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, dead = ?, due = NULL, last_error = ? \
             WHERE sid = ? AND sequence = ? AND due IS NOT NULL",
        )
        .bind(signed(now.0))
        .bind(shortened(error))
        .bind(sid.as_str())
        .bind(signed(sequence))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() > 0 {
            promote(&mut transaction, sid, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Nothing is due in a session: its first pending event is next, if it is there yet.
pub(super) async fn promote(connection: &mut SqliteConnection, sid: &Sid, now: WallMs) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE deliveries SET due = ? WHERE sid = ? AND sequence = (SELECT min(sequence) FROM deliveries \
         WHERE sid = ? AND delivered IS NULL AND dead IS NULL)",
    )
    .bind(signed(now.0))
    .bind(sid.as_str())
    .bind(sid.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn delivery(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let state = match (optional_wall(row, "delivered")?, optional_wall(row, "dead")?) {
        (Some(at), _) => DeliveryState::Delivered(at),
        (None, Some(at)) => DeliveryState::Dead(at),
        (None, None) if row.try_get::<Option<i64>, _>("due")?.is_some() => DeliveryState::Due(wall(row, "due")?),
        (None, None) => DeliveryState::Waiting,
    };
    Ok(Delivery {
        event: event(row)?,
        attempts: unsigned(row, "attempts")?,
        state,
        asked: optional_wall(row, "asked")?,
        last_error: row.try_get("last_error")?,
    })
}

fn shortened(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARS).collect()
}
