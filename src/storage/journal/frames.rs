//! The frames of a file, whatever is in them: header, sums, and where it ends.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::error::JournalError;
use super::frame::{self, FRAME_BYTES, HEADER_BYTES, Head, Header};

/// Bytes read from the disk in one go.
const READ_BYTES: usize = 256 << 10;

/// A frame that is whole.
pub(super) struct Frame<'a> {
    pub(super) body: &'a [u8],
    /// Where in the file it begins.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
}

/// Yields frames from front to back. After an error nothing follows. Blocking I/O.
#[derive(Debug)]
pub(super) struct Frames<R = BufReader<File>> {
    source: R,
    body: Vec<u8>,
    offset: u64,
    torn: Option<u64>,
    ended: bool,
}

impl Frames {
    /// Opens a file and checks its header. A file that ends within its header has no frames and a torn tail.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        Self::new(BufReader::with_capacity(READ_BYTES, File::open(path)?))
    }
}

impl<R: Read> Frames<R> {
    pub(super) fn new(mut source: R) -> Result<Self, JournalError> {
        let mut bytes = [0; HEADER_BYTES];
        let length = read_up_to(&mut source, &mut bytes)?;
        let mut frames = Self { source, body: Vec::new(), offset: 0, torn: None, ended: false };
        if frame::is_torn_header(&bytes[..length]) {
            frames.end_torn();
            return Ok(frames);
        }
        match frame::read_header(&bytes) {
            Header::Ours => frames.offset = HEADER_BYTES as u64,
            Header::Version(found) => return Err(JournalError::Version { found, readable: frame::VERSION }),
            Header::Foreign => return Err(JournalError::NotAJournal),
            Header::Damaged => return Err(JournalError::Damaged { offset: 0, what: "the header's sum is wrong" }),
        }
        Ok(frames)
    }

    /// Where the torn tail begins, if there is one; known at the end.
    pub(super) fn torn(&self) -> Option<u64> {
        self.torn
    }

    /// Where the last frame ends.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        // What comes of it ends the file, unless it is a frame.
        self.ended = true;
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
        self.body.resize(length, 0);
        let got = read_up_to(&mut self.source, &mut self.body)?;
        if got < length {
            self.end_torn();
            return Ok(None);
        }
        if !head.fits(&self.body) {
            if self.only_zeros_follow()? {
                self.end_torn();
                return Ok(None);
            }
            return Err(self.damaged("a record's sum is wrong"));
        }
        let start = self.offset;
        self.offset += (FRAME_BYTES + length) as u64;
        self.ended = false;
        Ok(Some(Frame { body: &self.body, start, end: self.offset }))
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
