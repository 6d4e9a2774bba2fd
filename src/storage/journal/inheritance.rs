//! What earlier runs left in a log: its files, who needs them, and where each session can be begun. Read once, when the log is
//! opened.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::error::JournalError;
use super::log::{self, LogFile};
use super::{StoredObject, scan};
use crate::recording::Spec;
use crate::units::Sid;

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    /// Oldest first.
    pub(super) files: Vec<Heirloom>,
    /// The sessions, and where their last beginning is, if there is one.
    pub(super) sessions: HashMap<Sid, (Spec, Option<Place>)>,
    /// What the bucket confirmed of each session since its last beginning, in order.
    pub(super) stored: HashMap<Sid, Vec<StoredObject>>,
}

/// A file that an earlier run left.
#[derive(Debug)]
pub(super) struct Heirloom {
    pub(super) file: LogFile,
    /// Its length.
    pub(super) bytes: u64,
    /// The sessions that can't be read without it.
    pub(super) sids: HashSet<Sid>,
    /// Whether it can't be read to its end.
    pub(super) damaged: bool,
}

/// Where in a log a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file's number.
    pub(super) file: u64,
    /// Bytes from the file's start.
    pub(super) end: u64,
}

impl Inheritance {
    /// Reads the log in `dir` through. Damage is said and ends its file; a file of another version is an error. Blocking I/O.
    pub(super) fn survey(dir: &Path) -> Result<Self, JournalError> {
        let mut all = Self::default();
        for file in log::files(dir)? {
            all.add(file)?;
        }
        for Heirloom { file, sids, .. } in &mut all.files {
            sids.retain(|sid| all.sessions[sid].1.is_none_or(|begun| begun.file <= file.number));
        }
        Ok(all)
    }

    fn add(&mut self, file: LogFile) -> Result<(), JournalError> {
        let scan = scan::scan(&file.path);
        match &scan.damage {
            Some(JournalError::Version { found, readable }) => {
                return Err(JournalError::Version { found: *found, readable: *readable }.in_file(&file.path));
            }
            Some(damage) => tracing::error!(path = %file.path.display(), "a part of the journal is lost: {damage}"),
            None => (),
        }
        let mut sids = HashSet::new();
        for found in scan.sessions {
            let begun = found.begun.map(|end| Place { file: file.number, end });
            let stored = self.stored.entry(found.spec.sid.clone()).or_default();
            if begun.is_some() {
                stored.clear();
            }
            stored.extend(found.stored);
            sids.insert(found.spec.sid.clone());
            let (_, last) = self.sessions.entry(found.spec.sid.clone()).or_insert((found.spec, None));
            *last = begun.or(*last);
        }
        let bytes = length(&file)?;
        self.files.push(Heirloom { file, bytes, sids, damaged: scan.damage.is_some() });
        Ok(())
    }
}

fn length(file: &LogFile) -> io::Result<u64> {
    Ok(std::fs::metadata(&file.path)?.len())
}
