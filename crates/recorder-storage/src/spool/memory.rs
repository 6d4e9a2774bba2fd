//! Objects of a session that the disk did not take. They are uploaded from here, and go to the disk when it is back.
//!
//! Bounded for a session and for a worker. What can't be left out without breaking a playlist (silence in the place of lost
//! sound, init segments, playlists, documents) has a small reserve of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::SpooledObject;

/// Bytes that a session may hold in memory: 32 MiB, over an hour of a mix.
pub const MEMORY_PER_SESSION: u64 = 32 << 20;
/// Bytes that all sessions of a worker may hold in memory: 256 MiB.
pub const MEMORY_PER_WORKER: u64 = 256 << 20;
/// Bytes beyond these bounds for what a session can't leave out: 4 MiB, half a day of silence in one playlist.
pub const MEMORY_RESERVE: u64 = 4 << 20;

/// What a session holds in memory.
#[derive(Debug)]
pub(super) struct Memory {
    objects: Mutex<BTreeMap<u64, Held>>,
    session: AtomicU64,
    session_limit: u64,
    worker: Arc<AtomicU64>,
    worker_limit: u64,
}

/// An object in memory.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) object: SpooledObject,
    pub(super) bytes: Bytes,
}

/// The objects, for as long as nobody else may change them.
pub(super) struct Open<'a> {
    memory: &'a Memory,
    objects: MutexGuard<'a, BTreeMap<u64, Held>>,
}

impl Memory {
    /// Nothing is held yet; `worker` counts the bytes of all sessions.
    pub(super) fn new(session_limit: u64, worker_limit: u64, worker: Arc<AtomicU64>) -> Self {
        Self { objects: Mutex::default(), session: AtomicU64::new(0), session_limit, worker, worker_limit }
    }

    /// Bytes held for this session.
    pub(super) fn bytes(&self) -> u64 {
        self.session.load(Ordering::Relaxed)
    }

    /// Takes an object where the bounds allow it; what is `small` may use the reserve.
    pub(super) fn hold(&self, held: Held, small: bool) -> bool {
        let size = held.object.size;
        let reserve = if small { MEMORY_RESERVE } else { 0 };
        let fits = self.session.load(Ordering::Relaxed) + size <= self.session_limit + reserve
            // The reserve is a session's own: other sessions can't have used it up.
            && (self.worker.load(Ordering::Relaxed) + size <= self.worker_limit
                || self.session.load(Ordering::Relaxed) + size <= reserve);
        if fits {
            let mut open = self.open();
            open.count(size, true);
            open.objects.insert(held.object.order, held);
        }
        fits
    }

    /// The bytes of an object, if it is here.
    pub(super) fn read(&self, order: u64) -> Option<Bytes> {
        self.open().objects.get(&order).map(|held| held.bytes.clone())
    }

    /// What is here, oldest first.
    pub(super) fn list(&self) -> Vec<SpooledObject> {
        self.open().objects.values().map(|held| held.object.clone()).collect()
    }

    /// Keeps others out.
    pub(super) fn open(&self) -> Open<'_> {
        Open { memory: self, objects: self.objects.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Open<'_> {
    /// The oldest object.
    pub(super) fn oldest(&self) -> Option<Held> {
        self.objects.values().next().cloned()
    }

    /// Lets go of an object; whether it was here.
    pub(super) fn remove(&mut self, order: u64) -> bool {
        let removed = self.objects.remove(&order);
        if let Some(held) = &removed {
            self.count(held.object.size, false);
        }
        removed.is_some()
    }

    fn count(&self, size: u64, more: bool) {
        for counter in [&self.memory.session, self.memory.worker.as_ref()] {
            if more {
                counter.fetch_add(size, Ordering::Relaxed);
            } else {
                counter.fetch_sub(size, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.worker.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ObjectKind;
    use super::*;

    fn held(order: u64, size: u64) -> Held {
        let object = SpooledObject { order, name: format!("{order}"), kind: ObjectKind::Segment, size };
        Held { object, bytes: Bytes::new() }
    }

    #[test]
    fn a_session_has_a_bound_and_a_reserve_for_what_it_can_not_leave_out() {
        let memory = Memory::new(MEMORY_PER_SESSION, MEMORY_PER_WORKER, Arc::default());
        assert!(memory.hold(held(0, MEMORY_PER_SESSION), false));
        assert!(!memory.hold(held(1, 1), false));
        assert!(memory.hold(held(1, MEMORY_RESERVE), true));
        assert!(!memory.hold(held(2, 1), true));
        assert!(memory.open().remove(0) && !memory.open().remove(0));
        assert!(memory.hold(held(2, 1), false), "what left makes room");
        assert_eq!(memory.list().iter().map(|object| object.order).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_full_worker_leaves_each_session_its_reserve() {
        let worker = Arc::new(AtomicU64::new(MEMORY_PER_WORKER));
        let memory = Memory::new(MEMORY_PER_SESSION, MEMORY_PER_WORKER, Arc::clone(&worker));
        assert!(!memory.hold(held(0, 1), false));
        assert!(memory.hold(held(0, MEMORY_RESERVE), true));
        assert!(!memory.hold(held(1, 1), true));
        drop(memory);
        assert_eq!(worker.load(Ordering::Relaxed), MEMORY_PER_WORKER, "a session that is gone holds nothing");
    }
}
