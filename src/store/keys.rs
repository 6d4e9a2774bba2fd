//! Idempotency keys: what a call with a key did, so that the same call does it once.
//!
//! A key belongs to its app and to one kind of call. It is written in the transaction that makes what it stands for, so of concurrent
//! calls one makes it and the others find it. A key is forgotten after [`KEY_LIFE_MS`], or with what it stands for.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::resources::{NewResource, RESOURCE_LIFE_MS, insert};
use super::rows::{parsed, signed, wall};
use super::{Store, StoreError};
use crate::units::{AppId, Sid, WallMs};

/// How long a key is good for, in milliseconds: a day.
pub const KEY_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
/// Keys that an app may have at a time.
pub const MAX_KEYS: u32 = 250_000;
/// How many that are too old are forgotten for each new one.
const FORGOTTEN_AT_ONCE: u32 = 8;

/// A caller's key, and the SHA-256 of what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallKey {
    /// As the caller sent it.
    pub key: String,
    /// Tells the same request from another one.
    pub request: [u8; 32],
}

/// What a key stands for already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<T> {
    /// What its call made.
    pub made: T,
    /// Whether that was the same request.
    pub same: bool,
}

/// What became of an acquire with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The resource is new.
    Created,
    /// The same request made this resource before.
    Again(String),
    /// Another request was sent with this key.
    KeyReused,
    /// The app has [`MAX_KEYS`] keys.
    TooManyKeys,
}

/// Which kind of call a key was sent with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Acquire,
    Start,
}

impl Call {
    const fn word(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Start => "start",
        }
    }
}

impl Store {
    /// What a start with this key made, if there was one within a day.
    pub async fn key_of_start(
        &self,
        app: &AppId,
        key: &CallKey,
        now: WallMs,
    ) -> Result<Option<Claim<Sid>>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        started(&mut connection, app, key, now).await
    }

    /// What an acquire with this key made within a day, if it can still be started or was started.
    pub async fn key_of_acquire(
        &self,
        app: &AppId,
        key: &CallKey,
        now: WallMs,
    ) -> Result<Option<Claim<String>>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        acquired(&mut connection, app, key, now).await
    }

    /// Remembers a resource for the key, unless the key has one.
    pub async fn resource_create_once(
        &self,
        new: &NewResource,
        key: &CallKey,
        now: WallMs,
    ) -> Result<Creation, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(claim) = acquired(&mut transaction, &new.app, key, now).await? {
            return Ok(if claim.same { Creation::Again(claim.made) } else { Creation::KeyReused });
        }
        insert(&mut transaction, new, now).await?;
        if !remember(&mut transaction, &new.app, Call::Acquire, key, Made::Resource(&new.id), now).await? {
            return Ok(Creation::TooManyKeys);
        }
        transaction.commit().await?;
        Ok(Creation::Created)
    }

    /// The key of a session that did not come about is free again.
    pub async fn key_release(&self, sid: &Sid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM idempotency_keys WHERE sid = ?").bind(sid.as_str()).execute(&self.writer).await?;
        Ok(())
    }
}

