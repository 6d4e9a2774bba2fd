//! What waits for the disk, and which session is in which file. No I/O.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::writer::{AppendError, Limits};
use super::{EncodeError, Encoder, Record, log};
use crate::recording::Spec;
use crate::units::Sid;

#[derive(Debug)]
pub(super) struct Pending {
    dir: PathBuf,
    limits: Limits,
    /// Of the file that is written, or will be by the next record.
    pub(super) number: u64,
    encoder: Encoder,
    pub(super) buffer: Vec<u8>,
    /// Bytes of the current file, those in the buffer included.
    file_bytes: u64,
    /// Bytes appended since the log was opened.
    pub(super) appended: u64,
    pub(super) dropped: u64,
    /// Of all open sessions.
    pub(super) specs: HashMap<Sid, Spec>,
    /// The open sessions in the current file.
    current: HashSet<Sid>,
    pub(super) old: Vec<OldFile>,
    /// Ended files that nobody needs.
    unneeded: Vec<PathBuf>,
    pub(super) urgent: bool,
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct OldFile {
    pub(super) path: PathBuf,
    pub(super) sids: HashSet<Sid>,
}

/// What is to be done on the disk next, in this order.
#[derive(Debug)]
pub(super) struct Batch {
    /// The file to append to.
    pub(super) path: PathBuf,
    /// With these bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether the file ends with them.
    pub(super) last: bool,
    /// Files to remove.
    pub(super) unneeded: Vec<PathBuf>,
    /// [`Pending::appended`] when all is done.
    pub(super) upto: u64,
}

impl Pending {
    pub(super) fn new(dir: &Path, limits: Limits) -> Self {
        Self {
            dir: dir.to_owned(),
            limits,
            number: 0,
            encoder: Encoder::new(),
            buffer: Vec::new(),
            file_bytes: 0,
            appended: 0,
            dropped: 0,
            specs: HashMap::new(),
            current: HashSet::new(),
            old: Vec::new(),
            unneeded: Vec::new(),
            urgent: false,
            closed: false,
        }
    }

    pub(super) fn append(&mut self, record: &Record) -> Result<(), AppendError> {
        if self.buffer.len() >= self.limits.buffer_bytes {
            self.dropped += 1;
            return Err(AppendError::Overload);
        }
        let before = self.buffer.len();
        let encoded = self.encode(record);
        let grown = (self.buffer.len() - before) as u64;
        self.file_bytes += grown;
        self.appended += grown;
        Ok(encoded?)
    }

    fn encode(&mut self, record: &Record) -> Result<(), EncodeError> {
        let sid = record.sid();
        match record {
            Record::Started { spec } | Record::Continued { spec } => {
                self.encoder.encode(record, &mut self.buffer)?;
                self.specs.insert(sid.clone(), spec.clone());
                self.current.insert(sid.clone());
                return Ok(());
            }
            _ if !self.encoder.knows(sid) => {
                let spec = self.specs.get(sid).ok_or(EncodeError::NotStarted)?.clone();
                self.encoder.encode(&Record::Continued { spec }, &mut self.buffer)?;
                self.current.insert(sid.clone());
            }
            _ => (),
        }
        self.encoder.encode(record, &mut self.buffer)
    }

    pub(super) fn retire(&mut self, sid: &Sid) {
        self.specs.remove(sid);
        self.encoder.forget(sid);
        self.current.remove(sid);
        for file in &mut self.old {
            file.sids.remove(sid);
        }
        self.unneeded.extend(self.old.extract_if(.., |file| file.sids.is_empty()).map(|file| file.path));
    }

    /// What is to be done now, if anything. Ends the current file where it is long enough or nobody is in it.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.urgent = false;
        let path = log::path(&self.dir, self.number);
        let last = self.file_bytes >= self.limits.file_bytes || (self.file_bytes > 0 && self.current.is_empty());
        if last {
            let sids = std::mem::take(&mut self.current);
            if sids.is_empty() {
                self.unneeded.push(path.clone());
            } else {
                self.old.push(OldFile { path: path.clone(), sids });
            }
            self.encoder = Encoder::new();
            self.file_bytes = 0;
            self.number += 1;
        }
        let bytes = std::mem::take(&mut self.buffer);
        let unneeded = std::mem::take(&mut self.unneeded);
        let something = !bytes.is_empty() || !unneeded.is_empty() || last;
        something.then_some(Batch { path, bytes, last, unneeded, upto: self.appended })
    }

    /// Whether nothing waits for the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.unneeded.is_empty() && !(self.file_bytes > 0 && self.current.is_empty())
    }
}
