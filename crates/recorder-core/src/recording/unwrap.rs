//! RTP counters without wrap: 16-bit sequence numbers and 32-bit times become `i64` that go on for ever.

use serde::{Deserialize, Serialize};

/// How many packets behind the newest one a sequence number may be to count as reordered; anything further back is taken as a
/// jump ahead. 512 packets are 10 s of 20 ms.
const REORDERED: u16 = 512;

/// Unwraps the sequence numbers of one stream (RFC 3550 section 5.1).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sequences {
    newest: Option<i64>,
}

impl Sequences {
    /// The full number of `sequence`: at most [`REORDERED`] behind the newest seen, else ahead of it.
    pub(super) fn unwrap(&mut self, sequence: u16) -> i64 {
        let Some(newest) = self.newest else {
            return self.restart(sequence);
        };
        let ahead = sequence.wrapping_sub(newest as u16);
        if ahead > u16::MAX - REORDERED {
            newest - i64::from(ahead.wrapping_neg())
        } else {
            self.newest = Some(newest + i64::from(ahead));
            newest + i64::from(ahead)
        }
    }

    /// The sender began to count anew at `sequence`: its full number, greater than all before.
    pub(super) fn restart(&mut self, sequence: u16) -> i64 {
        let rounds = self.newest.map_or(0, |newest| (newest >> 16) + 1);
        let full = (rounds << 16) + i64::from(sequence);
        self.newest = Some(full);
        full
    }
}

/// Unwraps the RTP times of one stream: each is the nearest to the one before, in either direction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Times {
    last: Option<i64>,
}

impl Times {
    /// The full time of `timestamp`, in ticks from an arbitrary origin.
    pub(super) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let full = match self.last {
            None => i64::from(timestamp),
            Some(last) => last + i64::from(timestamp.wrapping_sub(last as u32) as i32),
        };
        self.last = Some(full);
        full
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequence_numbers_go_on_over_the_wrap_and_keep_their_order() {
        let mut sequences = Sequences::default();
        let full: Vec<i64> = [65_533, 65_535, 65_534, 1, 0, 2].map(|sequence| sequences.unwrap(sequence)).into();
        assert_eq!(full, [65_533, 65_535, 65_534, 65_537, 65_536, 65_538]);
    }

    #[test]
    fn a_far_jump_back_is_a_jump_ahead() {
        let mut sequences = Sequences::default();
        sequences.unwrap(30_000);
        assert_eq!(sequences.unwrap(30_000 - REORDERED), 30_000 - i64::from(REORDERED));
        assert_eq!(sequences.unwrap(20_000), 65_536 + 20_000);
        assert_eq!(sequences.restart(19_900), 2 * 65_536 + 19_900);
    }

    #[test]
    fn times_go_on_over_the_wrap_in_both_directions() {
        let mut times = Times::default();
        assert_eq!(times.unwrap(u32::MAX - 959), i64::from(u32::MAX) - 959);
        assert_eq!(times.unwrap(0), 1 << 32);
        assert_eq!(times.unwrap(u32::MAX - 959), i64::from(u32::MAX) - 959);
    }

    proptest! {
        #[test]
        fn full_numbers_keep_their_low_bits(numbers: Vec<(u16, u32)>) {
            let (mut sequences, mut times) = (Sequences::default(), Times::default());
            for (sequence, timestamp) in numbers {
                prop_assert_eq!(sequences.unwrap(sequence) as u16, sequence);
                prop_assert_eq!(times.unwrap(timestamp) as u32, timestamp);
            }
        }
    }
}
