//! Which sessions a file holds and where each of them can be begun, told without a look at anything else in it.

use std::path::Path;

use super::checkpoint::{Fit, Part, Progress};
use super::error::JournalError;
use super::frames::Frames;
use super::{StoredObject, decode, kind};
use crate::recording::Spec;

/// What a file holds, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) sessions: Vec<Found>,
    /// What ended it early. What lies behind can't be read by anybody.
    pub(super) damage: Option<JournalError>,
}

/// A session in a file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) spec: Spec,
    /// Where the last record ends with which a reader may begin: its start or a whole checkpoint. `None`: in an earlier file.
    pub(super) begun: Option<u64>,
    checkpoint: Progress,
    /// What the bucket confirmed since then.
    pub(super) stored: Vec<StoredObject>,
}

/// Reads the file through. Blocking I/O.
pub(super) fn scan(path: &Path) -> Scan {
    let mut scan = Scan::default();
    if let Err(damage) = scan.read(path) {
        scan.damage = Some(damage);
    }
    scan
}

impl Scan {
    fn read(&mut self, path: &Path) -> Result<(), JournalError> {
        let mut frames = Frames::open(path)?;
        while let Some(frame) = frames.next()? {
            let damaged = |what| JournalError::Damaged { offset: frame.start, what };
            self.take(frame.body, frame.end).map_err(damaged)?;
        }
        Ok(())
    }

    fn take(&mut self, body: &[u8], end: u64) -> Result<(), &'static str> {
        let (kind, index, mut body) = decode::open(body)?;
        match kind {
            kind::STARTED | kind::CONTINUED => {
                if index != self.sessions.len() as u64 {
                    return Err("sessions are not introduced in order");
                }
                let begun = (kind == kind::STARTED).then_some(end);
                let spec = decode::spec(&mut body)?;
                self.sessions.push(Found { spec, begun, checkpoint: Progress::default(), stored: Vec::new() });
            }
            kind::CHECKPOINT => {
                let session = usize::try_from(index).ok().and_then(|index| self.sessions.get_mut(index));
                let session = session.ok_or("a session that was not introduced")?;
                if session.checkpoint.take(&Part::read(&mut body)?) == Fit::Whole {
                    session.begun = Some(end);
                    session.stored.clear();
                }
            }
            kind::STORED => {
                let session = usize::try_from(index).ok().and_then(|index| self.sessions.get_mut(index));
                session.ok_or("a session that was not introduced")?.stored.push(StoredObject::read(&mut body)?);
            }
            _ => (),
        }
        Ok(())
    }
}
