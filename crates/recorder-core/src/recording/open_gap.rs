//! What a timeline is made of, and how a hole in it is bridged (docs/protocol/media.md section 2, rules 1 to 4). Ticks throughout.
//!
//! A hole begins with packets that make a decoder conceal, as long as its [`Kind`] allows; then comes digital silence, and once
//! there was silence nothing is concealed until sound comes again.
//!
//! The end of a loss may be in the packet behind it: in-band FEC. The mix decodes it from there. A playlist of packets can't, so it holds
//! there what it would hold without.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Cause, ledger_builder::Due};
use crate::codec::fmp4::Sample;
use crate::codec::{opus, raw};
use crate::units::{Ticks, TrackId};

/// Longest pause of a DTX sender: 20 frames.
const LONGEST_PAUSE: i64 = Ticks::from_ms(400).0 as i64;

/// Longest loss that is bridged by concealment.
pub(super) const LONGEST_CONCEALED: i64 = Ticks::from_ms(100).0 as i64;

/// A stretch of a timeline. Pieces of a timeline follow each other without a hole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Chunk {
    /// A packet of the sender.
    Sound {
        /// Where it lies in a playlist.
        at: i64,
        /// Where it would lie if fillers could be shorter than 2.5 ms: `at` and less than 120 ticks.
        exact: i64,
        /// The packet.
        #[serde(with = "raw")]
        packet: Bytes,
        /// Its length.
        duration: i64,
        /// RFC 6464 level, 0 to 127 in -dBov.
        level: Option<u8>,
    },
    /// The decoder goes on from the sound before.
    Bridge {
        /// Where.
        at: i64,
        /// The packet that says so.
        filler: Sample,
        /// How many of it.
        frames: i64,
        /// Why.
        kind: Kind,
    },
    /// Digital silence.
    Silence {
        /// Where.
        at: i64,
        /// A multiple of 2.5 ms.
        length: i64,
        /// Sound follows.
        resumes: bool,
    },
    /// Lost sound right before a packet that holds a copy of it.
    Recovered {
        /// Where.
        at: i64,
        /// Where it would lie if fillers could be shorter than 2.5 ms.
        exact: i64,
        /// Its length.
        length: i64,
        /// What conceals it in a playlist of packets, as often as it fits; `None`: silence does.
        filler: Option<Sample>,
        /// The packet behind it.
        #[serde(with = "raw")]
        packet: Bytes,
    },
}

impl Chunk {
    /// Its first tick.
    pub(super) fn at(&self) -> i64 {
        match self {
            Self::Sound { at, .. }
            | Self::Bridge { at, .. }
            | Self::Silence { at, .. }
            | Self::Recovered { at, .. } => *at,
        }
    }

    /// First tick after it.
    pub(super) fn end(&self) -> i64 {
        match self {
            Self::Sound { at, duration, .. } => at + duration,
            Self::Bridge { at, filler, frames, .. } => at + filler.duration.0 as i64 * frames,
            Self::Silence { at, length, .. } | Self::Recovered { at, length, .. } => at + length,
        }
    }
}

/// What a hole looks like from the packets around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The sender paused by DTX: nothing is missing.
    Pause,
    /// Sequence numbers are missing.
    Loss,
    /// The sender did not send, or nobody knows.
    Stall,
    /// A stall short enough to be bridged.
    Step,
}

impl Kind {
    /// How long such a hole is concealed.
    const fn longest_bridge(self) -> i64 {
        match self {
            Self::Pause => LONGEST_PAUSE,
            Self::Loss | Self::Step => LONGEST_CONCEALED,
            Self::Stall => 0,
        }
    }

    /// How its concealed part is booked; `None`: as sound.
    pub(super) const fn bridged(self) -> Option<(Cause, Due)> {
        match self {
            Self::Pause => None,
            Self::Loss => Some((Cause::NetworkLoss, Due::Concealed)),
            Self::Stall | Self::Step => Some((Cause::SenderStall, Due::Nothing)),
        }
    }

    /// How its silent part is booked; `None`: as sound.
    pub(super) const fn silent(self) -> Option<(Cause, Due)> {
        match self {
            Self::Loss => Some((Cause::NetworkLoss, Due::Missing)),
            other => other.bridged(),
        }
    }
}

