//! The task behind [`super::Writer`]: gathers batches, has them written and does not give up.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::batch::Batch;
use super::disk::{Disk, Refusal, Usage};
use super::writer::Shared;

/// Wait after the disk refused a batch.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// How far the log is on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Synced {
    /// Appended bytes that are durable.
    pub(super) bytes: u64,
    /// Refusals so far.
    pub(super) failures: u64,
    /// What the disk said, while it refuses.
    pub(super) error: Option<Arc<str>>,
    /// What the log costs.
    pub(super) usage: Usage,
}

pub(super) async fn run(shared: Arc<Shared>, mut disk: Disk) {
    let mut taken = Instant::now();
    loop {
        gather(&shared, taken).await;
        taken = Instant::now();
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

/// Waits for the first byte, and then for others to share its fsync, unless somebody is in a hurry. What is there already came after
/// the last batch was taken.
async fn gather(shared: &Shared, taken: Instant) {
    let hurried = || {
        let state = shared.state();
        state.urgent || state.closed
    };
    let mut first = taken;
    while shared.state().is_idle() && !hurried() {
        shared.news.notified().await;
        first = Instant::now();
    }
    let deadline = first + shared.group_time;
    while !hurried() && timeout_at(deadline, shared.news.notified()).await.is_ok() {}
}

/// Tries until the disk takes it. Meanwhile the buffer fills, and then records are refused; files that nobody needs go all the same.
async fn write(shared: &Shared, mut disk: Disk, batch: Batch) -> Disk {
    let batch = Arc::new(batch);
    loop {
        let (todo, unneeded) = (Arc::clone(&batch), shared.state().take_unneeded());
        let worked = spawn_blocking(move || {
            let result = disk.work(unneeded, &todo);
            (disk, result)
        });
        let result;
        (disk, result) = match worked.await {
            Ok(done) => done,
            // The runtime is going, and this task with it.
            Err(error) if error.is_cancelled() => return std::future::pending().await,
            Err(error) => panic!("writing a batch does not panic: {error}"),
        };
        let usage = disk.usage();
        let Err(refusal) = result else {
            shared.state().settle(&batch);
            shared.synced.send_modify(|synced| {
                (synced.bytes, synced.error, synced.usage) = (batch.upto, None, usage);
            });
            return disk;
        };
        tracing::error!(error = %refusal, path = %batch.file.path.display(), "the journal can't be written");
        let gone = (!matches!(refusal, Refusal::NotNow(_))).then(|| shared.state().abandon(&batch));
        shared.synced.send_modify(|synced| {
            synced.failures += 1;
            synced.error = Some(refusal.to_string().into());
            synced.bytes = gone.unwrap_or(synced.bytes);
            synced.usage = usage;
        });
        if gone.is_some() {
            return disk;
        }
        sleep(RETRY_TIME).await;
    }
}
