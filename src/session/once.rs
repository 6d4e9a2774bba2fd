//! Calls that are done once: what a caller's key stands for already, and what a repeated call is told.
//!
//! A start that did not come about stands for nothing: its key is free, for the same request or a corrected one.

use tokio::time::timeout;

use super::inner::{Inner, from_row};
use super::registry::ENTER_TIMEOUT;
use super::{AcquireRequest, Error, Report, RequestHash, ResourceId, State};
use crate::store::{CallKey, Creation, NewResource};
use crate::units::{AppId, Sid};

/// Bytes of a key.
pub const MAX_KEY_BYTES: usize = 255;

/// A caller's name for one thing that it wants done once: 1 to [`MAX_KEY_BYTES`] visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key, if the text is one.
    pub fn new(text: &str) -> Option<Self> {
        let good = (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }
}

/// A call that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Good for a day, within the app and the kind of call.
    pub key: IdempotencyKey,
    /// Tells the same request from another one.
    pub request: RequestHash,
}

impl Once {
    pub(super) fn into_key(self) -> CallKey {
        CallKey { key: self.key.0, request: self.request.0 }
    }
}

impl Inner {
    /// Gives out a resource.
    pub(super) async fn acquire(&self, request: AcquireRequest, once: Option<Once>) -> Result<ResourceId, Error> {
        let key = once.map(Once::into_key);
        let store = &self.backing.store;
        if let Some(key) = &key
            && let Some(claim) = store.key_of_acquire(&request.app, key, self.now()).await?
        {
            return if claim.same { released(&claim.made) } else { Err(Error::KeyReused) };
        }
        self.check_worker().await?;
        self.check_capacity(&request.app)?;
        let id = ResourceId::from_random(rand::random());
        let resource = NewResource {
            id: id.as_str().to_owned(),
            app: request.app,
            cname: request.cname,
            uid: request.uid,
            expired_hours: request.hours.as_hours(),
            start_parameter: request.promised.map(|plan_copies| plan_copies.0),
        };
        let Some(key) = key else {
            store.resource_create(&resource, self.now()).await?;
            return Ok(id);
        };
        match store.resource_create_once(&resource, &key, self.now()).await? {
            Creation::Created => Ok(id),
            Creation::Again(id) => released(&id),
            Creation::KeyReused => Err(Error::KeyReused),
            Creation::TooManyKeys => Err(Error::TooManyKeys),
        }
    }

    /// The recording that a start with this key made, if it made one.
    pub(super) async fn started_before(&self, app: &AppId, key: &CallKey) -> Result<Option<Report>, Error> {
        let Some(claim) = self.backing.store.key_of_start(app, key, self.now()).await? else { return Ok(None) };
        let report = self.started_as(&claim.made).await?;
        if report.as_ref().is_none_or(never_entered) {
            self.backing.store.key_release(&claim.made).await?;
            return Ok(None);
        }
        if claim.same { Ok(report) } else { Err(Error::KeyReused) }
    }

    /// A recording as its start is answered: once its bot is in the channel, or after a while.
    async fn started_as(&self, sid: &Sid) -> Result<Option<Report>, Error> {
        // What a row names was listed before.
        if let Some(entry) = self.registry.get(sid) {
            let entered = timeout(ENTER_TIMEOUT, entry.wait(|state| state != State::Starting)).await;
            return Ok(Some(entered.unwrap_or_else(|_| entry.report())));
        }
        let row = self.backing.store.session_get(sid).await?;
        Ok(row.and_then(|row| from_row(&row)))
    }
}

fn released(resource: &str) -> Result<ResourceId, Error> {
    ResourceId::parse(resource).map_err(|error| Error::Worker(error.to_string()))
}

/// Whether the start failed, as its caller sees it.
fn never_entered(report: &Report) -> bool {
    report.state == State::Failed && report.started.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_visible() {
        for text in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", &"k".repeat(MAX_KEY_BYTES)] {
            assert!(IdempotencyKey::new(text).is_some(), "{text}");
        }
        for text in ["", " ", "a b", "a\n", "é", &"k".repeat(MAX_KEY_BYTES + 1)] {
            assert!(IdempotencyKey::new(text).is_none(), "{text}");
        }
    }
}
