//! One session's directory in the spool, and its objects in memory while the disk takes none.

mod making;
mod retained;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::task::spawn_blocking;

pub use self::making::{RetainedSegments, SpooledFile};
use self::retained::Keeping;
use super::files::Files;
use super::layout::{check_name, file_name, scan, scan_damaged, scan_kept};
use super::limits::Usage;
use super::memory::{Held, Memory};
use super::{ObjectKind, SpoolError, SpooledObject};
use recorder_core::units::AppId;

/// The spooled objects of one session. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionSpool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    files: Arc<dyn Files>,
    /// The order of the next put.
    next: AtomicU64,
    /// Bytes on disk.
    session_bytes: AtomicU64,
    app_bytes: Arc<AtomicU64>,
    worker_bytes: Arc<AtomicU64>,
    memory: Memory,
    /// What the disk said when it did not take the last object.
    trouble: Mutex<Option<String>>,
    keeping: Keeping,
}

impl SessionSpool {
    pub(super) fn open(dir: PathBuf, files: Arc<dyn Files>, usage: &Usage, app: &AppId) -> Result<Self, SpoolError> {
        let (objects, retained) = (scan(&dir)?, scan_kept(&dir)?);
        let bytes = objects.iter().chain(&retained).map(|object| object.size).sum();
        let last = objects.iter().chain(&retained).map(|object| object.order).max();
        let app_bytes = usage.app(app);
        app_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Self(Arc::new(Inner {
            dir,
            files,
            next: AtomicU64::new(last.map_or(0, |last| last + 1)),
            session_bytes: AtomicU64::new(bytes),
            app_bytes,
            worker_bytes: Arc::clone(usage.worker()),
            memory: usage.session_memory(),
            trouble: Mutex::default(),
            keeping: Keeping::new(usage.keeping(app), &retained),
        })))
    }

    /// Keeps an object until [`SessionSpool::remove`]. On the disk when this answers, or, when the disk takes nothing, in memory.
    pub async fn put(&self, name: &str, kind: ObjectKind, bytes: Bytes) -> Result<SpooledObject, SpoolError> {
        self.keep(name, kind, bytes, kind != ObjectKind::Segment).await
    }

    /// [`SessionSpool::put`] for a segment that has to be kept so that a playlist stays whole; it may use the reserve.
    pub async fn put_last_resort(&self, name: &str, bytes: Bytes) -> Result<SpooledObject, SpoolError> {
        self.keep(name, ObjectKind::Segment, bytes, true).await
    }

    /// The bytes of an object.
    pub async fn read(&self, object: &SpooledObject) -> Result<Bytes, SpoolError> {
        let (inner, object) = (Arc::clone(&self.0), object.clone());
        blocking(move || inner.read(&object)).await
    }

    /// What is there, in the order in which it was put.
    pub async fn list(&self) -> Result<Vec<SpooledObject>, SpoolError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.list()).await
    }

    /// Forgets an object: it is confirmed, or a later one took its place. A segment may be kept ([`Self::keep_segments`]).
    pub async fn remove(&self, object: &SpooledObject) -> Result<(), SpoolError> {
        let (inner, object) = (Arc::clone(&self.0), object.clone());
        blocking(move || inner.remove(&object)).await
    }

    /// How many files were set aside because they can't be read.
    pub async fn damaged(&self) -> Result<usize, SpoolError> {
        let inner = Arc::clone(&self.0);
        blocking(move || Ok(scan_damaged(&inner.dir)?.len())).await
    }

    /// Removes the files that were set aside: what was in them is made again, or known to be lost.
    pub async fn remove_damaged(&self) -> Result<(), SpoolError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.remove_damaged()).await
    }

    /// Removes the directory with what was kept in it; it must be empty else.
    pub async fn close(self) -> Result<(), SpoolError> {
        blocking(move || {
            self.0.keep_no_more()?;
            self.0.remove_damaged()?;
            Ok(fs::remove_dir(&self.0.dir)?)
        })
        .await
    }

    /// Bytes here, on disk and in memory: what waits, and what is kept.
    pub fn bytes(&self) -> u64 {
        self.0.session_bytes.load(Ordering::Relaxed) + self.memory_bytes()
    }

    /// Of these, bytes in memory: what would be lost with the worker.
    pub fn memory_bytes(&self) -> u64 {
        self.0.memory.bytes()
    }

    /// What the disk said when it did not take the last object.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble().clone()
    }

    async fn keep(&self, name: &str, kind: ObjectKind, bytes: Bytes, small: bool) -> Result<SpooledObject, SpoolError> {
        check_name(name)?;
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || inner.put(name, kind, bytes, small)).await
    }
}

