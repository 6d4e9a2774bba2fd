//! What must survive a restart besides media: resources, sessions, the event log, channel events for receivers, and the state of
//! their delivery.
//!
//! SQLite in one file, write-ahead log, every commit on disk before the call returns (`synchronous = FULL`), so a state that
//! an event reports is durable before anybody can hear of it (invariant 2).
//!
//! Invariants:
//! * Events of a session are numbered from 0 without a hole, in the order of their commits; a `notice_id` is unique.
//! * A resource is bound to at most one session; an app, channel and recorder uid have at most one running session.
//! * Times are [`WallMs`] that the caller brings; the store reads no clock. Secrets only enter sealed ([`seal`]).
//!
//! A [`Store`] is a handle: clones share one database. Migrations lie in `src/store/migrations`, one file a version, embedded
//! when this file is compiled; a released one never changes.

mod attempts;
pub mod canonical;
mod channel_notices;
mod dead_letters;
mod deliverable;
mod deliveries;
mod error;
mod events;
mod keys;
mod kicking_rules;
mod listing;
mod migrations;
mod resources;
mod retention;
mod rows;
pub mod seal;
mod session_row;
mod sessions;

#[cfg(test)]
mod contract;

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use attempts::{Attempt, MAX_ATTEMPTS_KEPT};
pub use channel_notices::{ChannelNotice, MAX_PENDING_NOTICES, NewChannelNotice};
pub use dead_letters::{EventPosition, Undelivered, UndeliveredFilter};
pub use deliverable::Deliverable;
pub use deliveries::{Delivery, DeliveryState};
pub use error::StoreError;
pub use events::{Event, MAX_DETAILS_BYTES, NewEvent};
pub use keys::{CallKey, Claim, Creation, KEY_LIFE_MS, MAX_KEYS};
pub use kicking_rules::KickingRule;
pub use listing::{SessionFilter, SessionPosition};
pub use resources::{NewResource, RESOURCE_LIFE_MS, ResourceRow};
pub use session_row::{Binding, NewSession, Sealed, SessionRow, SessionState, SessionUpdate};

#[cfg(doc)]
use crate::units::WallMs;

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that only read; one more writes.
const READERS: u32 = 2;

/// A handle on the database.
#[derive(Clone, Debug)]
pub struct Store {
    /// One connection: writers queue here and not for SQLite's lock.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the database file, creates it where it is missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let writer = pool(1).connect_with(options.clone()).await?;
        migrations::migrator().run(&writer).await?;
        let readers = pool(READERS).connect_with(options).await?;
        Ok(Self { writer, readers })
    }

    /// A database that is gone with its last handle; for tests and dry runs.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        let writer = pool(1).connect_with(options).await?;
        migrations::migrator().run(&writer).await?;
        Ok(Self { readers: writer.clone(), writer })
    }

    /// Whether the database answers, on the connection that writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.writer).await?;
        Ok(())
    }

    /// Waits for running calls and closes the file. Calls on other handles fail afterwards.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Connections stay open, and nothing asks whether they still are: no reaper has to wake up for a file that is there.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // A full disk makes SQLite end a transaction on its own, which leaves sqlx counting one that is not there and refusing
        // every later one: such a connection is closed, and the next call opens another.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}
