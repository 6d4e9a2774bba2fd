//! One pass over what earlier runs left, for many sessions at once.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::frames::Damage;
use super::inherited_log::{InheritedFile, LogPosition};
use super::log::LogFile;
use super::session::{Carried, Lost};
use super::writer::Shared;
use super::{JournalError, Reader, Record};
use recorder_core::units::{Sid, Ticks};

/// Most damaged stretches of a file that are logged one by one.
const MAX_LOGGED: usize = 16;

/// What earlier runs left of some sessions, in the order of the log. Blocking I/O; at most one file is open.
///
/// A session's first record is its beginning: [`Record::Started`], or its last whole [`Record::Checkpoint`] where it has one. A session
/// whose beginning can't be found begins with [`Input::InputsLost`](recorder_core::recording::Input::InputsLost) and the first record with a time
/// that is left of it. Each later [`Record::Input`], [`Record::Stored`] and [`Record::Finished`] follows, never [`Record::Continued`].
/// Damage is logged and ends nothing; a file that the disk refuses yields [`JournalError::File`], and the next file follows.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    wanted: HashMap<Sid, LogPosition>,
    /// What the files so far said of them.
    carried: HashMap<Sid, Carried>,
    /// With whether each is unreadable.
    files: std::vec::IntoIter<(LogFile, bool)>,
    open: Option<(LogFile, Reader)>,
}

impl Replay {
    pub(super) fn new(shared: Arc<Shared>, sids: &BTreeSet<Sid>) -> Self {
        let left = &shared.inherited_log;
        let (mut wanted, mut carried) = (HashMap::new(), HashMap::new());
        for (sid, inherited) in sids.iter().filter_map(|sid| Some((sid, left.sessions.get(sid)?))) {
            if inherited.begun.is_none() {
                let lost = Lost { from: Ticks::ZERO, unless_restarted: false };
                carried.insert(sid.clone(), Carried { last: None, lost: Some(lost) });
            }
            wanted.insert(sid.clone(), inherited.begun.unwrap_or(LogPosition::FIRST));
        }
        let holds = |left: &&InheritedFile| left.unreadable || left.sids.iter().any(|sid| wanted.contains_key(sid));
        let files = left.files.iter().filter(holds).map(|left| (left.file.clone(), left.unreadable));
        let files: Vec<_> = files.collect();
        Self { wanted, carried, files: files.into_iter(), open: None, shared }
    }

    fn open(&mut self, file: LogFile) -> Result<(), JournalError> {
        let from = |(sid, begun): (&Sid, &LogPosition)| {
            (begun.file <= file.number).then(|| (sid.clone(), if begun.file == file.number { begun.end } else { 0 }))
        };
        match Reader::open(&file.path) {
            Ok(reader) => {
                let wanted = self.wanted.iter().filter_map(from).collect();
                let reader = reader.from(wanted, std::mem::take(&mut self.carried));
                self.open = Some((file, reader));
            }
            // It went meanwhile because its sessions are over.
            Err(JournalError::Io(error))
                if error.kind() == io::ErrorKind::NotFound && !self.shared.state().needs(file.number) => {}
            Err(error) => {
                self.lose(file.number);
                return Err(error.in_file(&file.path));
            }
        }
        Ok(())
    }

    /// Nobody knows what was in this file.
    fn lose(&mut self, file: u64) {
        for (sid, _) in self.wanted.iter().filter(|(_, begun)| begun.file < file) {
            let carried = self.carried.entry(sid.clone()).or_default();
            let from = carried.last.unwrap_or_default();
            carried.lost.get_or_insert(Lost { from, unless_restarted: false });
        }
    }

    fn close(&mut self) {
        let Some((file, mut reader)) = self.open.take() else { return };
        report(&file.path, reader.damages());
        self.carried.extend(reader.carry());
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        loop {
            while let Some((file, reader)) = &mut self.open {
                match reader.next() {
                    Some(Ok(Record::Continued { .. })) => (),
                    Some(Ok(record)) => return Ok(Some(record)),
                    Some(Err(error)) => {
                        let (error, number) = (error.in_file(&file.path), file.number);
                        self.close();
                        self.lose(number);
                        return Err(error);
                    }
                    None => self.close(),
                }
            }
            let Some((file, unreadable)) = self.files.next() else { return Ok(None) };
            match unreadable {
                true => self.lose(file.number),
                false => self.open(file)?,
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

fn report(path: &Path, damages: &[Damage]) {
    for Damage { offset, bytes, what } in damages.iter().take(MAX_LOGGED) {
        tracing::error!(path = %path.display(), offset, bytes, "a part of the journal is damaged and passed over: {what}");
    }
    if damages.len() > MAX_LOGGED {
        let (more, path) = (damages.len() - MAX_LOGGED, path.display());
        tracing::error!(%path, more, "more parts of this journal are damaged and passed over");
    }
}
