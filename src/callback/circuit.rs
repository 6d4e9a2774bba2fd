//! One target's circuit: whether it works, and when a failed one may be tried again.
//!
//! Closed: as many requests at once as the settings allow. Open: one at a time, each a probe, with growing waits between
//! them, whatever the number of sessions that have events for it. One success closes it.

use std::time::Duration;

use tokio::time::Instant;

/// What a target may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// What there is.
    Everything,
    /// One request, to see whether it is back.
    Probe,
    /// Nothing before this instant.
    NotBefore(Instant),
}

/// The state of one target. Closed at first: a restart tries at once.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Set while open: failed probes in a row, the opening failure included, and when the next one may go.
    open: Option<(u32, Instant)>,
}

impl Circuit {
    pub(super) fn leave(&self, now: Instant) -> Leave {
        match self.open {
            None => Leave::Everything,
            Some((_, until)) if now < until => Leave::NotBefore(until),
            Some(_) => Leave::Probe,
        }
    }

    /// An attempt succeeded, or somebody knows that the next one will. Says whether this closed the circuit.
    pub(super) fn close(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// An attempt failed; `wait` gives the pause for a number of failures in a row. Attempts that were under way when the
    /// circuit opened say nothing new. Says whether this opened the circuit.
    pub(super) fn failed(&mut self, probe: bool, now: Instant, wait: impl FnOnce(u32) -> Duration) -> bool {
        match &mut self.open {
            None => {
                self.open = Some((1, now + wait(1)));
                true
            }
            Some((failures, until)) => {
                if probe {
                    *failures = failures.saturating_add(1);
                    *until = now + wait(*failures);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(failures: u32) -> Duration {
        Duration::from_secs(failures.into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_until_one_succeeds() {
        let mut circuit = Circuit::default();
        let start = Instant::now();
        assert_eq!(circuit.leave(start), Leave::Everything);
        assert!(circuit.failed(false, start, seconds));
        assert!(!circuit.failed(false, start + seconds(9), seconds), "was under way: the pause stays");
        assert_eq!(circuit.leave(start), Leave::NotBefore(start + seconds(1)));
        assert_eq!(circuit.leave(start + seconds(1)), Leave::Probe);
        assert!(!circuit.failed(true, start + seconds(1), seconds));
        assert_eq!(circuit.leave(start + seconds(2)), Leave::NotBefore(start + seconds(3)));
        assert!(circuit.close());
        assert_eq!(circuit.leave(start), Leave::Everything);
        assert!(!circuit.close());
    }
}
