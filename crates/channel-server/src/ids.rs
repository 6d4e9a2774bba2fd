//! The ids that LiveKit SDKs expect: a prefix that says what it is, then twelve letters and digits that no eye confuses
//! (docs/protocol/livekit.md section 2). An SDK treats an id with another prefix as something else.

use std::fmt;
use std::sync::Arc;

use rand::Rng;

use recorder_core::units::Uid;

const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RANDOM_LEN: usize = 12;

/// A membership: new each time a member joins, kept when it resumes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MemberId(Arc<str>);

/// A publication: new each time a track is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TrackSid(Arc<str>);

/// A room's id; new each time the room opens.
pub(super) fn room() -> String {
    id("RM_")
}

impl MemberId {
    pub(super) fn new() -> Self {
        Self(id("PA_").into())
    }
}

impl From<&str> for MemberId {
    fn from(sid: &str) -> Self {
        Self(sid.into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TrackSid {
    pub(super) fn new() -> Self {
        Self(id("TR_").into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TrackSid {
    fn from(sid: &str) -> Self {
        Self(sid.into())
    }
}

impl fmt::Display for TrackSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A uid for a member whose token is for any and who asked for none, as the vendor assigns them: 1 to 2^32 - 1.
pub(super) fn uid() -> u32 {
    rand::rng().random_range(1..=u32::MAX)
}

/// A member as the vendor's numbers see it: its uid, or for an account (any other identity) a number made from it, always the
/// same. Never 0.
pub(super) fn uid_number(uid: &Uid) -> u32 {
    let own = uid.as_str().parse::<u32>().ok().filter(|number| number.to_string() == uid.as_str());
    own.unwrap_or_else(|| crc32fast::hash(uid.as_str().as_bytes())).max(1)
}

fn id(prefix: &str) -> String {
    let mut rng = rand::rng();
    let random = (0..RANDOM_LEN).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_prefix_that_sdks_look_for() {
        for (id, prefix) in
            [(room(), "RM_"), (MemberId::new().to_string(), "PA_"), (TrackSid::new().to_string(), "TR_")]
        {
            assert!(id.starts_with(prefix) && id.len() == 15, "{id}");
            assert!(!id[3..].contains(['0', 'O', '1', 'l', 'I']), "{id}");
        }
        assert_ne!(TrackSid::new(), TrackSid::new());
    }

    #[test]
    fn accounts_have_numbers_too() {
        let number = |text| uid_number(&Uid::new(text).unwrap());
        assert_eq!((number("42"), number("4294967295")), (42, u32::MAX));
        assert_eq!(number("alice"), number("alice"));
        let accounts = ["alice", "bob", "042", "0", "4294967296", "-1"].map(number);
        assert!(accounts.iter().all(|number| *number > 0) && accounts[0] != accounts[1] && accounts[2] != 42);
    }
}
