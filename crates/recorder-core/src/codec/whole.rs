//! Whole files beside the playlists: which kinds there are, where one ends and the next begins, and what is read back.
//!
//! A file holds the packets of successive segments of one playlist, bit for bit. Position in it is wall time since the start of
//! its first segment: the coder's look-ahead (pre-skip) is skipped at its beginning, as it is in the playlist.

use serde::{Deserialize, Serialize};

use super::fmp4::{Init, Sample};
use crate::units::Ticks;

/// A kind of whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// Progressive MP4 ([`super::mp4`]).
    Mp4,
    /// Ogg Opus ([`super::ogg`]).
    Ogg,
}

impl FileType {
    /// How its names end, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Ogg => "ogg",
        }
    }
}

/// When a new file begins: the vendor's 2 hours or about 2 GB (docs/protocol/agora.md section 4.1), whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// A file that is so long takes no more segments.
    pub length: Ticks,
    /// Segments of so many bytes are the most that a file takes; offsets in an MP4 stay below 32 bits.
    pub bytes: u64,
}

impl Default for Roll {
    fn default() -> Self {
        Self { length: Ticks::from_secs(2 * 3600), bytes: 2 << 30 }
    }
}

impl Roll {
    /// How many of these segments, each with its length and its bytes, the next file takes; none while they don't fill it. It
    /// takes one at least, whatever its size.
    pub fn fill(&self, segments: impl IntoIterator<Item = (Ticks, u64)>) -> Option<usize> {
        let (mut length, mut bytes) = (Ticks::ZERO, 0);
        for (number, (duration, size)) in segments.into_iter().enumerate() {
            if number > 0 && bytes + size > self.bytes {
                return Some(number);
            }
            (length, bytes) = (length + duration, bytes + size);
            if length >= self.length {
                return Some(number + 1);
            }
        }
        None
    }
}

/// A whole file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Channels and pre-skip.
    pub init: Init,
    /// Its packets, in order, as long as the container says.
    pub samples: Vec<Sample>,
}

impl Whole {
    /// Whether its packets are frames of AAC; a track of Opus always has a pre-skip.
    pub fn is_aac(&self) -> bool {
        self.init.pre_skip == Ticks::ZERO
    }

    /// Sum of the packets' lengths, the pre-skip included: as long as the segments were.
    pub fn duration(&self) -> Ticks {
        Ticks(self.samples.iter().map(|sample| sample.duration.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLL: Roll = Roll { length: Ticks(100), bytes: 1_000 };

    #[test]
    fn a_file_is_full_at_its_length_or_before_its_bytes_are_too_many() {
        assert_eq!(ROLL.fill([(Ticks(40), 1), (Ticks(40), 1)]), None);
        assert_eq!(ROLL.fill([(Ticks(40), 1), (Ticks(40), 1), (Ticks(40), 1), (Ticks(40), 1)]), Some(3));
        assert_eq!(ROLL.fill([(Ticks(50), 1), (Ticks(50), 1)]), Some(2));
        assert_eq!(ROLL.fill([(Ticks(1), 400), (Ticks(1), 600), (Ticks(1), 1)]), Some(2));
        assert_eq!(ROLL.fill([(Ticks(1), 5_000), (Ticks(1), 1)]), Some(1), "one segment always fits");
        assert_eq!(ROLL.fill([]), None);
    }

    #[test]
    fn the_usual_file_is_two_hours_long() {
        let segments = |count| std::iter::repeat_n((Ticks::from_secs(6), 48_000), count);
        assert_eq!(Roll::default().fill(segments(1_199)), None);
        assert_eq!(Roll::default().fill(segments(3_000)), Some(1_200));
    }
}
