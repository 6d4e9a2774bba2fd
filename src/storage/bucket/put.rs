//! Putting an object, and what to make of a name that is taken.
//!
//! Media objects are final: a PUT of one carries `If-None-Match: *`, and where the store does not know or does not honour that, a HEAD comes
//! first. In a write-once bucket the same is true of every object. A name that is taken by the same bytes is success; taken by
//! others it is [`BucketError::Taken`], and nothing was changed.

use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::ServerSideEncryption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::abilities::{Abilities, Checksums};
use super::body::Body;
use super::error::{Action, cant_read, is_precondition, refuses_checksums, refuses_condition};
use super::{Bucket, BucketError, Confirmed, Held, Proof, hex};
use crate::storage::destination::Encryption;
use crate::storage::spool::ObjectKind;

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
}

/// What a store answers to a PUT that it takes.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    checksum: Option<String>,
    etag: Option<String>,
}

impl Bucket {
    pub(super) async fn put_body(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        earlier: Earlier,
    ) -> Result<Confirmed, BucketError> {
        let Abilities { conditional, readable, write_once } = self.abilities();
        let replaced = !kind.is_media() && write_once != Some(true);
        let mended = earlier == Earlier::Altered && write_once != Some(true);
        if replaced || mended {
            return self.send(key, body, kind, false).await;
        }
        let kept_by_the_store = conditional == Some(true) || write_once == Some(true);
        if !kept_by_the_store && readable != Some(false) {
            match self.head(key).await {
                Ok(Some(held)) => return self.judge(key, body, held, earlier).await,
                Ok(None) => {}
                // Some stores say this of what is not there. The PUT will tell.
                Err(error) if cant_read(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let put = self.send(key, body, kind, conditional != Some(false)).await;
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
            Ok(Some(held)) => self.judge(key, body, held, earlier).await,
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
    async fn judge(&self, key: &str, body: &Body, held: Held, earlier: Earlier) -> Result<Confirmed, BucketError> {
        let same_size = held.size == body.len();
        let proof = match (&held.sha256, &held.etag) {
            (Some(theirs), _) => (*theirs == hex(body.sha256())).then_some(Proof::Checksum),
            (None, Some(etag)) if same_size && self.is_md5(etag, body).await? => Some(Proof::ETag),
            // Says nothing about the bytes; ours were sent.
            (None, etag) if same_size && earlier == Earlier::MayBeThere => {
                etag.as_ref().is_none_or(|etag| !is_digest(etag)).then_some(Proof::Length)
            }
            (None, _) => None,
        };
        match proof {
            Some(proof) => Ok(confirmed(body, proof)),
            None => Err(BucketError::Taken { key: key.to_owned(), held: Some(held) }),
        }
    }

    /// Puts an object and has it confirmed. A header that the store is not known to take is left out where it is refused for it.
    pub(super) async fn send(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        condition: bool,
    ) -> Result<Confirmed, BucketError> {
        let headers = Headers { checksum: self.sends_checksums(), condition };
        let error = match self.put_with(key, body, kind, headers).await {
            Err(error) => error,
            sent => return sent,
        };
        // A store that took a header before means something else.
        let conditions = condition && self.abilities().conditional != Some(true) && refuses_condition(&error);
        let checksums = self.learned.checksums() == Checksums::Unknown && refuses_checksums(&error);
        let fewer = [
            conditions.then_some(Headers { condition: false, ..headers }),
            checksums.then_some(Headers { checksum: false, ..headers }),
            (conditions && checksums).then_some(Headers { condition: false, checksum: false }),
        ];
        for fewer in fewer.into_iter().flatten() {
            match self.put_with(key, body, kind, fewer).await {
                Ok(confirmed) => {
                    if condition && !fewer.condition {
                        self.learned.learn(|abilities| abilities.conditional = Some(false));
                    }
                    return Ok(confirmed);
                }
                Err(error) if is_precondition(&error) || !is_refusal(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Err(error)
    }

    async fn put_with(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        headers: Headers,
    ) -> Result<Confirmed, BucketError> {
        let answer = self.request(key, body, kind, headers).await?;
        self.learned.set_checksums(if headers.checksum { Checksums::Taken } else { Checksums::Refused });
        let proof = match answer.checksum {
            Some(theirs) if headers.checksum && theirs == BASE64.encode(body.sha256()) => Ok(Proof::Checksum),
            Some(_) if headers.checksum => return Err(BucketError::Altered { key: key.to_owned() }),
            _ => self.look(key, body).await,
        };
        match (proof, answer.etag) {
            (Err(error), Some(etag)) if cant_read(&error) && self.is_md5(&etag, body).await? => Ok(Proof::ETag),
            (Err(error @ BucketError::Altered { .. }), _) => Err(error),
            (Err(error), _) => Err(BucketError::Unconfirmed(Box::new(error))),
            (proof, _) => proof,
        }
        .map(|proof| confirmed(body, proof))
    }

    /// Asks for what the answer to the PUT did not say.
    async fn look(&self, key: &str, body: &Body) -> Result<Proof, BucketError> {
        let altered = || BucketError::Altered { key: key.to_owned() };
        match self.head(key).await? {
            // It was just taken: a store that says so later.
            None => Err(BucketError::Busy {
                place: self.place(Action::Read).to_string(),
                status: 404,
                code: "NotFound".to_owned(),
            }),
            Some(Held { sha256: Some(theirs), .. }) => {
                if theirs == hex(body.sha256()) {
                    Ok(Proof::Checksum)
                } else {
                    Err(altered())
                }
            }
            Some(Held { size, .. }) => {
                if size == body.len() {
                    Ok(Proof::Length)
                } else {
                    Err(altered())
                }
            }
        }
    }

    /// One PUT.
    pub(super) async fn request(
        &self,
        key: &str,
        body: &Body,
        kind: ObjectKind,
        headers: Headers,
    ) -> Result<Answer, BucketError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.destination.bucket)
            .key(key)
            .content_type(content_type(key, kind))
            .set_cache_control(body.bytes().is_some_and(|bytes| is_growing(bytes, kind)).then(|| "no-cache".to_owned()))
            .set_checksum_sha256(headers.checksum.then(|| BASE64.encode(body.sha256())))
            .set_if_none_match(headers.condition.then(|| "*".to_owned()))
            .set_server_side_encryption(self.destination.encryption.map(|encryption| match encryption {
                Encryption::Aes256 => ServerSideEncryption::Aes256,
                Encryption::Kms => ServerSideEncryption::AwsKms,
            }))
            .body(body.stream().await.map_err(|error| self.unread(&error))?)
            .customize()
            .interceptor(body.signature());
        let answer = request.send().await.map_err(|error| BucketError::sort(self.place(Action::Write), &error))?;
        let etag = answer.e_tag().map(plain_etag);
        Ok(Answer { checksum: answer.checksum_sha256, etag })
    }

    pub(super) fn sends_checksums(&self) -> bool {
        self.learned.checksums() != Checksums::Refused
    }

    async fn is_md5(&self, etag: &str, body: &Body) -> Result<bool, BucketError> {
        Ok(is_digest(etag) && etag.eq_ignore_ascii_case(&body.md5().await.map_err(|error| self.unread(&error))?))
    }

    /// What was to be sent could not be read; nothing was sent.
    fn unread(&self, error: &ByteStreamError) -> BucketError {
        let (place, cause) = (self.place(Action::Write).to_string(), format!("the spool can't be read: {error}"));
        BucketError::Unreachable { place, cause, sent: false }
    }
}

fn confirmed(body: &Body, proof: Proof) -> Confirmed {
    Confirmed { size: body.len(), sha256: hex(body.sha256()), proof }
}

/// Whether it was refused for good, so that another form of the request may be taken.
const fn is_refusal(error: &BucketError) -> bool {
    matches!(
        error,
        BucketError::Refused { .. } | BucketError::AccessDenied { .. } | BucketError::Busy { status: 501, .. }
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
