//! Every object against the manifest: is it there, is it the same, does a playlist name it?

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::location::{Place, ReadError};
use super::manifest::{Manifest, Object};
use super::report::{Kind, Report};
use crate::units::Ticks;

/// Largest object in bytes.
const MAX_OBJECT: usize = 64 << 20;

/// Objects that are read at the same time.
pub(super) const PARALLEL_READS: usize = 8;

/// What was read, by name.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Read>);

#[derive(Debug)]
struct Read {
    size: u64,
    sha256: String,
    /// Where a segment lies on the timeline, and how long it is.
    location: Option<(Ticks, Ticks)>,
}

impl Seen {
    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn add(&mut self, name: &str, bytes: &Bytes, location: Option<(Ticks, Ticks)>) {
        let read = Read { size: bytes.len() as u64, sha256: format!("{:x}", Sha256::digest(bytes)), location };
        self.0.insert(name.to_owned(), read);
    }
}

/// `named` is what the playlists name, if all of them were read.
pub(super) async fn check(
    location: &Place,
    manifest_name: &str,
    manifest: &Manifest,
    named: Option<&BTreeSet<String>>,
    report: &mut Report,
    seen: &mut Seen,
) {
    let objects = manifest.by_name();
    if manifest.objects_omitted == 0 {
        for object in seen.0.keys().filter(|object| !objects.contains_key(object.as_str())) {
            report.add(Kind::Unlisted, manifest_name, &format!("it does not list {object}, which a playlist names"));
        }
    }
    read_rest(location, &objects, report, seen).await;
    for object in objects.values() {
        if named.is_some_and(|named| object.kind == "segment" && !named.contains(&object.name)) {
            report.add(
                Kind::Unlisted,
                &object.name,
                "the manifest lists it, but no playlist names it: nobody hears it",
            );
        }
        if let Some(read) = seen.0.get(&object.name) {
            compare(object, read, report);
        }
    }
}

/// Reads what no playlist named.
async fn read_rest(location: &Place, objects: &BTreeMap<&str, &Object>, report: &mut Report, seen: &mut Seen) {
    let unread: Vec<String> = objects
        .keys()
        .filter(|name| !seen.holds(name) && !report.blames(name))
        .map(|name| (*name).to_owned())
        .collect();
    let mut unread = stream::iter(unread)
        .map(|name| async move { (location.read(&name, MAX_OBJECT).await, name) })
        .buffered(PARALLEL_READS);
    while let Some((file, name)) = unread.next().await {
        match file {
            Ok(bytes) => seen.add(&name, &bytes, None),
            Err(error @ ReadError::Missing) => {
                report.add(Kind::Missing, &name, &format!("the manifest lists it, but {error}"));
            }
            Err(error) => report.add(error.kind(), &name, &error),
        }
    }
}

fn compare(object: &Object, read: &Read, report: &mut Report) {
    let name = &object.name;
    if read.size != object.size {
        report.add(Kind::Size, name, &format!("it has {} bytes, the manifest says {}", read.size, object.size));
    } else if !read.sha256.eq_ignore_ascii_case(&object.sha256) {
        report.add(Kind::Hash, name, "its SHA-256 is not what the manifest says: the content was changed");
    }
    let (Some((start, duration)), Some(said), Some(lasting)) = (read.location, object.start, object.duration) else {
        return;
    };
    if (start, duration) != (said, lasting) {
        let [is, long, said, lasting] = [start, duration, said, lasting].map(Ticks::as_secs_f64);
        report.add(
            Kind::Duration,
            name,
            &format!("it starts at {is:.6} s and lasts {long:.6} s, the manifest says {said:.6} s and {lasting:.6} s"),
        );
    }
}
