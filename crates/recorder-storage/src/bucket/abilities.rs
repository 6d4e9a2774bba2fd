//! What a destination lets its credentials do and how it wants to be addressed, and the worker's memory of that.
//!
//! The key of the memory is endpoint, region, bucket, access key and the first folder of the prefix: policies speak of buckets and of
//! folders at the top, and deeper folders often are a recording's own. It is kept as a digest. What is known is a hint from one probe:
//! an answer that says otherwise changes it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Destination;

/// Destinations that a worker remembers; past it the one that it met first is forgotten, and probed anew when it comes again.
pub const MAX_DESTINATIONS: usize = 4096;

/// What a destination lets its credentials do, and how it wants to be addressed; `None` where nobody knows yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Abilities {
    /// Whether the store honours `If-None-Match: *` on a PUT.
    pub conditional: Option<bool>,
    /// Whether the credentials may read what lies there.
    pub readable: Option<bool>,
    /// Whether an object that is there can't be put again: the store, or a policy, refuses it, or refuses every PUT without a
    /// condition.
    pub write_once: Option<bool>,
    /// Whether the store takes the bucket in the path; learned where the destination does not say it.
    pub path_style: Option<bool>,
    /// The region that the store named, where it refused the one that the destination says.
    pub region: Option<String>,
}

impl Abilities {
    /// Whether a probe would tell nothing new.
    pub(super) fn is_known(&self) -> bool {
        let condition = self.conditional.is_some() || self.write_once == Some(true);
        condition && self.readable.is_some() && self.write_once.is_some()
    }
}

/// What is known of a destination, shared by all its handles.
#[derive(Debug, Default)]
pub(super) struct Learned {
    checksums: AtomicU8,
    /// Whether the store takes no PUT without `Content-MD5`.
    md5: AtomicBool,
    abilities: Mutex<Abilities>,
}

/// Whether a store takes a checksum header: not known yet, it does, it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksums {
    Unknown = 0,
    Taken = 1,
    Refused = 2,
}

impl Learned {
    pub(super) fn checksums(&self) -> Checksums {
        match self.checksums.load(Ordering::Relaxed) {
            0 => Checksums::Unknown,
            1 => Checksums::Taken,
            _ => Checksums::Refused,
        }
    }

    pub(super) fn set_checksums(&self, checksums: Checksums) {
        self.checksums.store(checksums as u8, Ordering::Relaxed);
    }

    pub(super) fn needs_md5(&self) -> bool {
        self.md5.load(Ordering::Relaxed)
    }

    pub(super) fn set_needs_md5(&self, needs: bool) {
        self.md5.store(needs, Ordering::Relaxed);
    }

    pub(super) fn abilities(&self) -> Abilities {
        self.abilities.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn learn(&self, change: impl FnOnce(&mut Abilities)) {
        change(&mut self.abilities.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The destinations that a worker has met, at most [`MAX_DESTINATIONS`].
#[derive(Debug, Default)]
pub struct Destinations(Mutex<Met>);

#[derive(Debug, Default)]
struct Met {
    known: HashMap<[u8; 32], Arc<Learned>>,
    /// The first one met is in front.
    order: VecDeque<[u8; 32]>,
}

impl Destinations {
    /// What is known of this one; from now on it is remembered.
    pub(super) fn of(&self, destination: &Destination) -> Arc<Learned> {
        let key = key(destination);
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(learned) = met.known.get(&key) {
            return Arc::clone(learned);
        }
        if met.order.len() >= MAX_DESTINATIONS
            && let Some(first) = met.order.pop_front()
        {
            met.known.remove(&first);
        }
        met.order.push_back(key);
        Arc::clone(met.known.entry(key).or_default())
    }
}

fn key(destination: &Destination) -> [u8; 32] {
    let Destination { endpoint, region, bucket, prefix, credentials, .. } = destination;
    let (endpoint, prefix) = (endpoint.as_ref().map_or("", url::Url::as_str), prefix.to_string());
    let folder = prefix.split('/').next().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [endpoint, region, bucket, folder, credentials.access_key.expose_secret()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, KeyPrefix};

    fn destination(bucket: &str, prefix: &[&str], access_key: &str) -> Destination {
        Destination {
            endpoint: None,
            region: "eu-west-1".into(),
            bucket: bucket.into(),
            prefix: KeyPrefix::new(prefix).unwrap(),
            credentials: Credentials { access_key: access_key.into(), secret_key: "s".into(), sts_token: None },
            path_style: None,
            encryption: None,
        }
    }

    #[test]
    fn a_destination_is_told_by_bucket_key_and_first_folder() {
        let destinations = Destinations::default();
        let first = destinations.of(&destination("calls", &["a", "b"], "k"));
        first.learn(|abilities| abilities.conditional = Some(true));
        let knows = |bucket, prefix: &[&str], key| {
            destinations.of(&destination(bucket, prefix, key)).abilities().conditional.is_some()
        };
        assert!(knows("calls", &["a", "c"], "k"));
        assert!(!knows("calls", &["d"], "k") && !knows("other", &["a"], "k") && !knows("calls", &["a"], "other"));
    }

    #[test]
    fn the_first_ones_are_forgotten_past_the_limit() {
        let destinations = Destinations::default();
        let learned = destinations.of(&destination("0", &[], "k"));
        learned.learn(|abilities| abilities.write_once = Some(true));
        for bucket in 1..MAX_DESTINATIONS {
            destinations.of(&destination(&bucket.to_string(), &[], "k"));
        }
        assert_eq!(destinations.of(&destination("0", &[], "k")).abilities().write_once, Some(true));
        destinations.of(&destination("one more", &[], "k"));
        assert_eq!(destinations.of(&destination("0", &[], "k")).abilities().write_once, None);
        assert_eq!(destinations.0.lock().unwrap().known.len(), MAX_DESTINATIONS);
    }
}
