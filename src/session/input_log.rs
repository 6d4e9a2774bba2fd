//! Where the inputs of a recording are written before the core gets them: the worker's journal, and a capture if one is wanted.
//!
//! A tape that fails does not end a recording: the sound goes on to the bucket, only a crash would lose more of it.

use std::path::Path;

use super::plan::Plan;
use crate::storage::journal::{self, FileWriter, Record};

/// The input log of one recording.
pub(super) struct InputLog {
    journal: journal::Writer,
    /// Whether the journal refused a record, which is said once.
    refused: bool,
    capture: Option<FileWriter>,
}

impl InputLog {
    /// A tape into `journal`, and into a file of its own in the `capture` folder.
    pub(super) fn new(plan: &Plan, journal: journal::Writer, capture: Option<&Path>) -> Self {
        let capture = capture.and_then(|dir| {
            let path = dir.join(format!("{}.journal", plan.sid));
            let made = FileWriter::create(&path);
            made.inspect_err(|error| tracing::warn!(path = %path.display(), "no capture: {error}")).ok()
        });
        Self { journal, refused: false, capture }
    }

    /// Writes what happened.
    pub(super) fn append(&mut self, record: &Record) {
        if let Err(error) = self.journal.append(record) {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::error!(sid = %record.sid(), "a crash would lose more than a second of this recording: {error}");
            }
        } else {
            self.refused = false;
        }
        if let Some(Err(error)) = self.capture.as_mut().map(|capture| capture.append(record)) {
            tracing::warn!("a capture ends early: {error}");
            self.capture = None;
        }
    }

    /// Closes the capture.
    pub(super) async fn finish(self) {
        let Some(capture) = self.capture else { return };
        let finished = tokio::task::spawn_blocking(|| capture.finish()).await;
        if !matches!(finished, Ok(Ok(()))) {
            tracing::warn!("a capture may lack its end");
        }
    }
}
