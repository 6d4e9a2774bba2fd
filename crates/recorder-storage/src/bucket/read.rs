//! What the bucket holds, read back: one object, its description, and a list of keys. Every answer has a bound.
//!
//! Proxies thin answers out: a HEAD without a length, with the length 0, or refused altogether. The first byte is asked for then, whose answer
//! names the whole length.

use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

use super::address::Addressed;
use super::error::{Action, cant_read};
use super::put::plain_etag;
use super::{Bucket, BucketError, Confirmed};

/// Keys in one page of a list: the protocol's own limit.
const PAGE_KEYS: usize = 1000;

/// An object as the bucket describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Bytes, where the store says it.
    pub size: Option<u64>,
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

impl Held {
    /// Whether nothing is told but that something answers.
    pub(super) const fn is_untold(&self) -> bool {
        self.size.is_none() && self.sha256.is_none() && self.etag.is_none()
    }
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
            None => held.size == Some(object.size),
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

    /// What is under this key, with its length if the store tells it in any way.
    pub(super) async fn head(&self, key: &str) -> Result<Option<Held>, BucketError> {
        match self.ask(key).await {
            // No object of ours is empty.
            Ok(Some(held)) if matches!(held.size, None | Some(0)) && held.sha256.is_none() => {
                match self.first_byte(key).await {
                    Ok(seen) => Ok(seen.map(|seen| Held { etag: held.etag.or(seen.etag), ..seen })),
                    Err(error) if cant_read(&error) => Ok(Some(Held { size: None, ..held })),
                    Err(error) => Err(error),
                }
            }
            Err(error) if takes_no_head(&error) => match self.first_byte(key).await {
                Ok(seen) => Ok(seen),
                Err(_) => Err(error),
            },
            answer => answer,
        }
    }

    /// One HEAD.
    async fn ask(&self, key: &str) -> Result<Option<Held>, BucketError> {
        let mut addressed = Addressed::to(self);
        loop {
            let head = self.client.head_object().bucket(&self.destination.bucket).key(key);
            let head = head.checksum_mode(ChecksumMode::Enabled).customize().config_override(addressed.config());
            let answer = match head.send().await {
                Ok(head) => Ok(Some(Held {
                    size: head.content_length().and_then(|said| u64::try_from(said).ok()),
                    sha256: head.checksum_sha256().and_then(digest),
                    etag: head.e_tag().map(plain_etag),
                })),
                Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
                Err(error) => Err(BucketError::sort(self.place(Action::Read), &error)),
            };
            if let Some(answer) = addressed.end(answer) {
                return answer;
            }
        }
    }

    /// What the answer to a GET of the first byte tells. An answer with the whole object is not read.
    pub(super) async fn first_byte(&self, key: &str) -> Result<Option<Held>, BucketError> {
        let Some(got) = self.open(key, Some("bytes=0-0")).await? else { return Ok(None) };
        let whole = || got.content_length().filter(|_| got.content_range().is_none());
        let size = got.content_range().and_then(whole_length);
        let size = size.or_else(|| whole().and_then(|size| u64::try_from(size).ok()));
        Ok(Some(Held { size, sha256: None, etag: got.e_tag().map(plain_etag) }))
    }

    /// Begins to read.
    async fn open(&self, key: &str, range: Option<&str>) -> Result<Option<GetObjectOutput>, BucketError> {
        let mut addressed = Addressed::to(self);
        loop {
            let get = self.client.get_object().bucket(&self.destination.bucket).key(key);
            let get = get.set_range(range.map(str::to_owned)).customize().config_override(addressed.config());
            let answer = match get.send().await {
                Ok(got) => Ok(Some(got)),
                Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
                Err(error) => Err(BucketError::sort(self.place(Action::Read), &error)),
            };
            if let Some(answer) = addressed.end(answer) {
                return answer;
            }
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Option<Bytes>, BucketError> {
        let Some(mut got) = self.open(key, None).await? else { return Ok(None) };
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
        let (mut listed, mut next) = (Vec::new(), None::<String>);
        while listed.len() < max_keys {
            let count = (max_keys - listed.len()).min(PAGE_KEYS);
            let page = self.page(key_prefix, count, next.take()).await?;
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

    async fn page(
        &self,
        key_prefix: &str,
        count: usize,
        from: Option<String>,
    ) -> Result<ListObjectsV2Output, BucketError> {
        let mut addressed = Addressed::to(self);
        loop {
            let list = self.client.list_objects_v2().bucket(&self.destination.bucket).prefix(key_prefix);
            let list = list.max_keys(i32::try_from(count).unwrap_or(i32::MAX)).set_continuation_token(from.clone());
            let page = list.customize().config_override(addressed.config()).send().await;
            if let Some(page) = addressed.end(page.map_err(|error| BucketError::sort(self.place(Action::Read), &error)))
            {
                return page;
            }
        }
    }
}

/// Whether something before the store, or the store, answers no HEAD, which says nothing of what it holds; or refuses one in words that a HEAD
/// does not carry.
const fn takes_no_head(error: &BucketError) -> bool {
    matches!(
        error,
        BucketError::Refused { .. }
            | BucketError::Busy { status: 501, .. }
            | BucketError::WrongRegion { named: None, .. }
    )
}

/// The length in `Content-Range: bytes 0-0/123`.
fn whole_length(range: &str) -> Option<u64> {
    range.rsplit_once('/')?.1.trim().parse().ok()
}

fn digest(theirs: &str) -> Option<String> {
    BASE64.decode(theirs).ok().map(|theirs| hex::encode(&theirs))
}

fn size(said: Option<i64>) -> u64 {
    said.and_then(|said| u64::try_from(said).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_the_whole_length() {
        for (range, length) in [("bytes 0-0/123", Some(123)), ("bytes 0-0/*", None), ("bytes */0", Some(0)), ("", None)]
        {
            assert_eq!(whole_length(range), length, "{range}");
        }
    }
}
