//! The two times of a recording: ticks on the media clock, and wall-clock milliseconds.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};

/// Samples a second on the media clock.
pub const TICKS_PER_SECOND: u64 = 48_000;
/// Samples a millisecond on the media clock.
pub const TICKS_PER_MS: u64 = 48;

/// Samples at 48 kHz since the session's start: an instant, or the length between two instants.
///
/// The only media clock there is. Never negative; subtraction saturates at zero, because "before the start" is not a place
/// on a timeline (use [`Ticks::signed_since`] where the sign matters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The session's start.
    pub const ZERO: Self = Self(0);

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * TICKS_PER_MS)
    }

    /// `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * TICKS_PER_SECOND)
    }

    /// The nearest tick to a span of monotonic time.
    pub fn from_duration(elapsed: std::time::Duration) -> Self {
        let ticks = (elapsed.as_nanos() * u128::from(TICKS_PER_SECOND) + 500_000_000) / 1_000_000_000;
        Self(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / TICKS_PER_MS
    }

    /// Seconds as a floating-point number, for people and playlists.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / TICKS_PER_SECOND as f64
    }

    /// The same span as a [`std::time::Duration`], exact to a nanosecond.
    pub fn as_duration(self) -> std::time::Duration {
        let nanos = (self.0 % TICKS_PER_SECOND) * 1_000_000_000 / TICKS_PER_SECOND;
        std::time::Duration::new(self.0 / TICKS_PER_SECOND, nanos as u32)
    }

    /// Ticks from `earlier` to `self`; negative when `self` comes first.
    pub const fn signed_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }
}

impl Add for Ticks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Ticks {
    type Output = Self;

    /// Saturates at zero.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallMs(pub u64);

impl WallMs {
    /// The wall time that lies `ticks` after `self`.
    pub const fn plus(self, ticks: Ticks) -> Self {
        Self(self.0 + ticks.as_ms())
    }

    /// `YYYYMMDDhhmmssmmm` in UTC, 17 digits: the time in slice names (docs/protocol/agora.md section 4.1).
    pub fn utc17(self) -> String {
        self.date_time().format("%Y%m%d%H%M%S%3f").to_string()
    }

    /// The same instant as a date with a UTC offset of zero; clamped to chrono's range.
    pub fn date_time(self) -> DateTime<FixedOffset> {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC).fixed_offset()
    }
}

/// A time on the clock that runs from a machine's start to its next one, while it sleeps too, and that nobody can set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootTime {
    /// Which start of which machine; zeros where nobody knows.
    pub boot: [u8; 16],
    /// Milliseconds since then.
    pub ms: u64,
}

impl BootTime {
    /// Nobody knows.
    pub const UNKNOWN: Self = Self { boot: [0; 16], ms: 0 };

    /// Milliseconds from `earlier` to `self`, if both are known and of one run of the machine.
    pub fn since(self, earlier: Self) -> Option<u64> {
        let same = self.boot == earlier.boot && self.boot != Self::UNKNOWN.boot;
        if same { self.ms.checked_sub(earlier.ms) } else { None }
    }
}

impl fmt::Display for WallMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date_time().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc17_has_17_digits() {
        assert_eq!(WallMs(1_700_000_000_042).utc17(), "20231114221320042");
    }

    #[test]
    fn durations_round_to_the_nearest_tick() {
        assert_eq!(Ticks::from_duration(std::time::Duration::from_millis(20)), Ticks(960));
        assert_eq!(Ticks::from_duration(std::time::Duration::from_nanos(10_417)), Ticks(1));
        assert_eq!(Ticks(960).as_duration(), std::time::Duration::from_millis(20));
    }

    #[test]
    fn signed_since_knows_the_order() {
        assert_eq!(Ticks(5).signed_since(Ticks(8)), -3);
        assert_eq!(Ticks(5) - Ticks(8), Ticks::ZERO);
    }
}
