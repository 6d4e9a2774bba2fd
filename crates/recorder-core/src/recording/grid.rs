//! The lengths that the core works in.

use crate::units::Ticks;

/// How far behind `now` the core works: the time in which a packet may come late and still find its place. A packet whose
/// place is undecided can hold its playlist back by another 1.7 s.
pub const LOOKAHEAD: Ticks = Ticks::from_secs(2);

/// The grid of arrival times on which the core works.
pub(super) const STEP: Ticks = Ticks::from_ms(100);

/// The usual frame, and how far a packet may be from its place: 20 ms.
pub(super) const FRAME: i64 = Ticks::from_ms(20).0 as i64;

/// The most that is written in one step: a uid that publishes after hours is caught up with in several.
pub(super) const MAX_A_STEP: i64 = Ticks::from_secs(1_200).0 as i64;
