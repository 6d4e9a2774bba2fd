//! The task behind [`super::Writer`]: writes batches and syncs them, and does not give up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::Encoder;
use super::pending::Batch;
use super::writer::{GROUP_TIME, Shared};

/// Wait after the disk refused a batch.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// How far the log is on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Synced {
    /// Appended bytes that are durable.
    pub(super) bytes: u64,
    /// Batches refused so far.
    pub(super) failures: u64,
    /// What the disk said, while it refuses.
    pub(super) error: Option<Arc<str>>,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut disk = Disk::default();
    loop {
        gather(&shared).await;
        let (batch, closed) = {
            let mut state = shared.state();
            (state.take(), state.closed)
        };
        match batch {
            Some(batch) => disk = write(&shared, disk, batch).await,
            None if closed => return,
            // A flush was asked for with nothing to write: say so again to those that wait.
            None => shared.synced.send_modify(|_| ()),
        }
    }
}

/// Waits for the first byte, and then for others to share its fsync, unless somebody is in a hurry.
async fn gather(shared: &Shared) {
    let hurried = || {
        let state = shared.state();
        state.urgent || state.closed
    };
    while shared.state().is_idle() && !hurried() {
        shared.news.notified().await;
    }
    let deadline = Instant::now() + GROUP_TIME;
    while !hurried() && timeout_at(deadline, shared.news.notified()).await.is_ok() {}
}

/// Tries until the disk takes it. Meanwhile the buffer fills, and then records are refused.
async fn write(shared: &Shared, mut disk: Disk, batch: Batch) -> Disk {
    let batch = Arc::new(batch);
    loop {
        let todo = Arc::clone(&batch);
        let written = spawn_blocking(move || {
            let result = disk.write(&todo);
            (disk, result)
        });
        let result;
        (disk, result) = written.await.expect("writing a batch does not panic, and the runtime waits for it");
        match result {
            Ok(()) => {
                shared.synced.send_modify(|synced| {
                    synced.bytes = batch.upto;
                    synced.error = None;
                });
                return disk;
            }
            Err(error) => {
                tracing::error!(%error, path = %batch.path.display(), "the journal can't be written; trying again");
                shared.synced.send_modify(|synced| {
                    synced.failures += 1;
                    synced.error = Some(error.to_string().into());
                });
                sleep(RETRY_TIME).await;
            }
        }
    }
}

/// The file that is being written.
#[derive(Debug, Default)]
struct Disk(Option<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// Bytes that are durable. What lies behind them was refused and is written again.
    good: u64,
}

impl Disk {
    /// Can be repeated after an error.
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if !batch.bytes.is_empty() {
            self.file(&batch.path)?.append(&batch.bytes)?;
        }
        if batch.last {
            self.0 = None;
        }
        for path in &batch.unneeded {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut Open> {
        if self.0.as_ref().is_none_or(|open| open.path != path) {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
            if let Some(dir) = path.parent() {
                File::open(dir)?.sync_all()?;
            }
            self.0 = Some(Open { path: path.to_owned(), file, good: 0 });
        }
        Ok(self.0.as_mut().expect("opened just now"))
    }
}

impl Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // After a refused batch the pages may be marked clean without being on the disk: write all of it again.
        self.file.set_len(self.good)?;
        self.file.seek(SeekFrom::Start(self.good))?;
        let header = Encoder::header();
        let header: &[u8] = if self.good == 0 { &header } else { &[] };
        self.file.write_all(header)?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.good += (header.len() + bytes.len()) as u64;
        Ok(())
    }
}
