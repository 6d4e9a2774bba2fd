//! Kicking rules, as the channel server made them; what they mean is its affair.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::rows::{signed, unsigned, wall};
use super::{Store, StoreError};
use crate::units::WallMs;

/// A rule as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KickingRule {
    /// Its number; given by the store when it is inserted.
    pub id: u64,
    /// The app's id.
    pub app: String,
    /// The one channel it is about, if it is.
    pub cname: Option<String>,
    /// The one user.
    pub uid: Option<String>,
    /// The one address.
    pub ip: Option<String>,
    /// Whether joining, publishing audio and publishing video are banned.
    pub banned: [bool; 3],
    /// When it was made.
    pub created: WallMs,
    /// When its end was last set.
    pub updated: WallMs,
    /// Its end.
    pub until: WallMs,
}

impl Store {
    /// All rules whose end is after `now`, oldest first. The others are forgotten.
    pub async fn kicking_rules(&self, now: WallMs) -> Result<Vec<KickingRule>, StoreError> {
        sqlx::query("DELETE FROM kicking_rules WHERE until <= ?").bind(signed(now.0)).execute(&self.writer).await?;
        let rows = sqlx::query("SELECT * FROM kicking_rules ORDER BY id").fetch_all(&self.readers).await?;
        rows.iter().map(rule).collect()
    }

    /// Keeps a rule; its `id` is not looked at, the store's number is the answer.
    pub async fn insert_kicking_rule(&self, rule: &KickingRule) -> Result<u64, StoreError> {
        let [join, audio, video] = rule.banned;
        let row = sqlx::query(
            "INSERT INTO kicking_rules (app, cname, uid, ip, join_channel, publish_audio, publish_video, created, updated, until) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(&rule.app)
        .bind(&rule.cname)
        .bind(&rule.uid)
        .bind(&rule.ip)
        .bind(join)
        .bind(audio)
        .bind(video)
        .bind(signed(rule.created.0))
        .bind(signed(rule.updated.0))
        .bind(signed(rule.until.0))
        .fetch_one(&self.writer)
        .await?;
        unsigned::<u64>(&row, "id")
    }

    /// Gives a rule a new end. One that isn't there stays away.
    pub async fn change_kicking_rule(&self, id: u64, until: WallMs, now: WallMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE kicking_rules SET until = ?, updated = ? WHERE id = ?")
            .bind(signed(until.0))
            .bind(signed(now.0))
            .bind(signed(id))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Forgets a rule.
    pub async fn remove_kicking_rule(&self, id: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM kicking_rules WHERE id = ?").bind(signed(id)).execute(&self.writer).await?;
        Ok(())
    }
}

fn rule(row: &SqliteRow) -> Result<KickingRule, StoreError> {
    Ok(KickingRule {
        id: unsigned(row, "id")?,
        app: row.try_get("app")?,
        cname: row.try_get("cname")?,
        uid: row.try_get("uid")?,
        ip: row.try_get("ip")?,
        banned: [row.try_get("join_channel")?, row.try_get("publish_audio")?, row.try_get("publish_video")?],
        created: wall(row, "created")?,
        updated: wall(row, "updated")?,
        until: wall(row, "until")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(until: u64) -> KickingRule {
        KickingRule {
            id: 0,
            app: "a".repeat(32),
            cname: Some("room".to_owned()),
            uid: None,
            ip: Some("192.0.2.1".to_owned()),
            banned: [true, false, true],
            created: WallMs(1_000),
            updated: WallMs(1_000),
            until: WallMs(until),
        }
    }

    #[tokio::test]
    async fn rules_outlive_a_restart_until_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recorder.db");
        let store = Store::open(&file).await.unwrap();
        let long = store.insert_kicking_rule(&draft(90_000)).await.unwrap();
        let short = store.insert_kicking_rule(&draft(30_000)).await.unwrap();
        store.change_kicking_rule(short, WallMs(60_000), WallMs(2_000)).await.unwrap();
        store.close().await;

        let store = Store::open(&file).await.unwrap();
        let kept = store.kicking_rules(WallMs(59_999)).await.unwrap();
        let expected = [
            KickingRule { id: long, ..draft(90_000) },
            KickingRule { id: short, updated: WallMs(2_000), ..draft(60_000) },
        ];
        assert_eq!(kept, expected);
        assert_eq!(store.kicking_rules(WallMs(60_000)).await.unwrap().len(), 1, "over");
        store.remove_kicking_rule(long).await.unwrap();
        assert!(store.kicking_rules(WallMs(0)).await.unwrap().is_empty());
        let next = store.insert_kicking_rule(&draft(90_000)).await.unwrap();
        assert!(next > short, "a number is never given twice");
    }
}
