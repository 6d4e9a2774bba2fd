//! Where a recording's ticks lie on the monotonic clock. Made when the bot is in the channel, and made anew when the bot of a
//! later run of the worker is: time has gone on meanwhile, and so has the timeline. The machine's boot clock says how far, where it is
//! still the same run of the machine, because nobody can set it; else wall time has to do.

use std::time::Duration;

use tokio::time::Instant;

use crate::storage::journal::Clock;
use crate::units::{BootTime, Ticks, WallMs};

/// What an earlier run noted on the timeline and on the boot clock, and the boot clock now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) noted: Clock,
    pub(super) now: BootTime,
}

/// A place on both clocks; both go at the same pace from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timebase {
    instant: Instant,
    ticks: Ticks,
}

impl Timebase {
    /// Tick 0 is now.
    pub(super) fn begin() -> Self {
        Self { instant: Instant::now(), ticks: Ticks::ZERO }
    }

    /// Now is as long behind the anchor as the boot clock says. Where it does not say so: tick 0 was at the wall time `start`, and now is
    /// `wall`; a wall clock that was set back gives no time before tick 0.
    pub(super) fn resume(start: WallMs, wall: WallMs, anchor: Option<Anchor>) -> Self {
        let by_boot =
            anchor.and_then(|Anchor { noted, now }| Some(noted.ticks + Ticks::from_ms(now.since(noted.time)?)));
        let ticks = by_boot.unwrap_or_else(|| Ticks::from_ms(wall.0.saturating_sub(start.0)));
        Self { instant: Instant::now(), ticks }
    }

    /// Where an arrival lies on the timeline; what came before tick 0 is at tick 0.
    pub(super) fn ticks(&self, arrival: Instant) -> Ticks {
        let before = Ticks::from_duration(self.instant.saturating_duration_since(arrival));
        self.ticks + Ticks::from_duration(arrival.saturating_duration_since(self.instant)) - before
    }

    /// The present on the timeline.
    pub(super) fn now(&self) -> Ticks {
        self.ticks(Instant::now())
    }

    /// When the timeline reaches `at`, or an instant in the past.
    pub(super) fn instant(&self, at: Ticks) -> Instant {
        self.instant + (at - self.ticks).as_duration()
    }

    /// The machine was suspended for so long just now: the timeline went on, the clock did not.
    pub(super) fn suspended(&mut self, time: Duration) {
        self.ticks += Ticks::from_duration(time);
    }

    /// The wall clock was set back while nobody looked: the present is not before `at`.
    pub(super) fn not_before(&mut self, at: Ticks) {
        let now = self.now();
        self.ticks += at - now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_clocks_go_at_one_pace() {
        let begun = Timebase::begin();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(begun.now(), Ticks::from_secs(3));
        assert_eq!(begun.instant(Ticks::from_secs(3)), Instant::now());
        assert_eq!(begun.ticks(Instant::now() - Duration::from_secs(4)), Ticks::ZERO);

        let mut resumed = Timebase::resume(WallMs(1_000), WallMs(61_000), None);
        assert_eq!(resumed.now(), Ticks::from_secs(60));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(resumed.now(), Ticks::from_secs(61));
        assert_eq!(resumed.ticks(Instant::now() - Duration::from_secs(2)), Ticks::from_secs(59));
        assert_eq!(resumed.instant(Ticks::from_secs(62)), Instant::now() + Duration::from_secs(1));
        resumed.suspended(Duration::from_secs(30));
        assert_eq!(resumed.now(), Ticks::from_secs(91));
        assert_eq!(resumed.instant(Ticks::from_secs(92)), Instant::now() + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_was_set_is_not_believed_within_one_run_of_the_machine() {
        let boot = |ms: u64| BootTime { boot: [1; 16], ms };
        let noted = Clock { ticks: Ticks::from_secs(60), time: boot(500_000) };
        let resume = |wall: u64, now: BootTime| {
            Timebase::resume(WallMs(1_000_000), WallMs(wall), Some(Anchor { noted, now })).now()
        };
        for wall in [0, 1_000_000, 1_063_000, 1_103_000, u64::MAX >> 12] {
            assert_eq!(resume(wall, boot(503_000)), Ticks::from_secs(63), "wall clock at {wall}");
        }
        // Another run of the machine, none that is known, and a clock that goes backwards.
        for now in [BootTime { boot: [2; 16], ms: 503_000 }, BootTime::UNKNOWN, boot(499_999)] {
            assert_eq!(resume(1_070_000, now), Ticks::from_secs(70), "{now:?}");
        }
        let unknown = Anchor { noted: Clock { time: BootTime::UNKNOWN, ..noted }, now: BootTime::UNKNOWN };
        assert_eq!(Timebase::resume(WallMs(0), WallMs(9_000), Some(unknown)).now(), Ticks::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_was_set_back_does_not_turn_the_timeline_back() {
        let mut resumed = Timebase::resume(WallMs(61_000), WallMs(1_000), None);
        assert_eq!(resumed.now(), Ticks::ZERO);
        resumed.not_before(Ticks::from_secs(9));
        assert_eq!(resumed.now(), Ticks::from_secs(9));
        tokio::time::advance(Duration::from_secs(1)).await;
        resumed.not_before(Ticks::from_secs(5));
        assert_eq!(resumed.now(), Ticks::from_secs(10));
    }
}
