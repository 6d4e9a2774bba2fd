//! Reads a journal file from front to back.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::Record;
use super::decode::{Decoder, Wanted};
use super::error::JournalError;
use super::frames::Frames;
use crate::units::Sid;

/// The records of one file, in order. After an error nothing follows. Blocking I/O.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    frames: Frames<R>,
    decoder: Decoder,
    /// Behind the last frame that was understood.
    offset: u64,
    failed: bool,
}

impl Reader {
    /// Opens a file and checks its header. A file that ends within its header is an empty journal with a torn tail.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Ok(Self::over(Frames::open(path.as_ref())?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything; checks the header.
    pub fn new(source: R) -> Result<Self, JournalError> {
        Ok(Self::over(Frames::new(source)?))
    }

    fn over(frames: Frames<R>) -> Self {
        let offset = frames.offset();
        Self { frames, decoder: Decoder::default(), offset, failed: false }
    }

    /// Yields the records of one session only.
    pub fn for_session(self, sid: &Sid) -> Self {
        self.from(HashMap::from([(sid.clone(), 0)]))
    }

    /// Yields only records of these sessions, from the one that ends at this byte of the file on.
    pub(super) fn from(self, wanted: HashMap<Sid, u64>) -> Self {
        Self { decoder: Decoder::new(Wanted::From(wanted)), ..self }
    }

    /// Where the torn tail begins, if the file has one; known after the last record.
    pub fn torn(&self) -> Option<u64> {
        self.frames.torn()
    }

    /// Bytes of the file that were understood so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        while let Some(frame) = self.frames.next()? {
            let damaged = |what| JournalError::Damaged { offset: frame.start, what };
            let record = self.decoder.decode(frame.body, frame.end).map_err(damaged)?;
            self.offset = frame.end;
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.next_record();
        self.failed = record.is_err();
        record.transpose()
    }
}
