//! Tears the end off a journal, as a power cut on a careless disk would: the last file loses what came within half a second, and
//! what is left may end in half a record, in zeros or in rubbish.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::disk::files;

/// How far back the log may be torn.
pub(crate) const TORN: Duration = Duration::from_millis(500);
/// Time between two looks at the log's length.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest row of zeros that is left.
const MAX_ZEROS: usize = 8192;

type Look = (Instant, Vec<(PathBuf, u64)>);

/// Watches how a log grows.
pub(crate) struct TornJournal {
    dir: PathBuf,
    looks: Arc<Mutex<VecDeque<Look>>>,
    _task: AbortOnDropHandle<()>,
}

impl TornJournal {
    pub(crate) fn watch(dir: &Path) -> Self {
        let looks = Arc::<Mutex<VecDeque<Look>>>::default();
        let task = tokio::spawn(look(dir.to_owned(), Arc::clone(&looks)));
        Self { dir: dir.to_owned(), looks, _task: AbortOnDropHandle::new(task) }
    }

    /// Tears the log of a dead worker; says by how many bytes. A log that lost a file meanwhile stays whole: then the rest was
    /// synced, and only a disk that lies loses it.
    pub(crate) fn tear(&self, random: &mut StdRng) -> u64 {
        let now = log(&self.dir);
        let Some((path, length)) = now.last().cloned() else { return 0 };
        let then = self.looks.lock().unwrap().front().map(|(_, files)| files.clone()).unwrap_or_default();
        let whole = then.iter().all(|(known, _)| now.iter().any(|(path, _)| path == known));
        let Some((_, synced)) = then.into_iter().find(|(known, _)| *known == path && whole) else { return 0 };
        let mut bytes = std::fs::read(&path).unwrap();
        let left = random.random_range(synced.min(length)..=length);
        bytes.truncate(usize::try_from(left).unwrap());
        match random.random_range(0..3) {
            0 => bytes.resize(bytes.len() + random.random_range(0..MAX_ZEROS), 0),
            1 if left > synced => *bytes.last_mut().unwrap() ^= 0x41,
            _ => {}
        }
        std::fs::write(&path, bytes).unwrap();
        length - left
    }
}

/// The log's files in order, with their lengths.
fn log(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = files(dir);
    files.retain(|(path, _)| path.extension().is_some_and(|end| end == "journal"));
    files
}

async fn look(dir: PathBuf, looks: Arc<Mutex<VecDeque<Look>>>) {
    loop {
        remember(&mut looks.lock().unwrap(), Instant::now(), log(&dir));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Keeps the newest look that is older than [`TORN`] in front.
fn remember(looks: &mut VecDeque<Look>, now: Instant, seen: Vec<(PathBuf, u64)>) {
    looks.push_back((now, seen));
    while looks.get(1).is_some_and(|(at, _)| now.duration_since(*at) > TORN) {
        looks.pop_front();
    }
}
