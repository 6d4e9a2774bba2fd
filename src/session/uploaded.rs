//! What the uploader reports of a session's objects. In every state of a session a report is counted, logged and watched here, and here
//! alone; what it means to the recording is the state's to know.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::context::SessionContext;
use super::upload::UploadWatch;
use crate::callback::event::RecordingEvent;
use crate::error_class::Classify;
use crate::storage::{
    BucketError, Confirmed, Held, ObjectKind, Progress, SpooledObject, UploadError, UploadQueue, UploadReport,
};

/// A session's way to its bucket, and what the uploader reports.
pub(super) type Uploads = (UploadQueue, mpsc::Receiver<UploadReport>);

/// What a report means.
#[derive(Debug)]
pub(super) enum Uploaded {
    /// The bucket holds an object.
    Confirmed { name: String, kind: ObjectKind, confirmed: Confirmed },
    /// An attempt failed and is made again.
    Failed(Failure),
    /// The bucket takes uploads again; the event for that.
    Recovered(Option<RecordingEvent>),
    /// The bucket holds another object of this name.
    Taken { object: SpooledObject, held: Option<Held> },
    /// Nothing changes.
    Unchanged,
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The event for it, where it is time for one.
    pub(super) said: Option<RecordingEvent>,
    /// Whether the credentials have expired.
    pub(super) expired: bool,
}

impl UploadWatch {
    /// Takes note of a report; `progress` is how far the way to the bucket is.
    pub(super) fn take(&mut self, report: UploadReport, context: &SessionContext, progress: &Progress) -> Uploaded {
        match report {
            UploadReport::Confirmed { name, kind, confirmed } => {
                context.metrics.uploaded(confirmed.size);
                if kind == ObjectKind::Segment {
                    context.metrics.segment_confirmed();
                }
                context.manifest_confirmed(&name, &confirmed.sha256);
                Uploaded::Confirmed { name, kind, confirmed }
            }
            UploadReport::Retrying { name, error, attempt } => {
                Uploaded::Failed(self.take_failure(&name, &error, attempt, context, progress))
            }
            UploadReport::Recovered => {
                tracing::info!(sid = %context.plan.sid, "the bucket takes uploads again");
                Uploaded::Recovered(self.recovered(progress, Instant::now()))
            }
            UploadReport::Taken { object, held } => Uploaded::Taken { object, held },
            UploadReport::Settled { .. } | UploadReport::Gone { .. } => Uploaded::Unchanged,
        }
    }

    /// Takes note of an attempt that failed. The uploader gives nothing up.
    pub(super) fn take_failure(
        &mut self,
        name: &str,
        error: &UploadError,
        attempt: u32,
        context: &SessionContext,
        progress: &Progress,
    ) -> Failure {
        let (sid, code) = (&context.plan.sid, error.error_class().code);
        context.metrics.upload_failed(code);
        if self.changes(code) {
            tracing::warn!(%sid, name, code, "the bucket takes no uploads, they are tried again: {error}");
        } else {
            tracing::debug!(%sid, name, code, attempt, "an upload is tried again: {error}");
        }
        let said = self.failed(error, attempt, progress, (Instant::now(), (context.clock)()));
        Failure { said, expired: matches!(error, UploadError::Bucket(BucketError::Expired { .. })) }
    }
}
