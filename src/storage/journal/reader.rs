//! Reads a journal file from front to back.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use bytes::Bytes;

use super::Record;
use super::decode::Decoder;
use super::error::JournalError;
use super::frame::{self, FRAME_BYTES, HEADER_BYTES, Head, Header};
use crate::units::Sid;

/// The records of one file, in order. After an error nothing follows. Blocking I/O.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    source: R,
    decoder: Decoder,
    only: Option<Sid>,
    offset: u64,
    torn: Option<u64>,
    ended: bool,
}

impl Reader {
    /// Opens a file and checks its header. A file that ends within its header is an empty journal with a torn tail.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything; checks the header.
    pub fn new(mut source: R) -> Result<Self, JournalError> {
        let mut bytes = [0; HEADER_BYTES];
        let length = read_up_to(&mut source, &mut bytes)?;
        let mut reader = Self { source, decoder: Decoder::new(), only: None, offset: 0, torn: None, ended: false };
        if frame::is_torn_header(&bytes[..length]) {
            reader.end_torn();
            return Ok(reader);
        }
        match frame::read_header(&bytes) {
            Header::Ours => reader.offset = HEADER_BYTES as u64,
            Header::Version(found) => return Err(JournalError::Version { found, readable: frame::VERSION }),
            Header::Foreign => return Err(JournalError::NotAJournal),
            Header::Damaged => return Err(JournalError::Damaged { offset: 0, what: "the header's sum is wrong" }),
        }
        Ok(reader)
    }

    /// Yields the records of one session only.
    pub fn for_session(mut self, sid: &Sid) -> Self {
        self.only = Some(sid.clone());
        self
    }

    /// Where the torn tail begins, if the file has one; known after the last record.
    pub fn torn(&self) -> Option<u64> {
        self.torn
    }

    /// Bytes of the file that were understood so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        let mut head = [0; FRAME_BYTES];
        let got = read_up_to(&mut self.source, &mut head)?;
        if got < FRAME_BYTES {
            if got > 0 {
                self.end_torn();
            }
            return Ok(None);
        }
        if head == [0; FRAME_BYTES] && self.only_zeros_follow()? {
            self.end_torn();
            return Ok(None);
        }
        let head = Head::read(head);
        let Some(length) = head.length() else { return Err(self.damaged("a length that can't be")) };
        let mut body = vec![0; length];
        let got = read_up_to(&mut self.source, &mut body)?;
        if got < length {
            self.end_torn();
            return Ok(None);
        }
        if !head.fits(&body) {
            if self.only_zeros_follow()? {
                self.end_torn();
                return Ok(None);
            }
            return Err(self.damaged("a record's sum is wrong"));
        }
        let record = self.decoder.decode(Bytes::from(body)).map_err(|what| self.damaged(what))?;
        self.offset += (FRAME_BYTES + length) as u64;
        Ok(Some(record))
    }

    fn end_torn(&mut self) {
        self.torn = Some(self.offset);
        self.ended = true;
    }

    fn damaged(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { offset: self.offset, what }
    }

    /// Whether the rest of the file is empty or zeros: space that was allotted but never written.
    fn only_zeros_follow(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        loop {
            match read_up_to(&mut self.source, &mut chunk)? {
                0 => return Ok(true),
                got if chunk[..got].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => (),
            }
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.next_record() {
                Ok(Some(record)) => {
                    if self.only.as_ref().is_none_or(|only| only == record.sid()) {
                        return Some(Ok(record));
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Reads until `buffer` is full or the source ends; how many bytes came.
fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match source.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
