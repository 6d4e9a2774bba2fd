//! The spool: what was made for the bucket and is not confirmed yet. One directory a session.
//!
//! Each put makes a file of its own, also for a name that was put before (a growing playlist), so what an uploader reads never
//! changes under its hands. A file is `<order>.<kind>`: `order` is 16 hex digits and counts the puts of the session, `kind` one
//! letter. Its first line is the object's name (names may be longer than a file system's), its rest the object's bytes. A file
//! appears whole: written beside, synced, renamed, and the directory synced.

mod session;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::fault::{Explain, Fault};
use crate::units::Sid;

pub use session::{MAX_NAME_BYTES, SessionSpool};

/// What an object is, and with that its content type and its place in the upload order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// An initialisation segment.
    Init,
    /// A media segment.
    Segment,
    /// A playlist: uploaded after everything that was submitted before it, because it names it.
    Playlist,
    /// A JSON document (manifest, event log): like a playlist, it speaks of what was submitted before it.
    Document,
}

impl ObjectKind {
    /// Whether the object speaks of others and must not be in the bucket before them. A later one of the same name takes its
    /// place.
    pub const fn follows(self) -> bool {
        matches!(self, Self::Playlist | Self::Document)
    }
}

/// An object in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledObject {
    /// Counts the puts of its session.
    pub order: u64,
    /// Its name in the bucket, without prefix.
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// Its length in bytes.
    pub size: u64,
}

/// Why the spool did not take or give an object.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk said no.
    #[error("the spool can't be read or written: {0}; check the disk and the permissions of the data directory")]
    Io(#[from] io::Error),
    /// Too much waits for buckets that don't take it.
    #[error("{used} bytes wait for upload, at most {limit} may; recordings start again when buckets are reachable")]
    Full {
        /// Bytes in the spool.
        used: u64,
        /// Bytes that may be there when a session begins.
        limit: u64,
    },
    /// A name that is no object's name.
    #[error(
        "an object's name must be 1 to {MAX_NAME_BYTES} bytes without slashes and control characters, and not . or .."
    )]
    Name,
    /// A file that is not ours or was damaged.
    #[error("the spooled file {0} is damaged; move it away")]
    Damaged(String),
}

impl Explain for SpoolError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io(_) => Fault::ours("spool_io", true),
            Self::Full { .. } => Fault::ours("spool_full", true),
            Self::Name => Fault::ours("spool_name", false),
            Self::Damaged(_) => Fault::ours("spool_damaged", false),
        }
    }
}

/// All spooled objects of a worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    dir: Arc<Path>,
    bytes: Arc<AtomicU64>,
    limit: u64,
}

impl Spool {
    /// Opens the directory, makes it where it is missing, removes what was written halfway and counts the rest. With `limit` or
    /// more bytes waiting no new session is opened; those that run are never refused. Blocking I/O.
    pub fn open(dir: impl Into<PathBuf>, limit: u64) -> Result<Self, SpoolError> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        let spool = Self { dir: dir.into(), bytes: Arc::default(), limit };
        for sid in spool.sessions()? {
            session::remove_halves(&spool.path(&sid))?;
            let objects = session::scan(&spool.path(&sid))?;
            spool.bytes.fetch_add(objects.iter().map(|object| object.size).sum(), Ordering::Relaxed);
        }
        Ok(spool)
    }

    /// The sessions that left something behind, in no order. Blocking I/O.
    pub fn sessions(&self) -> Result<Vec<Sid>, SpoolError> {
        let mut sids = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            sids.extend(entry?.file_name().to_str().and_then(|name| Sid::new(name).ok()));
        }
        Ok(sids)
    }

    /// A session's part; made where it is missing. There must be one at a time for a session (clones of it are one). Blocking
    /// I/O.
    pub fn session(&self, sid: &Sid) -> Result<SessionSpool, SpoolError> {
        let dir = self.path(sid);
        if !dir.exists() {
            let used = self.bytes();
            if used >= self.limit {
                return Err(SpoolError::Full { used, limit: self.limit });
            }
            fs::create_dir(&dir)?;
            sync_dir(&self.dir)?;
        }
        SessionSpool::open(dir, Arc::clone(&self.bytes))
    }

    /// Bytes that wait for upload, all sessions together.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn path(&self, sid: &Sid) -> PathBuf {
        self.dir.join(sid.as_str())
    }
}

/// Makes a directory's entries durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
