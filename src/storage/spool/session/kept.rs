//! Segments that stay on the disk after the bucket confirmed them, because whole files are made of them in the end.
//!
//! A kept segment is its file under another name: nothing is written twice. Keeping is given up, for good and for the whole
//! session, before it costs others anything: when half of a bound of the spool is used, and when the disk takes nothing.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::layout::{NOTE, check_name, kept_name, scan, scan_kept};
use super::super::{ObjectKind, SpoolError, SpooledObject};
use super::{Inner, SessionSpool, blocking};

/// Bytes of a file that are in memory while it is hashed.
const HASH_BUFFER: usize = 64 << 10;

/// Whether segments are kept, and how many bytes are.
#[derive(Debug)]
pub(super) struct Keeping {
    mode: Mutex<Mode>,
    bytes: AtomicU64,
    /// Nothing more is kept when the worker, or the app, has so many bytes on disk.
    limits: (u64, u64),
}

#[derive(Clone, Debug, Default)]
enum Mode {
    #[default]
    Off,
    On,
    /// Why.
    GivenUp(String),
}

/// Segments to make a file of, in order.
#[derive(Debug)]
pub struct Kept<'a> {
    spool: &'a Inner,
    objects: Vec<SpooledObject>,
}

/// An object in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledFile {
    /// The file.
    pub path: PathBuf,
    /// Where the object begins in it.
    pub offset: u64,
    /// The object's length in bytes.
    pub size: u64,
    /// The object's SHA-256.
    pub sha256: [u8; 32],
}

