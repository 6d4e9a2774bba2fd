//! One session's directory in the spool.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{ObjectKind, SpoolError, SpooledObject, sync_dir};

/// Longest name of an object in bytes: what S3 allows a key.
pub const MAX_NAME_BYTES: usize = 1024;

const HALF: &str = "half";

/// The spooled objects of one session. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionSpool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// The order of the next put.
    next: AtomicU64,
    session_bytes: AtomicU64,
    worker_bytes: Arc<AtomicU64>,
}

impl SessionSpool {
    pub(super) fn open(dir: PathBuf, worker_bytes: Arc<AtomicU64>) -> Result<Self, SpoolError> {
        let objects = scan(&dir)?;
        let next = AtomicU64::new(objects.last().map_or(0, |last| last.order + 1));
        let session_bytes = AtomicU64::new(objects.iter().map(|object| object.size).sum());
        Ok(Self(Arc::new(Inner { dir, next, session_bytes, worker_bytes })))
    }

    /// Keeps an object until [`SessionSpool::remove`]. On the disk when this answers.
    pub async fn put(&self, name: &str, kind: ObjectKind, bytes: Bytes) -> Result<SpooledObject, SpoolError> {
        check_name(name)?;
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || inner.put(name, kind, &bytes)).await
    }

    /// The bytes of an object.
    pub async fn read(&self, object: &SpooledObject) -> Result<Bytes, SpoolError> {
        let path = self.0.path(object);
        blocking(move || read(&path)).await
    }

    /// What is there, in the order in which it was put.
    pub async fn list(&self) -> Result<Vec<SpooledObject>, SpoolError> {
        let inner = Arc::clone(&self.0);
        blocking(move || scan(&inner.dir)).await
    }

    /// Forgets an object: it is confirmed, or a later one took its place.
    pub async fn remove(&self, object: &SpooledObject) -> Result<(), SpoolError> {
        let (inner, object) = (Arc::clone(&self.0), object.clone());
        blocking(move || inner.remove(&object)).await
    }

    /// Removes the directory; it must be empty.
    pub async fn close(self) -> Result<(), SpoolError> {
        blocking(move || Ok(fs::remove_dir(&self.0.dir)?)).await
    }

    /// Bytes that wait here.
    pub fn bytes(&self) -> u64 {
        self.0.session_bytes.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn put(&self, name: String, kind: ObjectKind, bytes: &[u8]) -> Result<SpooledObject, SpoolError> {
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let object = SpooledObject { order, name, kind, size: bytes.len() as u64 };
        let path = self.path(&object);
        let half = path.with_extension(HALF);
        let written = write_half(&half, &object.name, bytes).and_then(|()| fs::rename(&half, &path));
        if let Err(error) = written {
            // The first error is the one to tell; what can't be removed now is removed when the spool is opened again.
            let _ = fs::remove_file(&half);
            return Err(error.into());
        }
        sync_dir(&self.dir)?;
        self.session_bytes.fetch_add(object.size, Ordering::Relaxed);
        self.worker_bytes.fetch_add(object.size, Ordering::Relaxed);
        Ok(object)
    }

    fn remove(&self, object: &SpooledObject) -> Result<(), SpoolError> {
        fs::remove_file(self.path(object))?;
        self.session_bytes.fetch_sub(object.size, Ordering::Relaxed);
        self.worker_bytes.fetch_sub(object.size, Ordering::Relaxed);
        Ok(())
    }

    fn path(&self, object: &SpooledObject) -> PathBuf {
        self.dir.join(format!("{:016x}.{}", object.order, letter(object.kind)))
    }
}

/// Removes what was being written when the worker died.
pub(super) fn remove_halves(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == HALF) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The objects in a directory, in order.
pub(super) fn scan(dir: &Path) -> Result<Vec<SpooledObject>, SpoolError> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == HALF) {
            continue;
        }
        objects.push(describe(&path).map_err(|_| SpoolError::Damaged(path.display().to_string()))?);
    }
    objects.sort_by_key(|object: &SpooledObject| object.order);
    Ok(objects)
}

fn describe(path: &Path) -> io::Result<SpooledObject> {
    let text = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidData)?;
    let (order, kind) = text.split_once('.').ok_or(io::ErrorKind::InvalidData)?;
    let order = u64::from_str_radix(order, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    let kind = kind_of(kind).ok_or(io::ErrorKind::InvalidData)?;
    let mut file = BufReader::new(File::open(path)?);
    let name = read_name(&mut file)?;
    let size = file.get_ref().metadata()?.len() - name.len() as u64 - 1;
    Ok(SpooledObject { order, name, kind, size })
}

