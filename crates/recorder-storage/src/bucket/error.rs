//! What a store can answer, sorted: whether waiting helps, and what to do where it does not.

use std::error::Error;
use std::{fmt, io};

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use secrecy::ExposeSecret;

use super::address::fits_host;
use crate::bucket::Held;
use crate::{Destination, vendor};
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_edge::address_policy::literal;

/// Most characters of a store's own words in an error.
const MAX_QUOTE_CHARS: usize = 200;

/// Why a bucket did not take an object. The first nine stay until somebody changes something.
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
    #[error("{place}: the bucket is in another region; {help}")]
    WrongRegion {
        /// Bucket and store.
        place: String,
        /// The region that the store named.
        named: Option<String>,
        /// Which field helps.
        help: String,
    },
    /// The store does not take the bucket in the path.
    #[error("{place}: the store refuses the bucket in the path ({code}); {help}")]
    PathStyle {
        /// Bucket and store.
        place: String,
        /// The store's code.
        code: String,
        /// What helps.
        help: &'static str,
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
    /// The store took an object, and says afterwards that it is not there.
    #[error("{place}: the store took {key} and does not show it")]
    Unseen {
        /// Bucket and store.
        place: String,
        /// Which object.
        key: String,
    },
    /// The store tells nothing about what it holds.
    #[error(
        "{place}: the store tells neither size nor checksum of {key}, so nobody can see whether it was kept as it was sent"
    )]
    Untold {
        /// Bucket and store.
        place: String,
        /// Which object.
        key: String,
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

impl Classify for BucketError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::NoSuchBucket { .. } => ErrorClass::destination("bucket_missing", false),
            Self::AccessDenied { .. } => ErrorClass::destination("bucket_access_denied", false),
            Self::UnknownAccessKey { .. } => ErrorClass::destination("bucket_access_key", false),
            Self::WrongSecretKey { .. } => ErrorClass::destination("bucket_secret_key", false),
            Self::Expired { .. } => ErrorClass::destination("sts_expired", false),
            Self::Token { .. } => ErrorClass::destination("bucket_token", false),
            Self::WrongRegion { .. } => ErrorClass::destination("bucket_region", false),
            Self::PathStyle { .. } => ErrorClass::destination("bucket_path_style", false),
            Self::Refused { .. } => ErrorClass::destination("bucket_refused", false),
            Self::Unreachable { .. } => ErrorClass::destination("bucket_unreachable", true),
            Self::TimedOut { .. } => ErrorClass::destination("bucket_timeout", true),
            Self::Busy { .. } => ErrorClass::destination("bucket_busy", true),
            Self::ClockSkew { .. } => ErrorClass::ours("clock_skew", true),
            Self::Altered { .. } => ErrorClass::destination("bucket_altered", true),
            Self::Taken { .. } => ErrorClass::destination("bucket_taken", false),
            Self::Unseen { .. } => ErrorClass::destination("bucket_unseen", true),
            Self::Untold { .. } => ErrorClass::destination("bucket_untold", true),
            Self::Unconfirmed(error) => error.error_class(),
            Self::TooLong { .. } => ErrorClass::destination("bucket_too_long", false),
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
pub(super) struct ErrorLocation<'a> {
    pub(super) destination: &'a Destination,
    pub(super) action: Action,
}

