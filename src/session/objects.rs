//! What of a recording is in the bucket, object by object. Pure; part of a session's checkpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::storage::{Confirmed, ObjectKind};

/// Objects that are remembered; of the segments past it only their number is: 17 days of 6 s segments, 100 MB in the manifest.
const MAX_OBJECTS: usize = 250_000;

/// The objects that the bucket confirmed, by name; a playlist's last text takes the place of the ones before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Objects {
    stored: BTreeMap<String, Stored>,
    omitted: u64,
}

/// An object that is in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) kind: ObjectKind,
    /// Bytes.
    pub(super) size: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
}

impl Stored {
    /// What the bucket will confirm of these bytes.
    pub(super) fn of(kind: ObjectKind, bytes: &[u8]) -> Self {
        Self { kind, size: bytes.len() as u64, sha256: format!("{:x}", Sha256::digest(bytes)) }
    }
}

impl Objects {
    /// The bucket confirmed an object.
    pub(super) fn add(&mut self, name: String, kind: ObjectKind, confirmed: Confirmed) {
        self.insert(name, Stored { kind, size: confirmed.size, sha256: confirmed.sha256 });
    }

    /// The bucket has confirmed an object, while nobody listened.
    pub(super) fn insert(&mut self, name: String, stored: Stored) {
        if stored.kind == ObjectKind::Segment && self.stored.len() >= MAX_OBJECTS && !self.holds(&name) {
            self.omitted += 1;
            return;
        }
        self.stored.insert(name, stored);
    }

    /// The bucket has confirmed these, while nobody listened.
    pub(super) fn extend(&mut self, stored: impl IntoIterator<Item = (String, Stored)>) {
        stored.into_iter().for_each(|(name, stored)| self.insert(name, stored));
    }

    /// Whether the bucket holds an object of this name.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// Whether the bucket holds this object.
    pub(super) fn has(&self, name: &str, object: &Stored) -> bool {
        self.stored.get(name) == Some(object)
    }

    /// The object of this name, if it is remembered.
    pub(super) fn get(&self, name: &str) -> Option<&Stored> {
        self.stored.get(name)
    }

    /// How many bytes the object of this name has in the bucket; none for one that is not remembered.
    pub(super) fn size(&self, name: &str) -> u64 {
        self.stored.get(name).map_or(0, |stored| stored.size)
    }

    /// The objects, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Stored)> {
        self.stored.iter()
    }

    /// How many segments are not remembered.
    pub(super) const fn omitted(&self) -> u64 {
        self.omitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Proof;

    #[test]
    fn past_the_limit_segments_are_counted_not_listed() {
        let mut objects = Objects::default();
        let confirmed = || Confirmed { size: 1, sha256: String::new(), proof: Proof::Checksum };
        (0..MAX_OBJECTS + 2).for_each(|name| objects.add(name.to_string(), ObjectKind::Segment, confirmed()));
        objects.add("list.m3u8".into(), ObjectKind::Playlist, confirmed());
        assert_eq!((objects.iter().count(), objects.omitted()), (MAX_OBJECTS + 1, 2));
        assert!(objects.holds("list.m3u8"));
    }
}
