//! What a worker does with recordings that an earlier run left open: it ends them honestly.
//!
//! The journal goes through the same core, which gives the same bytes (law 6); what is in the bucket already is put once more,
//! what is in the event log already is not said again.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::ending::{self, Cause};
use super::plan::Plan;
use super::presence::Presence;
use super::registry::Entry;
use super::sealed;
use super::sessions::{Inner, Sessions};
use super::works::Works;
use super::{Error, State};
use crate::callback::event::LeaveCode;
use crate::recording::Input;
use crate::storage::Bucket;
use crate::storage::journal::{JournalError, LogReader, Record};
use crate::store::SessionRow;
use crate::units::{Sid, Ticks};

/// Records that are read ahead of the core.
const READ_AHEAD: usize = 1024;
/// Inputs between two looks at what the core has ready.
const SHIP_EVERY: usize = 512;

/// Ends what was left open, in the background, oldest first.
pub(super) fn finish(sessions: &Sessions, left: Vec<SessionRow>) {
    if left.is_empty() {
        return;
    }
    tracing::warn!(count = left.len(), "an earlier run left recordings open; they are ended now");
    let inner = Arc::clone(&sessions.0);
    tokio::spawn(async move {
        for row in left {
            let sid = row.session.sid.clone();
            if let Err(error) = end(&inner, row).await {
                tracing::error!(%sid, "a recording of an earlier run can't be ended: {error}");
            }
        }
    });
}

async fn end(inner: &Arc<Inner>, row: SessionRow) -> Result<(), Error> {
    let broken = |error: &dyn std::fmt::Display| Error::Worker(error.to_string());
    let plan: Plan = serde_json::from_value(row.session.request).map_err(|error| broken(&error))?;
    let desk = inner.desk(plan).map_err(|error| broken(&error))?;
    desk.report.send_modify(|report| report.state = State::Stopping);
    let (commands, _) = mpsc::channel(1);
    let entry = Entry::new(desk.plan.app.clone(), desk.report.subscribe(), commands);
    let _listed = inner.registry.insert(desk.plan.sid.clone(), Arc::new(entry));

    let mut records = read(&inner.backing.journal_dir, &desk.plan.sid);
    let opened = row.session.sealed.map(|sealed| sealed::open(&inner.backing.sealer, &sealed));
    let (Some(Record::Started { spec } | Record::Continued { spec }), Some(Ok(destination))) =
        (records.recv().await, opened)
    else {
        ending::lost(desk).await;
        return Ok(());
    };
    let start = spec.start;
    desk.report.send_modify(|report| report.started = Some(start));
    let (queue, confirmations) = inner.backing.uploader.spawn(Bucket::connect(&destination), desk.spool.clone());
    queue.resume(desk.spool.list().await.map_err(|error| broken(&error))?);
    let mut works = Works::new(desk, spec, queue);
    works.remember_news().await?;
    let (mut presence, mut last, mut finished) = (Presence::default(), Ticks::ZERO, None);
    let mut fed = 0;
    while let Some(record) = records.recv().await {
        match record {
            Record::Input { input, .. } => {
                last = input.at;
                if !matches!(input.input, Input::Packet(_)) {
                    presence.observe(input.at, &input.input);
                }
                works.push(input);
            }
            Record::Finished { at, .. } => finished = Some(at),
            Record::Started { .. } | Record::Continued { .. } | Record::Checkpoint { .. } => {}
        }
        fed += 1;
        if fed % SHIP_EVERY == 0 {
            works.ship().await.map_err(|error| broken(&error))?;
        }
    }
    works.finish(finished.unwrap_or(last));
    let cause = finished.map_or(Cause::WorkerRestarted, |_| Cause::Left(LeaveCode::Interrupted));
    ending::end(works, confirmations, &presence, cause).await;
    Ok(())
}

/// The records of one session, as far as they can be read.
fn read(dir: &Path, sid: &Sid) -> mpsc::Receiver<Record> {
    let (records, receiver) = mpsc::channel(READ_AHEAD);
    let (dir, sid) = (dir.to_owned(), sid.clone());
    tokio::task::spawn_blocking(move || {
        let log = match LogReader::new(&dir) {
            Ok(log) => log.for_session(&sid),
            Err(error) => return tracing::error!(%sid, "the journal can't be read: {error}"),
        };
        for record in log {
            match record {
                Ok(record) => {
                    if records.blocking_send(record).is_err() {
                        return;
                    }
                }
                Err(error @ JournalError::Damaged { .. }) => {
                    tracing::error!(%sid, "a part of the journal is lost: {error}")
                }
                Err(error) => return tracing::error!(%sid, "the journal ends early: {error}"),
            }
        }
    });
    receiver
}
