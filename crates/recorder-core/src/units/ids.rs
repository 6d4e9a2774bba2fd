//! Identifiers: who, where, which recording, which stream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a string is not an identifier. The caller's fault; a retry with the same value fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidId {
    /// Which identifier was meant: `"cname"`, `"uid"`, …
    pub what: &'static str,
    /// What is wrong with it and what it must be.
    pub problem: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Parses the identifier; the type's documentation says what is valid.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text).map_err(|problem| InvalidId { what: $what, problem })?;
                Ok(Self(text.into()))
            }

            /// The identifier as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A tenant's app id: 32 hexadecimal digits (docs/protocol/agora.md section 8.1).
    AppId,
    "app id",
    |text| hex32(text, false).then_some(()).ok_or("must be 32 hexadecimal digits")
);

text_id!(
    /// A recording's id: 32 lower-case hexadecimal digits.
    Sid,
    "sid",
    |text| hex32(text, true).then_some(()).ok_or("must be 32 lower-case hexadecimal digits")
);

text_id!(
    /// A channel's session, from its first member to its end: 32 upper-case hexadecimal digits, as the vendor's channel events
    /// name it (docs/protocol/agora.md section 6).
    ChannelSid,
    "channel sid",
    |text| {
        let upper = text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
        (upper && text.len() == 32).then_some(()).ok_or("must be 32 upper-case hexadecimal digits")
    }
);

text_id!(
    /// A channel's name: 1 to 64 bytes of the vendor's character set (docs/protocol/agora.md section 8.4).
    Cname,
    "cname",
    |text| match text.len() {
        0 => Err("must not be empty"),
        65.. => Err("must be at most 64 bytes long"),
        _ if text.bytes().all(cname_byte) => Ok(()),
        _ => Err("may hold only a-z A-Z 0-9 space and ! # $ % & ( ) + - : ; < = . > ? @ [ ] ^ _ { } | ~ ,"),
    }
);

text_id!(
    /// A member of a channel: a decimal number for callers of the vendor's API, any identity of up to 255 bytes otherwise.
    Uid,
    "uid",
    |text| match text.len() {
        0 => Err("must not be empty"),
        256.. => Err("must be at most 255 bytes long"),
        _ if text.chars().any(char::is_control) => Err("must not hold control characters"),
        _ => Ok(()),
    }
);

impl Sid {
    /// A session id from 16 random bytes; the caller brings the randomness.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex::encode(bytes).into())
    }
}

impl ChannelSid {
    /// A channel session's id from 16 random bytes; the caller brings the randomness.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex::encode_upper(bytes).into())
    }
}

/// RTP synchronisation source (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ssrc(pub u32);

/// One publication of audio in a channel. Unique within a session, counted by the channel's adapter from 1; a republished
/// track is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub u32);

fn hex32(text: &str, lower_only: bool) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !(lower_only && byte.is_ascii_uppercase()))
}

fn cname_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" !#$%&()+-:;<=.>?@[]^_{}|~,".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cnames_follow_the_vendors_rules() {
        assert!(Cname::new("room-1 [a]{b}|~,").is_ok());
        assert!(Cname::new("").is_err());
        assert!(Cname::new(&"x".repeat(65)).is_err());
        assert!(Cname::new("../x").is_err(), "a slash never gets into a key");
        assert!(Cname::new("комната").is_err());
    }

    #[test]
    fn sids_are_lower_case_hex() {
        assert_eq!(Sid::from_random([0xab; 16]).as_str(), "ab".repeat(16));
        assert!(Sid::new(&"AB".repeat(16)).is_err());
        assert_eq!(ChannelSid::from_random([0xab; 16]).as_str(), "AB".repeat(16));
        assert!(ChannelSid::new(&"ab".repeat(16)).is_err());
    }

    #[test]
    fn invalid_ids_do_not_deserialize() {
        assert!(serde_json::from_str::<Uid>("\"\"").is_err());
        assert_eq!(serde_json::from_str::<Uid>("\"42\"").unwrap().as_str(), "42");
    }
}
