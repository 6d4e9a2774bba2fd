//! One request to a bucket for one object, with a place in the worker's queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::priority_limiter::{Priority, PriorityLimiter};
use super::source::{ObjectBytes, ObjectSource};
use super::{Bucket, Confirmed, Earlier, UploadError};
use crate::bucket::BucketError;
use crate::spool::SpooledObject;
use recorder_edge::metrics::Metrics;

/// What an attempt needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) bucket: Bucket,
    pub(super) source: ObjectSource,
    /// For sessions whose bucket is well.
    pub(super) puts: Arc<PriorityLimiter>,
    /// For sessions whose bucket failed last.
    pub(super) probes: Arc<PriorityLimiter>,
    /// For whole files.
    pub(super) wholes: Arc<PriorityLimiter>,
    pub(super) metrics: Metrics,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Put it; what became of earlier attempts.
    Put(SpooledObject, Earlier),
    /// See whether it is still there as it was confirmed.
    Look(SpooledObject, Confirmed),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Put(SpooledObject, Result<Confirmed, UploadError>),
    /// It left the spool before it could be copied.
    Gone(SpooledObject),
    Looked {
        object: SpooledObject,
        begun: Instant,
        held: Result<bool, BucketError>,
    },
}

/// An attempt gives its place back after this part of its time: a bucket that hangs does not keep the others waiting.
const PLACE_PART: u32 = 6;

impl Context {
    /// Waits for a place, then takes at most `limit`.
    pub(super) async fn run(self, attempt: Attempt, priority: Priority, limit: Duration) -> Done {
        let priority_limiter = match &attempt {
            Attempt::Put(object, _) if object.kind.is_whole() => &self.wholes,
            _ if priority.streak > 0 => &self.probes,
            _ => &self.puts,
        };
        let place = priority_limiter.enter(priority).await;
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
            Attempt::Put(object, earlier) if object.kind.is_whole() => {
                let begun = Instant::now();
                let put = self.put_whole(&object, earlier, limit).await;
                self.metrics.upload_took(put.is_ok(), begun.elapsed());
                Done::Put(object, put)
            }
            Attempt::Put(object, earlier) => {
                let put = match self.source.read(&object).await {
                    Ok(ObjectBytes::Bytes(bytes)) => {
                        let begun = Instant::now();
                        let put = self.put(&object, bytes, earlier, limit).await;
                        self.metrics.upload_took(put.is_ok(), begun.elapsed());
                        put
                    }
                    Ok(ObjectBytes::Gone) => return Done::Gone(object),
                    Err(error) => Err(error.into()),
                };
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
    async fn put_whole(
        &self,
        object: &SpooledObject,
        earlier: Earlier,
        limit: Duration,
    ) -> Result<Confirmed, UploadError> {
        let (key, file) = (self.bucket.key(&object.name), self.source.file(object).await?);
        Ok(self.bucket.put_file_within(limit, &key, file, object.kind, earlier).await?)
    }

    async fn put(
        &self,
        object: &SpooledObject,
        bytes: Bytes,
        earlier: Earlier,
        limit: Duration,
    ) -> Result<Confirmed, UploadError> {
        Ok(self.bucket.put_within(limit, &self.bucket.key(&object.name), bytes, object.kind, earlier).await?)
    }
}
