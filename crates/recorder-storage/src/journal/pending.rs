//! What waits for the disk, and which session needs which file. No I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::batch::{Batch, BatchSlot, Buffer};
use super::checkpoint::MAX_DOUBLED_BYTES;
use super::encode::Encoder;
use super::inherited_log::{Inherited, InheritedLog};
use super::log::{self, LogFile};
use super::writer::{AppendError, Limits};
use super::{Clock, EncodeError, Record};
use recorder_core::recording::{Spec, TimedInput};
use recorder_core::units::{BootTime, Sid, Ticks};

/// Bytes of checkpoints that may wait for the disk before sessions are told to wait with theirs: 4 MiB. After a new file has begun
/// all sessions are due; this spreads them over the next batches.
const MAX_WAITING_CHECKPOINTS: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Pending {
    dir: PathBuf,
    limits: Limits,
    /// Of the file that is written, or will be by the next record.
    number: u64,
    encoder: Encoder,
    buffer: Buffer,
    /// Bytes of the current file without checkpoints, those in the buffer included.
    input_bytes: u64,
    /// Bytes of checkpoints in the current file, those in the buffer included.
    checkpoint_bytes: u64,
    /// Bytes appended since the log was opened.
    pub(super) appended: u64,
    /// Bytes of checkpoints that are not synced yet.
    waiting: u64,
    pub(super) dropped: u64,
    sessions: HashMap<Sid, Session>,
    /// The open sessions in the current file.
    current: HashSet<Sid>,
    old: Vec<OldFile>,
    /// Files that nobody needs.
    unneeded: Vec<LogFile>,
    pub(super) urgent: bool,
    pub(super) closed: bool,
}

/// An open session.
#[derive(Debug)]
struct Session {
    /// `None`: an earlier run's, and lost.
    spec: Option<Spec>,
    /// Time of its last record, or of the last clock record of an earlier run.
    at: Ticks,
    /// Where its time lies on the machine's, as the record with the least delay says it, of this run or an earlier one. Each clock record
    /// says that: what it was appended late would move the timeline of the next run, and those of many runs add up.
    anchor: Option<Clock>,
    /// The file with its start or last checkpoint, from which on the log holds all of it. `None`: a part is missing.
    begun: Option<u64>,
    /// Whether it is an earlier run's.
    inherited: bool,
}

impl Session {
    /// When the time of a record is on the machine's clock; it is appended `now`.
    fn anchored(&mut self, record: &Record, now: BootTime) -> BootTime {
        let (Record::Input { input: TimedInput { at, .. }, .. } | Record::Finished { at, .. }) = record else {
            return now;
        };
        if now.boot == BootTime::UNKNOWN.boot {
            return now;
        }
        let appended = Clock { ticks: *at, time: now };
        let anchor = self.anchor.map_or(appended, |known| known.or_better(appended));
        self.anchor = Some(anchor);
        anchor.time_of(*at)
    }
}

/// An ended file, and who can't be read without it.
#[derive(Debug)]
struct OldFile {
    file: LogFile,
    sids: HashSet<Sid>,
}

impl Pending {
    /// For a log in which earlier runs left this.
    pub(super) fn new(dir: &Path, limits: Limits, left: &InheritedLog) -> Self {
        let mut pending = Self {
            dir: dir.to_owned(),
            limits,
            number: left.files.last().map_or(0, |left| left.file.number + 1),
            encoder: Encoder::new(),
            buffer: Buffer::default(),
            input_bytes: 0,
            checkpoint_bytes: 0,
            appended: 0,
            waiting: 0,
            dropped: 0,
            sessions: HashMap::new(),
            current: HashSet::new(),
            old: Vec::new(),
            unneeded: Vec::new(),
            urgent: false,
            closed: false,
        };
        for left in &left.files {
            match left.sids.is_empty() {
                // Nobody knows what it holds: that is for people to look at.
                true if left.damaged || left.unreadable => (),
                true => pending.unneeded.push(left.file.clone()),
                false => pending.old.push(OldFile { file: left.file.clone(), sids: left.sids.clone() }),
            }
        }
        for (sid, Inherited { spec, begun, clock, anchor, .. }) in &left.sessions {
            let at = clock.map_or(Ticks::ZERO, |clock| clock.ticks);
            let begun = begun.map(|place| place.file);
            let session = Session { spec: spec.clone(), at, anchor: *anchor, begun, inherited: true };
            pending.sessions.insert(sid.clone(), session);
        }
        pending
    }

