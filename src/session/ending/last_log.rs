//! The event log in the bucket once more, now with its last lines. When it is there the bucket's keys are forgotten: a row that is
//! over and still has them says to the next run of the worker that this is to be done.

use tokio::sync::mpsc;

use crate::callback::log_line;
use crate::codec::names::events_name;
use crate::session::plan::Plan;
use crate::storage::{ObjectKind, SessionSpool, SpoolError, UploadQueue, UploadReport};
use crate::store::{Sealed, SessionUpdate, Store};
use crate::units::Sid;

/// Events read from the store in one go.
const LOG_PAGE: u32 = 1000;

/// What the last lines need of a recording that is over.
pub(in crate::session) struct LastLog {
    pub(in crate::session) plan: Plan,
    pub(in crate::session) store: Store,
    pub(in crate::session) spool: SessionSpool,
    pub(in crate::session) queue: UploadQueue,
    pub(in crate::session) confirmations: mpsc::Receiver<UploadReport>,
}

impl LastLog {
    /// Waits until the bucket holds the log; the next run of the worker does it if this one ends before.
    pub(in crate::session) async fn write(self) {
        let sid = self.plan.sid.clone();
        if let Err(error) = self.upload().await {
            tracing::warn!(%sid, "the event log in the bucket lacks its last lines: {error}");
        }
    }

    async fn upload(mut self) -> Result<(), SpoolError> {
        let Plan { sid, cname, .. } = &self.plan;
        // An earlier run may have come this far.
        self.queue.resume(self.spool.list().await?);
        let log = event_log(&self.store, sid).await;
        let object = self.spool.put(&events_name(sid, cname), ObjectKind::Document, log.into()).await?;
        self.queue.submit(object);
        loop {
            tokio::select! {
                () = self.queue.drained() => break,
                // Nobody has to know: the row is written.
                Some(_) = self.confirmations.recv() => {}
            }
        }
        let update = SessionUpdate { sealed: Sealed::Forget, ..SessionUpdate::default() };
        if let Err(error) = self.store.session_update(sid, &update).await {
            tracing::warn!(%sid, "the bucket's keys are forgotten later: {error}");
        }
        drop(self.queue);
        self.spool.close().await
    }
}

/// The whole log as it is in the store.
pub(super) async fn event_log(store: &Store, sid: &Sid) -> String {
    let (mut text, mut after) = (String::new(), None);
    loop {
        let page = match store.events(sid, after, LOG_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%sid, "the event log in the bucket is cut short: {error}");
                return text;
            }
        };
        let Some(last) = page.last() else { return text };
        after = Some(last.sequence);
        page.iter().for_each(|event| text.push_str(&log_line(event)));
    }
}
