//! What a store can answer, sorted: whether waiting helps, and what to do where it does not.

use std::error::Error;
use std::{fmt, io};

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use secrecy::ExposeSecret;

use crate::fault::{Explain, Fault};
use crate::storage::Destination;
use crate::storage::bucket::Held;

/// Most characters of a store's own words in an error.
const MAX_QUOTE_CHARS: usize = 200;

/// Why a bucket did not take an object. The first eight stay until somebody changes something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is no such bucket.
    #[error("{place}: the bucket does not exist; create it or change clientRequest.storageConfig.bucket")]
    NoSuchBucket {
        /// Bucket and store.
        place: String,
    },
    /// The credentials are known, but may not do this.
    #[error(
        "{place}: the credentials may not {action} there; allow it, or change clientRequest.storageConfig.accessKey"
    )]
    AccessDenied {
        /// Bucket and store.
        place: String,
        /// What was to be done.
        action: &'static str,
    },
    /// The access key is unknown.
    #[error("{place}: the access key is unknown; change clientRequest.storageConfig.accessKey")]
    UnknownAccessKey {
        /// Bucket and store.
        place: String,
    },
    /// The secret key is wrong.
    #[error("{place}: the secret key does not fit the access key; change clientRequest.storageConfig.secretKey")]
    WrongSecretKey {
        /// Bucket and store.
        place: String,
    },
    /// The temporary credentials are over.
    #[error(
        "{place}: the temporary credentials are expired; send an update with fresh accessKey, secretKey and stsToken in \
         clientRequest.storageConfig"
    )]
    Expired {
        /// Bucket and store.
        place: String,
    },
    /// The session token is wrong.
    #[error("{place}: the session token is wrong; send another one in clientRequest.storageConfig.stsToken")]
    Token {
        /// Bucket and store.
        place: String,
    },
    /// The bucket lies elsewhere.
    #[error("{place}: the bucket is in another region; change clientRequest.storageConfig.region or the endpoint")]
    WrongRegion {
        /// Bucket and store.
        place: String,
    },
    /// Another refusal.
    #[error("{place}: refused with HTTP {status} {code}: {message}")]
    Refused {
        /// Bucket and store.
        place: String,
        /// HTTP status.
        status: u16,
        /// The store's code.
        code: String,
        /// The store's words.
        message: String,
    },
    /// No connection.
    #[error("{place}: can't be reached: {cause}")]
    Unreachable {
        /// Bucket and store.
        place: String,
        /// What the network said.
        cause: String,
        /// Whether the request may have reached the store all the same.
        sent: bool,
    },
    /// No answer in time.
    #[error("{place}: no answer in time")]
    TimedOut {
        /// Bucket and store.
        place: String,
    },
    /// The store has trouble of its own.
    #[error("{place}: can't serve now, HTTP {status} {code}")]
    Busy {
        /// Bucket and store.
        place: String,
        /// HTTP status.
        status: u16,
        /// The store's code.
        code: String,
    },
    /// The clocks differ.
    #[error("{place}: the store's clock and this machine's differ too much; check this machine's clock")]
    ClockSkew {
        /// Bucket and store.
        place: String,
    },
    /// The store holds something else than was sent.
    #[error("the bucket holds other bytes under {key} than were sent; it is sent again")]
    Altered {
        /// Which object.
        key: String,
    },
    /// Another object has the name, and is left as it is.
    #[error("the bucket holds another object under {key}; it is left as it is")]
    Taken {
        /// Which name.
        key: String,
        /// What is there, where it may be read.
        held: Option<Held>,
    },
    /// The store took the object, and what it holds could not be seen.
    #[error(transparent)]
    Unconfirmed(Box<Self>),
    /// An object that was to be read has more bytes than we take.
    #[error("the object {key} has more than {max_bytes} bytes and is not read")]
    TooLong {
        /// Which object.
        key: String,
        /// How many bytes we take.
        max_bytes: u64,
    },
}

impl Explain for BucketError {
    fn fault(&self) -> Fault {
        match self {
            Self::NoSuchBucket { .. } => Fault::destination("bucket_missing", false),
            Self::AccessDenied { .. } => Fault::destination("bucket_access_denied", false),
            Self::UnknownAccessKey { .. } => Fault::destination("bucket_access_key", false),
            Self::WrongSecretKey { .. } => Fault::destination("bucket_secret_key", false),
            Self::Expired { .. } => Fault::destination("sts_expired", false),
            Self::Token { .. } => Fault::destination("bucket_token", false),
            Self::WrongRegion { .. } => Fault::destination("bucket_region", false),
            Self::Refused { .. } => Fault::destination("bucket_refused", false),
            Self::Unreachable { .. } => Fault::destination("bucket_unreachable", true),
            Self::TimedOut { .. } => Fault::destination("bucket_timeout", true),
            Self::Busy { .. } => Fault::destination("bucket_busy", true),
            Self::ClockSkew { .. } => Fault::ours("clock_skew", true),
            Self::Altered { .. } => Fault::destination("bucket_altered", true),
            Self::Taken { .. } => Fault::destination("bucket_taken", false),
            Self::Unconfirmed(error) => error.fault(),
            Self::TooLong { .. } => Fault::destination("bucket_too_long", false),
        }
    }
}

