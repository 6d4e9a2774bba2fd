//! What the journal of earlier runs holds, read once for many sessions and given to each that wants its part.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::error_class::Classify;
use crate::session::pipeline::CheckpointRead;
use crate::storage::journal::{self, Record};
use crate::units::{Sid, WallMs};

/// Records that are read ahead of each session's core.
const READ_AHEAD: usize = 1_024;

/// A record, or why the journal ends before its time.
pub(super) type Deliverable = Result<Record, Arc<str>>;

/// The records of one session, in order.
#[derive(Debug)]
pub(super) struct Records {
    first: Option<Deliverable>,
    rest: mpsc::Receiver<Deliverable>,
}

/// The parts of a log, by session.
#[derive(Debug, Default)]
pub(super) struct RejoinedParts(BTreeMap<Sid, mpsc::Sender<Deliverable>>);

impl Records {
    /// Wall time of tick 0, if the journal has the beginning.
    pub(super) async fn start(&mut self) -> Option<WallMs> {
        if self.first.is_none() {
            self.first = self.rest.recv().await;
        }
        match &self.first {
            Some(Ok(Record::Started { spec })) => Some(spec.start),
            Some(Ok(Record::Checkpoint { state, .. })) => CheckpointRead::start(state).ok(),
            _ => None,
        }
    }

    /// The next record.
    pub(super) async fn next(&mut self) -> Option<Deliverable> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.rest.recv().await,
        }
    }

    /// Adds up to `limit` records to `batch`; how many. Zero at the end. Cancelling loses nothing.
    pub(super) async fn next_many(&mut self, batch: &mut Vec<Deliverable>, limit: usize) -> usize {
        self.rest.recv_many(batch, limit).await
    }
}

impl RejoinedParts {
    /// The part of a session.
    pub(super) fn of(&mut self, sid: Sid) -> Records {
        let (lines, rest) = mpsc::channel(READ_AHEAD);
        self.0.insert(sid, lines);
        Records { first: None, rest }
    }

    /// Reads the log, at the pace of the slowest session. Blocking I/O.
    pub(super) fn read(self, journal: &journal::Writer) {
        for record in journal.inherited(&self.0.keys().cloned().collect()) {
            let record = match record {
                Ok(record) => record,
                Err(error) if error.error_class().retry => {
                    let text: Arc<str> = error.to_string().into();
                    // Who does not listen any more does not need it.
                    self.0.values().for_each(|part| _ = part.blocking_send(Err(Arc::clone(&text))));
                    return;
                }
                Err(error) => {
                    tracing::error!("a part of the journal is lost: {error}");
                    continue;
                }
            };
            if let Some(part) = self.0.get(record.sid()) {
                let _ = part.blocking_send(Ok(record));
            }
        }
    }
}
