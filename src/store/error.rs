//! What can go wrong with the store.

use crate::error_class::{Classify, ErrorClass};
use crate::units::Sid;

/// Why a call on the store failed. None of these is the caller's fault: what callers can do wrong has its own answer type.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer in time: locked, or the disk is too slow.
    #[error("the database is busy: {0}; look for another process on the same file or a slow disk")]
    Busy(#[source] sqlx::Error),
    /// The database refused or failed.
    #[error("the database failed: {0}; check that its directory exists, is writable and has space")]
    Database(#[source] sqlx::Error),
    /// The file is damaged, or something else.
    #[error(
        "the file is damaged or no database: {0}; restore it from a backup, or move it away to begin with an empty one"
    )]
    Damaged(#[source] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database can't be migrated: {0}; it was written by a newer version, or its migrations were changed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of this program writes.
    #[error("the database holds an invalid {what}: {problem}; restore the file from a backup")]
    Corrupt {
        /// The column.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An event or an update for a session that is not in the store.
    #[error("session {0} is not in the store; create it before its first event")]
    UnknownSession(Sid),
    /// An event's details are longer than [`super::MAX_DETAILS_BYTES`].
    #[error("the details of event {event_type} take {bytes} bytes; shorten its file list")]
    DetailsTooLong {
        /// Which event.
        event_type: u16,
        /// Their length.
        bytes: usize,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            sqlx::Error::Database(refusal) if has_code(refusal.code().as_deref(), &[BUSY, LOCKED]) => Self::Busy(error),
            sqlx::Error::Database(refusal) if has_code(refusal.code().as_deref(), &[CORRUPT, NOT_A_DATABASE]) => {
                Self::Damaged(error)
            }
            _ => Self::Database(error),
        }
    }
}

impl Classify for StoreError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Busy(_) => ErrorClass::ours("store_busy", true),
            Self::Database(_) | Self::Damaged(_) => ErrorClass::ours("store_failed", true),
            Self::Migrate(_) => ErrorClass::ours("store_migration", false),
            Self::Corrupt { .. } => ErrorClass::ours("store_corrupt", false),
            Self::UnknownSession(_) => ErrorClass::ours("store_unknown_session", false),
            Self::DetailsTooLong { .. } => ErrorClass::ours("event_too_long", false),
        }
    }
}

/// SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CORRUPT, SQLITE_NOTADB.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// Whether it is one of these, or one of their extended codes, whose low byte they are.
fn has_code(code: Option<&str>, known: &[u32]) -> bool {
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| known.contains(&(code & 0xff)))
}
