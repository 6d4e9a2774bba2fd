//! The spool: what was made for the bucket and is not confirmed yet. One directory a session.
//!
//! Each put makes a file of its own, also for a name that was put before (a growing playlist), so what an uploader reads never
//! changes under its hands. A file is `<order>.<kind>`: `order` is 16 hex digits and counts the puts of the session, `kind` one
//! letter. Its first line is the object's name (names may be longer than a file system's), its rest the object's bytes. A file
//! appears whole: written beside, synced, renamed, and the directory synced.
//!
//! When the disk takes no more, a session goes on in memory, within bounds ([`MEMORY_PER_SESSION`]), and what is held there goes
//! to the disk when it is back. How much may wait on disk is bounded for a worker and for each app; the bounds are asked when a
//! session begins, and never harm one that runs.
//!
//! A session of which whole files are made keeps its segments on the disk after the bucket confirmed them ([`RetainedSegments`]). These count
//! against the bounds too, and are the first to go.

mod files;
mod layout;
mod limits;
mod memory;
mod session;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use limits::Usage;
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::units::{AppId, Sid};

pub use files::{Files, Fill, LocalFiles};
pub use layout::MAX_NAME_BYTES;
pub use limits::{SpoolLimits, SpoolScope};
pub use memory::{MEMORY_PER_SESSION, MEMORY_PER_WORKER, MEMORY_RESERVE};
pub use session::{RetainedSegments, SessionSpool, SpooledFile};

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
    /// A whole file made of segments, MP4.
    Mp4,
    /// A whole file made of segments, Ogg.
    Ogg,
}

impl ObjectKind {
    /// Whether the object speaks of others, or is made of them, and must not be in the bucket before them. A later one of the same
    /// name takes its place.
    pub const fn follows(self) -> bool {
        matches!(self, Self::Playlist | Self::Document) || self.is_whole()
    }

    /// Whether it holds sound, or is needed to play it: once the bucket confirmed it, it is final. The others are put anew.
    pub const fn is_media(self) -> bool {
        !matches!(self, Self::Playlist | Self::Document)
    }

    /// Whether it is a whole file: large, and of no hurry. It is never held in memory.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Mp4 | Self::Ogg)
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
    /// The disk said no, and what may be held in memory is used up.
    #[error(
        "the disk takes nothing ({0}) and the memory for such times is full; make room on the disk of the data directory, or \
         make the bucket reachable"
    )]
    NoRoom(io::Error),
    /// Too much waits for buckets that don't take it.
    #[error(
        "{used} bytes of {scope} wait for buckets that don't take them, at most {limit} may ({}); recordings start again when \
         these buckets are reachable, or raise the bound",
        scope.key()
    )]
    Full {
        /// Whose bytes.
        scope: SpoolScope,
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

impl Classify for SpoolError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Io(_) => ErrorClass::ours("spool_io", true),
            Self::NoRoom(_) => ErrorClass::ours("spool_no_room", true),
            Self::Full { .. } => ErrorClass::ours("spool_full", true),
            Self::Name => ErrorClass::ours("spool_name", false),
            Self::Damaged(_) => ErrorClass::ours("spool_damaged", false),
        }
    }
}

/// All spooled objects of a worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    dir: Arc<Path>,
    files: Arc<dyn Files>,
    usage: Arc<Usage>,
}

impl Spool {
    /// Opens the directory, makes it where it is missing, removes what was written halfway and counts the rest. Blocking I/O.
    pub fn open(dir: impl Into<PathBuf>, limits: impl Into<SpoolLimits>) -> Result<Self, SpoolError> {
        Self::open_on(Arc::new(LocalFiles), dir, limits)
    }

    /// The same on this file system.
    pub fn open_on(
        files: Arc<dyn Files>,
        dir: impl Into<PathBuf>,
        limits: impl Into<SpoolLimits>,
    ) -> Result<Self, SpoolError> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        let spool = Self { dir: dir.into(), files, usage: Arc::new(Usage::new(limits.into())) };
        for sid in spool.sessions()? {
            layout::remove_halves(&spool.path(&sid))?;
            let mut objects = layout::scan(&spool.path(&sid))?;
            objects.extend(layout::scan_kept(&spool.path(&sid))?);
            spool.usage.worker().fetch_add(objects.iter().map(|object| object.size).sum(), Ordering::Relaxed);
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

    /// Whether an app may begin one more session.
    pub fn check(&self, app: &AppId) -> Result<(), SpoolError> {
        self.usage.check(app)
    }

    /// Whether any app may begin one more session.
    pub fn check_worker(&self) -> Result<(), SpoolError> {
        self.usage.check_worker()
    }

    /// A session's part; made where it is missing, if [`Spool::check`] allows. There must be one at a time for a session (clones
    /// of it are one). Blocking I/O.
    pub fn session(&self, app: &AppId, sid: &Sid) -> Result<SessionSpool, SpoolError> {
        let dir = self.path(sid);
        if !dir.exists() {
            self.check(app)?;
            self.files.make_dir(&dir)?;
        }
        SessionSpool::open(dir, Arc::clone(&self.files), &self.usage, app)
    }

    /// Bytes on disk that wait for upload or are kept for whole files, all sessions together.
    pub fn bytes(&self) -> u64 {
        self.usage.worker().load(Ordering::Relaxed)
    }

    /// Bytes that are held in memory because the disk did not take them, all sessions together.
    pub fn memory_bytes(&self) -> u64 {
        self.usage.memory().load(Ordering::Relaxed)
    }

    /// Bytes that the running sessions of an app have on disk.
    pub fn app_bytes(&self, app: &AppId) -> u64 {
        self.usage.app(app).load(Ordering::Relaxed)
    }

    fn path(&self, sid: &Sid) -> PathBuf {
        self.dir.join(sid.as_str())
    }
}
