//! How often: a token bucket, as the time at which it would be full again (the generic cell rate algorithm). Time is a parameter; a
//! bucket that nobody asks costs nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Requests that may come at once after a pause, as so many seconds of the rate.
const BURST_SECONDS: u32 = 2;

/// Lets so many requests through in a second.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u32,
    /// When it is full again; none while it is full.
    full: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many a second, at least one, and [`BURST_SECONDS`] times as many at once.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second: if per_second == 0 { 1 } else { per_second }, full: Mutex::new(None) }
    }

    /// How many a second.
    pub(crate) const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Lets one through, or says how long to wait.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        let gap = Duration::from_secs(1) / self.per_second;
        let depth = gap * (self.per_second * BURST_SECONDS);
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full.map_or(now, |full| full.max(now)) + gap;
        let wait = next.saturating_duration_since(now + depth);
        if wait.is_zero() {
            *full = Some(next);
            Ok(())
        } else {
            Err(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pace: &Pace, now: Instant, asked: u32) -> usize {
        (0..asked).filter(|_| pace.take(now).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (pace, begin) = (Pace::new(10), Instant::now());
        assert_eq!(passed(&pace, begin, 100), 20);
        assert_eq!(pace.take(begin), Err(Duration::from_millis(100)));
        let sum: usize = (1..=50).map(|tenth| passed(&pace, begin + Duration::from_millis(100 * tenth), 5)).sum();
        assert_eq!(sum, 50, "one each tenth of a second");
        assert_eq!(passed(&pace, begin + Duration::from_secs(3600), 100), 20, "an hour saves no more than a burst");
    }

    #[test]
    fn waiting_as_long_as_told_helps() {
        let (pace, mut now) = (Pace::new(1), Instant::now());
        assert_eq!(passed(&pace, now, 5), 2);
        now += pace.take(now).unwrap_err();
        assert_eq!(pace.take(now), Ok(()));
    }
}
