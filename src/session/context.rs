//! What every part of a session works with: its plan, its row and log, its report, its place on the disk.

use std::time::Duration;

use tokio::sync::watch;

use super::backup::BackupTarget;
use super::event_writer::EventWriter;
use super::plan::Plan;
use super::stall::StallWatch;
use super::tasks::Tasks;
use super::{Report, WallClock};
use crate::codec::names::manifest_name;
use crate::codec::whole::Roll;
use crate::metrics::Metrics;
use crate::storage::{SessionSpool, journal};
use crate::store::Store;

/// What a recording has from its acceptance to its end.
pub(super) struct SessionContext {
    pub(super) plan: Plan,
    pub(super) store: Store,
    pub(super) event_writer: EventWriter,
    pub(super) clock: WallClock,
    pub(super) report: watch::Sender<Report>,
    pub(super) spool: SessionSpool,
    pub(super) journal: journal::Writer,
    pub(super) metrics: Metrics,
    pub(super) stalls: StallWatch,
    pub(super) tasks: Tasks,
    /// The app's second bucket.
    pub(super) backup: Option<BackupTarget>,
    /// How long a recording that is over waits for its bucket before that is said.
    pub(super) upload_patience: Duration,
    /// How long whole files are.
    pub(super) roll: Roll,
}

impl SessionContext {
    /// What is known now, for the row in the store.
    pub(super) fn summary(&self) -> serde_json::Value {
        serde_json::to_value(&*self.report.borrow()).expect("a report has string keys and finite numbers only")
    }

    /// The bucket confirmed an object: where it is the manifest, this is the text that the digest has to cover.
    pub(super) fn manifest_confirmed(&self, name: &str, sha256: &str) {
        if name == manifest_name(&self.plan.sid, &self.plan.cname) {
            self.report.send_modify(|report| report.manifest_sha256 = Some(sha256.to_owned()));
        }
    }

    /// Makes everything that was told to journal and log durable, so that another run of the worker can go on.
    pub(super) async fn settle(&self) {
        if let Err(error) = self.journal.flush().await {
            tracing::error!(sid = %self.plan.sid, "the journal may lack the last second of this recording: {error}");
        }
        self.event_writer.flush().await;
    }
}
