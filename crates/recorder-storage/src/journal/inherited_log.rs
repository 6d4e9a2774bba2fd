//! What earlier runs left in a log: its files, who needs them, and where each session can be begun. Read once, when the log is
//! opened.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::clock::Clock;
use super::error::JournalError;
use super::log::{self, LogFile};
use super::{StoredObject, scan};
use recorder_core::recording::Spec;
use recorder_core::units::Sid;

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct InheritedLog {
    /// Oldest first.
    pub(super) files: Vec<InheritedFile>,
    pub(super) sessions: HashMap<Sid, Inherited>,
}

/// A session that earlier runs left.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// `None`: each of its introductions is damaged.
    pub(super) spec: Option<Spec>,
    /// Where its last beginning is. `None`: it can't be read.
    pub(super) begun: Option<LogPosition>,
    /// Its last clock record.
    pub(super) clock: Option<Clock>,
    /// The one that tells best where the session's time lies on the machine's, in the machine's last run.
    pub(super) anchor: Option<Clock>,
    /// What the bucket confirmed since its last beginning, in order.
    pub(super) stored: Vec<StoredObject>,
}

/// A file that an earlier run left.
#[derive(Debug)]
pub(super) struct InheritedFile {
    pub(super) file: LogFile,
    /// Its length.
    pub(super) bytes: u64,
    /// The sessions that can't be read without it. A damaged one may hold records of any that was open then.
    pub(super) sids: HashSet<Sid>,
    /// Whether a part of it can't be read.
    pub(super) damaged: bool,
    /// Whether it is no journal, or not readable at all.
    pub(super) unreadable: bool,
}

/// Where in a log a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogPosition {
    /// The file's number.
    pub(super) file: u64,
    /// Bytes from the file's start.
    pub(super) end: u64,
}

impl LogPosition {
    /// In front of everything.
    pub(super) const FIRST: Self = Self { file: 0, end: 0 };
}

impl InheritedLog {
    /// Reads the log in `dir` through. A file that can't be read is said; one of another version is an error. Blocking I/O.
    pub(super) fn survey(dir: &Path) -> Result<Self, JournalError> {
        let mut all = Self::default();
        for file in log::files(dir)? {
            all.add(file)?;
        }
        let Self { files, sessions } = &mut all;
        for InheritedFile { file, sids, damaged, .. } in files {
            if *damaged {
                sids.extend(sessions.keys().cloned());
            }
            sids.retain(|sid| sessions[sid].begun.is_none_or(|begun| begun.file <= file.number));
        }
        Ok(all)
    }

    fn add(&mut self, file: LogFile) -> Result<(), JournalError> {
        let scan = scan::scan(&file.path);
        match &scan.error {
            Some(JournalError::Version { found, readable }) => {
                return Err(JournalError::Version { found: *found, readable: *readable }.in_file(&file.path));
            }
            Some(error) => tracing::error!(path = %file.path.display(), "a part of the journal is lost: {error}"),
            None => (),
        }
        let sids = scan.sessions.keys().cloned().collect();
        for (sid, found) in scan.sessions {
            let inherited = self.sessions.entry(sid).or_default();
            inherited.spec = inherited.spec.take().or(found.spec);
            inherited.begun = found.begun.map(|end| LogPosition { file: file.number, end }).or(inherited.begun);
            inherited.clock = found.clock.or(inherited.clock);
            inherited.anchor = scan::better(inherited.anchor, found.anchor);
            if found.begun.is_some() {
                inherited.stored.clear();
            }
            inherited.stored.extend(found.stored);
        }
        let bytes = length(&file)?;
        let unreadable = scan.error.is_some();
        self.files.push(InheritedFile { file, bytes, sids, damaged: scan.damaged, unreadable });
        Ok(())
    }
}

fn length(file: &LogFile) -> io::Result<u64> {
    Ok(std::fs::metadata(&file.path)?.len())
}
