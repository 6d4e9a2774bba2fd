//! Reads a journal file from front to back.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Record;
use super::decoder::{Decoder, Wanted};
use super::error::JournalError;
use super::frames::{Damage, Frames};
use super::session::Carried;
use super::zero_fill::ZeroFill;
use recorder_core::units::Sid;

/// The records of one file: those of a session in order, those of several in the order of the file as far as none is damaged. After an
/// error nothing follows; damage is none. Blocking I/O.
#[derive(Debug)]
pub struct Reader<R = ZeroFill<File>> {
    frames: Frames<R>,
    decoder: Decoder,
    damages: Vec<Damage>,
    /// Behind the last frame that was understood.
    offset: u64,
    ended: bool,
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
        Self { frames, decoder: Decoder::default(), damages: Vec::new(), offset, ended: false, failed: false }
    }

    /// Yields the records of one session only.
    pub fn for_session(self, sid: &Sid) -> Self {
        self.from(HashMap::from([(sid.clone(), 0)]), HashMap::new())
    }

    /// Yields only records of these sessions, from the one that ends at this byte of the file on; `carried` is what the file before it
    /// said of them.
    pub(super) fn from(self, wanted: HashMap<Sid, u64>, carried: HashMap<Sid, Carried>) -> Self {
        Self { decoder: Decoder::new(Wanted::From(wanted), carried), ..self }
    }

    /// Where the torn tail begins, if the file has one; known after the last record.
    pub fn torn(&self) -> Option<u64> {
        self.frames.torn()
    }

    /// Stretches that can't be read, as far as the file was read. Each session that has records on both sides of one has an
    /// [`Input::InputsLost`](recorder_core::recording::Input::InputsLost) between them.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Bytes of the file that were understood so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// At the end: what the next file has to know of these sessions.
    pub(super) fn carry(&mut self) -> HashMap<Sid, Carried> {
        self.decoder.carry(self.frames.torn().is_some())
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        loop {
            if let Some(record) = self.decoder.pop() {
                return Ok(Some(record));
            }
            if self.ended {
                return Ok(None);
            }
            self.advance()?;
        }
    }

    fn advance(&mut self) -> Result<(), JournalError> {
        let Some(frame) = self.frames.next()? else {
            self.ended = true;
            self.decoder.give_up();
            return Ok(());
        };
        if let Some(damage) = frame.damage {
            self.decoder.damage(damage);
            note(&mut self.damages, damage);
        }
        match self.decoder.take(frame.body, frame.end) {
            Ok(()) => self.offset = frame.end,
            Err(what) => {
                let damage = Damage { offset: frame.start, bytes: frame.end - frame.start, what };
                self.decoder.damage(damage);
                note(&mut self.damages, damage);
            }
        }
        Ok(())
    }
}

/// Stretches side by side are one.
fn note(damages: &mut Vec<Damage>, damage: Damage) {
    match damages.last_mut() {
        Some(last) if last.end() == damage.offset => last.bytes += damage.bytes,
        _ => damages.push(damage),
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
