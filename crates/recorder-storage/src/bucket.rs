//! The customer's bucket, through aws-sdk-s3.
//!
//! An object counts as there when the store confirmed it: with the SHA-256 that it computed where it knows checksums, else with its MD5,
//! else with the length that it holds of a body whose hash was part of the request's signature ([`Proof`]). One call is one attempt;
//! patience is [`super::Uploader`]'s. What a store lets us do is found out once and remembered ([`Abilities`]); media objects are never put
//! over others ([`put`]).

mod abilities;
mod address;
mod body;
mod client;
mod confirm;
mod error;
mod probe;
mod put;
mod read;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use bytes::Bytes;
use tokio::time::Instant;

use super::destination::{Credentials, Destination};
use super::spool::{ObjectKind, SpooledFile};
use abilities::Learned;
use address::Addressed;
use body::Body;
use error::{Action, ErrorLocation};
use recorder_edge::address_policy::AddressPolicy;

pub use abilities::{Abilities, Destinations, MAX_DESTINATIONS};
pub use error::BucketError;
pub use put::Earlier;
pub use read::{Held, Listed};

/// How long [`Bucket::prove`] takes at most.
pub const PROOF_TIME: Duration = Duration::from_secs(3);

/// A bucket that can be written to. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    destination: Arc<Destination>,
    address_policy: AddressPolicy,
    learned: Arc<Learned>,
}

/// An object that is in the bucket for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the object, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// What the store said.
    pub proof: Proof,
}

/// What confirms an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The store answered with the same SHA-256.
    Checksum,
    /// The store knows no checksums; its ETag is the MD5 of the same bytes.
    ETag,
    /// The store knows no checksums. It accepted the signed SHA-256 of the body and gave the object an ETag, and it either shows that ETag
    /// afterwards or lets these credentials read nothing.
    Signed,
    /// The store knows no checksums. It accepted the signed SHA-256 of the body, and has as many bytes. Also: the name is taken, nobody may
    /// read it, and an earlier attempt with the same bytes may have been taken.
    Length,
}

impl Bucket {
    /// Prepares the connection; nothing is sent.
    pub fn connect(destination: &Destination) -> Self {
        Self::connect_within(destination, AddressPolicy::Anywhere)
    }

    /// The same, and the store's name may lead no further, at any time.
    pub fn connect_within(destination: &Destination, address_policy: AddressPolicy) -> Self {
        Self {
            client: client::build(destination, address_policy),
            destination: Arc::new(destination.clone()),
            address_policy,
            learned: Arc::default(),
        }
    }

    /// The same bucket with what the worker knows of the destination; what is learned is remembered there.
    #[must_use]
    pub fn remembered(self, destinations: &Destinations) -> Self {
        let learned = destinations.of(&self.destination);
        Self { learned, ..self }
    }

    /// The same bucket, written to with other credentials. Of what is known, what is not about credentials stays.
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let bucket =
            Self::connect_within(&Destination { credentials, ..(*self.destination).clone() }, self.address_policy);
        bucket.learn(Abilities { readable: None, write_once: None, ..self.abilities() });
        bucket
    }

    /// What the destination lets us do, as far as it is known by now.
    pub fn abilities(&self) -> Abilities {
        self.learned.abilities()
    }

    /// Whether [`Self::prove`] would tell nothing new of them.
    pub fn is_known(&self) -> bool {
        self.abilities().is_known()
    }

    /// Takes over what was known before, where nothing is known here.
    pub fn learn(&self, before: Abilities) {
        self.learned.learn(|known| {
            known.conditional = known.conditional.or(before.conditional);
            known.readable = known.readable.or(before.readable);
            known.write_once = known.write_once.or(before.write_once);
            known.path_style = known.path_style.or(before.path_style);
            known.region = known.region.take().or(before.region);
        });
    }

    /// The key of the recording's object called `name`.
    pub fn key(&self, name: &str) -> String {
        self.destination.prefix.key(name)
    }

    /// Puts an object and has it confirmed, both within `limit`; never a multipart upload, so nothing half can stay behind. A media
    /// object, and in a write-once bucket any object, is never put over another: [`BucketError::Taken`] then.
    pub async fn put_within(
        &self,
        limit: Duration,
        key: &str,
        bytes: Bytes,
        kind: ObjectKind,
        earlier: Earlier,
    ) -> Result<Confirmed, BucketError> {
        let body = Body::of(bytes);
        let put = self.put_body(key, &body, kind, earlier, Instant::now() + limit);
        self.timed(limit, Action::Write, put).await
    }

    /// The same with an object that is read from its file while it is sent, so that it need not fit into memory.
    pub async fn put_file_within(
        &self,
        limit: Duration,
        key: &str,
        file: SpooledFile,
        kind: ObjectKind,
        earlier: Earlier,
    ) -> Result<Confirmed, BucketError> {
        let body = Body::File(file);
        let put = self.put_body(key, &body, kind, earlier, Instant::now() + limit);
        self.timed(limit, Action::Write, put).await
    }

    /// Deletes an object; one that is not there is deleted already.
    pub async fn delete_within(&self, limit: Duration, key: &str) -> Result<(), BucketError> {
        let deleted = async {
            let mut addressed = Addressed::to(self);
            loop {
                let delete = self.client.delete_object().bucket(&self.destination.bucket).key(key);
                let deleted = delete.customize().config_override(addressed.config()).send().await.map(drop);
                let deleted = deleted.map_err(|error| BucketError::sort(self.place(Action::Delete), &error));
                if let Some(deleted) = addressed.end(deleted) {
                    return deleted;
                }
            }
        };
        self.timed(limit, Action::Delete, deleted).await
    }

    async fn timed<T>(
        &self,
        limit: Duration,
        action: Action,
        attempt: impl Future<Output = Result<T, BucketError>>,
    ) -> Result<T, BucketError> {
        let silent = |_| BucketError::TimedOut { place: self.place(action).to_string() };
        tokio::time::timeout(limit, attempt).await.map_err(silent)?
    }

    fn place(&self, action: Action) -> ErrorLocation<'_> {
        ErrorLocation { destination: &self.destination, action }
    }
}
