//! The delivery log: what became of each attempt to deliver an event.
//!
//! Of an event the last [`MAX_ATTEMPTS_KEPT`] attempts are kept, for as long as the event itself is.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::deliverable::Deliverable;
use super::rows::{signed, unsigned, wall};
use super::{Delivery, Store, StoreError};
use crate::units::WallMs;

/// Attempts that are kept of one event; how many there were is counted beside them.
pub const MAX_ATTEMPTS_KEPT: u32 = 20;
/// The longest error text kept, in characters.
const MAX_ERROR_CHARS: usize = 300;

/// One attempt to deliver one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: WallMs,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed; none when the receiver has the event.
    pub error: Option<String>,
}

impl Attempt {
    /// The error, no longer than it is kept.
    pub(super) fn error(&self) -> Option<String> {
        self.error.as_ref().map(|error| error.chars().take(MAX_ERROR_CHARS).collect())
    }
}

impl Store {
    /// The attempts that are kept of each of these deliveries, oldest first, in the order of `deliveries`.
    pub async fn attempts<L: Deliverable>(&self, deliveries: &[Delivery<L>]) -> Result<Vec<Vec<Attempt>>, StoreError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let select = format!("SELECT * FROM {} WHERE (sid, sequence) IN (", L::ATTEMPTS);
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(select);
        query.push_values(deliveries, |mut place, delivery| {
            place.push_bind(delivery.event.stream().to_owned()).push_bind(signed(delivery.event.sequence()));
        });
        query.push(") ORDER BY sid, sequence, number");
        let rows = query.build().fetch_all(&self.readers).await?;
        let mut by_place: HashMap<(String, u64), Vec<Attempt>> = HashMap::new();
        for row in &rows {
            by_place.entry((row.try_get("sid")?, unsigned(row, "sequence")?)).or_default().push(attempt(row)?);
        }
        let place = |deliverable: &L| (deliverable.stream().to_owned(), deliverable.sequence());
        Ok(deliveries.iter().map(|delivery| by_place.remove(&place(&delivery.event)).unwrap_or_default()).collect())
    }
}

/// Writes down an attempt at an event that is due; says whether it is. Older ones make room.
pub(super) async fn note<L: Deliverable>(
    connection: &mut SqliteConnection,
    deliverable: &L,
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    let (deliveries, attempts) = (L::DELIVERIES, L::ATTEMPTS);
    let insert = format!(
        "INSERT INTO {attempts} (sid, sequence, number, at, took, status, error) SELECT sid, sequence, attempts + 1, ?, ?, ?, ? \
         FROM {deliveries} WHERE sid = ? AND sequence = ? AND due IS NOT NULL RETURNING number"
    );
    let number: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(insert))
        .bind(signed(attempt.at.0))
        .bind(signed(attempt.took_ms))
        .bind(attempt.status.map(i64::from))
        .bind(attempt.error())
        .bind(deliverable.stream())
        .bind(signed(deliverable.sequence()))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(number) = number else { return Ok(false) };
    if number > i64::from(MAX_ATTEMPTS_KEPT) {
        let delete = format!("DELETE FROM {attempts} WHERE sid = ? AND sequence = ? AND number <= ?");
        sqlx::query(sqlx::AssertSqlSafe(delete))
            .bind(deliverable.stream())
            .bind(signed(deliverable.sequence()))
            .bind(number - i64::from(MAX_ATTEMPTS_KEPT))
            .execute(connection)
            .await?;
    }
    Ok(true)
}

fn attempt(row: &SqliteRow) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        at: wall(row, "at")?,
        took_ms: unsigned(row, "took")?,
        status: row.try_get::<Option<i64>, _>("status")?.and_then(|status| u16::try_from(status).ok()),
        error: row.try_get("error")?,
    })
}
