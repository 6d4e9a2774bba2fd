//! The state of each event's delivery. Per stream only the oldest pending event is ever due, so order is a property of the
//! data and not of whoever delivers.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::attempts::note;
use super::deliverable::Deliverable;
use super::rows::{optional_wall, signed, unsigned, wall};
use super::{Attempt, Event, Store, StoreError};
use crate::units::{AppId, EventTypes, Sid, WallMs};

/// What is still to be delivered, as a condition on `deliveries` or `channel_events`.
pub(super) const PENDING: &str = "delivered IS NULL AND dead IS NULL AND passed IS NULL";

/// An event and how far its delivery got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<L = Event> {
    /// What is delivered.
    pub event: L,
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
    /// An earlier event of the stream comes first.
    Waiting,
    /// Next in its stream, to be attempted at this time.
    Due(WallMs),
    /// The receiver has it since.
    Delivered(WallMs),
    /// Given up at this time; kept to be seen.
    Dead(WallMs),
    /// Passed over at this time: the app does not want events of its type.
    Filtered(WallMs),
}

impl Store {
    /// Up to `limit` deliveries of an app that are next in their streams, the earliest due first, whether their time has
    /// come or not. At most one a stream.
    pub async fn pending_deliveries<L: Deliverable>(
        &self,
        app: &AppId,
        limit: u32,
    ) -> Result<Vec<Delivery<L>>, StoreError> {
        let query = format!("{} d.app = ? AND d.due IS NOT NULL ORDER BY d.due, d.sid LIMIT ?", L::SELECT);
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(app.as_str()).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(delivery).collect()
    }

    /// Up to `limit` deliveries of a recording in order, those after sequence `after` or all from the first.
    pub async fn deliveries(&self, sid: &Sid, after: Option<u64>, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let query = format!(
            "{} d.sid = ? AND d.sequence >= ? ORDER BY d.sequence LIMIT ?",
            <Event as super::deliverable::Table>::SELECT
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(sid.as_str())
            .bind(signed(after.map_or(0, |after| after.saturating_add(1))))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// The receiver has it: the stream's next event becomes due. A second call changes nothing.
    pub async fn mark_delivered<L: Deliverable>(
        &self,
        deliverable: &L,
        attempt: &Attempt,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if note(&mut transaction, deliverable, attempt).await? {
            let set = format!("UPDATE {} SET delivered = ?, due = NULL WHERE sid = ? AND sequence = ?", L::DELIVERIES);
            sqlx::query(sqlx::AssertSqlSafe(set))
                .bind(signed(now.0))
                .bind(deliverable.stream())
                .bind(signed(deliverable.sequence()))
                .execute(&mut *transaction)
                .await?;
            promote::<L>(&mut transaction, deliverable.stream(), now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// An attempt failed: it is due again at `next`.
    pub async fn mark_attempt<L: Deliverable>(
        &self,
        deliverable: &L,
        attempt: &Attempt,
        next: WallMs,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if note(&mut transaction, deliverable, attempt).await? {
            let deliveries = L::DELIVERIES;
            let set = format!(
                "UPDATE {deliveries} SET attempts = attempts + 1, due = ?, last_error = ? WHERE sid = ? AND sequence = ?"
            );
            failed(&mut transaction, set, deliverable, attempt, next).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The last attempt failed: given up, kept as a dead letter, and the stream's next event becomes due.
    pub async fn mark_dead<L: Deliverable>(
        &self,
        deliverable: &L,
        attempt: &Attempt,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if note(&mut transaction, deliverable, attempt).await? {
            let set = format!(
                "UPDATE {} SET attempts = attempts + 1, dead = ?, due = NULL, last_error = ? WHERE sid = ? AND sequence = ?",
                L::DELIVERIES
            );
            failed(&mut transaction, set, deliverable, attempt, now).await?;
            promote::<L>(&mut transaction, deliverable.stream(), now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Passes over everything pending in the stream of `deliverable` that is not wanted. What is wanted keeps its order.
    pub async fn pass_over<L: Deliverable>(
        &self,
        deliverable: &L,
        wanted: &EventTypes,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let EventTypes::Only(wanted) = wanted else { return Ok(()) };
        let wanted: Vec<String> = wanted.iter().map(u16::to_string).collect();
        let (deliveries, number) = (L::DELIVERIES, L::EVENT_TYPE);
        let set = format!(
            "UPDATE {deliveries} SET passed = ?, due = NULL WHERE sid = ? AND {PENDING} AND {number} NOT IN ({})",
            wanted.join(",")
        );
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(sqlx::AssertSqlSafe(set))
            .bind(signed(now.0))
            .bind(deliverable.stream())
            .execute(&mut *transaction)
            .await?;
        promote::<L>(&mut transaction, deliverable.stream(), now).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Runs `set`, whose parameters are a time, the error, and the line's place.
async fn failed<L: Deliverable>(
    connection: &mut SqliteConnection,
    set: String,
    deliverable: &L,
    attempt: &Attempt,
    at: WallMs,
) -> Result<(), StoreError> {
    sqlx::query(sqlx::AssertSqlSafe(set))
        .bind(signed(at.0))
        .bind(attempt.error())
        .bind(deliverable.stream())
        .bind(signed(deliverable.sequence()))
        .execute(connection)
        .await?;
    Ok(())
}

/// If nothing of a stream is due, the first that is pending is next, if it is there yet.
pub(super) async fn promote<L: Deliverable>(
    connection: &mut SqliteConnection,
    stream: &str,
    now: WallMs,
) -> Result<(), StoreError> {
    let deliveries = L::DELIVERIES;
    let set = format!(
        "UPDATE {deliveries} SET due = ?1 WHERE sid = ?2 AND sequence = (SELECT min(sequence) FROM {deliveries} WHERE sid = ?2 \
         AND {PENDING}) AND NOT EXISTS (SELECT 1 FROM {deliveries} WHERE sid = ?2 AND due IS NOT NULL)"
    );
    sqlx::query(sqlx::AssertSqlSafe(set)).bind(signed(now.0)).bind(stream).execute(connection).await?;
    Ok(())
}

pub(super) fn delivery<L: Deliverable>(row: &SqliteRow) -> Result<Delivery<L>, StoreError> {
    let over = (optional_wall(row, "delivered")?, optional_wall(row, "dead")?, optional_wall(row, "passed")?);
    let state = match over {
        (Some(at), _, _) => DeliveryState::Delivered(at),
        (None, Some(at), _) => DeliveryState::Dead(at),
        (None, None, Some(at)) => DeliveryState::Filtered(at),
        (None, None, None) if row.try_get::<Option<i64>, _>("due")?.is_some() => DeliveryState::Due(wall(row, "due")?),
        (None, None, None) => DeliveryState::Waiting,
    };
    Ok(Delivery {
        event: L::read(row)?,
        attempts: unsigned(row, "attempts")?,
        state,
        asked: optional_wall(row, "asked")?,
        last_error: row.try_get("last_error")?,
    })
}
