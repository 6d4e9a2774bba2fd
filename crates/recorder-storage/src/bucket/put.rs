//! Putting an object, and what to make of a name that is taken.
//!
//! Media objects are final: a PUT of one carries `If-None-Match: *`, and where the store does not know or does not honour that, a HEAD comes
//! first. In a write-once bucket the same is true of every object. A name that is taken by the same bytes is success; taken by
//! others it is [`BucketError::Taken`], and nothing was changed.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::ServerSideEncryption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::time::Instant;

use super::abilities::{Abilities, Checksums};
use super::address::Addressed;
use super::body::Body;
use super::error::{Action, cant_read, is_precondition, needs_md5, refuses_checksums, refuses_condition};
use super::{Bucket, BucketError, Confirmed, Held, Proof};
use crate::destination::Encryption;
use crate::spool::ObjectKind;

/// What became of earlier attempts to put the same object with the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// The store took none.
    #[default]
    None,
    /// It may have taken one: an earlier run of the worker sent it, or there was no answer.
    MayBeThere,
    /// It took one and altered it: what is there is ours and wrong, and is put over.
    Altered,
}

/// Headers that not every store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) checksum: bool,
    /// `If-None-Match: *`.
    pub(super) condition: bool,
    /// `Content-MD5`.
    pub(super) md5: bool,
}

/// What a store answers to a PUT that it takes.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The SHA-256 that the store computed, in Base64.
    pub(super) checksum: Option<String>,
    /// Without quotation marks.
    pub(super) etag: Option<String>,
}

