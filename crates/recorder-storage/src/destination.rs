//! A parsed place in object storage: what is needed to write there, and nothing that can be wrong in form.

use std::fmt;

use secrecy::SecretString;
use url::Url;

/// Most characters of a key prefix, slashes included (docs/protocol/agora.md section 2.3).
pub const MAX_PREFIX_CHARS: usize = 128;

/// Where a recording goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The store's URL; `None` for Amazon, whose URLs follow from the region.
    pub endpoint: Option<Url>,
    /// The region that requests are signed for; never empty.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Put before every object's name.
    pub prefix: KeyPrefix,
    /// Who writes.
    pub credentials: Credentials,
    /// Whether the bucket is named in the path and not in the host; `None` where the store's answer decides. A bucket whose name can't be
    /// part of a host name is named in the path in any case.
    pub path_style: Option<bool>,
    /// Encryption that the store is asked for.
    pub encryption: Option<Encryption>,
}

/// Who writes to a bucket. Never shown.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Access key id.
    pub access_key: SecretString,
    /// Secret access key.
    pub secret_key: SecretString,
    /// Session token of temporary credentials.
    pub sts_token: Option<SecretString>,
}

/// Server-side encryption (`extensionParams.sse`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of the store.
    Aes256,
    /// With the key management service.
    Kms,
}

/// The folders in front of an object's name: empty, or parts joined by `/`. No part is empty, blank, `.` or `..`, none holds a
/// backslash or a control character; at most [`MAX_PREFIX_CHARS`] characters in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

/// Why parts are no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// One element names a folder that is not allowed.
    #[error("[{index}] {problem}")]
    Part {
        /// Which element, from 0.
        index: usize,
        /// What its folders must be.
        problem: &'static str,
    },
    /// All together are too long.
    #[error(" is {chars} characters long with its slashes, at most {MAX_PREFIX_CHARS} are allowed")]
    TooLong {
        /// How long it is.
        chars: usize,
    },
}

impl KeyPrefix {
    /// Joins the folders that the elements name. An element may name several, as in `recordings/2026/`: it is split at slashes, and
    /// what is empty is dropped.
    pub fn new<S: AsRef<str>>(elements: &[S]) -> Result<Self, PrefixError> {
        let mut parts = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            for part in element.as_ref().split('/').filter(|part| !part.is_empty()) {
                check_part(part).map_err(|problem| PrefixError::Part { index, problem })?;
                parts.push(part);
            }
        }
        let joined = parts.join("/");
        match joined.chars().count() {
            chars if chars > MAX_PREFIX_CHARS => Err(PrefixError::TooLong { chars }),
            _ => Ok(Self(joined)),
        }
    }

    /// These folders, and those of `inner` in them. May be as long as both.
    #[must_use]
    pub fn around(&self, inner: &Self) -> Self {
        if inner.0.is_empty() { self.clone() } else { Self(self.key(&inner.0)) }
    }

    /// The key of the object called `name`.
    pub fn key(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}/{name}", self.0) }
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_part(part: &str) -> Result<(), &'static str> {
    match part.trim() {
        "" => Err("must not name a folder of blanks"),
        "." | ".." => Err("must not name a folder \".\" or \"..\""),
        _ if part.contains('\\') => Err("must not hold a backslash; folders are parted by slashes"),
        _ if part.chars().any(char::is_control) => Err("must not hold control characters"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_callers_send_are_taken_as_they_are() {
        for parts in [vec![], vec!["recordings", "room_1", "2026-11-20", "Team call: Q4 (draft)..."], vec!["会議"]] {
            let prefix = KeyPrefix::new(&parts).unwrap();
            assert_eq!(prefix.to_string(), parts.join("/"));
        }
        assert_eq!(KeyPrefix::new(&["a", "b"]).unwrap().key("x.m3u8"), "a/b/x.m3u8");
        assert_eq!(KeyPrefix::default().key("x.m3u8"), "x.m3u8");
        let (outer, inner) = (KeyPrefix::new(&["b"]).unwrap(), KeyPrefix::new(&["r", "s"]).unwrap());
        assert_eq!(
            (outer.around(&inner).key("x"), inner.around(&KeyPrefix::default()).key("x")),
            ("b/r/s/x".into(), "r/s/x".into())
        );
        assert_eq!(KeyPrefix::default().around(&inner), inner);
    }

    #[test]
    fn an_element_with_slashes_names_several_folders() {
        for (elements, joined) in [
            (vec!["recordings/2024/"], "recordings/2024"),
            (vec!["/a//b/", "c"], "a/b/c"),
            (vec!["", "a", "/", "b"], "a/b"),
            (vec![""], ""),
            (vec![], ""),
        ] {
            assert_eq!(KeyPrefix::new(&elements).unwrap().to_string(), joined, "{elements:?}");
        }
        assert_eq!(KeyPrefix::new(&["/"]).unwrap().key("x.m3u8"), "x.m3u8");
        assert!(KeyPrefix::new(&[format!("{}//{}/", "x".repeat(64), "x".repeat(63))]).is_ok(), "counted as joined");
    }

    #[test]
    fn path_tricks_are_refused() {
        for part in [
            " ", "..", ".", " .. ", "a/../b", "../a", "/..", "a/.", "a/ /b", "..\\x", "a\0", "a/\u{1}/", "a\nb",
            "\u{7f}",
        ] {
            let error = KeyPrefix::new(&["ok", part]).unwrap_err();
            assert!(matches!(error, PrefixError::Part { index: 1, .. }), "{part:?}: {error}");
        }
    }

    #[test]
    fn the_length_counts_characters_and_slashes() {
        assert!(KeyPrefix::new(&["é".repeat(64), "x".repeat(63)]).is_ok());
        let error = KeyPrefix::new(&["é".repeat(64), "x".repeat(64)]).unwrap_err();
        assert_eq!(error, PrefixError::TooLong { chars: 129 });
    }

    #[test]
    fn credentials_are_never_shown() {
        let credentials = Credentials {
            access_key: "AKID-visible".into(),
            secret_key: "secret-visible".into(),
            sts_token: Some("token-visible".into()),
        };
        assert!(!format!("{credentials:?}").contains("visible"));
    }
}
