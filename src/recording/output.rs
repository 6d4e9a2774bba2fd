//! What the core gives out, in order: bytes for the bucket and news for the event log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::units::{Ticks, Uid};

/// Which playlist something belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaylistId {
    /// Everybody mixed.
    Mix,
    /// One uid alone.
    Individual(Uid),
}

/// One result of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A playlist begins: its initialisation segment (`ftyp` + `moov`), before its first [`Output::Segment`].
    Init {
        /// Which playlist.
        playlist: PlaylistId,
        /// The file's bytes.
        bytes: Bytes,
    },
    /// A closed media segment. Segments of a playlist come in order and leave no hole: each starts where its forerunner ended,
    /// the first one at tick 0.
    Segment(Segment),
    /// The first packet of a uid's silence-free run arrived, or the run ended (callback 43).
    StreamState {
        /// Whose audio.
        uid: Uid,
        /// Whether packets arrive.
        receiving: bool,
        /// Since when, on the timeline.
        at: Ticks,
    },
    /// No more segments will come for this playlist.
    Closed {
        /// Which playlist.
        playlist: PlaylistId,
        /// Its length.
        end: Ticks,
    },
}

/// One media segment: `moof` + `mdat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which playlist.
    pub playlist: PlaylistId,
    /// Counts from 0 within the playlist; `mfhd.sequence_number` is this plus one.
    pub index: u64,
    /// Position of its first sample: its `tfdt`.
    pub start: Ticks,
    /// Sum of its packets' durations; never zero.
    pub duration: Ticks,
    /// The file's bytes.
    pub bytes: Bytes,
}
