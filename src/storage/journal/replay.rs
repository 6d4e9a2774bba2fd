//! One pass over what earlier runs left, for many sessions at once.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::inheritance::Place;
use super::log::LogFile;
use super::writer::Shared;
use super::{JournalError, Reader, Record};
use crate::units::Sid;

/// What earlier runs left of some sessions, in the order of the log. Blocking I/O; at most one file is open.
///
/// A session's first record is its beginning: [`Record::Started`], or its last whole [`Record::Checkpoint`] where it has one. Each
/// later [`Record::Input`] and [`Record::Finished`] follows, never [`Record::Continued`]. A session whose beginning can't be found
/// yields nothing. A damaged file yields [`JournalError::File`] where its damage begins, and the next file follows.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    wanted: HashMap<Sid, Place>,
    files: std::vec::IntoIter<LogFile>,
    open: Option<(PathBuf, Reader)>,
}

impl Replay {
    pub(super) fn new(shared: Arc<Shared>, sids: &BTreeSet<Sid>) -> Self {
        let left = &shared.inheritance;
        let beginning = |sid: &Sid| Some((sid.clone(), left.sessions.get(sid)?.1?));
        let wanted: HashMap<_, _> = sids.iter().filter_map(beginning).collect();
        let needed = left.files.iter().filter(|file| file.sids.iter().any(|sid| wanted.contains_key(sid)));
        let files: Vec<_> = needed.map(|left| left.file.clone()).collect();
        Self { wanted, files: files.into_iter(), open: None, shared }
    }

    fn open(&mut self, file: LogFile) -> Result<(), JournalError> {
        let from = |(sid, begun): (&Sid, &Place)| {
            (begun.file <= file.number).then(|| (sid.clone(), if begun.file == file.number { begun.end } else { 0 }))
        };
        match Reader::open(&file.path) {
            Ok(reader) => self.open = Some((file.path, reader.from(self.wanted.iter().filter_map(from).collect()))),
            // It went meanwhile because its sessions are over.
            Err(JournalError::Io(error))
                if error.kind() == io::ErrorKind::NotFound && !self.shared.state().needs(file.number) => {}
            Err(error) => return Err(error.in_file(&file.path)),
        }
        Ok(())
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        loop {
            while let Some((path, reader)) = &mut self.open {
                match reader.next() {
                    Some(Ok(Record::Continued { .. })) => (),
                    Some(Ok(record)) => return Ok(Some(record)),
                    Some(Err(error)) => {
                        let error = error.in_file(path);
                        self.open = None;
                        return Err(error);
                    }
                    None => self.open = None,
                }
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            self.open(file)?;
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}
