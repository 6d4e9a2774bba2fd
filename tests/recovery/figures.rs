//! What kills cost: lost before, dead, back, silent. Milliseconds.

use std::sync::Mutex;

/// One death of a process, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// When the process was killed.
    pub(crate) at: u64,
    /// When the next one answered, unless that was killed before.
    pub(crate) ready: Option<u64>,
    /// How much the machine held up around it.
    pub(crate) held_up: u64,
}

/// Every death of a worker, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kills(pub(crate) Vec<Kill>);

/// What many kills cost.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Processes that were killed.
    pub(crate) kills: usize,
    /// Sound before a kill that is not in the recording.
    pub(crate) lost: Vec<u64>,
    /// From the kill until the next run answers.
    pub(crate) ready: Vec<u64>,
    /// From there until sound is recorded again.
    pub(crate) back: Vec<u64>,
    /// The two together: sound that was sent while a worker ran, and is missing.
    pub(crate) cost: Vec<u64>,
    /// From the last sound before to the first one after.
    pub(crate) silent: Vec<u64>,
    /// What the machine held up around each kill.
    pub(crate) held_up: Vec<u64>,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.lost.extend(other.lost);
        self.ready.extend(other.ready);
        self.back.extend(other.back);
        self.cost.extend(other.cost);
        self.silent.extend(other.silent);
        self.held_up.extend(other.held_up);
    }

    /// What a kill usually costs: the median, less what the machine usually held up.
    pub(crate) fn usual_cost(&self) -> u64 {
        share(&self.cost, 0.5).unwrap_or(0).saturating_sub(share(&self.held_up, 0.5).unwrap_or(0))
    }

    /// Prints the table.
    pub(crate) fn print(&self, title: &str) {
        // Tests of one binary print at the same time.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap();
        println!("\n{title}: {} kills", self.kills);
        println!("  {:<44} {:>7} {:>8} {:>8} {:>8}", "milliseconds", "count", "p50", "p99", "max");
        for (what, values) in [
            ("sound lost before a kill", &self.lost),
            ("kill to the next run's first answer", &self.ready),
            ("first answer to first sound", &self.back),
            ("missing though a worker ran", &self.cost),
            ("silence in the recording", &self.silent),
            ("held up by the machine around a kill", &self.held_up),
        ] {
            let [p50, p99, max] = [0.5, 0.99, 1.0]
                .map(|part| share(values, part).map_or_else(|| "-".to_owned(), |value| value.to_string()));
            println!("  {what:<44} {:>7} {p50:>8} {p99:>8} {max:>8}", values.len());
        }
    }
}

/// The value that this share of the values does not exceed.
fn share(values: &[u64], part: f64) -> Option<u64> {
    let mut sorted = values.to_owned();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get((part * last as f64).ceil() as usize).copied()
}
