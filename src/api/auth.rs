//! Who calls, and how often: Basic authentication (RFC 7617) with an app's REST credentials.
//!
//! * Of secrets only salted hashes are kept ([`SecretHash`]). A call costs the same hashes and comparisons whether its key is known or
//!   not, and the answer says the same.
//! * An app that calls more often than it may gets 429 and costs the others nothing. Calls without valid credentials have one such
//!   limit all together; who has valid ones does not share it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::error::Refusal;
use super::rate::Pace;
use crate::units::{AppId, SecretHash};

/// The app part that a released vendor client sends instead of an app id (docs/protocol/callers.md section 1).
const PLACEHOLDER: &str = "%s";

/// The longest key or secret that is looked at, in bytes.
const MAX_PART_BYTES: usize = 512;

/// Calls without valid credentials that are answered in a second, of all callers together.
const UNAUTHENTICATED_PER_SECOND: u32 = 50;

/// All key pairs that may call, how often, and from which pages. They can be replaced while calls come.
#[derive(Debug)]
pub struct Credentials {
    known: RwLock<Arc<Known>>,
    strangers: Pace,
}

#[derive(Debug)]
struct Known {
    /// By the digest of the key's name.
    accounts: HashMap<[u8; 32], Vec<Account>>,
    /// Compared with where there is nothing to compare with.
    decoy: SecretHash,
    /// How many hashes every call is compared with: as many as the key with the most secrets has.
    rounds: usize,
    paces: HashMap<AppId, Arc<Pace>>,
    /// Whose pages may call, by `Origin`.
    origins: HashMap<AppId, Vec<String>>,
}

/// One key pair: the vendor's Customer ID and Customer Secret.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The user name.
    pub key: String,
    /// The password.
    pub secret: RestSecret,
    /// The apps it may call for.
    pub apps: BTreeSet<AppId>,
}

/// The hash of a password. A plain one is hashed at once, with a salt of its own.
#[derive(Clone, Debug)]
pub struct RestSecret(SecretHash);

#[derive(Debug)]
struct Account {
    secret: SecretHash,
    apps: BTreeSet<AppId>,
}

impl From<SecretHash> for RestSecret {
    fn from(hash: SecretHash) -> Self {
        Self(hash)
    }
}

impl From<&SecretString> for RestSecret {
    fn from(secret: &SecretString) -> Self {
        Self(SecretHash::of(secret.expose_secret().as_bytes(), rand::random()))
    }
}

impl From<String> for RestSecret {
    fn from(secret: String) -> Self {
        Self::from(&SecretString::from(secret))
    }
}

impl Credentials {
    /// The key pairs that may call. A key may have several secrets, and several apps.
    pub fn new(pairs: Vec<KeyPair>) -> Self {
        let mut accounts: HashMap<_, Vec<Account>> = HashMap::new();
        for KeyPair { key, secret: RestSecret(secret), apps } in pairs {
            accounts.entry(name(key.as_bytes())).or_default().push(Account { secret, apps });
        }
        let known = Known {
            rounds: accounts.values().map(Vec::len).max().unwrap_or(1),
            accounts,
            decoy: SecretHash::of(&rand::random::<[u8; 32]>(), rand::random()),
            paces: HashMap::new(),
            origins: HashMap::new(),
        };
        Self { known: RwLock::new(Arc::new(known)), strangers: Pace::new(UNAUTHENTICATED_PER_SECOND) }
    }

    /// The same, with so many requests a second for each app; others have no limit.
    #[must_use]
    pub fn with_limits(mut self, per_second: impl IntoIterator<Item = (AppId, u32)>) -> Self {
        if let Some(known) = self.known_mut() {
            known.paces = per_second.into_iter().map(|(app, limit)| (app, Arc::new(Pace::new(limit)))).collect();
        }
        self
    }

    /// The same, with pages of these origins that may call each app's API from a browser; of others none may.
    #[must_use]
    pub fn with_origins(mut self, origins: impl IntoIterator<Item = (AppId, Vec<String>)>) -> Self {
        if let Some(known) = self.known_mut() {
            known.origins = origins.into_iter().collect();
        }
        self
    }

