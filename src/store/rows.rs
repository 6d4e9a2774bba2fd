//! Columns to types and back: one place that knows how SQLite spells our words.

use std::str::FromStr;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use crate::units::WallMs;

/// A text column parsed into an identifier or a word of ours.
pub(super) fn parsed<T>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|problem: T::Err| StoreError::Corrupt { what: column, problem: problem.to_string() })
}

/// A column that is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| StoreError::Corrupt { what: column, problem: format!("{number} is out of range") })
}

/// A column with a time.
pub(super) fn wall(row: &SqliteRow, column: &'static str) -> Result<WallMs, StoreError> {
    unsigned(row, column).map(WallMs)
}

/// A column with a time or NULL.
pub(super) fn optional_wall(row: &SqliteRow, column: &'static str) -> Result<Option<WallMs>, StoreError> {
    match row.try_get::<Option<i64>, _>(column)? {
        None => Ok(None),
        Some(_) => wall(row, column).map(Some),
    }
}

/// A JSON column.
pub(super) fn json(column: &'static str, text: &str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text).map_err(|problem| StoreError::Corrupt { what: column, problem: problem.to_string() })
}

/// SQLite's integers are signed; our times and counts stay far below the limit.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
