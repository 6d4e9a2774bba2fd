//! Channel events that apps want to be told of. They are written here before anybody hears of them (invariant 2), numbered within the
//! channel's session, and delivered in that order.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::canonical::render;
use super::deliverable::{Deliverable, Table};
use super::deliveries::PENDING;
use super::rows::{parsed, signed, unsigned, wall};
use super::{Store, StoreError};
use crate::units::{AppId, ChannelSid, WallMs};

/// Channel events of one app that may wait for its receiver; past it new ones are not taken.
pub const MAX_PENDING_NOTICES: u32 = 100_000;

/// A channel event before it is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannelNotice {
    /// Whose channel.
    pub app: AppId,
    /// The channel's session.
    pub session: ChannelSid,
    /// The vendor's number for it (docs/protocol/agora.md section 6).
    pub event_type: u16,
    /// The vendor's payload. Without secrets.
    pub payload: Value,
}

/// A channel event that is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelNotice {
    /// As in [`NewChannelNotice`].
    pub app: AppId,
    /// As in [`NewChannelNotice`].
    pub session: ChannelSid,
    /// Counts from 0 within the session. The vendor's bodies don't have it.
    pub sequence: u64,
    /// `<number>:<number>:<event type>`, unique, the same on every delivery attempt.
    pub notice_id: String,
    /// As in [`NewChannelNotice`].
    pub event_type: u16,
    /// Canonical JSON ([`super::canonical`]), exactly as it is sent.
    pub payload: String,
    /// When it was written down.
    pub written: WallMs,
}

impl Store {
    /// Writes channel events down, in this order, all or none, with one flush of the disk. Of an app with
    /// [`MAX_PENDING_NOTICES`] waiting none is taken; says how many were not.
    pub async fn append_channel_notices(&self, new: &[NewChannelNotice], now: WallMs) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut room: HashMap<&AppId, bool> = HashMap::new();
        let mut refused = 0;
        for notice in new {
            if !room.contains_key(&notice.app) {
                room.insert(&notice.app, has_room(&mut transaction, &notice.app).await?);
            }
            if room[&notice.app] {
                insert(&mut transaction, notice, now).await?;
            } else {
                refused += 1;
            }
        }
        transaction.commit().await?;
        Ok(refused)
    }

    /// The sessions of an app's channels without an event of this type, up to `limit` of them.
    pub async fn channel_sessions_without(
        &self,
        app: &AppId,
        event_type: u16,
        limit: u32,
    ) -> Result<Vec<ChannelSid>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT sid FROM channel_events c WHERE app = ? AND NOT EXISTS (SELECT 1 FROM channel_events d \
             WHERE d.sid = c.sid AND d.event_type = ?) ORDER BY sid LIMIT ?",
        )
        .bind(app.as_str())
        .bind(i64::from(event_type))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| parsed(row, "sid")).collect()
    }

    /// Forgets up to `limit` channel events from before `before`, but for those that still wait behind younger ones of their
    /// channel. Says how many.
    pub async fn forget_channel_notices(&self, before: WallMs, limit: u32) -> Result<u64, StoreError> {
        let forget = format!(
            "DELETE FROM channel_events WHERE (sid, sequence) IN (SELECT sid, sequence FROM channel_events old \
             WHERE written < ?1 AND (NOT ({PENDING}) OR NOT EXISTS (SELECT 1 FROM channel_events young \
             WHERE young.sid = old.sid AND young.written >= ?1)) ORDER BY written LIMIT ?2)"
        );
        let forgotten =
            sqlx::query(sqlx::AssertSqlSafe(forget)).bind(signed(before.0)).bind(limit).execute(&self.writer).await?;
        Ok(forgotten.rows_affected())
    }
}

impl Deliverable for ChannelNotice {
    fn app(&self) -> &AppId {
        &self.app
    }

    fn stream(&self) -> &str {
        self.session.as_str()
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
        self.written
    }
}

impl Table for ChannelNotice {
    const DELIVERIES: &'static str = "channel_events";
    const ATTEMPTS: &'static str = "channel_attempts";
    const SELECT: &'static str = "SELECT d.* FROM channel_events d WHERE";
    const EVENT_TYPE: &'static str = "event_type";

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            app: parsed(row, "app")?,
            session: parsed(row, "sid")?,
            sequence: unsigned(row, "sequence")?,
            notice_id: row.try_get("notice_id")?,
            event_type: unsigned(row, "event_type")?,
            payload: row.try_get("payload")?,
            written: wall(row, "written")?,
        })
    }
}

async fn has_room(connection: &mut SqliteConnection, app: &AppId) -> Result<bool, StoreError> {
    let count =
        format!("SELECT count(*) FROM (SELECT 1 FROM channel_events WHERE app = ? AND {PENDING} LIMIT ?) AS waiting");
    let waiting: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .bind(app.as_str())
        .bind(MAX_PENDING_NOTICES)
        .fetch_one(connection)
        .await?;
    Ok(waiting < i64::from(MAX_PENDING_NOTICES))
}

async fn insert(connection: &mut SqliteConnection, new: &NewChannelNotice, now: WallMs) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO channel_events (sid, sequence, app, notice_id, event_type, payload, written, due) \
         SELECT ?1, (SELECT coalesce(max(sequence) + 1, 0) FROM channel_events WHERE sid = ?1), ?2, ?3, ?4, ?5, ?6, \
         CASE WHEN EXISTS (SELECT 1 FROM channel_events WHERE sid = ?1 AND due IS NOT NULL) THEN NULL ELSE ?6 END",
    )
    .bind(new.session.as_str())
    .bind(new.app.as_str())
    .bind(notice_id(new.event_type))
    .bind(i64::from(new.event_type))
    .bind(render(&new.payload))
    .bind(signed(now.0))
    .execute(connection)
    .await?;
    Ok(())
}

fn notice_id(event_type: u16) -> String {
    format!("{}:{}:{event_type}", rand::random::<u32>(), rand::random::<u32>())
}
