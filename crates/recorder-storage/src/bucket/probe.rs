//! Whether a destination can be written to, and what else it lets its credentials do.
//!
//! A destination that the worker meets for the first time is asked with one small object: PUT with `If-None-Match: *`, the same again
//! (does the store honour the condition?), HEAD (may it be read?), a plain PUT over it (is it write-once?), DELETE. What the time does not
//! suffice for stays unknown, and is learned on the way.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::body::Body;
use super::error::{Action, cant_read, is_precondition, refuses_condition};
use super::{Bucket, BucketError, PROOF_TIME};
use crate::spool::ObjectKind;

/// How long after its beginning a proof goes on to ask; the rest of [`PROOF_TIME`] is for the clean-up.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// The pause after the first answer of a busy store, twice as long after each next one.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
/// The same PUT is sent twice to learn what a store makes of its condition, if it has no more bytes than these.
const MAX_REPEATED_BYTES: u64 = 1 << 20;

impl Bucket {
    /// Writes and deletes one small object under the prefix, and finds out what is not known of the destination, all within
    /// [`PROOF_TIME`]. A store that is busy is asked again in that time. Credentials that may not delete are taken, though the object
    /// (`cloud-recorder-test-….txt`) then stays.
    pub async fn prove(&self) -> Result<(), BucketError> {
        let begun = Instant::now();
        let body = Body::of(Bytes::from_static(b"cloud-recorder was here to see whether it can write\n"));
        let mut keys = Vec::new();
        let written = self.write_once_at_least(begun, &body, &mut keys).await;
        if let (Ok(()), Some(key), false) = (&written, keys.last(), self.abilities().is_known()) {
            // What the time does not suffice for stays unknown.
            let _ = timeout_at(begun + PROBE_TIME, self.probe(key, &body)).await;
        }
        for key in &keys {
            let left = PROOF_TIME.saturating_sub(begun.elapsed());
            if let Err(error) = self.delete_within(left, key).await {
                tracing::warn!(%key, %error, "the test object could not be deleted");
            }
        }
        written
    }

    /// Writes one object, each attempt under a name of its own: one that failed may be there all the same. `keys` are those that may be.
    async fn write_once_at_least(
        &self,
        begun: Instant,
        body: &Body,
        keys: &mut Vec<String>,
    ) -> Result<(), BucketError> {
        let (until, mut pause) = (begun + PROBE_TIME, FIRST_PAUSE);
        loop {
            let key = self.key(&format!("cloud-recorder-test-{}.txt", uuid::Uuid::new_v4().simple()));
            let put = self.send(&key, body, ObjectKind::Document, self.abilities().conditional != Some(false), until);
            let put = self.timed(PROOF_TIME.saturating_sub(begun.elapsed()), Action::Write, put).await;
            if put.as_ref().err().is_none_or(BucketError::may_be_there) {
                keys.push(key);
            }
            match put {
                Err(BucketError::Busy { .. }) if Instant::now() + pause < until => sleep(pause).await,
                put => return put.map(drop),
            }
            pause *= 2;
        }
    }

    /// Finds out what is not known, with an object that was just put.
    async fn probe(&self, key: &str, body: &Body) {
        if self.abilities().conditional.is_none() {
            self.learn_condition(key, body, ObjectKind::Document).await;
        }
        if self.abilities().readable.is_none() {
            let readable = match self.head(key).await {
                Ok(Some(held)) => Some(!held.is_untold()),
                Err(error) if cant_read(&error) => Some(false),
                Ok(None) | Err(_) => None,
            };
            self.learned.learn(|abilities| abilities.readable = readable.or(abilities.readable));
        }
        if self.abilities().write_once.is_none() {
            let write_once = match self.request(key, body, ObjectKind::Document, self.headers(false)).await {
                Ok(_) => Some(false),
                Err(BucketError::AccessDenied { .. } | BucketError::Refused { .. }) => Some(true),
                Err(_) => None,
            };
            self.learned.learn(|abilities| abilities.write_once = write_once.or(abilities.write_once));
        }
    }

    /// Puts what was just put once more, with the condition that nothing is there.
    pub(super) async fn learn_condition(&self, key: &str, body: &Body, kind: ObjectKind) {
        if body.len() > MAX_REPEATED_BYTES {
            return;
        }
        let answer = self.request(key, body, kind, self.headers(true)).await;
        self.learned.learn(|abilities| match answer {
            Ok(_) => abilities.conditional = Some(false),
            Err(error) if is_precondition(&error) => abilities.conditional = Some(true),
            Err(error) if refuses_condition(&error) => abilities.conditional = Some(false),
            // It was taken a moment ago.
            Err(BucketError::AccessDenied { .. }) => abilities.write_once = Some(true),
            Err(_) => {}
        });
    }
}
