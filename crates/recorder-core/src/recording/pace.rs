//! Keeps a run of packets at the pace of the wall clock, though the sender's clock runs a little fast or slow. Ticks throughout.
//!
//! Packets of a run stay glued to each other. When the next would come to lie more than three quarters of its frame off its
//! place, one packet is left out or one filler put in: at a quiet packet if one comes within [`TIMEOUT`], else at any; and at
//! once when it would be off by more than a frame.

use serde::{Deserialize, Serialize};

use super::grid::FRAME;
use super::stream::Queued;
use crate::codec::opus;
use crate::units::Ticks;

/// How long a difference waits for a quiet packet.
const TIMEOUT: i64 = Ticks::from_secs(2).0 as i64;

/// RFC 6464: this or quieter, in -dBov, is silence.
const QUIET_LEVEL: u8 = 60;

/// What to do with the next packet of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write it.
    On,
    /// Leave it out: the clock is fast.
    LeaveOut,
    /// Put a filler before it: the clock is slow.
    Insert,
    /// Fill the hole before it: the clock stood still.
    Fill,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Since when a difference waits.
    waiting: Option<i64>,
    /// Moving average of packet sizes, in bytes.
    usual_size: usize,
}

impl Pace {
    /// The next packet of a run would be written at `cursor`, but belongs at `place`.
    pub(super) fn estimate(&mut self, packet: &Queued, cursor: i64, place: i64) -> Step {
        let frame = FRAME.max(packet.duration);
        let behind = cursor - place;
        if behind.abs() <= frame * 3 / 4 {
            self.waiting = None;
            return Step::On;
        }
        let since = *self.waiting.get_or_insert(cursor);
        let now = self.is_quiet(packet) || cursor - since > TIMEOUT;
        let step = match behind {
            _ if behind > frame || (behind > 0 && now) => Step::LeaveOut,
            _ if behind < -frame => Step::Fill,
            _ if behind < 0 && now => Step::Insert,
            _ => return Step::On,
        };
        self.waiting = None;
        step
    }

    /// A new run begins.
    pub(super) fn restart(&mut self) {
        self.waiting = None;
    }

    /// A packet of so many bytes was written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.usual_size = (self.usual_size * 15 + bytes).div_ceil(16);
    }

    fn is_quiet(&self, packet: &Queued) -> bool {
        let quiet_level = packet.level.is_some_and(|level| level >= QUIET_LEVEL);
        quiet_level || opus::is_dtx(&packet.payload) || packet.payload.len() * 2 <= self.usual_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: usize) -> Queued {
        let payload = vec![0x78; bytes].into();
        Queued { sequence: 0, time: 0, arrival: 0, level: None, payload, duration: FRAME, malformed: false, media: 0 }
    }

    fn pace() -> Pace {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.wrote(80));
        pace
    }

    #[test]
    fn a_small_difference_is_left_alone_and_a_large_one_is_not() {
        let loud = packet(80);
        for (behind, step) in
            [(0, Step::On), (720, Step::On), (-720, Step::On), (961, Step::LeaveOut), (-961, Step::Fill)]
        {
            assert_eq!(pace().estimate(&loud, 10_000 + behind, 10_000), step, "{behind} behind");
        }
    }

    #[test]
    fn a_difference_waits_for_a_quiet_packet_but_not_for_ever() {
        for (behind, step) in [(800, Step::LeaveOut), (-800, Step::Insert)] {
            let mut pace = pace();
            assert_eq!(pace.estimate(&packet(80), 10_000 + behind, 10_000), Step::On);
            assert_eq!(pace.estimate(&packet(10), 20_000 + behind, 20_000), step);
            assert_eq!(pace.estimate(&packet(80), 30_000 + behind, 30_000), Step::On);
            let late = 30_000 + TIMEOUT + 1;
            assert_eq!(pace.estimate(&packet(80), late + behind, late), step);
        }
    }

    #[test]
    fn the_level_says_quiet_too() {
        let mut quiet = packet(80);
        quiet.level = Some(QUIET_LEVEL);
        assert_eq!(pace().estimate(&quiet, 10_800, 10_000), Step::LeaveOut);
    }
}
