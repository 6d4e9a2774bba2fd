//! The event log: one numbered line for everything that happened to a session. Callbacks, `query` and the bucket's log are
//! all read from it.

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::canonical::render;
use super::deliverable::{Deliverable, Table};
use super::rows::{parsed, signed, unsigned, wall};
use super::session_row::mode_from;
use super::sessions::apply;
use super::{SessionUpdate, Store, StoreError};
use crate::recording::Mode;
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// The longest details text, in bytes.
pub const MAX_DETAILS_BYTES: usize = 1 << 20;

/// Something that happened, before it has its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The vendor's number for it (docs/protocol/agora.md section 5.1).
    pub event_type: u16,
    /// Which service says so: 0 platform, 1 recorder, 2 uploader.
    pub service_type: u8,
    /// What exactly; an object with `msgName` first. Without secrets.
    pub details: Value,
}

impl NewEvent {
    /// Adds a field of ours to the details. A documented field keeps its value: receivers rely on it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(details) = &mut self.details {
            details.entry(name).or_insert_with(|| value.into());
        }
        self
    }
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose session.
    pub app: AppId,
    /// Its channel.
    pub cname: Cname,
    /// Its recorder's uid.
    pub uid: Uid,
    /// What it makes.
    pub mode: Mode,
    /// The session.
    pub sid: Sid,
    /// Counts from 0 within the session, without a hole.
    pub sequence: u64,
    /// 32 hex digits, unique, the same on every delivery attempt.
    pub notice_id: String,
    /// As in [`NewEvent`].
    pub event_type: u16,
    /// As in [`NewEvent`].
    pub service_type: u8,
    /// Canonical JSON ([`super::canonical`]), exactly as it is sent.
    pub details: String,
    /// When it was written to the log.
    pub sendts: WallMs,
}

impl Store {
    /// Writes one event to a session's log; it is on disk when this returns.
    pub async fn append_event(&self, sid: &Sid, new: NewEvent, now: WallMs) -> Result<Event, StoreError> {
        let mut events = self.append_events(sid, &SessionUpdate::default(), vec![new], now).await?;
        events.pop().ok_or_else(|| StoreError::UnknownSession(sid.clone()))
    }

    /// Changes a session and writes the events that tell of it, all or nothing, with one flush of the disk.
    pub async fn append_events(
        &self,
        sid: &Sid,
        update: &SessionUpdate,
        new: Vec<NewEvent>,
        now: WallMs,
    ) -> Result<Vec<Event>, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        apply(&mut transaction, sid, update).await?;
        let mut next: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence) + 1, 0) FROM events WHERE sid = ?")
            .bind(sid.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        let first = next;
        for event in &new {
            insert(&mut transaction, sid, next, event, now).await?;
            next += 1;
        }
        let rows = sqlx::query(EVENTS_FROM).bind(sid.as_str()).bind(first).bind(i64::MAX).fetch_all(&mut *transaction);
        let events = rows.await?.iter().map(event).collect::<Result<_, _>>()?;
        transaction.commit().await?;
        Ok(events)
    }

    /// Up to `limit` events of a session in order, those after sequence `after` or all from the first.
    pub async fn events(&self, sid: &Sid, after: Option<u64>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let first = after.map_or(0, |after| after.saturating_add(1));
        let rows = sqlx::query(EVENTS_FROM)
            .bind(sid.as_str())
            .bind(signed(first))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(event).collect()
    }
}

impl Deliverable for Event {
    fn app(&self) -> &AppId {
        &self.app
    }

    fn stream(&self) -> &str {
        self.sid.as_str()
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn notice_id(&self) -> &str {
        &self.notice_id
    }

    fn event_type(&self) -> u16 {
        self.event_type
    }

    fn written(&self) -> WallMs {
        self.sendts
    }
}

impl Table for Event {
    const DELIVERIES: &'static str = "deliveries";
    const ATTEMPTS: &'static str = "delivery_attempts";
    const SELECT: &'static str = "SELECT e.*, s.app, s.cname, s.uid, s.mode, d.attempts, d.due, d.delivered, d.dead, d.passed, d.asked, d.last_error \
         FROM deliveries d JOIN events e ON e.sid = d.sid AND e.sequence = d.sequence JOIN sessions s ON s.sid = d.sid WHERE";
    const EVENT_TYPE: &'static str =
        "(SELECT e.event_type FROM events e WHERE e.sid = deliveries.sid AND e.sequence = deliveries.sequence)";

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        event(row)
    }
}

/// The event in a row that has the columns of `events` and `app`, `cname`, `uid` and `mode` of its session.
fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    Ok(Event {
        app: parsed(row, "app")?,
        cname: parsed(row, "cname")?,
        uid: parsed(row, "uid")?,
        mode: mode_from(row)?,
        sid: parsed(row, "sid")?,
        sequence: unsigned(row, "sequence")?,
        notice_id: row.try_get("notice_id")?,
        event_type: unsigned(row, "event_type")?,
        service_type: unsigned(row, "service_type")?,
        details: row.try_get("details")?,
        sendts: wall(row, "sendts")?,
    })
}

const EVENTS_FROM: &str = "SELECT e.*, s.app, s.cname, s.uid, s.mode FROM events e JOIN sessions s ON s.sid = e.sid \
    WHERE e.sid = ? AND e.sequence >= ? ORDER BY e.sequence LIMIT ?";

/// The event and its delivery: due at once, unless an earlier event of the session is still pending.
async fn insert(
    connection: &mut SqliteConnection,
    sid: &Sid,
    sequence: i64,
    new: &NewEvent,
    now: WallMs,
) -> Result<(), StoreError> {
    let details = render(&new.details);
    if details.len() > MAX_DETAILS_BYTES {
        return Err(StoreError::DetailsTooLong { event_type: new.event_type, bytes: details.len() });
    }
    sqlx::query(
        "INSERT INTO events (sid, sequence, notice_id, event_type, service_type, details, sendts) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sid.as_str())
    .bind(sequence)
    .bind(notice_id())
    .bind(i64::from(new.event_type))
    .bind(i64::from(new.service_type))
    .bind(details)
    .bind(signed(now.0))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO deliveries (sid, sequence, app, due) SELECT sid, ?, app, CASE WHEN EXISTS (SELECT 1 FROM deliveries d \
         WHERE d.sid = s.sid AND d.due IS NOT NULL) THEN NULL ELSE ? END FROM sessions s WHERE sid = ?",
    )
    .bind(sequence)
    .bind(signed(now.0))
    .bind(sid.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

fn notice_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