    /// `now` is the present.
    pub(super) fn append(&mut self, record: &Record, now: BootTime) -> Result<(), AppendError> {
        // A long checkpoint takes no room from inputs: there is one of them at most beside those that may wait.
        let own = matches!(record, Record::Checkpoint { .. });
        let others = if own { 0 } else { self.buffer.checkpoint_bytes as usize };
        if self.buffer.bytes.len() - others >= self.limits.buffer_bytes {
            self.miss(record);
            self.dropped += u64::from(!matches!(record, Record::Checkpoint { .. }));
            return Err(AppendError::Overload);
        }
        let before = self.buffer.bytes.len();
        let encoded = self.encode(record, now);
        if encoded.is_err() {
            self.miss(record);
        }
        let grown = (self.buffer.bytes.len() - before) as u64;
        self.appended += grown;
        self.buffer.records += u64::from(encoded.is_ok());
        match record {
            Record::Checkpoint { .. } => {
                self.checkpoint_bytes += grown;
                self.buffer.checkpoint_bytes += grown;
                self.waiting += grown;
            }
            _ => self.input_bytes += grown,
        }
        Ok(encoded?)
    }

    fn encode(&mut self, record: &Record, now: BootTime) -> Result<(), EncodeError> {
        let sid = record.sid();
        let out = &mut self.buffer.bytes;
        if let Record::Started { spec } | Record::Continued { spec } = record {
            self.encoder.encode(record, now, out)?;
            self.current.insert(sid.clone());
            let begun = matches!(record, Record::Started { .. }).then_some(self.number);
            let session = Session { spec: Some(spec.clone()), at: Ticks::ZERO, anchor: None, begun, inherited: false };
            self.sessions.insert(sid.clone(), session);
            return Ok(());
        }
        let session = self.sessions.get_mut(sid).ok_or(EncodeError::NotStarted)?;
        if !self.encoder.knows(sid) {
            self.encoder.go_on(sid, session.spec.as_ref(), session.at, out)?;
            self.current.insert(sid.clone());
        }
        let now = session.anchored(record, now);
        self.encoder.encode(record, now, out)?;
        if let Record::Input { input: TimedInput { at, .. }, .. } | Record::Finished { at, .. } = record {
            session.at = *at;
        }
        if let Record::Checkpoint { state, .. } = record {
            let before = session.begun.replace(self.number);
            // One damaged frame costs a state that is written once: then the one before it has to be there.
            let from = if state.len() <= MAX_DOUBLED_BYTES { self.number } else { before.unwrap_or(0) };
            self.buffer.checkpoints.push(BatchSlot { sid: sid.clone(), from });
        }
        Ok(())
    }

    /// The record is not in the log. A checkpoint makes its session whole again, also one whose start is missing; a missing checkpoint
    /// is no harm.
    fn miss(&mut self, record: &Record) {
        match (record, self.sessions.get_mut(record.sid())) {
            (Record::Checkpoint { .. }, _) => (),
            (_, Some(session)) => session.begun = None,
            (Record::Started { spec } | Record::Continued { spec }, None) => {
                let session =
                    Session { spec: Some(spec.clone()), at: Ticks::ZERO, anchor: None, begun: None, inherited: false };
                self.sessions.insert(spec.sid.clone(), session);
            }
            (_, None) => (),
        }
    }

    /// A session that nobody knows is one whose records so far are missing.
    pub(super) fn know(&mut self, spec: &Spec) {
        let unknown =
            || Session { spec: Some(spec.clone()), at: Ticks::ZERO, anchor: None, begun: None, inherited: false };
        let session = self.sessions.entry(spec.sid.clone()).or_insert_with(unknown);
        session.spec.get_or_insert_with(|| spec.clone());
    }

    pub(super) fn checkpoint_due(&self, sid: &Sid) -> bool {
        let due = |session: &Session| session.begun.is_none_or(|file| file < self.number);
        let room = self.waiting < MAX_WAITING_CHECKPOINTS && self.buffer.bytes.len() < self.limits.buffer_bytes / 2;
        room && self.sessions.get(sid).is_some_and(due)
    }

