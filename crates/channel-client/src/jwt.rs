//! JSON Web Tokens with HS256 (RFC 7519, RFC 7515): what a LiveKit server accepts from a client (docs/protocol/livekit.md section 2).
//!
//! Only HS256 is spoken: a token that names another algorithm, or none, is refused before its signature is looked at.
//! Signatures are compared in constant time. Time is the caller's: [`Validity::check`] takes it as a value.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::units::WallMs;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;

/// How far the clocks of a token's maker and its reader may differ, in seconds.
pub const LEEWAY_SECS: u64 = 60;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three base64url parts, not JSON, or claims of another shape.
    #[error("the token is not a JWT with the expected claims")]
    Malformed,
    /// Signed in another way, or not at all.
    #[error("the token is not signed with HS256; sign it with the API secret")]
    Algorithm,
    /// Signed with another secret, or changed afterwards.
    #[error("the token's signature is wrong; check the API secret")]
    Signature,
    /// Its time is over, or it has no end.
    #[error("the token has expired; mint a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; check the clocks")]
    NotYetValid,
}

impl Classify for JwtError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::caller(match self {
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Signature => "token_signature",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
        })
    }
}

/// A token of `claims`, which must serialise as a JSON object.
pub fn mint(claims: &impl Serialize, secret: &SecretString) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = serde_json::to_vec(claims).expect("claims are plain structs, which always serialise");
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac(&signed, secret).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// The claims of a token that was signed with `secret`. Says nothing about its time: see [`Validity`].
pub fn verify<C: DeserializeOwned>(token: &str, secret: &SecretString) -> Result<C, JwtError> {
    let (signed, signature) = split(token)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtError::Malformed)?;
    mac(signed, secret).verify_slice(&signature).map_err(|_| JwtError::Signature)?;
    claims(signed)
}

/// The claims of a token whose signature nobody checked: good for choosing the secret to check it with, and nothing else.
pub fn unverified<C: DeserializeOwned>(token: &str) -> Result<C, JwtError> {
    let (signed, _) = split(token)?;
    claims(signed)
}

/// The claims that bound a token's time, in seconds since 1970 (RFC 7519 sections 4.1.4 and 4.1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Not before; absent means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Expiry; mandatory.
    #[serde(default)]
    pub exp: u64,
}

impl Validity {
    /// From now until `secs` seconds later.
    pub const fn starting(now: WallMs, secs: u64) -> Self {
        let now = now.0 / 1000;
        Self { nbf: Some(now), exp: now + secs }
    }

    /// Whether `now` lies within, give or take [`LEEWAY_SECS`].
    pub fn check(&self, now: WallMs) -> Result<(), JwtError> {
        let now = now.0 / 1000;
        if now >= self.exp.saturating_add(LEEWAY_SECS) {
            return Err(JwtError::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > now.saturating_add(LEEWAY_SECS)) {
            return Err(JwtError::NotYetValid);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The signed part (`header.claims`) and the signature, once the header promises HS256.
fn split(token: &str) -> Result<(&str, &str), JwtError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(JwtError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, _) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    let header: Header = json(header)?;
    if header.alg == "HS256" { Ok((signed, signature)) } else { Err(JwtError::Algorithm) }
}

fn claims<C: DeserializeOwned>(signed: &str) -> Result<C, JwtError> {
    let (_, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    json(claims)
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, JwtError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtError::Malformed)
}

fn mac(signed: &str, secret: &SecretString) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    /// The example of jwt.io: known header, claims and secret.
    const KNOWN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

    #[test]
    fn mints_and_verifies_the_well_known_token() {
        let key = secret("your-256-bit-secret");
        let claims: Value = verify(KNOWN, &key).unwrap();
        assert_eq!(claims["name"], "John Doe");
        assert_eq!(mint(&claims, &key), KNOWN);
        assert_eq!(unverified::<Value>(KNOWN).unwrap(), claims);
    }

    #[test]
    fn another_secret_or_a_changed_byte_is_refused() {
        assert_eq!(verify::<Value>(KNOWN, &secret("other")), Err(JwtError::Signature));
        let changed = KNOWN.replace("SflK", "SflL");
        assert_eq!(verify::<Value>(&changed, &secret("your-256-bit-secret")), Err(JwtError::Signature));
    }

    #[test]
    fn other_algorithms_are_refused_whatever_the_signature() {
        for alg in ["none", "HS512", "RS256", "hs256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
            let claims = URL_SAFE_NO_PAD.encode("{}");
            assert_eq!(
                verify::<Value>(&format!("{header}.{claims}."), &secret("k")),
                Err(JwtError::Algorithm),
                "{alg}"
            );
        }
    }

    #[test]
    fn rubbish_is_malformed() {
        for token in ["", ".", "..", "a.b", "a.b.c", "eyJhbGciOiJIUzI1NiJ9", &"x".repeat(MAX_TOKEN_LEN + 1)] {
            assert_eq!(verify::<Value>(token, &secret("k")), Err(JwtError::Malformed), "{token}");
        }
    }

    #[test]
    fn validity_has_leeway_on_both_sides() {
        let validity = Validity::starting(WallMs(1_000_000), 100);
        assert_eq!(validity, Validity { nbf: Some(1000), exp: 1100 });
        assert_eq!(validity.check(WallMs(941_000)), Ok(()));
        assert_eq!(validity.check(WallMs(939_000)), Err(JwtError::NotYetValid));
        assert_eq!(validity.check(WallMs(1_159_000)), Ok(()));
        assert_eq!(validity.check(WallMs(1_160_000)), Err(JwtError::Expired));
        assert_eq!(
            Validity::default().check(WallMs(1_000_000)),
            Err(JwtError::Expired),
            "a token without end is refused"
        );
    }
}