fn read(path: &Path) -> Result<Bytes, SpoolError> {
    let mut file = BufReader::new(File::open(path)?);
    read_name(&mut file).map_err(|_| SpoolError::Damaged(path.display().to_string()))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn read_name(file: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    file.take(MAX_NAME_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn write_half(path: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(format!("{name}\n").as_bytes())?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn check_name(name: &str) -> Result<(), SpoolError> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || matches!(name, "." | "..")
        || name.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    if bad { Err(SpoolError::Name) } else { Ok(()) }
}

const fn letter(kind: ObjectKind) -> char {
    match kind {
        ObjectKind::Init => 'i',
        ObjectKind::Segment => 's',
        ObjectKind::Playlist => 'p',
        ObjectKind::Document => 'd',
    }
}

fn kind_of(letter: &str) -> Option<ObjectKind> {
    match letter {
        "i" => Some(ObjectKind::Init),
        "s" => Some(ObjectKind::Segment),
        "p" => Some(ObjectKind::Playlist),
        "d" => Some(ObjectKind::Document),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::super::Spool;
    use super::*;
    use crate::units::Sid;

    fn sid() -> Sid {
        Sid::from_random([7; 16])
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[tokio::test]
    async fn objects_come_back_in_order_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&sid()).unwrap();
        let long = "x".repeat(MAX_NAME_BYTES);
        let mut put = Vec::new();
        for (name, kind, content) in [
            ("a_init.mp4", ObjectKind::Init, "init"),
            (long.as_str(), ObjectKind::Segment, "one\ntwo\n"),
            ("a.m3u8", ObjectKind::Playlist, "first"),
            ("a.m3u8", ObjectKind::Playlist, ""),
            ("a.json", ObjectKind::Document, "{}"),
        ] {
            put.push(session.put(name, kind, bytes(content)).await.unwrap());
        }
        drop(session);

        let spool = Spool::open(dir.path(), u64::MAX).unwrap();
        assert_eq!(spool.sessions().unwrap(), [sid()]);
        assert_eq!(spool.bytes(), 4 + 8 + 5 + 2);
        let session = spool.session(&sid()).unwrap();
        assert_eq!(session.list().await.unwrap(), put);
        assert_eq!(session.read(&put[1]).await.unwrap(), "one\ntwo\n");
        assert_eq!(session.read(&put[2]).await.unwrap(), "first", "the later playlist left the earlier one alone");
        let next = session.put("b", ObjectKind::Segment, bytes("b")).await.unwrap();
        assert_eq!(next.order, 5);
        for object in put.iter().chain([&next]) {
            session.remove(object).await.unwrap();
        }
        assert_eq!((session.bytes(), spool.bytes()), (0, 0));
        session.close().await.unwrap();
        assert!(spool.sessions().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_was_written_halfway_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&sid()).unwrap();
        session.put("a", ObjectKind::Segment, bytes("a")).await.unwrap();
        fs::write(dir.path().join(sid().as_str()).join("0000000000000001.half"), "b\nhalf of it").unwrap();
        let spool = Spool::open(dir.path(), u64::MAX).unwrap();
        assert_eq!(spool.session(&sid()).unwrap().list().await.unwrap().len(), 1);
        assert_eq!(spool.bytes(), 1);
    }

    #[tokio::test]
    async fn names_that_are_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&sid()).unwrap();
        for name in ["", ".", "..", "a/b", "a\\b", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert!(matches!(session.put(name, ObjectKind::Segment, bytes("")).await, Err(SpoolError::Name)));
        }
        assert!(session.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_full_spool_refuses_new_sessions_and_serves_running_ones() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 3).unwrap();
        let session = spool.session(&sid()).unwrap();
        session.put("a", ObjectKind::Segment, bytes("abc")).await.unwrap();
        let other = Sid::from_random([8; 16]);
        assert!(matches!(spool.session(&other), Err(SpoolError::Full { used: 3, limit: 3 })));
        session.put("b", ObjectKind::Segment, bytes("abc")).await.unwrap();
        assert!(spool.session(&sid()).is_ok());
    }
}
