//! Who calls: Basic authentication (RFC 7617) with an app's REST credentials.

use std::collections::BTreeSet;

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use super::error::Refusal;
use crate::units::AppId;

/// The app part that a released vendor client sends instead of an app id (facts/callers.md section 1).
const PLACEHOLDER: &str = "%s";

/// All key pairs that may call.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Vec<KeyPair>);

/// One key pair: the vendor's Customer ID and Customer Secret.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The user name.
    pub key: String,
    /// The password.
    pub secret: SecretString,
    /// The apps it may call for.
    pub apps: BTreeSet<AppId>,
}

impl Credentials {
    /// The key pairs that may call. Apps that share a pair are one pair's apps.
    pub fn new(pairs: Vec<KeyPair>) -> Self {
        let mut merged: Vec<KeyPair> = Vec::new();
        for pair in pairs {
            let same = |known: &&mut KeyPair| {
                known.key == pair.key && known.secret.expose_secret() == pair.secret.expose_secret()
            };
            match merged.iter_mut().find(same) {
                Some(known) => known.apps.extend(pair.apps),
                None => merged.push(pair),
            }
        }
        Self(merged)
    }

    /// The app that a call with this `Authorization` header may act for, when its path names `app`.
    ///
    /// `%s` or nothing in place of the app is read as the one app of the credentials.
    pub(crate) fn admit(&self, authorization: Option<&HeaderValue>, app: &str) -> Result<AppId, Refusal> {
        let pair = self.pair(authorization)?;
        if app == PLACEHOLDER || app.is_empty() {
            let mut apps = pair.apps.iter();
            return match (apps.next(), apps.next()) {
                (Some(only), None) => Ok(only.clone()),
                _ => Err(Refusal::WrongApp),
            };
        }
        pair.apps.iter().find(|own| own.as_str() == app).cloned().ok_or(Refusal::WrongApp)
    }

    /// All apps that a call with this `Authorization` header may act for.
    pub(crate) fn apps(&self, authorization: Option<&HeaderValue>) -> Result<Vec<AppId>, Refusal> {
        self.pair(authorization).map(|pair| pair.apps.iter().cloned().collect())
    }

    fn pair(&self, authorization: Option<&HeaderValue>) -> Result<&KeyPair, Refusal> {
        let header = authorization.ok_or(Refusal::Unauthorized)?;
        parse_basic(header).and_then(|(key, secret)| self.find(&key, &secret)).ok_or(Refusal::WrongCredentials)
    }

    /// Compares with every pair, in a time that depends on no secret.
    fn find(&self, key: &[u8], secret: &[u8]) -> Option<&KeyPair> {
        let mut found = None;
        for pair in &self.0 {
            let hit: Choice = pair.key.as_bytes().ct_eq(key) & pair.secret.expose_secret().as_bytes().ct_eq(secret);
            if hit.into() {
                found = Some(pair);
            }
        }
        found
    }
}

/// User and password of a `Basic` header; the scheme's case does not matter.
fn parse_basic(header: &HeaderValue) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(apps: &[&str]) -> Credentials {
        let apps = apps.iter().map(|app| AppId::new(app).unwrap()).collect();
        Credentials::new(vec![KeyPair { key: "id".into(), secret: "se:cret".to_owned().into(), apps }])
    }

    fn header(scheme: &str, pair: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("{scheme} {}", STANDARD.encode(pair))).unwrap()
    }

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "00000000000000000000000000000002";

    #[test]
    fn the_scheme_may_be_in_any_case_and_the_secret_may_hold_colons() {
        for scheme in ["Basic", "basic", "BASIC"] {
            let app = credentials(&[ONE]).admit(Some(&header(scheme, "id:se:cret")), ONE).unwrap();
            assert_eq!(app.as_str(), ONE);
        }
    }

    #[test]
    fn refusals_tell_missing_from_wrong_from_foreign() {
        let all = credentials(&[ONE]);
        assert_eq!(all.admit(None, ONE), Err(Refusal::Unauthorized));
        for pair in ["id:wrong", "other:se:cret", "no colon"] {
            assert_eq!(all.admit(Some(&header("Basic", pair)), ONE), Err(Refusal::WrongCredentials));
        }
        assert_eq!(all.admit(Some(&HeaderValue::from_static("Bearer x")), ONE), Err(Refusal::WrongCredentials));
        assert_eq!(all.admit(Some(&header("Basic", "id:se:cret")), TWO), Err(Refusal::WrongApp));
    }

    #[test]
    fn a_placeholder_is_the_only_app_of_its_credentials() {
        let good = header("Basic", "id:se:cret");
        assert_eq!(credentials(&[ONE]).admit(Some(&good), "%s").unwrap().as_str(), ONE);
        assert_eq!(credentials(&[ONE, TWO]).admit(Some(&good), "%s"), Err(Refusal::WrongApp));
    }

    #[test]
    fn apps_that_share_a_pair_are_all_its_own() {
        let pair = |app| KeyPair {
            key: "id".into(),
            secret: "se:cret".to_owned().into(),
            apps: BTreeSet::from([AppId::new(app).unwrap()]),
        };
        let shared = Credentials::new(vec![pair(ONE), pair(TWO)]);
        let good = header("Basic", "id:se:cret");
        for app in [ONE, TWO] {
            assert_eq!(shared.admit(Some(&good), app).unwrap().as_str(), app);
        }
        let apps = shared.apps(Some(&good)).unwrap();
        assert_eq!(apps.iter().map(AppId::as_str).collect::<Vec<_>>(), [TWO, ONE]);
        assert_eq!(shared.apps(None), Err(Refusal::Unauthorized));
    }
}