impl fmt::Display for ErrorLocation<'_> {
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
    pub(super) fn sort<E>(place: ErrorLocation<'_>, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let name = place.to_string();
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut { place: name },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut { place: name },
            SdkError::ServiceError(service) => {
                let raw = service.raw();
                let text = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
                let said = Said {
                    status: raw.status().as_u16(),
                    code: service.err().code().unwrap_or_default(),
                    message: service.err().message().unwrap_or_default(),
                    region: raw.headers().get("x-amz-bucket-region").or_else(|| element(&text, "Region")),
                    endpoint: element(&text, "Endpoint"),
                };
                Self::sort_answer(place, &said)
            }
            SdkError::ResponseError(response) if response.raw().status().is_client_error() => {
                let status = response.raw().status().as_u16();
                Self::sort_answer(place, &Said { status, message: "an answer that is not S3's", ..Said::default() })
            }
            _ => {
                let cause = quote(place.destination, &innermost(error).to_string());
                Self::Unreachable { place: name, cause, sent: may_be_sent(error) }
            }
        }
    }

    /// Whether nothing was learned of what the bucket holds, and a later attempt to read may tell: it is out of reach, busy, or refuses these
    /// credentials as a whole. Not where they may write and not read.
    pub const fn may_be_read_later(&self) -> bool {
        !cant_read(self) && !matches!(self, Self::TooLong { .. })
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

    fn sort_answer(place: ErrorLocation<'_>, said: &Said<'_>) -> Self {
        let &Said { status, code, message, .. } = said;
        let name = place.to_string();
        if said.is_about_region() {
            return Self::wrong_region(place, said);
        }
        let said = |text| quote(place.destination, text);
        match (code, status) {
            ("NoSuchBucket", _) => Self::NoSuchBucket { place: name },
            ("InvalidAccessKeyId" | "NotSignedUp", _) => Self::UnknownAccessKey { place: name },
            ("SignatureDoesNotMatch", _) => Self::WrongSecretKey { place: name },
            ("ExpiredToken" | "TokenRefreshRequired", _) => Self::Expired { place: name },
            ("InvalidToken", _) => Self::Token { place: name },
            ("RequestTimeTooSkewed", _) => Self::ClockSkew { place: name },
            _ if refuses_path_style(status, code, message) => {
                Self::PathStyle { place: name, code: said(code), help: place.path_style_help() }
            }
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

/// What a store answered to a request that it did not take.
#[derive(Clone, Copy, Debug, Default)]
struct Said<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    /// The region that it named.
    region: Option<&'a str>,
    /// The endpoint that it named.
    endpoint: Option<&'a str>,
}

impl Said<'_> {
    /// Whether the bucket, or the signature, is for another region.
    fn is_about_region(&self) -> bool {
        match (self.code, self.status) {
            (
                "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException" | "InvalidRegionName",
                _,
            ) => true,
            ("", 301 | 307 | 308) => true,
            // A HEAD has no words.
            ("" | "BadRequest", 400) => self.region.is_some(),
            // Also said of a credential that is malformed otherwise.
            ("AuthorizationHeaderMalformed", _) if self.region.is_some() => true,
            (_, 400..500) => self.message.to_ascii_lowercase().contains("region") && self.expected().is_some(),
            _ => false,
        }
    }

    /// What it expects, in words that many stores have.
    fn expected(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("expecting '")?;
        Some(rest.split_once('\'')?.0)
    }

    /// The region that it named: as such, or at the end of its words.
    fn named(&self) -> Option<&str> {
        self.region.or_else(|| self.expected()).map(str::trim).filter(|name| vendor::is_region(name))
    }
}

/// The text of an element without elements in it. Enough for what stores add to their errors.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}

/// Whether a store wants the bucket in the host's name.
fn refuses_path_style(status: u16, code: &str, message: &str) -> bool {
    const CODES: [&str; 3] = ["SecondLevelDomainForbidden", "PathStyleDomainForbidden", "VirtualHostDomainRequired"];
    const WORDS: [&str; 5] = ["virtual host", "virtual-host", "virtual-styled", "path style", "path-style"];
    let message = message.to_ascii_lowercase();
    CODES.contains(&code) || (400..500).contains(&status) && WORDS.iter().any(|words| message.contains(words))
}

impl BucketError {
    fn wrong_region(place: ErrorLocation<'_>, said: &Said<'_>) -> Self {
        let destination = place.destination;
        let amazon = destination.endpoint.is_none();
        // There it becomes a part of the host's name.
        let named = said.named().filter(|name| !amazon || !name.contains('_')).map(str::to_owned);
        let help = match (&named, amazon) {
            (Some(named), true) => {
                format!("the store names {named}: change clientRequest.storageConfig.region to that region's number")
            }
            (None, true) => "change clientRequest.storageConfig.region".to_owned(),
            (Some(named), false) => format!(
                "the store names {named}: set clientRequest.storageConfig.extensionParams.region to that, or change \
                 extensionParams.endpoint"
            ),
            (None, false) => {
                let endpoint = said.endpoint.map(|endpoint| quote(destination, endpoint));
                let endpoint = endpoint
                    .map_or_else(String::new, |endpoint| format!(", or extensionParams.endpoint to {endpoint}"));
                format!("set clientRequest.storageConfig.extensionParams.region to the bucket's region{endpoint}")
            }
        };
        Self::WrongRegion { place: place.to_string(), named, help }
    }
}

impl ErrorLocation<'_> {
    /// Why the bucket is not put into the host's name, and what helps.
    fn path_style_help(&self) -> &'static str {
        let Destination { endpoint, bucket, path_style, .. } = self.destination;
        match endpoint {
            Some(endpoint) if literal(endpoint).is_some() => {
                "an IP address has no place for it: give the store's host name in clientRequest.storageConfig.extensionParams.endpoint"
            }
            Some(endpoint) if !fits_host(endpoint, bucket) => {
                "a bucket of this name can't be part of a host name: change clientRequest.storageConfig.bucket to one without dots, \
                 capitals and underscores"
            }
            _ if *path_style == Some(true) => {
                "leave clientRequest.storageConfig.extensionParams.pathStyle out, or set it to false"
            }
            _ => {
                "it does so where the bucket is in the host's name, too: check clientRequest.storageConfig.extensionParams.endpoint"
            }
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

/// Whether a store may take the same object without a checksum header (docs/protocol/storage.md section 2). Stores say that in many ways,
/// among them that the signature is wrong and that the access is denied; so asking tells, once.
pub(super) fn refuses_checksums(error: &BucketError) -> bool {
    match error {
        BucketError::Refused { .. } => !is_precondition(error),
        BucketError::Busy { code, status, .. } => *status == 501 || code == "XAmzContentSHA256Mismatch",
        BucketError::AccessDenied { .. } | BucketError::WrongSecretKey { .. } => true,
        _ => false,
    }
}

/// Whether a store takes nothing without `Content-MD5`.
pub(super) fn needs_md5(error: &BucketError) -> bool {
    matches!(error, BucketError::Refused { message, .. } if message.to_ascii_lowercase().contains("content-md5"))
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
    use crate::vendor::{self, StorageConfigParts};

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
        let said = Said { status, code, message, ..Said::default() };
        BucketError::sort_answer(ErrorLocation { destination: &destination, action: Action::Write }, &said)
    }

    #[test]
    fn codes_are_sorted_by_whether_waiting_helps() {
        for (status, code, error_class, retry) in [
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
            let verdict = sort(status, code).error_class();
            assert_eq!((verdict.code, verdict.retry), (error_class, retry), "{status} {code}");
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
