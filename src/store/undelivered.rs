//! What receivers lack: how much, which events, and how a dead letter comes back to life.

use std::collections::BTreeSet;

use super::deliveries::{DELIVERIES, delivery, promote};
use super::rows::{parsed, signed};
use super::{Delivery, Store, StoreError};
use crate::units::{AppId, Sid, WallMs};

/// Events that no receiver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// To be delivered, now or after others.
    pub pending: u64,
    /// Given up.
    pub dead: u64,
}

/// Why a receiver lacks an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is still to be delivered.
    Pending,
    /// It was given up.
    Dead,
}

impl Lack {
    /// Each has an index of its own, with app, sid and sequence.
    const fn condition(self) -> &'static str {
        match self {
            Self::Pending => "d.delivered IS NULL AND d.dead IS NULL",
            Self::Dead => "d.dead IS NOT NULL",
        }
    }
}

/// Which event of which recording; the order of [`Store::undelivered`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The recording.
    pub sid: Sid,
    /// The event.
    pub sequence: u64,
}

impl Store {
    /// How many events the receivers of these apps lack.
    pub async fn outstanding(&self, apps: &[AppId]) -> Result<Outstanding, StoreError> {
        let mut all = Outstanding::default();
        for app in apps {
            all.pending += self.count(app, Lack::Pending).await?;
            all.dead += self.count(app, Lack::Dead).await?;
        }
        Ok(all)
    }

    /// Up to `limit` events that an app's receiver lacks: recording by recording, each in its order, those behind `after`.
    pub async fn undelivered(
        &self,
        app: &AppId,
        lack: Lack,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let behind = "d.app = ? AND (d.sid, d.sequence) > (?, ?)";
        let query = format!("{DELIVERIES} {behind} AND {} ORDER BY d.sid, d.sequence LIMIT ?", lack.condition());
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(app.as_str())
            .bind(after.map_or("", |place| place.sid.as_str()))
            .bind(after.map_or(0, |place| signed(place.sequence)))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// Makes up to `limit` dead letters of an app, or of one of its recordings, pending again, and due what is next in their
    /// recordings. Says how many.
    pub async fn redeliver(&self, app: &AppId, sid: Option<&Sid>, now: WallMs, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let revived = sqlx::query(
            "UPDATE deliveries SET dead = NULL, asked = ? WHERE (sid, sequence) IN (SELECT sid, sequence FROM deliveries \
             WHERE app = ? AND dead IS NOT NULL AND sid = coalesce(?, sid) ORDER BY sid, sequence LIMIT ?) RETURNING sid",
        )
        .bind(signed(now.0))
        .bind(app.as_str())
        .bind(sid.map(Sid::as_str))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let sids = revived.iter().map(|row| parsed(row, "sid")).collect::<Result<BTreeSet<Sid>, _>>()?;
        for sid in &sids {
            sqlx::query("UPDATE deliveries SET due = NULL WHERE sid = ? AND due IS NOT NULL")
                .bind(sid.as_str())
                .execute(&mut *transaction)
                .await?;
            promote(&mut transaction, sid, now).await?;
        }
        transaction.commit().await?;
        Ok(revived.len() as u64)
    }

    async fn count(&self, app: &AppId, lack: Lack) -> Result<u64, StoreError> {
        let query = format!("SELECT count(*) FROM deliveries d WHERE d.app = ? AND {}", lack.condition());
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(app.as_str()).fetch_one(&self.readers).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