/// What was to be done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Write,
    Read,
    Delete,
}

/// Where, in words for people.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) destination: &'a Destination,
    pub(super) action: Action,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { bucket, region, endpoint, .. } = self.destination;
        match endpoint {
            Some(url) => write!(f, "bucket {bucket} at {}", url.as_str().trim_end_matches('/')),
            None => write!(f, "bucket {bucket} in {region}"),
        }
    }
}

impl BucketError {
    /// Sorts what the SDK says.
    pub(super) fn sort<E>(place: Place<'_>, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let name = place.to_string();
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut { place: name },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut { place: name },
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = service.err().code().unwrap_or_default();
                Self::sort_code(place, status, code, service.err().message().unwrap_or_default())
            }
            SdkError::ResponseError(response) if response.raw().status().is_client_error() => {
                Self::sort_code(place, response.raw().status().as_u16(), "", "an answer that is not S3's")
            }
            _ => {
                let cause = quote(place.destination, &innermost(error).to_string());
                Self::Unreachable { place: name, cause, sent: may_be_sent(error) }
            }
        }
    }

    /// Whether the attempt may take effect after this answer, or non-answer: the request may still be on its way, or a store
    /// behind the one that answered may still be at it.
    pub fn may_still_land(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Unreachable { sent, .. } => *sent,
            Self::Busy { status, .. } => matches!(status, 408 | 500 | 502 | 504..),
            _ => false,
        }
    }

    /// Whether the store may hold, now or later, what was sent.
    pub fn may_be_there(&self) -> bool {
        self.may_still_land() || matches!(self, Self::Unconfirmed(_))
    }

    /// Whether it is about all objects of the bucket: when one is taken, the others may be too.
    pub const fn is_everywhere(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Taken { .. } | Self::TooLong { .. })
    }

    fn sort_code(place: Place<'_>, status: u16, code: &str, message: &str) -> Self {
        let name = place.to_string();
        let said = |text| quote(place.destination, text);
        match (code, status) {
            ("NoSuchBucket", _) => Self::NoSuchBucket { place: name },
            ("InvalidAccessKeyId" | "NotSignedUp", _) => Self::UnknownAccessKey { place: name },
            ("SignatureDoesNotMatch", _) => Self::WrongSecretKey { place: name },
            ("ExpiredToken" | "TokenRefreshRequired", _) => Self::Expired { place: name },
            ("InvalidToken", _) => Self::Token { place: name },
            ("RequestTimeTooSkewed", _) => Self::ClockSkew { place: name },
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
            | ("", 301 | 307) => Self::WrongRegion { place: name },
            (
                "SlowDown"
                | "RequestTimeout"
                | "ServiceUnavailable"
                | "InternalError"
                | "TooManyRequests"
                | "OperationAborted"
                | "ConditionalRequestConflict",
                _,
            )
            | ("", 409)
            | (_, 408 | 429 | 500..) => Self::Busy { place: name, status, code: said(code) },
            ("BadDigest" | "IncompleteBody" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch", _) => {
                Self::Busy { place: name, status, code: said(code) }
            }
            ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) | ("" | "Forbidden", 403) => {
                Self::AccessDenied { place: name, action: place.action.word() }
            }
            _ => Self::Refused { place: name, status, code: said(code), message: said(message) },
        }
    }
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Delete => "delete",
        }
    }
}

/// Whether a store may take the same object without a checksum header (facts/storage.md).
pub(super) fn refuses_checksums(error: &BucketError) -> bool {
    const CODES: [&str; 4] = ["InvalidArgument", "InvalidRequest", "NotImplemented", "XAmzContentSHA256Mismatch"];
    match error {
        BucketError::Refused { code, .. } | BucketError::Busy { code, .. } => CODES.contains(&code.as_str()),
        _ => false,
    }
}

/// Whether a store may take the same object without `If-None-Match`.
pub(super) const fn refuses_condition(error: &BucketError) -> bool {
    matches!(error, BucketError::Refused { status: 400, .. } | BucketError::Busy { status: 501, .. })
}

