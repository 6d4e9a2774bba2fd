//! How long to wait before the next attempt to reach the channel.

use std::time::Duration;

/// The wait before the second attempt; the first is made at once.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait. Short, because audio is lost meanwhile and a bot is one client among many.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Exponential back-off with jitter: from half of the nominal wait to all of it, so that the bots of a worker that lost its
/// server together don't come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The wait before the next attempt. `jitter` is uniform in 0.0 to 1.0, the caller's randomness.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        let Some(doublings) = self.attempts.checked_sub(1) else {
            self.attempts = 1;
            return Duration::ZERO;
        };
        self.attempts = self.attempts.saturating_add(1);
        let nominal = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_WAIT);
        nominal.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_nothing_to_the_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 2000, 2000, 2000]);
        assert_eq!(backoff.next(0.0), LONGEST_WAIT / 2);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff { attempts: u32::MAX };
        assert_eq!(backoff.next(1.0), LONGEST_WAIT);
        assert_eq!(backoff.next(1.0), LONGEST_WAIT);
    }
}
