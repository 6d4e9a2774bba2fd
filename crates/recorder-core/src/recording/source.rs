//! Which of a uid's sources a track is. A uid has one track that bears its name alone; each further source that is heard at the same time
//! has one of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Source;

/// Most tracks of a uid, its first included; what sounds beyond them is missing ([`super::Cause::TooManySources`]).
pub const MAX_SOURCES: usize = 8;

/// A further source of a uid: what it is, and which of several of that kind. Written as `mic`, `screen` or `other` (not said), from the
/// second on with its number: `mic2`. The same word stands in file names, manifest, ledger and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId {
    kind: Source,
    number: u8,
}

/// A word that names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a source: it is mic, screen or other, from the second on with a number up to {MAX_SOURCES}, as in mic2")]
pub struct InvalidSource;

impl SourceId {
    /// Number `number` of a kind, counted from 1, at most [`MAX_SOURCES`].
    pub fn new(kind: Source, number: u8) -> Option<Self> {
        (1..=MAX_SOURCES).contains(&usize::from(number)).then_some(Self { kind, number })
    }

    /// What it is.
    pub const fn kind(self) -> Source {
        self.kind
    }

    /// Which of several, from 1.
    pub const fn number(self) -> u8 {
        self.number
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Source::Microphone => "mic",
            Source::ScreenAudio => "screen",
            Source::Unspecified => "other",
        })?;
        if self.number > 1 { write!(f, "{}", self.number) } else { Ok(()) }
    }
}

impl FromStr for SourceId {
    type Err = InvalidSource;

    fn from_str(word: &str) -> Result<Self, InvalidSource> {
        let (kind, number) = [Source::Microphone, Source::ScreenAudio, Source::Unspecified]
            .into_iter()
            .find_map(|kind| Some((kind, word.strip_prefix(&Self { kind, number: 1 }.to_string())?)))
            .ok_or(InvalidSource)?;
        let number = if number.is_empty() { 1 } else { number.parse().map_err(|_| InvalidSource)? };
        // One spelling only: `mic1` and `mic02` are none.
        Self::new(kind, number).filter(|source| source.to_string() == word).ok_or(InvalidSource)
    }
}

impl TryFrom<String> for SourceId {
    type Error = InvalidSource;

    fn try_from(word: String) -> Result<Self, InvalidSource> {
        word.parse()
    }
}

impl From<SourceId> for String {
    fn from(source: SourceId) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_spelling() {
        for kind in [Source::Unspecified, Source::Microphone, Source::ScreenAudio] {
            for number in 1..=MAX_SOURCES as u8 {
                let source = SourceId::new(kind, number).unwrap();
                assert_eq!(source.to_string().parse(), Ok(source));
            }
        }
        for word in ["", "mic1", "mic02", "mic9", "mic0", "Mic", "micx", "screen_audio", "other-1"] {
            assert_eq!(word.parse::<SourceId>(), Err(InvalidSource), "{word}");
        }
        assert_eq!(SourceId::new(Source::ScreenAudio, 2).unwrap().to_string(), "screen2");
    }
}
