//! What the bucket holds, read back: one object, its description, and a list of keys. Every answer has a bound.

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

use super::error::Action;
use super::put::plain_etag;
use super::{Bucket, BucketError, Confirmed, hex};

/// Keys in one page of a list: the protocol's own limit.
const PAGE_KEYS: usize = 1000;

/// An object as the bucket describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Bytes; 0 where the store does not say.
    pub size: u64,
    /// SHA-256, 64 lower-case hexadecimal digits, where the store keeps one.
    pub sha256: Option<String>,
    /// Its ETag without quotation marks.
    pub etag: Option<String>,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The whole key, prefix included.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its ETag without quotation marks.
    pub etag: Option<String>,
}

impl Bucket {
    /// What the bucket holds under this key; none where nothing is there.
    pub async fn head_within(&self, limit: Duration, key: &str) -> Result<Option<Held>, BucketError> {
        self.timed(limit, Action::Read, self.head(key)).await
    }

    /// Whether the bucket holds, now, what was confirmed under this key.
    pub async fn holds_within(&self, limit: Duration, key: &str, object: &Confirmed) -> Result<bool, BucketError> {
        let held = self.head_within(limit, key).await?;
        Ok(held.is_some_and(|held| match held.sha256 {
            Some(theirs) => theirs == object.sha256,
            None => held.size == object.size,
        }))
    }

    /// The object under this key; none where nothing is there. One of more than `max_bytes` is an error, and is not read.
    pub async fn get_within(&self, limit: Duration, key: &str, max_bytes: u64) -> Result<Option<Bytes>, BucketError> {
        self.timed(limit, Action::Read, self.get(key, max_bytes)).await
    }

    /// The objects whose keys begin so, by key, at most `max_keys` of them.
    pub async fn list_within(
        &self,
        limit: Duration,
        key_prefix: &str,
        max_keys: usize,
    ) -> Result<Vec<Listed>, BucketError> {
        self.timed(limit, Action::Read, self.list(key_prefix, max_keys)).await
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Held>, BucketError> {
        let head = self.client.head_object().bucket(&self.destination.bucket).key(key);
        match head.checksum_mode(ChecksumMode::Enabled).send().await {
            // Half an answer, or one of something that is no store.
            Ok(head) if head.content_length().is_none() && head.checksum_sha256().is_none() => {
                let (place, code) = (self.place(Action::Read).to_string(), "NoContentLength".to_owned());
                Err(BucketError::Busy { place, status: 200, code })
            }
            Ok(head) => Ok(Some(Held {
                size: size(head.content_length()),
                sha256: head.checksum_sha256().and_then(|theirs| BASE64.decode(theirs).ok()).map(|theirs| hex(&theirs)),
                etag: head.e_tag().map(plain_etag),
            })),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(BucketError::sort(self.place(Action::Read), &error)),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Option<Bytes>, BucketError> {
        let got = self.client.get_object().bucket(&self.destination.bucket).key(key).send().await;
        let mut got = match got {
            Ok(got) => got,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(BucketError::sort(self.place(Action::Read), &error)),
        };
        let too_long = || BucketError::TooLong { key: key.to_owned(), max_bytes };
        if size(got.content_length()) > max_bytes {
            return Err(too_long());
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = got.body.next().await {
            let chunk = chunk.map_err(|error| BucketError::Unreachable {
                place: self.place(Action::Read).to_string(),
                cause: format!("the answer broke off: {error}"),
                sent: true,
            })?;
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    async fn list(&self, key_prefix: &str, max_keys: usize) -> Result<Vec<Listed>, BucketError> {
        let (mut listed, mut next) = (Vec::new(), None);
        while listed.len() < max_keys {
            let count = (max_keys - listed.len()).min(PAGE_KEYS);
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.destination.bucket)
                .prefix(key_prefix)
                .max_keys(i32::try_from(count).unwrap_or(i32::MAX))
                .set_continuation_token(next.take())
                .send()
                .await
                .map_err(|error| BucketError::sort(self.place(Action::Read), &error))?;
            let before = listed.len();
            listed.extend(page.contents().iter().filter_map(|object| {
                let key = object.key()?.to_owned();
                Some(Listed { key, size: size(object.size()), etag: object.e_tag().map(plain_etag) })
            }));
            next = page.next_continuation_token;
            // A store that always promises more and gives nothing would be asked for ever.
            if next.is_none() || listed.len() == before {
                break;
            }
        }
        listed.truncate(max_keys);
        Ok(listed)
    }
}

fn size(said: Option<i64>) -> u64 {
    said.and_then(|said| u64::try_from(said).ok()).unwrap_or_default()
}
