//! Sessions: one row a recording, from the bound resource to the summary that outlives it.

use std::str::FromStr;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Acquire, Row};

use super::resources::RESOURCE_LIFE_MS;
use super::rows::{json, optional_wall, parsed, signed, wall};
use super::{Store, StoreError};
use crate::recording::Mode;
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// Where a session is in its life. `Starting` and `Recording` are running: they keep their app, channel and uid to
/// themselves. These two and `Stopping` are open: a worker has to take care of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Accepted; the bot is not in the channel yet.
    Starting,
    /// The bot is, or was and comes back.
    Recording,
    /// No more sound is taken; uploads go on.
    Stopping,
    /// Everything is in the bucket.
    Ended,
    /// Given up; the summary says why.
    Failed,
}

impl SessionState {
    /// Whether a worker still has to take care of the session.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Starting | Self::Recording | Self::Stopping)
    }

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recording => "recording",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for SessionState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "starting" => Ok(Self::Starting),
            "recording" => Ok(Self::Recording),
            "stopping" => Ok(Self::Stopping),
            "ended" => Ok(Self::Ended),
            "failed" => Ok(Self::Failed),
            _ => Err("is not a session's state"),
        }
    }
}

/// A session to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession {
    /// Its id, made from randomness by the caller.
    pub sid: Sid,
    /// Whose.
    pub app: AppId,
    /// The channel.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// The resource it is started with.
    pub resource: String,
    /// What it makes.
    pub mode: Mode,
    /// What was asked, without secrets.
    pub request: Value,
    /// Bucket keys and tokens, sealed ([`super::seal::Sealer`]).
    pub sealed: Option<Vec<u8>>,
}

/// A session as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// What it was created with; `sealed` as it is now.
    pub session: NewSession,
    /// Where it is in its life.
    pub state: SessionState,
    /// When it was created.
    pub created: WallMs,
    /// When it ended.
    pub ended: Option<WallMs>,
    /// What is known of its result: file list, durations, verdict, ledger.
    pub summary: Option<Value>,
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The session was created and the resource is its own.
    Bound,
    /// The same request was started on this resource before, as this session.
    SameStart(Sid),
    /// A different request was started on this resource, as this session (code 7).
    OtherStart(Sid),
    /// This running session has the same app, channel and uid (code 53).
    Conflict(Sid),
    /// The resource is older than five minutes and was never started (code 433).
    Expired,
    /// There is no such resource for this app.
    UnknownResource,
}

/// A change to a session; the default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionUpdate {
    /// The new state.
    pub state: Option<SessionState>,
    /// When it ended.
    pub ended: Option<WallMs>,
    /// The new summary.
    pub summary: Option<Value>,
    /// The sealed secrets.
    pub sealed: Sealed,
}

/// What happens to a session's sealed secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sealed {
    /// They stay.
    #[default]
    Keep,
    /// Fresh ones take their place.
    Replace(Vec<u8>),
    /// Nobody needs them any more.
    Forget,
}

impl Store {
    /// Creates a session and binds its resource to it, both or neither. `start_hash` is the SHA-256 of the start request:
    /// it tells a repeated start from another one. Of concurrent calls with one resource exactly one is [`Binding::Bound`].
    pub async fn resource_bind(
        &self,
        new: &NewSession,
        start_hash: [u8; 32],
        now: WallMs,
    ) -> Result<Binding, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
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

    /// Every open session, oldest first: what a worker finds when it starts.
    pub async fn sessions_open(&self) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sessions WHERE state IN ('starting', 'recording', 'stopping') ORDER BY created, sid",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
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
        "UPDATE sessions SET state = coalesce(?, state), ended = coalesce(?, ended), summary = coalesce(?, summary), \
         sealed = CASE WHEN ? THEN sealed ELSE ? END WHERE sid = ?",
    )
    .bind(update.state.map(SessionState::as_str))
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

/// The mode in the database.
pub(super) fn mode_from(row: &SqliteRow) -> Result<Mode, StoreError> {
    match row.try_get("mode")? {
        "mix" => Ok(Mode::Mix),
        "individual" => Ok(Mode::Individual),
        "both" => Ok(Mode::Both),
        word => Err(StoreError::Corrupt { what: "mode", problem: format!("{word} is not a mode") }),
    }
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

fn session(row: &SqliteRow) -> Result<SessionRow, StoreError> {
    let summary: Option<&str> = row.try_get("summary")?;
    Ok(SessionRow {
        session: NewSession {
            sid: parsed(row, "sid")?,
            app: parsed(row, "app")?,
            cname: parsed(row, "cname")?,
            uid: parsed(row, "uid")?,
            resource: row.try_get("resource")?,
            mode: mode_from(row)?,
            request: json("request", row.try_get("request")?)?,
            sealed: row.try_get("sealed")?,
        },
        state: parsed(row, "state")?,
        created: wall(row, "created")?,
        ended: optional_wall(row, "ended")?,
        summary: summary.map(|text| json("summary", text)).transpose()?,
    })
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Mix => "mix",
        Mode::Individual => "individual",
        Mode::Both => "both",
    }
}
