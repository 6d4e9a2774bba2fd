//! Writes one file: captures and fixtures.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::Record;
use super::encode::{EncodeError, Encoder};
use recorder_core::units::BootTime;

/// Writes a journal of its own. Blocking I/O; nothing is sure to be on the disk before [`FileWriter::finish`].
#[derive(Debug)]
pub struct FileWriter {
    file: BufWriter<File>,
    encoder: Encoder,
    frame: Vec<u8>,
}

impl FileWriter {
    /// Makes the file; it must not exist.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create_new(path)?);
        file.write_all(&Encoder::header())?;
        Ok(Self { file, encoder: Encoder::new(), frame: Vec::new() })
    }

    /// Appends a record. A session's first must be [`Record::Started`]; a record that can't be encoded is
    /// [`io::ErrorKind::InvalidInput`] and leaves the file as it was. Checkpoints are left out: such a file holds its sessions from
    /// their start.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        if matches!(record, Record::Checkpoint { .. }) {
            return Ok(());
        }
        self.frame.clear();
        self.encoder.encode(record, BootTime::UNKNOWN, &mut self.frame).map_err(invalid)?;
        self.file.write_all(&self.frame)
    }

    /// Hands what was appended to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Writes everything to the disk.
    pub fn finish(self) -> io::Result<()> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

fn invalid(error: EncodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
