//! The objects' files. Blocking I/O throughout.
//!
//! Two files change together with an object: itself and its [`Meta`]. `names` makes the two renames one step for everybody in
//! this process; [`FileId`] tells after a crash between them that they don't belong together.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use s3s::path::check_bucket_name;

use super::layout;
use super::meta::{FileId, Meta};
use super::sums::Summer;

const STORE: &str = ".store";

/// A directory of buckets.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    /// Held while names change, shared while a name is opened.
    names: RwLock<()>,
    temporaries: AtomicU64,
}

/// A file that goes away unless it is given a name.
#[derive(Debug)]
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Usually it was renamed and is gone; what stays is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// What a conditional PUT asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    #[default]
    Always,
    /// Only if there is no such object.
    New,
    /// Only over the object with this ETag.
    Over(String),
}

/// How a PUT ends.
#[derive(Debug)]
pub(super) enum Put {
    Done(Box<Meta>),
    /// The condition is not met.
    Refused,
    NoBucket,
    /// A folder of the key is an object, or the key is a folder of others.
    Conflict,
}

impl Files {
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        let files = Self { root, names: RwLock::default(), temporaries: AtomicU64::new(0) };
        match fs::remove_dir_all(files.temporary_dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        for dir in [files.temporary_dir(), files.uploads_dir()] {
            fs::create_dir_all(dir)?;
        }
        Ok(files)
    }

    /// `false` if it was there.
    pub(super) fn make_bucket(&self, bucket: &str) -> io::Result<bool> {
        match fs::create_dir(self.bucket_dir(bucket)) {
            Ok(()) => sync_dir(&self.root).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `false` if objects are in it.
    pub(super) fn remove_bucket(&self, bucket: &str) -> io::Result<bool> {
        let _names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_dir(self.bucket_dir(bucket)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        self.bucket_dir(bucket).is_dir()
    }

    /// The buckets with the time of their making, by name.
    pub(super) fn buckets(&self) -> io::Result<Vec<(String, fs::Metadata)>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().filter(|name| check_bucket_name(name));
            if let Some(name) = name.filter(|_| entry.path().is_dir()) {
                buckets.push((name, entry.metadata()?));
            }
        }
        buckets.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(buckets)
    }

    pub(super) fn temporary(&self) -> Temporary {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        Temporary(self.temporary_dir().join(number.to_string()))
    }

    /// Gives a synced file the name of an object. `meta.file` is filled in.
    pub(super) fn put(
        &self,
        bucket: &str,
        key: &str,
        bytes: &Temporary,
        mut meta: Meta,
        condition: &Condition,
    ) -> io::Result<Put> {
        meta.file = FileId::of(&fs::metadata(&bytes.0)?)?;
        let beside = self.temporary();
        let mut file = File::create(&beside.0)?;
        file.write_all(&serde_json::to_vec(&meta)?)?;
        file.sync_all()?;
        let (object, about) = self.paths(bucket, key);
        {
            let _names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            if !self.has_bucket(bucket) {
                return Ok(Put::NoBucket);
            }
            let met = match condition {
                Condition::Always => true,
                Condition::New => !object.is_file(),
                Condition::Over(etag) => self.describe(bucket, key)?.is_some_and(|(_, meta)| meta.etag == *etag),
            };
            if !met {
                return Ok(Put::Refused);
            }
            if let Err(error) = rename(&beside.0, &about).and_then(|()| rename(&bytes.0, &object)) {
                return if is_conflict(&error) { Ok(Put::Conflict) } else { Err(error) };
            }
        }
        for path in [&about, &object] {
            sync_dirs(path, &self.root)?;
        }
        Ok(Put::Done(Box::new(meta)))
    }

    /// The object's open file, and what is known about it.
    pub(super) fn get(&self, bucket: &str, key: &str) -> io::Result<Option<(File, Meta)>> {
        let _names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        self.describe(bucket, key)
    }

    /// Removes the object, if it is there, and the folders that are empty then.
    pub(super) fn remove(&self, bucket: &str, key: &str) -> io::Result<()> {
        let (object, about) = self.paths(bucket, key);
        let _names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        for (path, top) in [(object, self.bucket_dir(bucket)), (about, self.meta_dir(bucket))] {
            match fs::remove_file(&path) {
                Err(error) if !is_missing(&error) && error.kind() != io::ErrorKind::IsADirectory => return Err(error),
                _ => (),
            }
            for folder in path.ancestors().skip(1).take_while(|folder| *folder != top) {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// All keys of a bucket that begin with `prefix`, sorted.
    pub(super) fn keys(&self, bucket: &str, prefix: &str) -> io::Result<Vec<String>> {
        let top = self.bucket_dir(bucket);
        let start = prefix.rfind('/').map_or_else(|| top.clone(), |end| top.join(layout::path(&prefix[..end])));
        let mut keys = Vec::new();
        let mut folders = vec![start];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if is_missing(&error) => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    let key = entry.path().strip_prefix(&top).ok().and_then(layout::key);
                    keys.extend(key.filter(|key| key.starts_with(prefix)));
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    pub(super) fn uploads_dir(&self) -> PathBuf {
        self.root.join(STORE).join("uploads")
    }

    fn describe(&self, bucket: &str, key: &str) -> io::Result<Option<(File, Meta)>> {
        let (object, about) = self.paths(bucket, key);
        let file = match File::open(&object) {
            Err(error) if is_missing(&error) => return Ok(None),
            other => other?,
        };
        let described = file.metadata()?;
        if !described.is_file() {
            return Ok(None);
        }
        let id = FileId::of(&described)?;
        let known = fs::read(&about).ok().and_then(|json| serde_json::from_slice::<Meta>(&json).ok());
        match known.filter(|meta| meta.file == id) {
            Some(meta) => Ok(Some((file, meta))),
            None => {
                let meta = meta_of(File::open(&object)?, id)?;
                Ok(Some((file, meta)))
            }
        }
    }

    fn paths(&self, bucket: &str, key: &str) -> (PathBuf, PathBuf) {
        let path = layout::path(key);
        (self.bucket_dir(bucket).join(&path), self.meta_dir(bucket).join(&path))
    }

    fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    fn meta_dir(&self, bucket: &str) -> PathBuf {
        self.root.join(STORE).join("meta").join(bucket)
    }

    fn temporary_dir(&self) -> PathBuf {
        self.root.join(STORE).join("temporary")
    }
}

/// What can be said about a file that somebody else put there.
fn meta_of(file: File, id: FileId) -> io::Result<Meta> {
    let mut summer = Summer::new("");
    let mut file = BufReader::new(file);
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            got => summer.update(&chunk[..got]),
        }
    }
    let sums = summer.finish();
    Ok(Meta { etag: hex::encode(sums.md5), file: id, sums: sums.checksum.into(), ..Meta::default() })
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::rename(from, to)
}

/// Syncs the folders of `path` up to `top`: any of them may be new.
fn sync_dirs(path: &Path, top: &Path) -> io::Result<()> {
    path.ancestors().skip(1).take_while(|folder| folder.starts_with(top)).try_for_each(sync_dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        // Removed meanwhile with the last object in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other?.sync_all(),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_conflict(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | IsADirectory | NotADirectory)
}
