//! How long to wait: after a failure, and for an answer.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use recorder_core::error_class::ErrorClass;

/// The waits after failures: the first, doubled each time, at most the last. Half of each wait is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After the first failure.
    pub first: Duration,
    /// The longest. Also after each fault that waiting alone does not heal: somebody may change the bucket or its rights.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

/// How long an attempt may take, and what comes after one without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptTimes {
    /// An object's first attempt, its confirmation included, more for one of a MiB or more; twice as long after each attempt that took too long.
    pub attempt: Duration,
    /// The longest an attempt may take: a slow line gets a segment through in the end.
    pub longest_attempt: Duration,
    /// How long after its end an attempt without an answer may still take effect in the store.
    pub unacked_put: Duration,
}

impl Default for AttemptTimes {
    /// A segment of the highest bit rate at 100 kbit/s; at 25 kbit/s; and twice what proxies and load balancers usually wait for
    /// a store.
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(30),
            longest_attempt: Duration::from_secs(120),
            unacked_put: Duration::from_secs(60),
        }
    }
}

impl AttemptTimes {
    /// How long an attempt with so many bytes may take after so many that took too long: an eighth more for each full MiB, which
    /// is 280 kB/s of a large file at first, and 70 kB/s in the end.
    pub(super) fn limit(&self, timeouts: u32, size: u64) -> Duration {
        let limit =
            self.attempt.saturating_mul(1u32.checked_shl(timeouts).unwrap_or(u32::MAX)).min(self.longest_attempt);
        limit + (limit / 8).saturating_mul(u32::try_from(size >> 20).unwrap_or(u32::MAX))
    }
}

/// A policy with its randomness.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    random: StdRng,
}

impl Backoff {
    pub(super) fn new(policy: RetryPolicy, random: StdRng) -> Self {
        Self { policy, random }
    }

    /// The wait after the `attempt`th failure in a row, counted from 1.
    pub(super) fn wait(&mut self, error_class: ErrorClass, attempt: u32) -> Duration {
        let RetryPolicy { first, longest } = self.policy;
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = if error_class.retry { first.saturating_mul(factor).min(longest) } else { longest };
        whole.mul_f64(self.random.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(RetryPolicy::default(), StdRng::seed_from_u64(1));
        let passing = ErrorClass::destination("x", true);
        for (attempt, whole) in [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (1000, 60.0), (u32::MAX, 60.0)] {
            let wait = backoff.wait(passing, attempt).as_secs_f64();
            assert!((whole / 2.0..=whole).contains(&wait), "attempt {attempt}: {wait}");
        }
    }

    #[test]
    fn what_waiting_does_not_heal_is_tried_rarely() {
        let mut backoff = Backoff::new(RetryPolicy::default(), StdRng::seed_from_u64(1));
        assert!(backoff.wait(ErrorClass::destination("x", false), 1) >= Duration::from_secs(30));
    }

    #[test]
    fn what_took_too_long_gets_more_time() {
        let limits = [0, 1, 2, 3, 40].map(|timeouts| AttemptTimes::default().limit(timeouts, 48_000).as_secs());
        assert_eq!(limits, [30, 60, 120, 120, 120]);
        assert_eq!([0, 9].map(|timeouts| AttemptTimes::default().limit(timeouts, 56 << 20).as_secs()), [240, 960]);
    }
}
