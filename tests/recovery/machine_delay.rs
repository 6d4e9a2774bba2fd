//! How much the machine itself holds up whatever runs on it: a thread that sleeps and writes to the disk, a little and all the time, and
//! notes how much longer that took than it should. What a kill may cost is measured against that, not against the speed of a machine.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cloud_recorder::clock;
use tokio::time::Instant;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(50);
/// Around a kill: what was received so long before it may have been on its way to the disk.
const BEFORE_MS: u64 = 2_000;
/// So long after its first answer a worker is on its way back.
const AFTER_MS: u64 = 3_000;

/// Wall time of a look, and by how many milliseconds it was late.
type Look = (u64, u64);

/// See the module. Its thread ends when it is dropped.
pub(crate) struct MachineDelay(Arc<Mutex<Vec<Look>>>);

impl MachineDelay {
    /// Writes into this folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let looks = Arc::default();
        let (seen, path) = (Arc::downgrade(&looks), folder.join("yardstick"));
        std::thread::spawn(move || look(&seen, &path));
        Self(looks)
    }

    /// All delays around this time together.
    pub(crate) fn held_up(&self, from: u64, to: u64) -> u64 {
        let (from, to) = (from.saturating_sub(BEFORE_MS), to.saturating_add(AFTER_MS));
        let looks = self.0.lock().unwrap();
        looks.iter().filter(|(at, late)| at + late >= from && *at <= to).map(|(_, late)| *late).sum()
    }

    /// The longest delay of all.
    pub(crate) fn worst(&self) -> u64 {
        self.0.lock().unwrap().iter().map(|(_, late)| *late).max().unwrap_or(0)
    }
}

fn look(seen: &Weak<Mutex<Vec<Look>>>, path: &Path) {
    let Ok(mut file) = std::fs::File::create(path) else { return };
    loop {
        let (at, begun) = (clock::now().0, Instant::now());
        std::thread::sleep(EVERY);
        // The folder goes when the test does.
        if file.write_all(&[0; 64]).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        let late = begun.elapsed().saturating_sub(EVERY).as_millis();
        let Some(seen) = seen.upgrade() else { return };
        // A few milliseconds are no delay.
        if late > 5 {
            seen.lock().unwrap().push((at, u64::try_from(late).unwrap()));
        }
    }
}
