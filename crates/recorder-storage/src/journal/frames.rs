//! The frames of a file, whatever is in them: header, sums, damage, and where it ends.
//!
//! Where no whole frame begins, the next one is looked for: behind the body if the head's check is good, then byte by byte. What lies
//! between is a damaged stretch. Nothing whole until the end of the file is a torn tail. Time is linear in the file's length whatever
//! is in it, memory is a few hundred kilobytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::JournalError;
use super::frame::{self, FRAME_BYTES, HEADER_BYTES, Header, MAX_BODY_BYTES};
use super::window::{Look, Window};
use super::zero_fill::ZeroFill;

/// Bytes of a journal that can't be read; what lies before and behind them can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where in the file they begin.
    pub offset: u64,
    /// How many they are. 0: a piece of the file is gone.
    pub bytes: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl Damage {
    /// Where they end.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// A frame that is whole.
pub(super) struct Frame<'a> {
    pub(super) body: &'a [u8],
    /// Where in the file it begins.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// What was damaged right before it.
    pub(super) damage: Option<Damage>,
}

/// Yields the whole frames from front to back. After an error nothing follows. Blocking I/O.
#[derive(Debug)]
pub(super) struct Frames<R = ZeroFill<File>> {
    window: Window<R>,
    /// Bytes of the frame that was given out last: they are taken with the next.
    given: usize,
    offset: u64,
    /// In front of the next frame.
    damage: Option<Damage>,
    torn: Option<u64>,
    ended: bool,
}

impl Frames {
    /// Opens a file and checks its header. A file that ends within its header has no frames and a torn tail.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        Self::new(ZeroFill::new(File::open(path)?)?)
    }
}

impl<R: Read> Frames<R> {
    /// A damaged header is no harm where a whole frame follows.
    pub(super) fn new(source: R) -> Result<Self, JournalError> {
        let window = Window::new(source);
        let mut frames = Self { window, given: 0, offset: 0, damage: None, torn: None, ended: false };
        let bytes = frames.window.peek(HEADER_BYTES)?;
        if frame::is_torn_header(bytes) {
            frames.end_torn();
            return Ok(frames);
        }
        let header = bytes.first_chunk().map_or(Header::Foreign, frame::read_header);
        let otherwise = match header {
            Header::Ours => {
                frames.skip(HEADER_BYTES);
                return Ok(frames);
            }
            Header::Version(found) => return Err(JournalError::Version { found, readable: frame::VERSION }),
            Header::Foreign => JournalError::NotAJournal,
            Header::Damaged => JournalError::Damaged { offset: 0, what: "the header's sum is wrong" },
        };
        if matches!(frames.window.look_again(HEADER_BYTES)?, Look::Whole(_)) {
            frames.skip(HEADER_BYTES);
        } else if !frames.find()? {
            return Err(otherwise);
        }
        frames.damage = Some(Damage { offset: 0, bytes: frames.offset, what: "the file's header is damaged" });
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
        self.window.take(std::mem::take(&mut self.given));
        if self.ended || self.window.peek(1)?.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        let look = self.window.look(0)?;
        let Some(length) = self.whole(look)? else {
            self.end_torn();
            return Ok(None);
        };
        let (start, damage) = (self.offset, self.damage.take());
        self.given = FRAME_BYTES + length;
        self.offset += self.given as u64;
        Ok(Some(Frame { body: self.window.ahead(FRAME_BYTES, length), start, end: self.offset, damage }))
    }

    /// The length of the frame that begins here, or of the next one that is whole.
    fn whole(&mut self, look: Look) -> io::Result<Option<usize>> {
        let (what, behind) = match look {
            Look::Whole(length) => return Ok(Some(length)),
            Look::BadSum(length) => ("a record's sum is wrong", Some(FRAME_BYTES + length)),
            Look::Nothing => ("no record begins here", None),
        };
        let offset = self.offset;
        let behind = match behind {
            Some(behind) if matches!(self.window.look_again(behind)?, Look::Whole(_)) => Some(behind),
            _ => None,
        };
        match behind {
            Some(behind) => self.skip(behind),
            None => {
                self.skip(1);
                if !self.find()? {
                    self.offset = offset;
                    return Ok(None);
                }
            }
        }
        self.damage = Some(Damage { offset, bytes: self.offset - offset, what });
        match self.window.look_again(0)? {
            Look::Whole(length) => Ok(Some(length)),
            Look::BadSum(_) | Look::Nothing => Ok(None),
        }
    }

    /// Goes on to the next byte at which a whole frame begins, this one if it does.
    fn find(&mut self) -> io::Result<bool> {
        while !self.window.peek(FRAME_BYTES + MAX_BODY_BYTES)?.is_empty() {
            if matches!(self.window.look_again(0)?, Look::Whole(_)) {
                return Ok(true);
            }
            self.skip(1);
        }
        Ok(false)
    }

    fn skip(&mut self, bytes: usize) {
        self.window.take(bytes);
        self.offset += bytes as u64;
    }

    fn end_torn(&mut self) {
        self.torn = Some(self.offset);
        self.ended = true;
    }
}
