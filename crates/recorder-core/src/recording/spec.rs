//! What a recording is asked to be. Serialisable: the first record of a journal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::units::{Cname, Sid, TICKS_PER_SECOND, Ticks, Uid, WallMs};

/// Everything the core must know before the first input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The recording's id; first part of every file name.
    pub sid: Sid,
    /// The channel; second part of every file name.
    pub cname: Cname,
    /// Wall time at tick 0.
    pub start: WallMs,
    /// Mix, individual tracks, or both from one subscription.
    pub mode: Mode,
    /// How the mix is encoded; unused without a mix.
    pub profile: AudioProfile,
    /// Nominal length of a segment.
    pub segment: SegmentLength,
    /// Who is recorded.
    pub selection: Selection,
}

/// Which playlists a recording makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One playlist with everybody mixed.
    Mix,
    /// One playlist a uid, the sender's Opus packets untouched.
    Individual,
    /// Both, from one subscription.
    Both,
}

impl Mode {
    /// Whether a mix is made.
    pub const fn mixes(self) -> bool {
        matches!(self, Self::Mix | Self::Both)
    }

    /// Whether each uid gets a playlist.
    pub const fn keeps_individuals(self) -> bool {
        matches!(self, Self::Individual | Self::Both)
    }
}

/// The vendor's audioProfile (docs/protocol/agora.md section 2.1): channels and bit rate of the mix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioProfile {
    /// Profile 0: 48 kHz mono, 64 kbit/s (the vendor says 48; below 64 Opus leaves its cheap CELT mode, docs/protocol/media.md section 5).
    #[default]
    Mono64,
    /// Profile 1: 48 kHz mono, 128 kbit/s.
    Mono128,
    /// Profile 2: 48 kHz stereo, 192 kbit/s.
    Stereo192,
}

impl AudioProfile {
    /// Channels of the mix: 1 or 2.
    pub const fn channels(self) -> u8 {
        match self {
            Self::Mono64 | Self::Mono128 => 1,
            Self::Stereo192 => 2,
        }
    }

    /// Target bit rate in bit/s.
    pub const fn bit_rate(self) -> i32 {
        match self {
            Self::Mono64 => 64_000,
            Self::Mono128 => 128_000,
            Self::Stereo192 => 192_000,
        }
    }
}

/// Nominal segment length: 2 to 15 whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct SegmentLength(u8);

impl SegmentLength {
    /// `seconds` must be 2 to 15.
    pub fn from_secs(seconds: u8) -> Result<Self, &'static str> {
        if (2..=15).contains(&seconds) { Ok(Self(seconds)) } else { Err("segment length must be 2 to 15 seconds") }
    }

    /// The length in ticks.
    pub const fn ticks(self) -> Ticks {
        Ticks(self.0 as u64 * TICKS_PER_SECOND)
    }

    /// The length in seconds.
    pub const fn as_secs(self) -> u8 {
        self.0
    }
}

impl Default for SegmentLength {
    fn default() -> Self {
        Self(6)
    }
}

impl TryFrom<u8> for SegmentLength {
    type Error = &'static str;

    fn try_from(seconds: u8) -> Result<Self, Self::Error> {
        Self::from_secs(seconds)
    }
}

impl From<SegmentLength> for u8 {
    fn from(length: SegmentLength) -> Self {
        length.0
    }
}

/// Whose audio is recorded (docs/protocol/agora.md section 2.1, subscribeAudioUids and unSubscribeAudioUids).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Everybody.
    #[default]
    All,
    /// These uids and nobody else.
    Only(BTreeSet<Uid>),
    /// Everybody but these uids.
    Except(BTreeSet<Uid>),
}

impl Selection {
    /// Whether `uid` is recorded.
    pub fn includes(&self, uid: &Uid) -> bool {
        match self {
            Self::All => true,
            Self::Only(uids) => uids.contains(uid),
            Self::Except(uids) => !uids.contains(uid),
        }
    }
}
