//! The disk's side of a log: batches are written and synced, files removed. What was not synced counts as not written.

use std::collections::BTreeMap;
use std::io;

use super::batch::Batch;
use super::frame;
use super::log::LogFile;
use super::log_storage::{JournalFile, LogStorage};
use super::zero_fill::is_of_the_medium;

/// Why a batch is not on the disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It may take it later.
    #[error(transparent)]
    NotNow(#[from] io::Error),
    /// The file that it continues is gone, with what was synced: nobody could read it.
    #[error("the file that was written is gone, and its records with it; leave the journal's folder alone")]
    Gone,
    /// The disk refuses this place again and again: what was synced stays, and a new file may lie elsewhere.
    #[error("the file that was written takes no more, a new one begins; check the disk: {0}")]
    Bad(io::Error),
}

/// Refusals in a row for a bad place on the disk, after which a file that holds something is given up.
const MAX_BAD: u32 = 3;

/// What was done since the log was opened, and what lies there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Bytes made durable.
    pub(super) bytes: u64,
    /// Syncs of files and of the folder.
    pub(super) fsyncs: u64,
    /// Files that lie there.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) file_bytes: u64,
}

/// The log's folder, and the file that is being written.
#[derive(Debug)]
pub(super) struct Disk {
    log_storage: Box<dyn LogStorage>,
    open: Option<Open>,
    /// Of all files, by number.
    lengths: BTreeMap<u64, u64>,
    /// Files that could not be removed when they should.
    stuck: Vec<LogFile>,
    bytes: u64,
    fsyncs: u64,
}

#[derive(Debug)]
struct Open {
    file: LogFile,
    /// Opened anew after an error: the old handle may not recover with the disk.
    journal_file: Option<Box<dyn JournalFile>>,
    /// Bytes that are durable. What lies behind them was refused and is written again.
    good: u64,
    /// Refusals in a row for a bad place.
    bad: u32,
}

impl Disk {
    /// `lengths`: of the files that lie there, by number.
    pub(super) fn new(log_storage: Box<dyn LogStorage>, lengths: BTreeMap<u64, u64>) -> Self {
        Self { log_storage, open: None, lengths, stuck: Vec::new(), bytes: 0, fsyncs: 0 }
    }

    /// Removes files that nobody needs, and writes and syncs a batch, unless its file is among them. After [`Refusal::NotNow`] it can be
    /// tried again, after the others not.
    pub(super) fn work(&mut self, unneeded: Vec<LogFile>, batch: &Batch) -> Result<(), Refusal> {
        let obsolete = unneeded.contains(&batch.file);
        self.remove(unneeded);
        if !batch.bytes.is_empty() && !obsolete {
            let open = self.open.take().filter(|open| open.file == batch.file);
            let mut open =
                open.unwrap_or_else(|| Open { file: batch.file.clone(), journal_file: None, good: 0, bad: 0 });
            let written = self.append(&mut open, &batch.bytes);
            let written = written.map_err(|refusal| open.is_refused(refusal));
            self.open = Some(open);
            written?;
        }
        if batch.last {
            self.open = None;
        }
        Ok(())
    }

    /// What was done and what lies there.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            bytes: self.bytes,
            fsyncs: self.fsyncs,
            files: self.lengths.len() as u64,
            file_bytes: self.lengths.values().sum(),
        }
    }

    /// What can't be removed now is tried again next time.
    fn remove(&mut self, files: Vec<LogFile>) {
        for file in files.into_iter().chain(std::mem::take(&mut self.stuck)) {
            match self.log_storage.remove(&file.path) {
                Ok(()) => drop(self.lengths.remove(&file.number)),
                Err(error) => {
                    tracing::warn!(%error, path = %file.path.display(), "a journal that nobody needs can't be removed");
                    self.stuck.push(file);
                }
            }
        }
    }

    fn append(&mut self, open: &mut Open, bytes: &[u8]) -> Result<(), Refusal> {
        let mut journal_file = match open.journal_file.take() {
            Some(journal_file) => journal_file,
            None if open.good == 0 => {
                self.fsyncs += 1;
                self.log_storage.create(&open.file.path)?
            }
            None => self.log_storage.reopen(&open.file.path, open.good).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Refusal::Gone,
                _ => Refusal::NotNow(error),
            })?,
        };
        self.fsyncs += 1;
        let good = put(journal_file.as_mut(), open.good, bytes)?;
        (open.journal_file, open.bad) = (Some(journal_file), 0);
        self.bytes += good - open.good;
        open.good = good;
        self.lengths.insert(open.file.number, good);
        Ok(())
    }
}

impl Open {
    fn is_refused(&mut self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::NotNow(error) if is_of_the_medium(&error) && self.good > 0 => {
                self.bad += 1;
                if self.bad < MAX_BAD { Refusal::NotNow(error) } else { Refusal::Bad(error) }
            }
            other => other,
        }
    }
}

/// Writes `bytes` behind the `good` ones, and the header before the first; how many are good then. After a refused sync the pages may
/// be marked clean without being on the disk, so all of it is written again.
fn put(journal_file: &mut dyn JournalFile, good: u64, bytes: &[u8]) -> io::Result<u64> {
    journal_file.cut(good)?;
    let header = frame::header();
    let header: &[u8] = if good == 0 { &header } else { &[] };
    journal_file.write(header)?;
    journal_file.write(bytes)?;
    journal_file.sync()?;
    Ok(good + (header.len() + bytes.len()) as u64)
}
