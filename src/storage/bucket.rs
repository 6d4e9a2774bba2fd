//! The customer's bucket, through aws-sdk-s3.
//!
//! An object counts as there when the store confirmed it: with the SHA-256 that it computed where it knows checksums, else with
//! the length that it holds of a body whose hash was part of the request's signature ([`Proof`]). One call is one attempt;
//! patience is [`super::Uploader`]'s.

mod body;
mod client;
mod error;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::destination::{Credentials, Destination, Encryption};
use super::spool::{ObjectKind, SpooledFile};
use crate::reach::Reach;
use body::Body;
use error::{Action, Place, refuses_checksums};

pub use error::BucketError;

/// How long [`Bucket::prove`] takes at most.
pub const PROOF_TIME: Duration = Duration::from_secs(3);

/// A bucket that can be written to. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    destination: Arc<Destination>,
    reach: Reach,
    checksums: Arc<AtomicU8>,
}

/// Whether a store takes a checksum header: not known yet, it does, it does not.
const UNKNOWN: u8 = 0;
const TAKEN: u8 = 1;
const REFUSED: u8 = 2;

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
    /// The store knows no checksums. It accepted the signed SHA-256 of the body, and has as many bytes.
    Length,
}

impl Bucket {
    /// Prepares the connection; nothing is sent.
    pub fn connect(destination: &Destination) -> Self {
        Self::connect_within(destination, Reach::Anywhere)
    }

    /// The same, and the store's name may lead no further, at any time.
    pub fn connect_within(destination: &Destination, reach: Reach) -> Self {
        Self {
            client: client::build(destination, reach),
            destination: Arc::new(destination.clone()),
            reach,
            checksums: Arc::default(),
        }
    }

