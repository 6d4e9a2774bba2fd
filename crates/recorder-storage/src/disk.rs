//! The disk under the data directory: how much of it is free, and whether it takes a write at all.
//!
//! Looked at when somebody asks, never on a timer (invariant 9). One look serves everybody who asks within [`FRESH`]; at most one is
//! under way, so a disk that hangs costs one thread. A look is the space that is free for this user and a small file that is
//! written, synced and removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use recorder_core::error_class::{Classify, ErrorClass};

/// How long a look is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How long the disk has for its answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The file that is written: a block, so that the disk has to find a place for it.
const PROBE_BYTES: usize = 4096;
/// Its name.
const PROBE_NAME: &str = "disk-probe";
/// Bytes of a mebibyte, the unit in messages.
const MIB: u64 = 1 << 20;

/// Why no new recording should begin on this disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskTrouble {
    /// What is free is kept for the recordings that run.
    #[error(
        "the disk of server.data_dir has {} MiB left and {} MiB are kept for running recordings; free some space there, or \
         lower server.disk_reserve_mib",
        free / MIB,
        reserve / MIB
    )]
    Reserve {
        /// Bytes left.
        free: u64,
        /// Bytes that are kept.
        reserve: u64,
    },
    /// The file system is mounted read-only, perhaps by the kernel after an error.
    #[error("the file system of server.data_dir is read-only; look for disk errors and mount it writable again")]
    ReadOnly,
    /// A small file could not be written.
    #[error("a small file can't be written in server.data_dir: {0}; check the disk and the folder's permissions")]
    Unwritable(String),
    /// No answer within the patience.
    #[error("the disk of server.data_dir does not answer; look for disk errors or a lost network file system")]
    Hangs,
}

impl Classify for DiskTrouble {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Reserve { .. } => ErrorClass::ours("disk_reserve", true),
            Self::ReadOnly => ErrorClass::ours("disk_read_only", true),
            Self::Unwritable(_) => ErrorClass::ours("disk_unwritable", true),
            Self::Hangs => ErrorClass::ours("disk_hangs", true),
        }
    }
}

/// What a look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this user may still write; none where the disk does not say.
    pub free: Option<u64>,
    /// Bytes of these that are kept for running recordings.
    pub reserve: u64,
    /// Why no new recording should begin.
    pub trouble: Option<DiskTrouble>,
}

/// Looks at a disk. Cheap to clone; clones share what they saw.
#[derive(Clone, Debug)]
pub struct DiskWatch(Arc<DiskState>);

#[derive(Debug)]
struct DiskState {
    dir: PathBuf,
    reserve: u64,
    looks: Mutex<Looks>,
}

#[derive(Debug, Default)]
struct Looks {
    last: Option<(Instant, Disk)>,
    /// Under way; outlives those who asked for it.
    running: Option<JoinHandle<Disk>>,
}

impl DiskWatch {
    /// Watches the disk of `dir`, where `reserve` bytes are kept for recordings that run.
    pub fn new(dir: impl Into<PathBuf>, reserve: u64) -> Self {
        Self(Arc::new(DiskState { dir: dir.into(), reserve, looks: Mutex::default() }))
    }

    /// How the disk is, as of at most one second ago. Waits up to 2 s for it.
    pub async fn look(&self) -> Disk {
        let mut looks = self.0.looks.lock().await;
        if let Some((at, disk)) = &looks.last
            && at.elapsed() < FRESH
        {
            return disk.clone();
        }
        let watch = Arc::clone(&self.0);
        let running = looks.running.get_or_insert_with(|| spawn_blocking(move || look(&watch.dir, watch.reserve)));
        let disk = match timeout(TIMEOUT, running).await {
            Ok(ended) => {
                looks.running = None;
                ended.unwrap_or_else(|stopped| self.trouble(DiskTrouble::Unwritable(stopped.to_string())))
            }
            Err(_) => self.trouble(DiskTrouble::Hangs),
        };
        looks.last = Some((Instant::now(), disk.clone()));
        disk
    }

    /// Whether a new recording may begin here.
    pub async fn check(&self) -> Result<(), DiskTrouble> {
        self.look().await.trouble.map_or(Ok(()), Err)
    }

    fn trouble(&self, trouble: DiskTrouble) -> Disk {
        Disk { free: None, reserve: self.0.reserve, trouble: Some(trouble) }
    }
}

fn look(dir: &Path, reserve: u64) -> Disk {
    let (free, mounted) = match statvfs(dir) {
        Ok(stat) => (Some(stat.f_bavail.saturating_mul(stat.f_frsize)), Ok(stat.f_flag)),
        Err(error) => (None, Err(DiskTrouble::Unwritable(io::Error::from(error).to_string()))),
    };
    let trouble = match (mounted, free) {
        (Err(trouble), _) => Some(trouble),
        (Ok(flags), _) if flags.contains(StatVfsMountFlags::RDONLY) => Some(DiskTrouble::ReadOnly),
        (Ok(_), Some(free)) if free < reserve => Some(DiskTrouble::Reserve { free, reserve }),
        _ => probe(dir).err(),
    };
    Disk { free, reserve, trouble }
}

fn probe(dir: &Path) -> Result<(), DiskTrouble> {
    let path = dir.join(PROBE_NAME);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&[0; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => DiskTrouble::ReadOnly,
        _ => DiskTrouble::Unwritable(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_good_disk_is_told_and_nothing_stays_behind() {
        let dir = tempfile::tempdir().unwrap();
        let disk = DiskWatch::new(dir.path(), 1).look().await;
        assert_eq!(disk.trouble, None);
        assert!(disk.free.unwrap() > 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_reserve_is_not_for_new_recordings() {
        let dir = tempfile::tempdir().unwrap();
        let trouble = DiskWatch::new(dir.path(), u64::MAX).check().await.unwrap_err();
        assert!(matches!(trouble, DiskTrouble::Reserve { reserve: u64::MAX, .. }), "{trouble}");
        assert_eq!(trouble.error_class(), ErrorClass::ours("disk_reserve", true));
    }

    #[tokio::test]
    async fn a_folder_that_takes_no_file_is_told_with_what_the_system_says() {
        // Nobody, root included, can make a file there.
        let trouble = DiskWatch::new("/proc", 0).check().await.unwrap_err();
        assert!(matches!(trouble, DiskTrouble::Unwritable(_) | DiskTrouble::ReadOnly), "{trouble}");
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        let trouble = DiskWatch::new(gone, 0).check().await.unwrap_err();
        assert!(matches!(&trouble, DiskTrouble::Unwritable(text) if text.contains("No such file")), "{trouble}");
    }

    #[tokio::test]
    async fn one_look_serves_those_who_ask_soon_after() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DiskWatch::new(dir.path(), 0);
        let first = watch.look().await;
        let (one, other) = tokio::join!(watch.look(), watch.look());
        assert_eq!((&one, &other), (&first, &first));
        drop(dir);
        assert_eq!(watch.look().await.trouble, None, "as seen just before");
        tokio::time::pause();
        tokio::time::advance(FRESH).await;
        assert!(watch.look().await.trouble.is_some());
    }
}
