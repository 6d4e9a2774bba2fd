//! Where an upload takes its bytes from, and what becomes of them when they are confirmed.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::spool::{ObjectKind, SessionSpool, SpoolError, SpooledFile, SpooledObject};

/// Where the bytes of a session's objects are. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum ObjectSource {
    /// In the spool, which lets go of what is confirmed.
    Spool(SessionSpool),
    /// In the spool too, which keeps them for another bucket.
    Copies(Copies),
}

/// The bytes of an object.
#[derive(Debug)]
pub(super) enum ObjectBytes {
    Bytes(Bytes),
    /// The other bucket confirmed it, so it left the spool.
    Gone,
}

/// What is to be copied, by an order of its own. One entry an object that waits.
#[derive(Clone, Debug)]
pub(super) struct Copies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spool: SessionSpool,
    next: AtomicU64,
    sources: Mutex<BTreeMap<u64, Source>>,
}

#[derive(Clone, Debug)]
enum Source {
    Spooled(SpooledObject),
    Held(Bytes),
}

impl ObjectSource {
    /// The bytes of an object.
    pub(super) async fn read(&self, object: &SpooledObject) -> Result<ObjectBytes, SpoolError> {
        match self {
            Self::Spool(spool) => spool.read(object).await.map(ObjectBytes::Bytes),
            Self::Copies(copies) => copies.read(object).await,
        }
    }

    /// A whole file, to be sent from the disk.
    pub(super) async fn file(&self, object: &SpooledObject) -> Result<SpooledFile, SpoolError> {
        match self {
            Self::Spool(spool) => spool.file(object).await,
            Self::Copies(copies) => copies.0.spool.file(object).await,
        }
    }

    /// An object is needed no more.
    pub(super) async fn remove(&self, object: &SpooledObject) -> Result<(), SpoolError> {
        match self {
            Self::Spool(spool) => spool.remove(object).await,
            Self::Copies(copies) => {
                copies.sources().remove(&object.order);
                Ok(())
            }
        }
    }
}

impl Copies {
    /// Nothing is to be copied yet.
    pub(super) fn of(spool: SessionSpool) -> Self {
        Self(Arc::new(Inner { spool, next: AtomicU64::new(0), sources: Mutex::default() }))
    }

    /// A copy of a spooled object, behind all before it.
    pub(super) fn copy(&self, object: &SpooledObject) -> SpooledObject {
        self.add(Source::Spooled(object.clone()), object.name.clone(), object.kind, object.size)
    }

    /// An object that is held in memory, behind all before it.
    pub(super) fn hold(&self, name: &str, kind: ObjectKind, bytes: Bytes) -> SpooledObject {
        let size = bytes.len() as u64;
        self.add(Source::Held(bytes), name.to_owned(), kind, size)
    }

    fn add(&self, source: Source, name: String, kind: ObjectKind, size: u64) -> SpooledObject {
        let order = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.sources().insert(order, source);
        SpooledObject { order, name, kind, size }
    }

    async fn read(&self, object: &SpooledObject) -> Result<ObjectBytes, SpoolError> {
        let source = self.sources().get(&object.order).cloned();
        let read = match source {
            Some(Source::Held(bytes)) => return Ok(ObjectBytes::Bytes(bytes)),
            Some(Source::Spooled(spooled)) => self.0.spool.read(&spooled).await,
            None => return Ok(ObjectBytes::Gone),
        };
        match read {
            Err(SpoolError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(ObjectBytes::Gone),
            read => read.map(ObjectBytes::Bytes),
        }
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<u64, Source>> {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spool;
    use recorder_core::units::{AppId, Sid};

    #[tokio::test]
    async fn a_copy_takes_nothing_from_the_spool_and_notices_when_its_object_left() {
        let dir = tempfile::tempdir().unwrap();
        let app = AppId::new("0123456789abcdef0123456789abcdef").unwrap();
        let spool = Spool::open(dir.path(), u64::MAX).unwrap().session(&app, &Sid::from_random([1; 16])).unwrap();
        let spooled = spool.put("a.m4s", ObjectKind::Segment, Bytes::from_static(b"sound")).await.unwrap();
        let copies = Copies::of(spool.clone());
        let (first, second) = (copies.copy(&spooled), copies.copy(&spooled));
        let source = ObjectSource::Copies(copies);
        assert!(matches!(source.read(&first).await.unwrap(), ObjectBytes::Bytes(bytes) if bytes == "sound"));
        source.remove(&first).await.unwrap();
        assert_eq!(spool.list().await.unwrap(), std::slice::from_ref(&spooled));
        spool.remove(&spooled).await.unwrap();
        assert!(matches!(source.read(&second).await.unwrap(), ObjectBytes::Gone));
    }
}