/// What a key is to stand for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made<'a> {
    Resource(&'a str),
    Session(&'a Sid),
}

/// The session of a start with this key.
pub(super) async fn started(
    connection: &mut SqliteConnection,
    app: &AppId,
    key: &CallKey,
    now: WallMs,
) -> Result<Option<Claim<Sid>>, StoreError> {
    let Some(row) = find(connection, app, Call::Start, key, now).await? else { return Ok(None) };
    Ok(Some(Claim { made: parsed(&row, "sid")?, same: is_same(&row, key)? }))
}

/// The resource of an acquire with this key. One that was not started in time is of no use to anybody.
async fn acquired(
    connection: &mut SqliteConnection,
    app: &AppId,
    key: &CallKey,
    now: WallMs,
) -> Result<Option<Claim<String>>, StoreError> {
    let Some(row) = find(connection, app, Call::Acquire, key, now).await? else { return Ok(None) };
    let made: String = row.try_get("resource")?;
    let resource = sqlx::query("SELECT created, sid FROM resources WHERE id = ?").bind(&made);
    let Some(resource) = resource.fetch_optional(connection).await? else { return Ok(None) };
    let started = resource.try_get::<Option<&str>, _>("sid")?.is_some();
    let expired = now.0 >= wall(&resource, "created")?.0.saturating_add(RESOURCE_LIFE_MS);
    Ok(if started || !expired { Some(Claim { made, same: is_same(&row, key)? }) } else { None })
}

async fn find(
    connection: &mut SqliteConnection,
    app: &AppId,
    call: Call,
    key: &CallKey,
    now: WallMs,
) -> Result<Option<SqliteRow>, StoreError> {
    let row = sqlx::query(
        "SELECT request, resource, sid FROM idempotency_keys WHERE app = ? AND call = ? AND key = ? AND created > ?",
    )
    .bind(app.as_str())
    .bind(call.word())
    .bind(&key.key)
    .bind(signed(now.0.saturating_sub(KEY_LIFE_MS)))
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

fn is_same(row: &SqliteRow, key: &CallKey) -> Result<bool, StoreError> {
    Ok(row.try_get::<&[u8], _>("request")? == key.request)
}

/// Writes down what the key stands for, in place of what is too old. False when the app has too many keys.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    app: &AppId,
    call: Call,
    key: &CallKey,
    made: Made<'_>,
    now: WallMs,
) -> Result<bool, StoreError> {
    forget_old(connection, app, now).await?;
    let span = sqlx::query(
        "SELECT (SELECT number FROM idempotency_keys WHERE app = ?1 ORDER BY number LIMIT 1) AS lowest, \
         (SELECT number FROM idempotency_keys WHERE app = ?1 ORDER BY number DESC LIMIT 1) AS highest",
    );
    let span = span.bind(app.as_str()).fetch_one(&mut *connection).await?;
    let lowest: Option<i64> = span.try_get("lowest")?;
    let highest: Option<i64> = span.try_get("highest")?;
    let next = highest.map_or(0, |highest| highest + 1);
    if next - lowest.unwrap_or(next) >= i64::from(MAX_KEYS) {
        return Ok(false);
    }
    let (resource, sid) = match made {
        Made::Resource(id) => (Some(id), None),
        Made::Session(sid) => (None, Some(sid.as_str())),
    };
    sqlx::query(
        "INSERT INTO idempotency_keys (app, call, key, number, request, created, resource, sid) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (app, call, key) DO UPDATE SET number = excluded.number, \
         request = excluded.request, created = excluded.created, resource = excluded.resource, sid = excluded.sid",
    )
    .bind(app.as_str())
    .bind(call.word())
    .bind(&key.key)
    .bind(next)
    .bind(key.request.as_slice())
    .bind(signed(now.0))
    .bind(resource)
    .bind(sid)
    .execute(connection)
    .await?;
    Ok(true)
}

async fn forget_old(connection: &mut SqliteConnection, app: &AppId, now: WallMs) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM idempotency_keys WHERE app = ?1 AND created <= ?2 AND number IN \
         (SELECT number FROM idempotency_keys WHERE app = ?1 ORDER BY number LIMIT ?3)",
    )
    .bind(app.as_str())
    .bind(signed(now.0.saturating_sub(KEY_LIFE_MS)))
    .bind(FORGOTTEN_AT_ONCE)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Cname, Uid};

    const NOW: WallMs = WallMs(1_700_000_000_000);

    fn app(digit: &str) -> AppId {
        AppId::new(&digit.repeat(32)).unwrap()
    }

    fn resource(id: &str, of: &str) -> NewResource {
        let (cname, uid) = (Cname::new("room").unwrap(), Uid::new("1").unwrap());
        NewResource { id: id.into(), app: app(of), cname, uid, expired_hours: 72, start_parameter: None }
    }

    fn key(text: &str, request: u8) -> CallKey {
        CallKey { key: text.into(), request: [request; 32] }
    }

    fn later(ms: u64) -> WallMs {
        WallMs(NOW.0 + ms)
    }

    #[tokio::test]
    async fn a_key_makes_one_resource_for_each_app_while_that_can_be_started() {
        let store = Store::in_memory().await.unwrap();
        let create = async |id: &str, of: &str, request, now| {
            store.resource_create_once(&resource(id, of), &key("k", request), now).await.unwrap()
        };
        assert_eq!(create("r-1", "a", 1, NOW).await, Creation::Created);
        assert_eq!(create("r-2", "a", 1, later(RESOURCE_LIFE_MS - 1)).await, Creation::Again("r-1".into()));
        assert_eq!(create("r-2", "a", 2, later(1)).await, Creation::KeyReused);
        assert_eq!(create("r-2", "b", 2, later(1)).await, Creation::Created, "another app's key is another key");
        assert_eq!(create("r-3", "a", 1, later(RESOURCE_LIFE_MS)).await, Creation::Created);
        let claim = store.key_of_acquire(&app("a"), &key("k", 1), later(RESOURCE_LIFE_MS + 1)).await.unwrap();
        assert_eq!(claim, Some(Claim { made: "r-3".into(), same: true }));
        assert_eq!(
            store.resource_get("r-2").await.unwrap().unwrap().resource.app,
            app("b"),
            "what was refused made nothing"
        );
    }

    #[tokio::test]
    async fn old_keys_make_place_and_too_many_are_refused() {
        let store = Store::in_memory().await.unwrap();
        // As if the keys between the first and the last were there.
        for (text, number) in [("first", 0), ("last", MAX_KEYS - 1)] {
            assert_eq!(
                store.resource_create_once(&resource(text, "a"), &key(text, 1), NOW).await.unwrap(),
                Creation::Created
            );
            let shift = sqlx::query("UPDATE idempotency_keys SET number = ? WHERE key = ?").bind(number).bind(text);
            shift.execute(&store.writer).await.unwrap();
        }
        let more =
            async |id: &str, now| store.resource_create_once(&resource(id, "a"), &key(id, 1), now).await.unwrap();
        assert_eq!(more("more", later(1)).await, Creation::TooManyKeys);
        assert!(store.resource_get("more").await.unwrap().is_none());
        let other = store.resource_create_once(&resource("other", "b"), &key("more", 1), later(1)).await.unwrap();
        assert_eq!(other, Creation::Created, "another app has places of its own");
        assert_eq!(more("more", later(KEY_LIFE_MS)).await, Creation::Created);
        let left = sqlx::query("SELECT count(*) AS left FROM idempotency_keys WHERE app = ?").bind("a".repeat(32));
        assert_eq!(left.fetch_one(&store.writer).await.unwrap().get::<i64, _>("left"), 1);
    }
}