/// Whether the condition of a PUT is not met: something is there.
pub(super) const fn is_precondition(error: &BucketError) -> bool {
    matches!(error, BucketError::Refused { status: 412, .. })
}

/// Whether the credentials may not read, or the store gives nothing to read: waiting does not help, and writing may be possible.
pub(super) const fn cant_read(error: &BucketError) -> bool {
    matches!(
        error,
        BucketError::AccessDenied { .. } | BucketError::Refused { .. } | BucketError::Busy { status: 501, .. }
    )
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// False only where no connection came about.
fn may_be_sent(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, PermissionDenied};
    let refused = innermost(error).downcast_ref::<io::Error>().map(io::Error::kind);
    !matches!(
        refused,
        Some(ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable | PermissionDenied)
    )
}

/// A store's own words, short, and without the secrets that it may repeat.
fn quote(destination: &Destination, text: &str) -> String {
    let keys = &destination.credentials;
    let secrets = [Some(&keys.access_key), Some(&keys.secret_key), keys.sts_token.as_ref()].into_iter().flatten();
    let mut text = text.to_owned();
    for secret in secrets.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    text.chars().filter(|c| !c.is_control()).take(MAX_QUOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::vendor::{self, StorageConfigParts};

    fn sort(status: u16, code: &str) -> BucketError {
        sort_message(status, code, "their words")
    }

    fn sort_message(status: u16, code: &str, message: &str) -> BucketError {
        let parts: StorageConfigParts = serde_json::from_value(serde_json::json!({
            "vendor": 11, "bucket": "calls", "accessKey": "key-visible", "secretKey": "secret-visible",
            "extensionParams": {"endpoint": "http://127.0.0.1:9000"},
        }))
        .unwrap();
        let destination = vendor::destination(&parts).unwrap();
        BucketError::sort_code(Place { destination: &destination, action: Action::Write }, status, code, message)
    }

    #[test]
    fn codes_are_sorted_by_whether_waiting_helps() {
        for (status, code, fault, retry) in [
            (404, "NoSuchBucket", "bucket_missing", false),
            (403, "AccessDenied", "bucket_access_denied", false),
            (403, "", "bucket_access_denied", false),
            (403, "InvalidAccessKeyId", "bucket_access_key", false),
            (403, "SignatureDoesNotMatch", "bucket_secret_key", false),
            (400, "ExpiredToken", "sts_expired", false),
            (400, "InvalidToken", "bucket_token", false),
            (301, "PermanentRedirect", "bucket_region", false),
            (400, "KeyTooLongError", "bucket_refused", false),
            (403, "RequestTimeTooSkewed", "clock_skew", true),
            (503, "SlowDown", "bucket_busy", true),
            (500, "", "bucket_busy", true),
            (502, "", "bucket_busy", true),
            (400, "RequestTimeout", "bucket_busy", true),
            (409, "ConditionalRequestConflict", "bucket_busy", true),
            (409, "", "bucket_busy", true),
        ] {
            let verdict = sort(status, code).fault();
            assert_eq!((verdict.code, verdict.retry), (fault, retry), "{status} {code}");
        }
    }

    #[test]
    fn only_what_the_store_never_saw_or_answered_for_good_can_not_land_later() {
        for (status, code, lands) in [
            (500, "InternalError", true),
            (502, "", true),
            (504, "", true),
            (503, "SlowDown", false),
            (429, "", false),
            (403, "AccessDenied", false),
            (400, "BadDigest", false),
        ] {
            assert_eq!(sort(status, code).may_still_land(), lands, "{status} {code}");
        }
        let unreachable = |sent| BucketError::Unreachable { place: String::new(), cause: String::new(), sent };
        assert!(unreachable(true).may_still_land() && !unreachable(false).may_still_land());
    }

    #[test]
    fn messages_say_where_and_what_to_do_and_no_secret() {
        let message = sort(404, "NoSuchBucket").to_string();
        assert_eq!(
            message,
            "bucket calls at http://127.0.0.1:9000: the bucket does not exist; create it or change \
             clientRequest.storageConfig.bucket"
        );
        let (long, key) = ("x".repeat(MAX_QUOTE_CHARS - 5), "key-visible");
        for (status, code) in [(400, "secret-visible"), (503, "key-visible"), (400, "Strange")] {
            for message in ["no key-visible with secret-visible", &format!("{long}{key}")] {
                let error = sort_message(status, code, message).to_string();
                assert!(!error.contains("visible") && !error.contains("key-v"), "{error}");
            }
        }
    }
}
