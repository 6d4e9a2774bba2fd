//! One request to a bucket for one object, with a place in the worker's queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::gate::{Gate, Rank};
use super::{Bucket, Confirmed, UploadError};
use crate::storage::bucket::BucketError;
use crate::storage::spool::{SessionSpool, SpooledObject};

/// What an attempt needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) bucket: Bucket,
    pub(super) spool: SessionSpool,
    /// For sessions whose bucket is well.
    pub(super) puts: Arc<Gate>,
    /// For sessions whose bucket failed last.
    pub(super) probes: Arc<Gate>,
    /// For whole files.
    pub(super) wholes: Arc<Gate>,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Put it.
    Put(SpooledObject),
    /// See whether it is still there as it was confirmed.
    Look(SpooledObject, Confirmed),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Put(SpooledObject, Result<Confirmed, UploadError>),
    Looked { object: SpooledObject, begun: Instant, held: Result<bool, BucketError> },
}

/// An attempt gives its place back after this part of its time: a bucket that hangs does not keep the others waiting.
const PLACE_PART: u32 = 6;

impl Context {
    /// Waits for a place, then takes at most `limit`.
    pub(super) async fn run(self, attempt: Attempt, rank: Rank, limit: Duration) -> Done {
        let gate = match &attempt {
            Attempt::Put(object) if object.kind.is_whole() => &self.wholes,
            _ if rank.streak > 0 => &self.probes,
            _ => &self.puts,
        };
        let place = gate.enter(rank).await;
        let attempt = self.attempt(attempt, limit);
        tokio::pin!(attempt);
        match timeout(limit / PLACE_PART, &mut attempt).await {
            Ok(done) => done,
            Err(_) => {
                drop(place);
                attempt.await
            }
        }
    }

    async fn attempt(&self, attempt: Attempt, limit: Duration) -> Done {
        match attempt {
            Attempt::Put(object) if object.kind.is_whole() => {
                let put = self.put_whole(&object, limit).await;
                Done::Put(object, put)
            }
            Attempt::Put(object) => {
                let put = self.put(&object, limit).await;
                Done::Put(object, put)
            }
            Attempt::Look(object, confirmed) => {
                let begun = Instant::now();
                let held = self.bucket.holds_within(limit, &self.bucket.key(&object.name), &confirmed).await;
                Done::Looked { object, begun, held }
            }
        }
    }

    /// A whole file is sent from the disk.
    async fn put_whole(&self, object: &SpooledObject, limit: Duration) -> Result<Confirmed, UploadError> {
        let (key, file) = (self.bucket.key(&object.name), self.spool.file(object).await?);
        Ok(self.bucket.put_file_within(limit, &key, file, object.kind).await?)
    }

    async fn put(&self, object: &SpooledObject, limit: Duration) -> Result<Confirmed, UploadError> {
        let bytes = self.spool.read(object).await?;
        Ok(self.bucket.put_within(limit, &self.bucket.key(&object.name), bytes, object.kind).await?)
    }
}
