//! Segments that stay on the disk after the bucket confirmed them, because whole files are made of them in the end.
//!
//! A kept segment is its file under another name: nothing is written twice. Keeping is given up, for good and for the whole
//! session, before it costs others anything: when half of a bound of the spool is used, and when the disk takes nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::super::layout::{NOTE, kept_name, scan_kept};
use super::super::{ObjectKind, SpoolError, SpooledObject};
use super::{Inner, SessionSpool, blocking};

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

impl Keeping {
    pub(super) fn new(limits: (u64, u64), retained: &[SpooledObject]) -> Self {
        let bytes = AtomicU64::new(retained.iter().map(|object| object.size).sum());
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

impl Inner {
    /// A confirmed segment stays, under another name, if segments are kept.
    pub(super) fn keep(&self, object: &SpooledObject) -> bool {
        let mut mode = self.keeping.mode();
        if object.kind != ObjectKind::Segment || !matches!(*mode, Mode::On) {
            return false;
        }
        let (worker, app) = self.keeping.limits;
        let full = self.worker_bytes.load(Ordering::Relaxed) >= worker || self.app_bytes.load(Ordering::Relaxed) >= app;
        let retained = if full {
            Err("half of what may be in the spool is used (server.spool_gib, apps.spool_gib)".to_owned())
        } else {
            let renamed = self.files.rename(&self.path(object), &self.dir.join(kept_name(object)));
            renamed.map_err(|error| format!("a segment can't be kept: {error}"))
        };
        match retained {
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
        let retained = scan_kept(&self.dir).map_err(io::Error::other)?;
        for object in retained.iter().filter(|object| wanted(object)) {
            self.files.remove(&self.dir.join(kept_name(object)))?;
            self.keeping.bytes.fetch_sub(object.size, Ordering::Relaxed);
            self.count_out(object.size);
        }
        Ok(())
    }

    fn note(&self) -> PathBuf {
        self.dir.join("session").with_extension(NOTE)
    }
}