    pub(super) fn retire(&mut self, sid: &Sid) {
        self.sessions.remove(sid);
        self.encoder.forget(sid);
        self.current.remove(sid);
        self.release(sid, u64::MAX);
    }

    /// Retires the sessions of earlier runs that are not among these.
    pub(super) fn retain(&mut self, open: &BTreeSet<Sid>) {
        let over = self.sessions.iter().filter(|(sid, session)| session.inherited && !open.contains(*sid));
        let over: Vec<_> = over.map(|(sid, _)| sid.clone()).collect();
        over.iter().for_each(|sid| self.retire(sid));
    }

    /// The session needs no file before this one.
    fn release(&mut self, sid: &Sid, number: u64) {
        for old in self.old.iter_mut().filter(|old| old.file.number < number) {
            old.sids.remove(sid);
        }
        self.unneeded.extend(self.old.extract_if(.., |old| old.sids.is_empty()).map(|old| old.file));
    }

    /// Whether somebody needs this ended file.
    pub(super) fn needs(&self, number: u64) -> bool {
        self.old.iter().any(|old| old.file.number == number)
    }

    /// What is to be written now, if there is anything to do. Ends the current file where it is long enough or nobody is in it.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.urgent = false;
        let file = self.file();
        // What checkpoints cost is at most as much as what they are for: a file holds as many bytes of inputs.
        let last = self.is_deserted() || self.input_bytes >= self.limits.file_bytes.max(self.checkpoint_bytes);
        if last {
            let before = self.buffer.bytes.len();
            self.encoder.end(&mut self.buffer.bytes);
            self.appended += (self.buffer.bytes.len() - before) as u64;
        }
        let Buffer { bytes, records, checkpoints, checkpoint_bytes } = std::mem::take(&mut self.buffer);
        let something = !bytes.is_empty() || !self.unneeded.is_empty() || last;
        if last {
            self.end_file();
        }
        let upto = self.appended;
        something.then_some(Batch { file, bytes, last, upto, records, checkpoints, checkpoint_bytes })
    }

    /// Files that may be removed at once.
    pub(super) fn take_unneeded(&mut self) -> Vec<LogFile> {
        std::mem::take(&mut self.unneeded)
    }

    /// The batch is on the disk: checkpoints in it stand for all before them.
    pub(super) fn settle(&mut self, batch: &Batch) {
        self.waiting -= batch.checkpoint_bytes;
        for BatchSlot { sid, from } in &batch.checkpoints {
            self.release(sid, *from);
        }
    }

    /// The batch's file is gone, or takes no more, and what was to follow in it can't be read: a new file, and checkpoints for all.
    /// Returns how much of what was appended is settled or lost.
    pub(super) fn abandon(&mut self, batch: &Batch) -> u64 {
        self.waiting -= batch.checkpoint_bytes;
        self.dropped += batch.records;
        let mut upto = batch.upto;
        if !batch.last {
            upto = self.appended;
            let rest = std::mem::take(&mut self.buffer);
            self.waiting -= rest.checkpoint_bytes;
            self.dropped += rest.records;
            self.end_file();
        }
        for session in self.sessions.values_mut() {
            session.begun = session.begun.filter(|file| *file > batch.file.number);
        }
        upto
    }

    fn end_file(&mut self) {
        let (file, sids) = (self.file(), std::mem::take(&mut self.current));
        match sids.is_empty() {
            true => self.unneeded.push(file),
            false => self.old.push(OldFile { file, sids }),
        }
        self.encoder = Encoder::new();
        (self.input_bytes, self.checkpoint_bytes) = (0, 0);
        self.number += 1;
    }

    fn file(&self) -> LogFile {
        LogFile { number: self.number, path: log::path(&self.dir, self.number) }
    }

    /// Whether the current file holds something that nobody needs any more.
    fn is_deserted(&self) -> bool {
        self.input_bytes + self.checkpoint_bytes > 0 && self.current.is_empty()
    }

    /// Whether nothing is to be done on the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.buffer.bytes.is_empty() && self.unneeded.is_empty() && !self.is_deserted()
    }

    /// Whether nothing was appended since the last batch was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.bytes.is_empty()
    }
}
