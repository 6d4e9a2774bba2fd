//! What a session looks like in the database, and what may become of a start.

use std::str::FromStr;

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use super::rows::{json, optional_wall, parsed, wall};
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
    /// When it had ended and everything of it was in its own bucket: from then on it is remembered for a time.
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
    /// The same request was started with this idempotency key before, as this session.
    SameKey(Sid),
    /// Another request was sent with this idempotency key.
    OtherKey,
    /// The app has as many idempotency keys as it may.
    TooManyKeys,
}

/// A change to a session; the default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionUpdate {
    /// The new state.
    pub state: Option<SessionState>,
    /// What is asked from here on, without secrets.
    pub request: Option<Value>,
    /// When it had ended and everything of it was in its own bucket.
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

/// The mode in a row.
pub(super) fn mode_from(row: &SqliteRow) -> Result<Mode, StoreError> {
    match row.try_get("mode")? {
        "mix" => Ok(Mode::Mix),
        "individual" => Ok(Mode::Individual),
        "both" => Ok(Mode::Both),
        word => Err(StoreError::Corrupt { what: "mode", problem: format!("{word} is not a mode") }),
    }
}

/// The session in a row with the columns of `sessions`.
pub(super) fn session(row: &SqliteRow) -> Result<SessionRow, StoreError> {
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

/// The mode's word in the database.
pub(super) const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Mix => "mix",
        Mode::Individual => "individual",
        Mode::Both => "both",
    }
}
