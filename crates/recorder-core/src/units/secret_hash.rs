//! What is kept of a secret that only ever has to be compared.
//!
//! Text: `sha256:<salt>:<digest>`, where the salt is 32 hexadecimal digits and the digest is the SHA-256, in 64 hexadecimal digits, of the
//! salt's text, a colon and the secret: `printf '%s:%s' "$salt" "$secret" | sha256sum` makes one.
//!
//! Meant for secrets that a machine made, 128 bits and more of randomness: nobody finds such a secret by trying, so a slow hash would
//! only slow down every request, and give whoever sends wrong secrets a way to keep the worker busy.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::InvalidId;

const SCHEME: &str = "sha256";
const SALT_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;

/// A salted hash of a secret. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash {
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

impl SecretHash {
    /// The hash of a secret; the caller brings the randomness.
    pub fn of(secret: &[u8], salt: [u8; SALT_BYTES]) -> Self {
        Self { salt, digest: digest(salt, secret) }
    }

    /// Whether it is this secret's, in a time that depends on the length of `secret` alone.
    pub fn matches(&self, secret: &[u8]) -> Choice {
        digest(self.salt, secret).ct_eq(&self.digest)
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}:{}", hex::encode(self.salt), hex::encode(self.digest))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

impl FromStr for SecretHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let problem = "must be sha256:<32 hexadecimal digits>:<64 hexadecimal digits>, as `cloud-recorder token hash-secret` prints it";
        let invalid = || InvalidId { what: "secret hash", problem };
        let mut parts = text.split(':');
        let (Some(SCHEME), Some(salt), Some(digest), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        Ok(Self { salt: bytes(salt).ok_or_else(invalid)?, digest: bytes(digest).ok_or_else(invalid)? })
    }
}

fn digest(salt: [u8; SALT_BYTES], secret: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut digest = Sha256::new();
    digest.update(hex::encode(salt));
    digest.update(b":");
    digest.update(secret);
    digest.finalize().into()
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '%s:%s' 00112233445566778899aabbccddeeff swordfish | sha256sum`.
    const KNOWN: &str =
        "sha256:00112233445566778899aabbccddeeff:e95b8e98269f71d76ba5d35a5c97f735091b4ab208d5479a86a7ebc8fffaf9c3";

    #[test]
    fn the_text_can_be_made_with_a_shell() {
        let hash: SecretHash = KNOWN.parse().unwrap();
        assert!(bool::from(hash.matches(b"swordfish")) && !bool::from(hash.matches(b"swordfis")));
        assert_eq!(hash.to_string(), KNOWN);
        assert!(!format!("{hash:?}").contains(&KNOWN[40..]));
    }

    #[test]
    fn salts_make_equal_secrets_differ() {
        let (one, two) = (SecretHash::of(b"same", [1; 16]), SecretHash::of(b"same", [2; 16]));
        assert_ne!(one.to_string()[40..], two.to_string()[40..]);
        assert!(bool::from(one.matches(b"same")) && bool::from(two.matches(b"same")));
    }

    #[test]
    fn what_is_no_hash_is_refused_without_being_repeated() {
        let short = &KNOWN[..KNOWN.len() - 1];
        for text in ["", "swordfish", "sha256:00:11", short, &format!("{KNOWN}:"), &KNOWN.replace("sha256", "md5")] {
            let error = text.parse::<SecretHash>().unwrap_err().to_string();
            assert!(error.contains("hash-secret") && !error.contains("swordfish"), "{error}");
        }
    }
}
