//! Resources: the right to start one recording (docs/protocol/agora.md section 1.1).

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::rows::{optional_wall, parsed, signed, unsigned, wall};
use super::{Store, StoreError};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// How long a resource can be started, in milliseconds: five minutes.
pub const RESOURCE_LIFE_MS: u64 = 5 * 60 * 1000;

/// How long a resource that was never started is known to be expired and not unknown, in milliseconds: a day.
const UNSTARTED_MEMORY_MS: u64 = 24 * 60 * 60 * 1000;
/// How many of those are forgotten for each new one.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// A resource to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewResource {
    /// Opaque, unique; the caller makes it from randomness.
    pub id: String,
    /// Whose.
    pub app: AppId,
    /// The channel it is for.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// Hours from the session's start in which query, update and stop are answered: 1 to 720.
    pub expired_hours: u16,
    /// SHA-256 of the start request that was announced (`startParameter`), if any.
    pub start_parameter: Option<[u8; 32]>,
}

/// A remembered resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRow {
    /// What was asked for.
    pub resource: NewResource,
    /// When it was made.
    pub created: WallMs,
    /// The session that it was bound to, and when that session was created.
    pub bound: Option<(Sid, WallMs)>,
}

impl ResourceRow {
    /// Whether `now` is too late to start it.
    pub fn start_expired(&self, now: WallMs) -> bool {
        now.0 >= self.created.0.saturating_add(RESOURCE_LIFE_MS)
    }

    /// Whether `now` is too late to query or stop its session (`resourceExpiredHour`); false before it is bound.
    pub fn access_expired(&self, now: WallMs) -> bool {
        let life_ms = u64::from(self.resource.expired_hours) * 60 * 60 * 1000;
        self.bound.as_ref().is_some_and(|(_, since)| now.0 >= since.0.saturating_add(life_ms))
    }
}

impl Store {
    /// Remembers a resource, and forgets a few that were never started within a day: callers that only acquire can't make
    /// the database grow for ever.
    pub async fn resource_create(&self, new: &NewResource, now: WallMs) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, new, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The resource with this id, expired or not.
    pub async fn resource_get(&self, id: &str) -> Result<Option<ResourceRow>, StoreError> {
        sqlx::query(
            "SELECT r.*, s.created AS started FROM resources r LEFT JOIN sessions s ON s.sid = r.sid WHERE r.id = ?",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await?
        .as_ref()
        .map(resource)
        .transpose()
    }

    /// Makes a resource free again after a start that failed before it recorded anything, so that the corrected request can
    /// use it, and the idempotency key with it. Does nothing to a resource that is bound to another session.
    pub async fn resource_release(&self, id: &str, sid: &Sid) -> Result<(), StoreError> {
        self.key_release(sid).await?;
        sqlx::query("UPDATE resources SET sid = NULL, start_hash = NULL WHERE id = ? AND sid = ?")
            .bind(id)
            .bind(sid.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Writes a resource within the caller's transaction.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewResource,
    now: WallMs,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM resources WHERE id IN \
         (SELECT id FROM resources WHERE sid IS NULL AND created < ? ORDER BY created LIMIT ?)",
    )
    .bind(signed(now.0.saturating_sub(UNSTARTED_MEMORY_MS)))
    .bind(FORGOTTEN_AT_ONCE)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO resources (id, app, cname, uid, created, expired_hours, start_parameter) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.id)
    .bind(new.app.as_str())
    .bind(new.cname.as_str())
    .bind(new.uid.as_str())
    .bind(signed(now.0))
    .bind(i64::from(new.expired_hours))
    .bind(new.start_parameter.map(|hash| hash.to_vec()))
    .execute(connection)
    .await?;
    Ok(())
}

fn resource(row: &SqliteRow) -> Result<ResourceRow, StoreError> {
    let bound = match (row.try_get::<Option<&str>, _>("sid")?, optional_wall(row, "started")?) {
        (Some(_), Some(started)) => Some((parsed(row, "sid")?, started)),
        _ => None,
    };
    Ok(ResourceRow {
        resource: NewResource {
            id: row.try_get("id")?,
            app: parsed(row, "app")?,
            cname: parsed(row, "cname")?,
            uid: parsed(row, "uid")?,
            expired_hours: unsigned(row, "expired_hours")?,
            start_parameter: hash(row, "start_parameter")?,
        },
        created: wall(row, "created")?,
        bound,
    })
}

fn hash(row: &SqliteRow, column: &'static str) -> Result<Option<[u8; 32]>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    bytes
        .map(<[u8; 32]>::try_from)
        .transpose()
        .map_err(|problem| StoreError::Corrupt { what: column, problem: problem.to_string() })
}
