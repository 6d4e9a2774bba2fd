//! What receivers have and lack: how much, which events, and how a dead letter is sent again.

use std::collections::BTreeSet;

use sqlx::Row;

use super::deliverable::Deliverable;
use super::deliveries::{PENDING, delivery, promote};
use super::rows::signed;
use super::{ChannelNotice, Delivery, Event, Store, StoreError};
use crate::units::{AppId, WallMs};

/// Events that no receiver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// To be delivered, now or after others.
    pub pending: u64,
    /// Given up.
    pub dead: u64,
}

/// Which events of an app are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndeliveredFilter {
    /// All of them.
    All,
    /// Still to be delivered.
    Pending,
    /// Given up.
    Dead,
    /// Delivered.
    Delivered,
    /// Passed over, because the app does not want events of their type.
    Filtered,
}

impl UndeliveredFilter {
    /// Pending and dead ones have an index of their own, with app, stream and sequence.
    const fn condition(self) -> &'static str {
        match self {
            Self::All => "1",
            Self::Pending => PENDING,
            Self::Dead => "dead IS NOT NULL",
            Self::Delivered => "delivered IS NOT NULL",
            Self::Filtered => "passed IS NOT NULL",
        }
    }
}

/// Which event of which stream; the order of [`Store::dead_letters`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPosition {
    /// The recording, or the channel's session.
    pub stream: String,
    /// The event.
    pub sequence: u64,
}

impl Store {
    /// How many events the receivers of these apps lack.
    pub async fn outstanding(&self, apps: &[AppId]) -> Result<Undelivered, StoreError> {
        let mut all = Undelivered::default();
        for app in apps {
            all.pending += self.count::<Event>(app, UndeliveredFilter::Pending).await?;
            all.pending += self.count::<ChannelNotice>(app, UndeliveredFilter::Pending).await?;
            all.dead += self.count::<Event>(app, UndeliveredFilter::Dead).await?;
            all.dead += self.count::<ChannelNotice>(app, UndeliveredFilter::Dead).await?;
        }
        Ok(all)
    }

    /// Up to `limit` events of an app, or of one of its streams: stream by stream, each in its order, those behind `after`.
    pub async fn dead_letters<L: Deliverable>(
        &self,
        app: &AppId,
        standing: UndeliveredFilter,
        stream: Option<&str>,
        after: Option<&EventPosition>,
        limit: u32,
    ) -> Result<Vec<Delivery<L>>, StoreError> {
        let one = if stream.is_some() { "d.sid = ? AND " } else { "" };
        let query = format!(
            "{} d.app = ? AND {one}(d.sid, d.sequence) > (?, ?) AND {} ORDER BY d.sid, d.sequence LIMIT ?",
            L::SELECT,
            standing.condition()
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(app.as_str());
        if let Some(stream) = stream {
            query = query.bind(stream);
        }
        let rows = query
            .bind(after.map_or("", |place| place.stream.as_str()))
            .bind(after.map_or(0, |place| signed(place.sequence)))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(delivery).collect()
    }

    /// Makes up to `limit` dead letters of an app, or of one of its streams, pending again, and due what is next in their
    /// streams. Says how many.
    pub async fn redeliver<L: Deliverable>(
        &self,
        app: &AppId,
        stream: Option<&str>,
        now: WallMs,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let deliveries = L::DELIVERIES;
        let revive = format!(
            "UPDATE {deliveries} SET dead = NULL, asked = ? WHERE (sid, sequence) IN (SELECT sid, sequence FROM {deliveries} \
             WHERE app = ? AND dead IS NOT NULL AND sid = coalesce(?, sid) ORDER BY sid, sequence LIMIT ?) RETURNING sid"
        );
        let halt = format!("UPDATE {deliveries} SET due = NULL WHERE sid = ? AND due IS NOT NULL");
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let revived = sqlx::query(sqlx::AssertSqlSafe(revive))
            .bind(signed(now.0))
            .bind(app.as_str())
            .bind(stream)
            .bind(limit)
            .fetch_all(&mut *transaction)
            .await?;
        let streams = revived.iter().map(|row| row.try_get("sid")).collect::<Result<BTreeSet<String>, _>>()?;
        for stream in &streams {
            sqlx::query(sqlx::AssertSqlSafe(halt.clone())).bind(stream).execute(&mut *transaction).await?;
            promote::<L>(&mut transaction, stream, now).await?;
        }
        transaction.commit().await?;
        Ok(revived.len() as u64)
    }

    async fn count<L: Deliverable>(&self, app: &AppId, standing: UndeliveredFilter) -> Result<u64, StoreError> {
        let query = format!("SELECT count(*) FROM {} WHERE app = ? AND {}", L::DELIVERIES, standing.condition());
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(app.as_str()).fetch_one(&self.readers).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
