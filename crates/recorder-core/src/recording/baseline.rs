//! The minimum delay baseline of one stream: the smallest lag of its recent packets.
//!
//! The lag of a packet is its arrival minus its RTP time, in ticks. The network can only add to a lag, so the smallest one of
//! some seconds is the clocks' true difference plus the path's shortest delay; `RTP time + smallest lag` is a place on the
//! wall timeline that jitter does not move.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::units::Ticks;

/// Lags are remembered by their smallest in each bucket of this length.
const BUCKET: i64 = Ticks::from_ms(500).0 as i64;

/// How many buckets are remembered: 10 s. Shorter swells of delay don't move the baseline.
const BUCKETS: i64 = 20;

/// How many buckets are "just now": 0.5 to 1 s.
const RECENT: i64 = 2;

/// See the module's documentation. All times in ticks of arrival.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Baseline {
    buckets: VecDeque<(i64, i64)>,
}

impl Baseline {
    /// Notes the lag of a packet.
    pub(super) fn add(&mut self, arrival: i64, lag: i64) {
        let bucket = arrival.div_euclid(BUCKET);
        match self.buckets.back_mut() {
            Some((newest, smallest)) if *newest >= bucket => *smallest = lag.min(*smallest),
            _ => self.buckets.push_back((bucket, lag)),
        }
        while self.buckets.len() as i64 > BUCKETS {
            self.buckets.pop_front();
        }
    }

    /// Forgets everything: from here on another clock runs.
    pub(super) fn restart(&mut self) {
        self.buckets.clear();
    }

    /// The smallest lag of the ten seconds before `arrival`; `None` when nothing arrived in them.
    pub(super) fn floor(&self, arrival: i64) -> Option<i64> {
        self.smallest(arrival.div_euclid(BUCKET) - BUCKETS)
    }

    /// The smallest lag of the last second in which anything arrived.
    pub(super) fn recent(&self) -> Option<i64> {
        let (newest, _) = self.buckets.back()?;
        self.smallest(newest - RECENT)
    }

    fn smallest(&self, after: i64) -> Option<i64> {
        self.buckets.iter().filter(|(bucket, _)| *bucket > after).map(|(_, lag)| *lag).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 48_000;

    #[test]
    fn the_floor_is_the_smallest_lag_of_ten_seconds() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.floor(0), None);
        for (second, lag) in [(0, 50), (1, 40), (5, 70), (9, 90)] {
            baseline.add(second * SECOND, lag);
        }
        assert_eq!(baseline.floor(9 * SECOND), Some(40));
        assert_eq!(baseline.recent(), Some(90));
        assert_eq!(baseline.floor(12 * SECOND), Some(70), "what is older than ten seconds is forgotten");
        assert_eq!(
            (baseline.floor(100 * SECOND), baseline.recent()),
            (None, Some(90)),
            "a long silence leaves the last lag"
        );
    }

    #[test]
    fn it_stays_small_however_much_arrives() {
        let mut baseline = Baseline::default();
        for packet in 0..100_000 {
            baseline.add(packet * 4_800, packet);
        }
        assert!(baseline.buckets.len() as i64 <= BUCKETS);
    }
}
