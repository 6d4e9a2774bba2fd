//! The file system as far as a log needs it, so that tests can have one that fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Makes and removes files.
pub(super) trait LogStorage: std::fmt::Debug + Send {
    /// An empty file, whatever was there; its name is durable.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn JournalFile>>;
    /// A file that was there; [`io::ErrorKind::NotFound`] when it is not, or shorter than `bytes`.
    fn reopen(&mut self, path: &Path, bytes: u64) -> io::Result<Box<dyn JournalFile>>;
    /// Removes a file, if it is there.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// A file that is written.
pub(super) trait JournalFile: std::fmt::Debug + Send {
    /// Cuts off what lies behind `bytes`; writing goes on there.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable what was written.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real one.
#[derive(Debug)]
pub(super) struct FileSystem;

impl LogStorage for FileSystem {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn JournalFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(Box::new(file))
    }

    fn reopen(&mut self, path: &Path, bytes: u64) -> io::Result<Box<dyn JournalFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the journal's file was cut short by somebody else"));
        }
        Ok(Box::new(file))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl JournalFile for File {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        self.seek(SeekFrom::Start(bytes)).map(drop)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
