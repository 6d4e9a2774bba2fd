//! What the segments of a recording are packed in.

use serde::{Deserialize, Serialize};

/// What segments are packed in, and so what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// Opus in fragmented MP4 ([`super::fmp4`]).
    #[default]
    Fmp4,
    /// AAC in MPEG-TS ([`super::ts`]).
    Ts,
}

impl Container {
    /// Whether this program was built to make it.
    pub const fn is_offered(self) -> bool {
        match self {
            Self::Fmp4 => true,
            Self::Ts => cfg!(feature = "aac"),
        }
    }

    /// How the names of its segments end.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Fmp4 => ".m4s",
            Self::Ts => ".ts",
        }
    }
}
