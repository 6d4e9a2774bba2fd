//! Did this worker stand still, or is it too slow? From how late its looks at the clock come. Pure.

use std::time::Duration;

use crate::recording::StallCause;

/// How far apart two looks at the clock are.
pub(in crate::session) const TICK: Duration = Duration::from_millis(250);

/// A look that comes later than this means that what was sent meanwhile may not have been heard: a socket's buffer holds about a
/// second of a few talkers.
pub(in crate::session) const STALL: Duration = Duration::from_secs(1);

/// A datagram that waited in its socket for longer than this was read too late for its arrival to mean anything.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// A look that comes later than this is late.
const LATE: Duration = Duration::from_millis(500);

/// So many late looks among the last eight, which are two seconds, are too many. One is, where there was a stall among them.
const TOO_MANY: u32 = 4;

/// A process that used a larger share of a processor than this while its looks were late ran, but too slowly: in percent.
const RAN: u32 = 50;

/// The same of a process whose earlier looks were late too. One that is stopped again and again uses less.
const STARVED: u32 = 1;

/// What one look found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The time since the look before, with the time in which the machine was suspended.
    pub(super) gap: Duration,
    /// What the process used of its processors in that time.
    pub(super) used: Duration,
}

/// What one session's sockets say since the look before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// Datagrams that the kernel dropped because nobody read them.
    pub(super) dropped: u64,
    /// The longest wait of a datagram.
    pub(super) waited: Duration,
}

/// Judges a worker by its looks at the clock.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    /// One bit for each of the last eight looks, the newest is the lowest: whether it was late.
    late: u8,
    /// The same: whether something was found.
    found: u8,
}

impl Evidence {
    /// Whether it is reason enough to take no new recordings.
    pub(super) fn is_grave(&self) -> bool {
        self.dropped > 0 || self.waited > STALL
    }
}

impl StallDetector {
    /// What kept the worker since the look before, if something did.
    pub(super) fn look(&mut self, look: Look) -> Option<StallCause> {
        let lateness = look.gap.saturating_sub(TICK);
        let (late, again) = (lateness > LATE, self.late != 0);
        self.late = self.late << 1 | u8::from(late);
        let found = if lateness > STALL {
            let share = |percent: u32| look.gap * percent / 100;
            let ran = look.used > share(RAN) || again && look.used > share(STARVED);
            Some(if ran { StallCause::Overload } else { StallCause::WorkerStalled })
        } else {
            let too_many = self.late.count_ones() >= TOO_MANY || late && self.found != 0;
            too_many.then_some(StallCause::Overload)
        };
        self.found = self.found << 1 | u8::from(found.is_some());
        found
    }
}

/// What kept a session from hearing though the worker's looks came in time. What follows a stall (`after`) is part of it: the
/// sockets are full then, and what is in them has waited.
pub(super) fn weigh(evidence: Evidence, after: Option<StallCause>) -> Option<StallCause> {
    match after {
        Some(StallCause::WorkerStalled) => (evidence.dropped > 0).then_some(StallCause::WorkerStalled),
        Some(StallCause::Overload) | None => {
            (evidence.dropped > 0 || evidence.waited > LONGEST_WAIT).then_some(StallCause::Overload)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(gap_ms: u64, used_ms: u64) -> Look {
        Look { gap: Duration::from_millis(gap_ms), used: Duration::from_millis(used_ms) }
    }

    #[test]
    fn looks_in_time_and_a_little_late_are_no_stall() {
        let mut detector = StallDetector::default();
        for gap in [250, 251, 400, 250, 1_200, 250, 900, 250, 250, 250, 800] {
            assert_eq!(detector.look(look(gap, 200)), None, "{gap}");
        }
    }

    #[test]
    fn one_long_gap_without_work_is_a_stopped_worker() {
        for (gap, used) in [(1_300, 10), (4_000, 120), (40_000, 300), (3_600_000, 2_000)] {
            let mut detector = StallDetector::default();
            detector.look(look(250, 100));
            assert_eq!(detector.look(look(gap, used)), Some(StallCause::WorkerStalled), "{gap}");
            assert_eq!(detector.look(look(250, 200)), None);
        }
    }

    #[test]
    fn stopped_twice_is_stopped_both_times() {
        let mut detector = StallDetector::default();
        assert_eq!(detector.look(look(10_000, 50)), Some(StallCause::WorkerStalled));
        assert_eq!(detector.look(look(10_000, 90)), Some(StallCause::WorkerStalled));
    }

    #[test]
    fn a_worker_that_was_busy_all_the_time_did_not_stand_still() {
        assert_eq!(StallDetector::default().look(look(3_000, 2_800)), Some(StallCause::Overload));
    }

    #[test]
    fn three_percent_of_a_processor_is_too_little_again_and_again() {
        let mut detector = StallDetector::default();
        let gaps = [700, 900, 1_400, 800, 2_000, 900, 900];
        let causes: Vec<_> = gaps.iter().map(|gap| detector.look(look(*gap, gap * 3 / 100))).collect();
        assert_eq!(causes[..2], [None, None], "not yet");
        assert_eq!(causes[2], Some(StallCause::Overload), "too late, and not the first late look");
        assert_eq!(causes[4..], [Some(StallCause::Overload); 3]);
        let after: Vec<_> = (0..8).filter_map(|_| detector.look(look(250, 30))).collect();
        assert!(after.len() <= 5, "it is over in two seconds");
        detector.look(look(3_000, 20));
        assert_eq!(detector.look(look(800, 20)), Some(StallCause::Overload), "late again right after a stall");
    }

    #[test]
    fn what_the_kernel_dropped_was_not_heard_and_what_waited_too_long_was_read_too_late() {
        let evidence = |dropped, ms| Evidence { dropped, waited: Duration::from_millis(ms) };
        assert_eq!(weigh(evidence(0, 290), None), None);
        assert_eq!(weigh(evidence(1, 0), None), Some(StallCause::Overload));
        assert_eq!(weigh(evidence(0, 1_100), None), Some(StallCause::Overload));
        let stalled = Some(StallCause::WorkerStalled);
        assert_eq!(weigh(evidence(9, 9_000), stalled), stalled, "the buffers overflowed while it stood still");
        assert_eq!(weigh(evidence(0, 9_000), stalled), None, "and the rest was only late");
    }
}