impl Keeping {
    pub(super) fn new(limits: (u64, u64), kept: &[SpooledObject]) -> Self {
        let bytes = AtomicU64::new(kept.iter().map(|object| object.size).sum());
        Self { mode: Mutex::default(), bytes, limits }
    }

    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionSpool {
    /// From here on segments stay on the disk when they are confirmed.
    pub fn keep_segments(&self) {
        *self.0.keeping.mode() = Mode::On;
    }

    /// Why segments are not kept any more, when they were to be.
    pub fn keeping_trouble(&self) -> Option<String> {
        match &*self.0.keeping.mode() {
            Mode::GivenUp(why) => Some(why.clone()),
            Mode::On | Mode::Off => None,
        }
    }

    /// Bytes of the segments that are kept.
    pub fn kept_bytes(&self) -> u64 {
        self.0.keeping.bytes.load(Ordering::Relaxed)
    }

    /// Keeps no segments any more, for this reason, and removes those that were kept.
    pub async fn give_up_keeping(&self, why: String) -> Result<(), SpoolError> {
        let spool = self.clone();
        blocking(move || {
            *spool.0.keeping.mode() = Mode::GivenUp(why);
            Ok(spool.0.release(|_| true)?)
        })
        .await
    }

    /// Removes the kept segments of these names.
    pub async fn release(&self, names: BTreeSet<String>) -> Result<(), SpoolError> {
        let spool = self.clone();
        blocking(move || Ok(spool.0.release(|object| names.contains(&object.name))?)).await
    }

    /// Makes an object of segments: `recipe` reads them and writes it. It is on the disk, whole, when this answers.
    pub async fn make(
        &self,
        name: &str,
        kind: ObjectKind,
        segments: Vec<String>,
        recipe: impl FnMut(&Kept<'_>, &mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(SpooledObject, SpooledFile), SpoolError> {
        check_name(name)?;
        let (spool, name) = (self.clone(), name.to_owned());
        blocking(move || spool.0.make(name, kind, &segments, recipe)).await
    }

    /// Where an object lies, with its SHA-256; it must be on the disk.
    pub async fn file(&self, object: &SpooledObject) -> Result<SpooledFile, SpoolError> {
        let (spool, object) = (self.clone(), object.clone());
        blocking(move || Ok(spool.0.file(&object)?)).await
    }

    /// What [`Self::write_note`] wrote last.
    pub async fn note(&self) -> Result<Option<Bytes>, SpoolError> {
        let spool = self.clone();
        blocking(move || match spool.0.files.read(&spool.0.note()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Remembers something beside the objects, for as long as the session's directory lives; durable when this answers.
    pub async fn write_note(&self, bytes: Bytes) -> Result<(), SpoolError> {
        let spool = self.clone();
        blocking(move || Ok(spool.0.files.write(&spool.0.note(), &[&bytes])?)).await
    }
}

impl Kept<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The bytes of one.
    pub fn read(&self, number: usize) -> io::Result<Bytes> {
        let object = &self.objects[number];
        let paths = [self.spool.dir.join(kept_name(object)), self.spool.path(object)];
        // It may be confirmed just now, and change its name.
        let read = paths.iter().chain(&paths).map(|path| self.spool.files.read(path)).find(Result::is_ok);
        let mut bytes = Bytes::from(read.ok_or_else(|| missing(&object.name))??);
        let head = object.name.len() + 1;
        if bytes.len() < head {
            return Err(missing(&object.name));
        }
        Ok(bytes.split_off(head))
    }
}

impl Inner {
    /// A confirmed segment stays, under another name, if segments are kept.
    pub(super) fn keep(&self, object: &SpooledObject) -> bool {
        let mut mode = self.keeping.mode();
        if object.kind != ObjectKind::Segment || !matches!(*mode, Mode::On) {
            return false;
        }
        let (worker, app) = self.keeping.limits;
        let full = self.worker_bytes.load(Ordering::Relaxed) >= worker || self.app_bytes.load(Ordering::Relaxed) >= app;
        let kept = if full {
            Err("half of what may be in the spool is used (server.spool_gib, apps.spool_gib)".to_owned())
        } else {
            let renamed = self.files.rename(&self.path(object), &self.dir.join(kept_name(object)));
            renamed.map_err(|error| format!("a segment can't be kept: {error}"))
        };
        match kept {
            Ok(()) => {
                self.keeping.bytes.fetch_add(object.size, Ordering::Relaxed);
                true
            }
            Err(why) => {
                *mode = Mode::GivenUp(why);
                drop(mode);
                self.make_an_end();
                false
            }
        }
    }

    /// The disk took nothing: what is kept makes room. Whether it did.
    pub(super) fn make_room(&self, error: &io::Error) -> bool {
        let mut mode = self.keeping.mode();
        if !matches!(*mode, Mode::On) {
            return false;
        }
        *mode = Mode::GivenUp(format!("the disk of the data directory takes nothing ({error})"));
        drop(mode);
        self.make_an_end();
        true
    }

    /// Removes what was kept.
    pub(super) fn keep_no_more(&self) -> io::Result<()> {
        self.release(|_| true)?;
        match self.files.remove(&self.note()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn make_an_end(&self) {
        if let Err(error) = self.release(|_| true) {
            tracing::warn!(dir = %self.dir.display(), "segments that are kept for nothing stay behind: {error}");
        }
    }

    fn release(&self, wanted: impl Fn(&SpooledObject) -> bool) -> io::Result<()> {
        let kept = scan_kept(&self.dir).map_err(io::Error::other)?;
        for object in kept.iter().filter(|object| wanted(object)) {
            self.files.remove(&self.dir.join(kept_name(object)))?;
            self.keeping.bytes.fetch_sub(object.size, Ordering::Relaxed);
            self.count_out(object.size);
        }
        Ok(())
    }

    fn make(
        &self,
        name: String,
        kind: ObjectKind,
        segments: &[String],
        mut recipe: impl FnMut(&Kept<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<(SpooledObject, SpooledFile), SpoolError> {
        let kept = self.kept(segments)?;
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let mut object = SpooledObject { order, name, kind, size: 0 };
        let (path, mut sha256) = (self.path(&object), [0; 32]);
        self.files.make(&path, &mut |out| {
            out.write_all(object.name.as_bytes())?;
            out.write_all(b"\n")?;
            let mut counted = Counted { out, size: 0, digest: Sha256::new() };
            recipe(&kept, &mut counted)?;
            (object.size, sha256) = (counted.size, counted.digest.finalize().into());
            Ok(())
        })?;
        for counter in self.counters() {
            counter.fetch_add(object.size, Ordering::Relaxed);
        }
        let (offset, size) = (object.name.len() as u64 + 1, object.size);
        Ok((object, SpooledFile { path, offset, size, sha256 }))
    }

    /// The newest of each name, kept or about to be.
    fn kept(&self, names: &[String]) -> Result<Kept<'_>, SpoolError> {
        let mut newest: HashMap<String, SpooledObject> = HashMap::new();
        let all = scan(&self.dir)?.into_iter().chain(scan_kept(&self.dir)?);
        for object in all.filter(|object| object.kind == ObjectKind::Segment) {
            match newest.get(&object.name) {
                Some(known) if known.order > object.order => {}
                _ => _ = newest.insert(object.name.clone(), object),
            }
        }
        let objects = names.iter().map(|name| newest.remove(name).ok_or_else(|| missing(name)));
        Ok(Kept { spool: self, objects: objects.collect::<io::Result<_>>()? })
    }

    fn file(&self, object: &SpooledObject) -> io::Result<SpooledFile> {
        let (path, offset) = (self.path(object), object.name.len() as u64 + 1);
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(offset))?;
        let (mut digest, mut buffer) = (Sha256::new(), vec![0; HASH_BUFFER]);
        let mut size = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    digest.update(&buffer[..read]);
                    size += read as u64;
                }
            }
        }
        Ok(SpooledFile { path, offset, size, sha256: digest.finalize().into() })
    }

    fn note(&self) -> PathBuf {
        self.dir.join("session").with_extension(NOTE)
    }
}

/// Counts and hashes what passes.
struct Counted<'a> {
    out: &'a mut dyn Write,
    size: u64,
    digest: Sha256,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the segment {name} is not on the disk any more"))
}