impl Inner {
    fn put(&self, name: String, kind: ObjectKind, bytes: Bytes, small: bool) -> Result<SpooledObject, SpoolError> {
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let held = Held { object: SpooledObject { order, name, kind, size: bytes.len() as u64 }, bytes };
        let mut written = self.spill().and_then(|()| self.write(&held));
        if let Err(error) = &written
            && self.make_room(error)
        {
            written = self.spill().and_then(|()| self.write(&held));
        }
        let Err(error) = written else {
            *self.trouble() = None;
            return Ok(held.object);
        };
        *self.trouble() = Some(error.to_string());
        let object = held.object.clone();
        if self.memory.hold(held, small) { Ok(object) } else { Err(SpoolError::NoRoom(error)) }
    }

    /// Brings what is held in memory to the disk, oldest first.
    fn spill(&self) -> io::Result<()> {
        loop {
            // Closed to others meanwhile, so that nobody removes an object that is just being written.
            let mut open = self.memory.open();
            let Some(held) = open.oldest() else { return Ok(()) };
            self.write(&held)?;
            open.remove(held.object.order);
        }
    }

    fn write(&self, held: &Held) -> io::Result<()> {
        self.files.write(&self.path(&held.object), &[held.object.name.as_bytes(), b"\n", &held.bytes])?;
        for counter in self.counters() {
            counter.fetch_add(held.object.size, Ordering::Relaxed);
        }
        Ok(())
    }

    fn read(&self, object: &SpooledObject) -> Result<Bytes, SpoolError> {
        if let Some(bytes) = self.memory.read(object.order) {
            return Ok(bytes);
        }
        let path = self.path(object);
        let mut bytes = Bytes::from(self.files.read(&path)?);
        let head = object.name.len() + 1;
        if bytes.get(..head).is_none_or(|line| line.strip_suffix(b"\n") != Some(object.name.as_bytes())) {
            return Err(SpoolError::Damaged(path.display().to_string()));
        }
        Ok(bytes.split_off(head))
    }

    fn list(&self) -> Result<Vec<SpooledObject>, SpoolError> {
        let mut objects = scan(&self.dir)?;
        objects.extend(self.memory.list());
        objects.sort_by_key(|object| object.order);
        Ok(objects)
    }

    fn remove(&self, object: &SpooledObject) -> Result<(), SpoolError> {
        if self.memory.open().remove(object.order) || self.keep(object) {
            return Ok(());
        }
        self.files.remove(&self.path(object))?;
        self.count_out(object.size);
        Ok(())
    }

    fn remove_damaged(&self) -> Result<(), SpoolError> {
        scan_damaged(&self.dir)?.iter().try_for_each(|path| Ok(self.files.remove(path)?))
    }

    fn count_out(&self, size: u64) {
        for counter in self.counters() {
            counter.fetch_sub(size, Ordering::Relaxed);
        }
    }

    fn counters(&self) -> [&AtomicU64; 3] {
        [&self.session_bytes, &self.app_bytes, &self.worker_bytes]
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, object: &SpooledObject) -> PathBuf {
        self.dir.join(file_name(object))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.app_bytes.fetch_sub(self.session_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(SpoolError::Io(io::Error::other(stopped))),
    }
}
