//! A worker's log on the disk: files `<number>.journal`, eight or more digits, counted up. Reading what an earlier worker left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{JournalError, Reader, Record};
use crate::units::Sid;

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.journal"))
}

/// The files of a log, oldest first.
pub(super) fn files(dir: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".journal")?.parse().ok());
        files.extend(number.map(|number| LogFile { number, path }));
    }
    files.sort_by_key(|file| file.number);
    Ok(files)
}

/// The records of a log over all its files. A damaged file yields its error and the next file follows.
#[derive(Debug)]
pub struct LogReader {
    files: std::vec::IntoIter<LogFile>,
    only: Option<Sid>,
    open: Option<Reader>,
}

impl LogReader {
    /// Of the log in `dir`. Blocking I/O.
    pub fn new(dir: &Path) -> Result<Self, JournalError> {
        Ok(Self { files: files(dir)?.into_iter(), only: None, open: None })
    }

    /// Yields the records of one session only.
    pub fn for_session(mut self, sid: &Sid) -> Self {
        self.only = Some(sid.clone());
        self
    }

    fn next_file(&mut self) -> Option<Result<(), JournalError>> {
        let file = self.files.next()?;
        let reader = Reader::open(&file.path).map(|reader| match &self.only {
            Some(sid) => reader.for_session(sid),
            None => reader,
        });
        Some(reader.map(|reader| self.open = Some(reader)))
    }
}

impl Iterator for LogReader {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.open.as_mut().and_then(Iterator::next) {
                return Some(record);
            }
            if let Err(error) = self.next_file()? {
                return Some(Err(error));
            }
        }
    }
}
