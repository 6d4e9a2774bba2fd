//! A disk that fails as it is told: the layer below the log, and a look at what it really holds.

use std::collections::BTreeSet;

use super::*;
use crate::journal::log_storage::JournalFile;

/// A disk that fails as it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Sick(Arc<Mutex<Symptoms>>);

#[derive(Debug, Default)]
pub(super) struct Symptoms {
    /// Bytes that it takes until it is full.
    pub(super) room: Option<u64>,
    pub(super) read_only: bool,
    /// Syncs that fail; what they should have written is lost or garbled.
    pub(super) bad_syncs: u32,
    /// The file that can't be written any more.
    pub(super) bad_file: Option<PathBuf>,
}

impl Sick {
    pub(super) fn set(&self, change: impl FnOnce(&mut Symptoms)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(super) fn open(&self, dir: &Path, limits: Limits) -> Writer {
        Writer::on(Box::new(self.clone()), dir, limits).unwrap()
    }

    fn refused(&self) -> io::Result<()> {
        let read_only = self.0.lock().unwrap().read_only;
        if read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn journal_file(&self, path: &Path, inner: Box<dyn JournalFile>) -> Box<dyn JournalFile> {
        Box::new(SickPaper { disk: self.clone(), path: path.to_owned(), inner, synced: 0, length: 0 })
    }
}

impl LogStorage for Sick {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn JournalFile>> {
        self.refused()?;
        Ok(self.journal_file(path, FileSystem.create(path)?))
    }

    fn reopen(&mut self, path: &Path, bytes: u64) -> io::Result<Box<dyn JournalFile>> {
        self.refused()?;
        Ok(self.journal_file(path, FileSystem.reopen(path, bytes)?))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.refused()?;
        let freed = fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.set(|symptoms| symptoms.room = symptoms.room.map(|room| room + freed));
        FileSystem.remove(path)
    }
}

#[derive(Debug)]
struct SickPaper {
    disk: Sick,
    path: PathBuf,
    inner: Box<dyn JournalFile>,
    synced: u64,
    length: u64,
}

impl JournalFile for SickPaper {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.refused()?;
        (self.synced, self.length) = (bytes, bytes);
        self.inner.cut(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.refused()?;
        let mut room = u64::MAX;
        self.disk.set(|symptoms| {
            room = symptoms.room.unwrap_or(u64::MAX).min(bytes.len() as u64);
            symptoms.room = symptoms.room.map(|left| left - room);
        });
        self.inner.write(&bytes[..room as usize])?;
        self.length += room;
        if room < bytes.len() as u64 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.refused()?;
        let mut bad = false;
        if self.disk.0.lock().unwrap().bad_file.as_ref() == Some(&self.path) {
            return Err(rustix::io::Errno::IO.into());
        }
        self.disk.set(|symptoms| {
            bad = symptoms.bad_syncs > 0;
            symptoms.bad_syncs = symptoms.bad_syncs.saturating_sub(1);
        });
        if bad {
            let lost = self.length - self.synced;
            self.inner.cut(self.synced)?;
            self.inner.write(&vec![0; lost as usize / 2])?;
            self.inner.write(&vec![0xee; lost as usize / 4])?;
            return Err(io::Error::other("input/output error"));
        }
        self.synced = self.length;
        Ok(())
    }
}

/// What a run that began now would find of session `a`; whether all of it was whole.
pub(super) fn after_a_kill(dir: &Path) -> (Vec<Record>, bool) {
    let copy = tempfile::tempdir().unwrap();
    for file in log::files(dir).unwrap() {
        fs::copy(&file.path, log::path(copy.path(), file.number)).unwrap();
    }
    let writer = Writer::open(copy.path()).unwrap();
    let (mut records, mut whole) = (Vec::new(), true);
    for record in writer.inherited(&BTreeSet::from([spec("a").sid])) {
        match record {
            Ok(record) => records.push(record),
            Err(_) => whole = false,
        }
    }
    (records, whole)
}

/// Flushes until the disk takes it.
pub(super) async fn recovered(writer: &Writer) {
    for _ in 0..60 {
        if writer.flush().await.is_ok() {
            return;
        }
    }
    panic!("the disk is well and the log does not go on: {:?}", writer.trouble());
}