    /// The same bucket, written to with other credentials.
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self::connect_within(&Destination { credentials, ..(*self.destination).clone() }, self.reach)
    }

    /// The key of the recording's object called `name`.
    pub fn key(&self, name: &str) -> String {
        self.destination.prefix.key(name)
    }

    /// Writes and deletes one small object under the prefix, within [`PROOF_TIME`]. Credentials that may not delete are taken,
    /// though the object (`cloud-recorder-test-….txt`) then stays.
    pub async fn prove(&self) -> Result<(), BucketError> {
        let key = self.key(&format!("cloud-recorder-test-{}.txt", uuid::Uuid::new_v4().simple()));
        let body = Bytes::from_static(b"cloud-recorder was here to see whether it can write\n");
        let proof = async {
            self.put(&key, body, ObjectKind::Document).await?;
            if let Err(error) = self.delete_within(PROOF_TIME, &key).await {
                tracing::warn!(%key, %error, "the test object could not be deleted");
            }
            Ok(())
        };
        self.timed(PROOF_TIME, Action::Write, proof).await
    }

    /// Puts an object and has it confirmed, both within `limit`. One request where the store takes and answers checksums; never
    /// a multipart upload, so nothing half can stay behind.
    pub async fn put_within(
        &self,
        limit: Duration,
        key: &str,
        bytes: Bytes,
        kind: ObjectKind,
    ) -> Result<Confirmed, BucketError> {
        self.timed(limit, Action::Write, self.put(key, bytes, kind)).await
    }

    /// The same with an object that is read from its file while it is sent, so that it need not fit into memory.
    pub async fn put_file_within(
        &self,
        limit: Duration,
        key: &str,
        file: SpooledFile,
        kind: ObjectKind,
    ) -> Result<Confirmed, BucketError> {
        self.timed(limit, Action::Write, self.put_body(key, &Body::File(file), kind)).await
    }

    /// Whether the bucket holds, now, what was confirmed under this key.
    pub async fn holds_within(&self, limit: Duration, key: &str, object: &Confirmed) -> Result<bool, BucketError> {
        let held = async {
            let head = self.client.head_object().bucket(&self.destination.bucket).key(key);
            let head = head.checksum_mode(ChecksumMode::Enabled).send().await;
            match head {
                Ok(head) => Ok(match head.checksum_sha256() {
                    Some(theirs) => BASE64.decode(theirs).is_ok_and(|theirs| hex(&theirs) == object.sha256),
                    None => head.content_length().and_then(|held| u64::try_from(held).ok()) == Some(object.size),
                }),
                Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
                Err(error) => Err(BucketError::sort(self.place(Action::Read), &error)),
            }
        };
        self.timed(limit, Action::Read, held).await
    }

    /// Deletes an object; one that is not there is deleted already.
    pub async fn delete_within(&self, limit: Duration, key: &str) -> Result<(), BucketError> {
        let deleted = async {
            let deleted = self.client.delete_object().bucket(&self.destination.bucket).key(key).send().await;
            deleted.map(|_| ()).map_err(|error| BucketError::sort(self.place(Action::Delete), &error))
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

    async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<Confirmed, BucketError> {
        self.put_body(key, &Body::of(bytes), kind).await
    }

    async fn put_body(&self, key: &str, body: &Body, kind: ObjectKind) -> Result<Confirmed, BucketError> {
        let confirmed = |proof| Confirmed { size: body.len(), sha256: hex(body.sha256()), proof };
        let checksums = self.checksums.load(Ordering::Relaxed);
        if checksums != REFUSED {
            match self.put_with(key, body, kind, Some(BASE64.encode(body.sha256()))).await {
                // A store that took one before means the bytes, not the header.
                Err(error) if checksums == UNKNOWN && refuses_checksums(&error) => (),
                Err(error) => return Err(error),
                Ok(proof) => {
                    self.checksums.store(TAKEN, Ordering::Relaxed);
                    return Ok(confirmed(proof));
                }
            }
        }
        let proof = self.put_with(key, body, kind, None).await?;
        self.checksums.store(REFUSED, Ordering::Relaxed);
        Ok(confirmed(proof))
    }

    async fn put_with(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        checksum: Option<String>,
    ) -> Result<Proof, BucketError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.destination.bucket)
            .key(key)
            .content_type(content_type(key, kind))
            .set_cache_control(body.bytes().is_some_and(|bytes| is_growing(bytes, kind)).then(|| "no-cache".to_owned()))
            .set_checksum_sha256(checksum.clone())
            .set_server_side_encryption(self.destination.encryption.map(|encryption| match encryption {
                Encryption::Aes256 => ServerSideEncryption::Aes256,
                Encryption::Kms => ServerSideEncryption::AwsKms,
            }))
            .body(body.stream().await.map_err(|error| self.unread(&error))?)
            .customize()
            .interceptor(body.signature());
        let answer = request.send().await.map_err(|error| BucketError::sort(self.place(Action::Write), &error))?;
        match (answer.checksum_sha256(), checksum) {
            (Some(theirs), Some(ours)) if theirs == ours => Ok(Proof::Checksum),
            (Some(_), Some(_)) => Err(BucketError::Altered { key: key.to_owned() }),
            (_, ours) => self.look(key, body.len(), ours).await,
        }
    }

    /// Asks for what the answer to the PUT did not say.
    async fn look(&self, key: &str, length: u64, checksum: Option<String>) -> Result<Proof, BucketError> {
        let head = self.client.head_object().bucket(&self.destination.bucket).key(key);
        let head = if checksum.is_some() { head.checksum_mode(ChecksumMode::Enabled) } else { head };
        let head = head.send().await.map_err(|error| BucketError::sort(self.place(Action::Read), &error))?;
        match (head.checksum_sha256(), checksum) {
            (Some(theirs), Some(ours)) if theirs == ours => Ok(Proof::Checksum),
            (Some(_), Some(_)) => Err(BucketError::Altered { key: key.to_owned() }),
            _ if head.content_length().and_then(|held| u64::try_from(held).ok()) == Some(length) => Ok(Proof::Length),
            _ => Err(BucketError::Altered { key: key.to_owned() }),
        }
    }

    /// What was to be sent could not be read; nothing was sent.
    fn unread(&self, error: &ByteStreamError) -> BucketError {
        let (place, cause) = (self.place(Action::Write).to_string(), format!("the spool can't be read: {error}"));
        BucketError::Unreachable { place, cause, sent: false }
    }

    fn place(&self, action: Action) -> Place<'_> {
        Place { destination: &self.destination, action }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a player must ask again each time: a playlist without its end.
fn is_growing(bytes: &[u8], kind: ObjectKind) -> bool {
    const END: &[u8] = b"#EXT-X-ENDLIST";
    kind == ObjectKind::Playlist && !bytes.trim_ascii_end().ends_with(END)
}

/// Content types: RFC 8216 section 4 for playlists, RFC 6381 and the MPEG-DASH registration for segments, RFC 5334 for Ogg.
fn content_type(key: &str, kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Init | ObjectKind::Mp4 => "audio/mp4",
        ObjectKind::Ogg => "audio/ogg",
        ObjectKind::Segment => "video/iso.segment",
        ObjectKind::Playlist => "application/vnd.apple.mpegurl",
        ObjectKind::Document if key.ends_with(".jsonl") => "application/x-ndjson",
        ObjectKind::Document if key.ends_with(".txt") => "text/plain",
        ObjectKind::Document => "application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_grows_until_its_last_line_is_the_end() {
        assert!(is_growing(b"#EXTM3U\n#EXTINF:6.0,\na.m4s\n", ObjectKind::Playlist));
        assert!(!is_growing(b"#EXTM3U\n#EXT-X-ENDLIST\n", ObjectKind::Playlist));
        assert!(!is_growing(b"", ObjectKind::Segment));
    }
}