/// The sound that was written last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    /// Its packet.
    #[serde(with = "raw")]
    pub(super) packet: Bytes,
    /// Where it ends.
    pub(super) end: i64,
    /// Which voice.
    pub(super) rtp_source: u64,
    /// Its track.
    #[serde(default)]
    pub(super) track: Option<TrackId>,
    /// That voice stopped sending before and went on without a loss: it sends only while there is something to say.
    #[serde(default)]
    pub(super) pauses: bool,
}

/// How much sound right before the packet `next` its in-band FEC holds, when it follows `last` after a loss. A decoder that was left by CELT
/// makes nothing of it.
pub(super) fn recoverable(last: Option<&Last>, next: &[u8]) -> i64 {
    let left_by = last.and_then(|last| opus::Toc::of(&last.packet).ok()).map(opus::Toc::coding);
    let length = opus::fec(next).filter(|_| left_by.is_some_and(|coding| coding != opus::Coding::Celt));
    length.unwrap_or_default().0 as i64
}

/// The hole after the last sound, as far as it is filled.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OpenGap {
    /// Where it begins.
    pub(super) start: i64,
    /// There is silence in it.
    pub(super) silent: bool,
    concealed: i64,
}

impl OpenGap {
    /// A new hole, of no length yet.
    pub(super) fn from(start: i64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether a hole of this length is bridged even if nothing was lost.
    pub(super) const fn is_short(length: i64) -> bool {
        length <= LONGEST_CONCEALED
    }

    /// Whether there is something left to conceal by.
    pub(super) fn may_bridge(&self, kind: Kind, last: Option<&Last>) -> bool {
        let frame = last.and_then(|last| opus::Toc::of(&last.packet).ok()).map(|toc| toc.frame().0 as i64);
        !self.silent && frame.is_some_and(|frame| self.concealed + frame <= kind.longest_bridge())
    }

    /// Conceals from `cursor` on up to `until`: whole frames that end by then, or, where that is known to be the hole's `end`,
    /// as many as come nearest to it.
    pub(super) fn bridge(
        &mut self,
        cursor: i64,
        until: i64,
        kind: Kind,
        last: Option<&Last>,
        end: bool,
    ) -> Option<Chunk> {
        let last = last.filter(|_| self.may_bridge(kind, last))?;
        let filler = opus::concealment(&last.packet).ok()?;
        let frame = filler.duration.0 as i64;
        let room = (until - cursor).max(0) + if end { frame / 2 } else { 0 };
        let frames = (room / frame).min((kind.longest_bridge() - self.concealed) / frame);
        self.concealed += frames * frame;
        (frames > 0).then_some(Chunk::Bridge { at: cursor, filler, frames, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(packet: &'static [u8]) -> Last {
        Last { packet: Bytes::from_static(packet), end: 0, rtp_source: 0, track: None, pauses: false }
    }

    fn bridged(kind: Kind, length: i64, end: bool, packet: &'static [u8]) -> i64 {
        OpenGap::from(0).bridge(0, length, kind, Some(&last(packet)), end).map_or(0, |chunk| chunk.end())
    }

    #[test]
    fn each_kind_is_bridged_for_its_time() {
        const SPEECH: &[u8] = &[0x78, 1, 2, 3];
        assert_eq!(bridged(Kind::Loss, 48_000, true, SPEECH), LONGEST_CONCEALED);
        assert_eq!(bridged(Kind::Pause, 48_000, true, SPEECH), LONGEST_PAUSE);
        assert_eq!(bridged(Kind::Stall, 48_000, true, SPEECH), 0);
        assert_eq!(bridged(Kind::Loss, 48_000, true, &[0x18, 1, 2, 3]), 2_880, "a 60 ms frame fits once");
    }

    #[test]
    fn the_end_of_a_hole_is_met_to_half_a_frame() {
        const SPEECH: &[u8] = &[0x78, 1, 2, 3];
        assert_eq!(bridged(Kind::Loss, 2_399, true, SPEECH), 1_920);
        assert_eq!(bridged(Kind::Loss, 2_400, true, SPEECH), 2_880);
        assert_eq!(bridged(Kind::Loss, 2_879, false, SPEECH), 1_920, "what may go on is not overrun");
    }

    #[test]
    fn after_silence_nothing_is_concealed() {
        let mut open_gap = OpenGap::from(0);
        open_gap.silent = true;
        assert!(!open_gap.may_bridge(Kind::Loss, Some(&last(&[0x78, 1]))));
        assert!(!OpenGap::from(0).may_bridge(Kind::Loss, None), "nothing to go on from");
    }
}
