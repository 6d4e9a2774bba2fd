//! Resource ids: the handle `acquire` gives out, good for one recording.
//!
//! Opaque to callers. Inside: base64url (no padding) of 20 random bytes and their CRC-32, so that a damaged id is told from an
//! unknown one without asking the store.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const RANDOM_BYTES: usize = 20;
const CHECK_BYTES: usize = 4;

/// A resource id that was given out by some worker of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceId(String);

/// The text is no resource id: cut, changed, or never one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resourceId can't be read; send the one that acquire answered, unchanged")]
pub struct MalformedResourceId;

impl ResourceId {
    /// A new id; the caller brings the randomness.
    pub fn from_random(random: [u8; RANDOM_BYTES]) -> Self {
        let mut bytes = random.to_vec();
        bytes.extend(crc32fast::hash(&random).to_be_bytes());
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads an id that a caller sent.
    pub fn parse(text: &str) -> Result<Self, MalformedResourceId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedResourceId)?;
        if bytes.len() != RANDOM_BYTES + CHECK_BYTES {
            return Err(MalformedResourceId);
        }
        let (random, check) = bytes.split_at(RANDOM_BYTES);
        if crc32fast::hash(random).to_be_bytes() != check {
            return Err(MalformedResourceId);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as callers see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a resource stays the handle of its recording: 1 to 720 hours, 72 where the caller says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleHours(u16);

impl HandleHours {
    /// The longest span, in hours: 30 days.
    pub const MOST: u16 = 720;

    /// `hours` must be 1 to [`Self::MOST`].
    pub fn new(hours: u16) -> Option<Self> {
        (1..=Self::MOST).contains(&hours).then_some(Self(hours))
    }

    /// The span in hours.
    pub const fn as_hours(self) -> u16 {
        self.0
    }

    /// The span in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0 as u64 * 3_600_000
    }
}

impl Default for HandleHours {
    fn default() -> Self {
        Self(72)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_a_changed_one_is_not() {
        let id = ResourceId::from_random([7; 20]);
        assert_eq!(ResourceId::parse(id.as_str()), Ok(id.clone()));
        let changed = format!("A{}", &id.as_str()[1..]);
        for text in ["", "x", "../../etc/passwd", changed.as_str()] {
            assert_eq!(ResourceId::parse(text), Err(MalformedResourceId), "{text}");
        }
    }

    #[test]
    fn hours_have_the_vendors_range() {
        assert_eq!(HandleHours::default().as_hours(), 72);
        assert!(HandleHours::new(0).is_none());
        assert_eq!(HandleHours::new(720).map(HandleHours::as_ms), Some(720 * 3_600_000));
        assert!(HandleHours::new(721).is_none());
    }
}
