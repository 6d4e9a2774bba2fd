//! Objects that are made of segments on the disk, written and read piece by piece: a whole file is never in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::layout::{check_name, kept_name, scan, scan_kept};
use super::super::{ObjectKind, SpoolError, SpooledObject};
use super::{Inner, SessionSpool, blocking};

/// Bytes of a file that are in memory while it is hashed.
const HASH_BUFFER: usize = 64 << 10;

/// Segments to make a file of, in order.
#[derive(Debug)]
pub struct RetainedSegments<'a> {
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

impl SessionSpool {
    /// Makes an object of segments: `recipe` reads them and writes it. It is on the disk, whole, when this answers.
    pub async fn make(
        &self,
        name: &str,
        kind: ObjectKind,
        segments: Vec<String>,
        recipe: impl FnMut(&RetainedSegments<'_>, &mut dyn Write) -> io::Result<()> + Send + 'static,
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
}

impl RetainedSegments<'_> {
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
    fn make(
        &self,
        name: String,
        kind: ObjectKind,
        segments: &[String],
        mut recipe: impl FnMut(&RetainedSegments<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<(SpooledObject, SpooledFile), SpoolError> {
        let retained = self.retained(segments)?;
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let mut object = SpooledObject { order, name, kind, size: 0 };
        let (path, mut sha256) = (self.path(&object), [0; 32]);
        self.files.make(&path, &mut |out| {
            out.write_all(object.name.as_bytes())?;
            out.write_all(b"\n")?;
            let mut counted = Counted { out, size: 0, digest: Sha256::new() };
            recipe(&retained, &mut counted)?;
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
    fn retained(&self, names: &[String]) -> Result<RetainedSegments<'_>, SpoolError> {
        let mut newest: HashMap<String, SpooledObject> = HashMap::new();
        let all = scan(&self.dir)?.into_iter().chain(scan_kept(&self.dir)?);
        for object in all.filter(|object| object.kind == ObjectKind::Segment) {
            match newest.get(&object.name) {
                Some(known) if known.order > object.order => {}
                _ => _ = newest.insert(object.name.clone(), object),
            }
        }
        let objects = names.iter().map(|name| newest.remove(name).ok_or_else(|| missing(name)));
        Ok(RetainedSegments { spool: self, objects: objects.collect::<io::Result<_>>()? })
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
