//! Sessions: one row a recording, from the bound resource to the summary that outlives it.

use serde_json::Value;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Acquire, Row};

use super::keys::{self, Call, CallKey, Made};
use super::resources::RESOURCE_LIFE_MS;
use super::rows::{parsed, signed, wall};
use super::session_row::{Binding, NewSession, Sealed, SessionRow, SessionState, SessionUpdate, mode_word, session};
use super::{Store, StoreError};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

impl Store {
    /// Creates a session and binds its resource to it, both or neither. `start_hash` is the SHA-256 of the start request:
    /// it tells a repeated start from another one. Of concurrent calls with one resource exactly one is [`Binding::Bound`].
    pub async fn resource_bind(
        &self,
        new: &NewSession,
        start_hash: [u8; 32],
        now: WallMs,
    ) -> Result<Binding, StoreError> {
        self.resource_bind_once(new, start_hash, None, now).await
    }

    /// The same for a start with an idempotency key, which stands for the session from then on. What the key stands for already
    /// goes before everything else.
    pub async fn resource_bind_once(
        &self,
        new: &NewSession,
        start_hash: [u8; 32],
        key: Option<&CallKey>,
        now: WallMs,
    ) -> Result<Binding, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(key) = key
            && let Some(claim) = keys::started(&mut transaction, &new.app, key, now).await?
        {
            return Ok(if claim.same { Binding::SameKey(claim.made) } else { Binding::OtherKey });
        }
        let refusal = refusal(transaction.acquire().await?, new, start_hash, now).await?;
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        sqlx::query(
            "INSERT INTO sessions (sid, app, cname, uid, resource, mode, state, created, request, sealed) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.sid.as_str())
        .bind(new.app.as_str())
        .bind(new.cname.as_str())
        .bind(new.uid.as_str())
        .bind(&new.resource)
        .bind(mode_word(new.mode))
        .bind(SessionState::Starting.as_str())
        .bind(signed(now.0))
        .bind(new.request.to_string())
        .bind(&new.sealed)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE resources SET sid = ?, start_hash = ? WHERE id = ?")
            .bind(new.sid.as_str())
            .bind(start_hash.as_slice())
            .bind(&new.resource)
            .execute(&mut *transaction)
            .await?;
        if let Some(key) = key
            && !keys::remember(&mut transaction, &new.app, Call::Start, key, Made::Session(&new.sid), now).await?
        {
            return Ok(Binding::TooManyKeys);
        }
        transaction.commit().await?;
        Ok(Binding::Bound)
    }

    /// The session with this id.
    pub async fn session_get(&self, sid: &Sid) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM sessions WHERE sid = ?")
            .bind(sid.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(session).transpose()
    }

    /// Changes a session.
    pub async fn session_update(&self, sid: &Sid, update: &SessionUpdate) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        apply(&mut connection, sid, update).await
    }

    /// A running session is told to end. One that is not running any more stays as it is.
    pub async fn session_stopping(&self, sid: &Sid) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET state = 'stopping' WHERE sid = ? AND state IN ('starting', 'recording')")
            .bind(sid.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Every open session, oldest first: what a worker finds when it starts.
    pub async fn sessions_open(&self) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sessions WHERE state IN ('starting', 'recording', 'stopping') ORDER BY created, sid",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
    }

    /// Sessions that are over and still have sealed secrets, oldest first: something of them may be on its way to the bucket.
    pub async fn sessions_sealed(&self) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sessions WHERE state IN ('ended', 'failed') AND sealed IS NOT NULL ORDER BY created, sid",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
    }

    /// How many sessions have sealed secrets.
    pub async fn sealed_count(&self) -> Result<u64, StoreError> {
        let row =
            sqlx::query("SELECT COUNT(*) FROM sessions WHERE sealed IS NOT NULL").fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// The newest `limit` sessions of an app, newest first.
    pub async fn sessions_recent(&self, app: &AppId, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM sessions WHERE app = ? ORDER BY created DESC, sid LIMIT ?")
            .bind(app.as_str())
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(session).collect()
    }

    /// The running session of this app, channel and recorder uid, if there is one.
    pub async fn session_by_cname_uid(
        &self,
        app: &AppId,
        cname: &Cname,
        uid: &Uid,
    ) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM sessions WHERE app = ? AND cname = ? AND uid = ? AND state IN ('starting', 'recording')",
        )
        .bind(app.as_str())
        .bind(cname.as_str())
        .bind(uid.as_str())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(session).transpose()
    }
}

/// Writes an update within the caller's transaction.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    sid: &Sid,
    update: &SessionUpdate,
) -> Result<(), StoreError> {
    let (keep, sealed) = match &update.sealed {
        Sealed::Keep => (true, None),
        Sealed::Replace(bytes) => (false, Some(bytes)),
        Sealed::Forget => (false, None),
    };
    let changed = sqlx::query(
        "UPDATE sessions SET state = coalesce(?, state), request = coalesce(?, request), ended = coalesce(?, ended), \
         summary = coalesce(?, summary), sealed = CASE WHEN ? THEN sealed ELSE ? END WHERE sid = ?",
    )
    .bind(update.state.map(SessionState::as_str))
    .bind(update.request.as_ref().map(Value::to_string))
    .bind(update.ended.map(|at| signed(at.0)))
    .bind(update.summary.as_ref().map(Value::to_string))
    .bind(keep)
    .bind(sealed)
    .bind(sid.as_str())
    .execute(connection)
    .await?
    .rows_affected();
    if changed == 0 { Err(StoreError::UnknownSession(sid.clone())) } else { Ok(()) }
}

async fn refusal(
    connection: &mut SqliteConnection,
    new: &NewSession,
    start_hash: [u8; 32],
    now: WallMs,
) -> Result<Option<Binding>, StoreError> {
    let resource = sqlx::query("SELECT created, sid, start_hash FROM resources WHERE id = ? AND app = ?")
        .bind(&new.resource)
        .bind(new.app.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(resource) = resource else { return Ok(Some(Binding::UnknownResource)) };
    if resource.try_get::<Option<&str>, _>("sid")?.is_some() {
        let sid = parsed(&resource, "sid")?;
        let same = resource.try_get::<Option<&[u8]>, _>("start_hash")? == Some(start_hash.as_slice());
        return Ok(Some(if same { Binding::SameStart(sid) } else { Binding::OtherStart(sid) }));
    }
    if now.0 >= wall(&resource, "created")?.0.saturating_add(RESOURCE_LIFE_MS) {
        return Ok(Some(Binding::Expired));
    }
    let running = sqlx::query(
        "SELECT sid FROM sessions WHERE app = ? AND cname = ? AND uid = ? AND state IN ('starting', 'recording')",
    )
    .bind(new.app.as_str())
    .bind(new.cname.as_str())
    .bind(new.uid.as_str())
    .fetch_optional(connection)
    .await?;
    running.map(|row| parsed(&row, "sid").map(Binding::Conflict)).transpose()
}
