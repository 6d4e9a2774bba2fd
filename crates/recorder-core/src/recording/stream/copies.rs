//! Knows copies of packets that were taken where RTP times mean nothing: a number from before the newest is an old packet or that of a
//! sender that counts anew, and only what is in the packet tells which.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// So many packets may be overtaken, or come again: see [`super::super::unwrap`].
const REMEMBERED: usize = 512;

/// See the module's documentation: number and checksum of the packets that were taken last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Copies {
    taken: VecDeque<(i64, u32)>,
}

impl Copies {
    /// A packet was taken.
    pub(super) fn add(&mut self, sequence: i64, payload: &[u8]) {
        if self.taken.len() >= REMEMBERED {
            self.taken.pop_front();
        }
        self.taken.push_back((sequence, crc32fast::hash(payload)));
    }

    /// RTP times tell it again.
    pub(super) fn clear(&mut self) {
        self.taken.clear();
    }

    /// Whether this very packet was taken.
    pub(super) fn holds(&self, sequence: i64, payload: &[u8]) -> bool {
        let same = |(known, checksum): &(i64, u32)| *known == sequence && *checksum == crc32fast::hash(payload);
        self.taken.iter().rev().any(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_number_and_content_for_a_while() {
        let mut copies = Copies::default();
        for number in 0..1_000 {
            copies.add(number, &[1, 2, number as u8]);
        }
        assert!(copies.holds(999, &[1, 2, 231]) && copies.holds(488, &[1, 2, 232]));
        assert!(!copies.holds(999, &[1, 2, 3]) && !copies.holds(487, &[1, 2, 231]));
        copies.clear();
        assert!(!copies.holds(999, &[1, 2, 231]));
    }
}