    /// From now on `other` says who may call. Calls that are under way are not asked again, and an app whose rate stays the same has used
    /// what it has used.
    pub fn replace(&self, other: Self) {
        let before = self.known();
        let mut new = other.known.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = Arc::get_mut(&mut new) {
            for (app, pace) in &mut new.paces {
                if let Some(same) = before.paces.get(app).filter(|old| old.per_second() == pace.per_second()) {
                    *pace = Arc::clone(same);
                }
            }
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Whether a page of this origin may call the API of the app.
    pub(crate) fn allows_origin(&self, app: &str, origin: &HeaderValue) -> bool {
        let known = self.known();
        let of_app = known.origins.iter().find(|(id, _)| id.as_str() == app);
        of_app.is_some_and(|(_, origins)| origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()))
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Before anybody else has it.
    fn known_mut(&mut self) -> Option<&mut Known> {
        Arc::get_mut(self.known.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The app that a call with this `Authorization` header may act for, when its path names `app`. Counts the call.
    ///
    /// `%s` or nothing in place of the app is read as the one app of the credentials.
    pub(crate) fn admit(&self, authorization: Option<&HeaderValue>, app: &str) -> Result<AppId, Refusal> {
        let known = self.known();
        let own = self.own(&known, authorization)?;
        let named = if app == PLACEHOLDER || app.is_empty() {
            own.first().filter(|_| own.len() == 1)
        } else {
            own.iter().find(|own| own.as_str() == app)
        };
        // A call that names somebody else's app is its caller's all the same.
        known.count(named.or_else(|| own.first()).copied())?;
        named.map(|app| (*app).clone()).ok_or(Refusal::WrongApp)
    }

    /// All apps that a call with this `Authorization` header may act for. Counts the call, as the first one's.
    pub(crate) fn apps(&self, authorization: Option<&HeaderValue>) -> Result<Vec<AppId>, Refusal> {
        let known = self.known();
        let own = self.own(&known, authorization)?;
        known.count(own.first().copied())?;
        Ok(own.into_iter().cloned().collect())
    }

    fn own<'a>(&self, known: &'a Known, authorization: Option<&HeaderValue>) -> Result<BTreeSet<&'a AppId>, Refusal> {
        let refusal = match authorization {
            None => Refusal::Unauthorized,
            Some(header) => match parse_basic(header).and_then(|(key, secret)| known.find(&key, &secret)) {
                Some(own) => return Ok(own),
                None => Refusal::WrongCredentials,
            },
        };
        let wait = self.strangers.take(Instant::now());
        Err(wait.err().map_or(refusal, |wait| Refusal::TooManyStrangers { wait }))
    }
}

impl Known {
    fn count(&self, app: Option<&AppId>) -> Result<(), Refusal> {
        let Some(pace) = app.and_then(|app| self.paces.get(app)) else { return Ok(()) };
        let too_often = |wait| Refusal::TooOften { per_second: pace.per_second(), wait };
        pace.take(Instant::now()).map_err(too_often)
    }

    /// The apps of a pair, in a time that depends on what was sent alone.
    fn find(&self, key: &[u8], secret: &[u8]) -> Option<BTreeSet<&AppId>> {
        if key.len() > MAX_PART_BYTES || secret.len() > MAX_PART_BYTES {
            return None;
        }
        let accounts = self.accounts.get(&name(key)).map_or(&[][..], Vec::as_slice);
        let mut found = None;
        for round in 0..self.rounds {
            let account = accounts.get(round);
            let hit = account.map_or(&self.decoy, |account| &account.secret).matches(secret);
            if let (Some(account), true) = (account, bool::from(hit)) {
                found.get_or_insert_with(BTreeSet::new).extend(&account.apps);
            }
        }
        found
    }
}

/// Keys are looked up by a digest, so that how a look-up goes says nothing about how much of a guessed key was right.
fn name(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
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
    use std::time::Duration;

    use super::*;

    fn pair(secret: &str, apps: &[&str]) -> KeyPair {
        let apps = apps.iter().map(|app| AppId::new(app).unwrap()).collect();
        KeyPair { key: "id".into(), secret: secret.to_owned().into(), apps }
    }

    fn credentials(apps: &[&str]) -> Credentials {
        Credentials::new(vec![pair("se:cret", apps)])
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
        for pair in ["id:wrong", "other:se:cret", "no colon", "id:se:cre", "id:se:crets", "id:", ":se:cret"] {
            assert_eq!(all.admit(Some(&header("Basic", pair)), ONE), Err(Refusal::WrongCredentials), "{pair}");
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
        let shared = Credentials::new(vec![pair("se:cret", &[ONE]), pair("se:cret", &[TWO])]);
        let good = header("Basic", "id:se:cret");
        for app in [ONE, TWO] {
            assert_eq!(shared.admit(Some(&good), app).unwrap().as_str(), app);
        }
        let apps = shared.apps(Some(&good)).unwrap();
        assert_eq!(apps.iter().map(AppId::as_str).collect::<Vec<_>>(), [TWO, ONE]);
        assert_eq!(shared.apps(None), Err(Refusal::Unauthorized));
    }

    #[test]
    fn two_secrets_are_both_good_while_one_takes_the_others_place() {
        let hashed = SecretHash::of(b"new", [7; 16]);
        let new = KeyPair { secret: hashed.into(), ..pair("", &[ONE]) };
        let both = Credentials::new(vec![pair("old", &[ONE]), new]);
        for (secret, good) in [("old", true), ("new", true), ("older", false)] {
            assert_eq!(both.admit(Some(&header("Basic", &format!("id:{secret}"))), ONE).is_ok(), good, "{secret}");
        }
    }

    #[test]
    fn one_key_with_two_secrets_tells_their_apps_apart() {
        let all = Credentials::new(vec![pair("one", &[ONE]), pair("two", &[TWO])]);
        let one = header("Basic", "id:one");
        assert!(all.admit(Some(&one), ONE).is_ok());
        assert_eq!(all.admit(Some(&one), TWO), Err(Refusal::WrongApp));
    }

    #[tokio::test(start_paused = true)]
    async fn an_apps_limit_is_its_own_and_comes_back() {
        let (one, two) = (pair("one", &[ONE]), pair("two", &[TWO]));
        let limits = [ONE, TWO].map(|app| (AppId::new(app).unwrap(), 5));
        let all = Credentials::new(vec![one, two]).with_limits(limits);
        let (one, two) = (header("Basic", "id:one"), header("Basic", "id:two"));
        for _ in 0..10 {
            // Calls that name somebody else's app count as the caller's own.
            assert_eq!(all.admit(Some(&one), TWO), Err(Refusal::WrongApp));
        }
        let wait = Duration::from_millis(200);
        assert_eq!(all.admit(Some(&one), ONE), Err(Refusal::TooOften { per_second: 5, wait }));
        assert!(matches!(all.apps(Some(&one)), Err(Refusal::TooOften { .. })));
        assert!(all.admit(Some(&two), TWO).is_ok(), "the other app has all of its own");
        tokio::time::advance(wait).await;
        assert!(all.admit(Some(&one), ONE).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_share_a_limit_that_does_not_concern_who_is_known() {
        let all = credentials(&[ONE]);
        let refusals: Vec<_> = (0..1000)
            .map(|number| all.admit(Some(&header("Basic", &format!("id:{number}"))), ONE).unwrap_err())
            .collect();
        let with_headers = refusals.iter().filter(|refusal| **refusal == Refusal::WrongCredentials).count();
        assert_eq!(with_headers, 2 * UNAUTHENTICATED_PER_SECOND as usize);
        assert!(matches!(all.admit(None, ONE), Err(Refusal::TooManyStrangers { .. })));
        assert!(all.admit(Some(&header("Basic", "id:se:cret")), ONE).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_replaced_while_calls_come() {
        let limit = |per_second| [(AppId::new(ONE).unwrap(), per_second)];
        let all = Credentials::new(vec![pair("old", &[ONE])]).with_limits(limit(1));
        let (old, new) = (header("Basic", "id:old"), header("Basic", "id:new"));
        assert!(all.admit(Some(&old), ONE).is_ok() && all.admit(Some(&old), ONE).is_ok());
        all.replace(Credentials::new(vec![pair("new", &[ONE])]).with_limits(limit(1)));
        assert_eq!(all.admit(Some(&old), ONE), Err(Refusal::WrongCredentials));
        assert!(matches!(all.admit(Some(&new), ONE), Err(Refusal::TooOften { .. })), "its rate is what it was");
        all.replace(Credentials::new(vec![pair("new", &[ONE])]).with_limits(limit(2)));
        assert!(all.admit(Some(&new), ONE).is_ok());
    }

    #[test]
    fn no_secret_is_shown() {
        let all = format!("{:?} {:?}", credentials(&[ONE]), pair("se:cret", &[ONE]));
        assert!(!all.contains("cret\""), "{all}");
    }
}
