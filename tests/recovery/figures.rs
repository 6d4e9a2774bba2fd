//! What kills cost: lost before, dead, back, silent. Milliseconds.

use std::sync::Mutex;

/// One death of a process, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// When the process was killed.
    pub(crate) at: u64,
    /// When the next one answered, unless that was killed before.
    pub(crate) ready: Option<u64>,
}

/// Every death of a worker, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kills(pub(crate) Vec<Kill>);

/// What many kills cost.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Processes that were killed.
    pub(crate) kills: usize,
    /// Sound that was sent to a living worker and is not in the recording.
    pub(crate) lost: Vec<u64>,
    /// From the kill until the next run answers.
    pub(crate) ready: Vec<u64>,
    /// From there until sound is recorded again.
    pub(crate) back: Vec<u64>,
    /// From the last sound before to the first one after.
    pub(crate) silent: Vec<u64>,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.lost.extend(other.lost);
        self.ready.extend(other.ready);
        self.back.extend(other.back);
        self.silent.extend(other.silent);
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
            ("silence in the recording", &self.silent),
        ] {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let at = |share: f64| sorted.get((share * (sorted.len().max(1) - 1) as f64).round() as usize).copied();
            let cell = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            let (p50, p99, max) = (cell(at(0.5)), cell(at(0.99)), cell(sorted.last().copied()));
            println!("  {what:<44} {:>7} {p50:>8} {p99:>8} {max:>8}", sorted.len());
        }
    }
}