impl Bucket {
    pub(super) async fn put_body(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        earlier: Earlier,
        until: Instant,
    ) -> Result<Confirmed, BucketError> {
        let Abilities { conditional, readable, write_once, .. } = self.abilities();
        let replaced = !kind.is_media() && write_once != Some(true);
        let mended = earlier == Earlier::Altered && write_once != Some(true);
        if replaced || mended {
            return self.send(key, body, kind, false, until).await;
        }
        let kept_by_the_store = conditional == Some(true) || write_once == Some(true);
        if !kept_by_the_store && readable != Some(false) {
            match self.head(key).await {
                Ok(Some(held)) => return self.compare_held(key, body, held, earlier).await,
                Ok(None) => {}
                // Some stores say this of what is not there. The PUT will tell.
                Err(error) if cant_read(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let put = self.send(key, body, kind, conditional != Some(false), until).await;
        match put {
            Ok(confirmed) => {
                if !kept_by_the_store && self.abilities().conditional.is_none() {
                    self.learn_condition(key, body, kind).await;
                }
                Ok(confirmed)
            }
            Err(error) if is_precondition(&error) => self.taken(key, body, earlier, error).await,
            // A write-once store may see that it is there before it looks at the condition.
            Err(error @ BucketError::AccessDenied { .. }) if write_once != Some(false) => {
                self.taken(key, body, earlier, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// The store said that the name is taken, or may have meant that.
    async fn taken(
        &self,
        key: &str,
        body: &Body,
        earlier: Earlier,
        said: BucketError,
    ) -> Result<Confirmed, BucketError> {
        let sure = is_precondition(&said);
        match self.head(key).await {
            Ok(Some(held)) => self.compare_held(key, body, held, earlier).await,
            // Deleted meanwhile, or seen later: another attempt tells.
            Ok(None) if sure => Err(BucketError::Busy {
                place: self.place(Action::Write).to_string(),
                status: 412,
                code: "PreconditionFailed".to_owned(),
            }),
            Err(error) if sure && cant_read(&error) => {
                self.learned.learn(|abilities| abilities.readable = Some(false));
                match earlier {
                    Earlier::MayBeThere => Ok(confirmed(body, Proof::Length)),
                    Earlier::None | Earlier::Altered => Err(BucketError::Taken { key: key.to_owned(), held: None }),
                }
            }
            Err(error) if !cant_read(&error) => Err(error),
            Ok(None) | Err(_) => Err(said),
        }
    }

    /// Whether what is there is what was to be put.
    async fn compare_held(
        &self,
        key: &str,
        body: &Body,
        held: Held,
        earlier: Earlier,
    ) -> Result<Confirmed, BucketError> {
        let proof = match (&held.sha256, &held.etag) {
            (Some(theirs), _) => (*theirs == hex::encode(body.sha256())).then_some(Proof::Checksum),
            (None, Some(etag)) if self.is_md5(etag, body).await? => Some(Proof::ETag),
            // Says nothing about the bytes; ours were sent.
            (None, etag) if earlier == Earlier::MayBeThere && etag.as_ref().is_none_or(|etag| !is_digest(etag)) => {
                self.has_length_of(key, body, &held).await.then_some(Proof::Length)
            }
            (None, _) => None,
        };
        match proof {
            Some(proof) => Ok(confirmed(body, proof)),
            // Half an answer, or one of something that is no store.
            None if held.is_untold() => {
                Err(BucketError::Untold { place: self.place(Action::Read).to_string(), key: key.to_owned() })
            }
            None => Err(BucketError::Taken { key: key.to_owned(), held: Some(held) }),
        }
    }

    /// Whether what is there has as many bytes. What stands between may have changed the length that a HEAD told.
    async fn has_length_of(&self, key: &str, body: &Body, held: &Held) -> bool {
        let told = |held: &Held| held.size == Some(body.len());
        told(held) || self.first_byte(key).await.ok().flatten().is_some_and(|seen| told(&seen))
    }

    /// Puts an object and has it confirmed; no look at it begins after `until`. A header that the store is not known to take is left out where
    /// it is refused for it.
    pub(super) async fn send(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        condition: bool,
        until: Instant,
    ) -> Result<Confirmed, BucketError> {
        let headers = self.headers(condition);
        let mut error = match self.put_with(key, body, kind, headers, until).await {
            Err(error) => error,
            sent => return sent,
        };
        for form in self.other_forms(headers, &error).into_iter().flatten() {
            match self.put_with(key, body, kind, form, until).await {
                Ok(confirmed) => {
                    if condition && !form.condition {
                        self.learned.learn(|abilities| abilities.conditional = Some(false));
                    }
                    return Ok(confirmed);
                }
                Err(other) if is_precondition(&other) || !is_refusal(&other) => return Err(other),
                // The signature of this form was right.
                Err(other) if matches!(error, BucketError::WrongSecretKey { .. }) => error = other,
                Err(_) => {}
            }
        }
        Err(error)
    }

    /// The headers of a PUT, as far as the store is known.
    pub(super) fn headers(&self, condition: bool) -> Headers {
        let checksum = self.learned.checksums() != Checksums::Refused;
        Headers { checksum, condition, md5: self.learned.needs_md5() }
    }

    /// Forms of a PUT that a store may take which refused this one. It means something else where it took these headers before.
    fn other_forms(&self, headers: Headers, error: &BucketError) -> [Option<Headers>; 4] {
        let condition = headers.condition && self.abilities().conditional != Some(true) && refuses_condition(error);
        let checksum = self.learned.checksums() == Checksums::Unknown && refuses_checksums(error);
        let fewer = Headers { checksum: false, ..headers };
        [
            (!headers.md5 && needs_md5(error)).then_some(Headers { md5: true, ..fewer }),
            condition.then_some(Headers { condition: false, ..headers }),
            checksum.then_some(fewer),
            (condition && checksum).then_some(Headers { condition: false, ..fewer }),
        ]
    }

    async fn put_with(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        headers: Headers,
        until: Instant,
    ) -> Result<Confirmed, BucketError> {
        let mut answer = self.request(key, body, kind, headers).await?;
        self.learned.set_checksums(if headers.checksum { Checksums::Taken } else { Checksums::Refused });
        if headers.md5 {
            self.learned.set_needs_md5(true);
        }
        // One that was not asked for is of something else.
        answer.checksum = answer.checksum.filter(|_| headers.checksum);
        Ok(confirmed(body, self.confirm(key, body, &answer, until).await?))
    }

    /// One PUT.
    pub(super) async fn request(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        headers: Headers,
    ) -> Result<Answer, BucketError> {
        let md5 = if headers.md5 {
            Some(BASE64.encode(body.md5().await.map_err(|error| self.unread(&error))?))
        } else {
            None
        };
        let mut addressed = Addressed::to(self);
        loop {
            let answer = self.request_at(addressed.config(), key, body, kind, (headers, md5.clone())).await;
            if let Some(answer) = addressed.end(answer) {
                return answer;
            }
        }
    }

    async fn request_at(
        &self,
        config: Builder,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        (headers, md5): (Headers, Option<String>),
    ) -> Result<Answer, BucketError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.destination.bucket)
            .key(key)
            .content_type(content_type(key, kind))
            .set_cache_control(body.bytes().is_some_and(|bytes| is_growing(bytes, kind)).then(|| "no-cache".to_owned()))
            .set_checksum_sha256(headers.checksum.then(|| BASE64.encode(body.sha256())))
            .set_content_md5(md5)
            .set_if_none_match(headers.condition.then(|| "*".to_owned()))
            .set_server_side_encryption(self.destination.encryption.map(|encryption| match encryption {
                Encryption::Aes256 => ServerSideEncryption::Aes256,
                Encryption::Kms => ServerSideEncryption::AwsKms,
            }))
            .body(body.stream().await.map_err(|error| self.unread(&error))?)
            .customize()
            .config_override(config)
            .interceptor(body.signature());
        let answer = request.send().await.map_err(|error| BucketError::sort(self.place(Action::Write), &error))?;
        let etag = answer.e_tag().map(plain_etag);
        Ok(Answer { checksum: answer.checksum_sha256, etag })
    }

    pub(super) async fn is_md5(&self, etag: &str, body: &Body) -> Result<bool, BucketError> {
        Ok(is_digest(etag)
            && etag.eq_ignore_ascii_case(&hex::encode(body.md5().await.map_err(|error| self.unread(&error))?)))
    }

    /// What was to be sent could not be read; nothing was sent.
    fn unread(&self, error: &ByteStreamError) -> BucketError {
        let (place, cause) = (self.place(Action::Write).to_string(), format!("the spool can't be read: {error}"));
        BucketError::Unreachable { place, cause, sent: false }
    }
}

fn confirmed(body: &Body, proof: Proof) -> Confirmed {
    Confirmed { size: body.len(), sha256: hex::encode(body.sha256()), proof }
}

/// Whether it was refused for good, so that another form of the request may be taken.
const fn is_refusal(error: &BucketError) -> bool {
    matches!(
        error,
        BucketError::Refused { .. }
            | BucketError::AccessDenied { .. }
            | BucketError::WrongSecretKey { .. }
            | BucketError::Busy { status: 501, .. }
    )
}

/// An ETag without its quotation marks.
pub(super) fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Whether an ETag can be an MD5.
fn is_digest(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        ObjectKind::Segment if key.ends_with(".ts") => "video/mp2t",
        ObjectKind::Segment => "video/iso.segment",
        ObjectKind::Playlist => "application/vnd.apple.mpegurl",
        ObjectKind::Document if key.ends_with(".jsonl") => "application/x-ndjson",
        ObjectKind::Document if key.ends_with(".txt") || key.ends_with(".sha256") => "text/plain",
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

    #[test]
    fn an_etag_is_compared_without_its_marks() {
        assert_eq!(plain_etag("\"abc\""), "abc");
        assert_eq!(plain_etag("W/\"abc\""), "abc");
        assert!(is_digest(&"0a".repeat(16)) && !is_digest("0a") && !is_digest(&"0g".repeat(16)));
    }
}
