//! Conditional requests.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use super::files::{Condition, Put};
use super::meta::Meta;

/// What to answer to a PUT that ended so.
pub(super) fn ended(put: Put) -> S3Result<Meta> {
    match put {
        Put::Done(meta) => Ok(*meta),
        Put::Refused => Err(s3_error!(PreconditionFailed)),
        Put::NoBucket => Err(s3_error!(NoSuchBucket)),
        Put::Conflict => Err(s3_error!(
            InvalidRequest,
            "a folder of this key is an object, or this key is a folder of other objects"
        )),
    }
}

/// The condition of a PUT.
pub(super) fn for_write(new: Option<&ETagCondition>, over: Option<&ETagCondition>) -> S3Result<Condition> {
    match (new, over) {
        (None, None) => Ok(Condition::Always),
        (Some(ETagCondition::Any), None) => Ok(Condition::New),
        (None, Some(ETagCondition::ETag(etag))) => Ok(Condition::Over(etag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented, "only If-None-Match: * and If-Match with an ETag are possible")),
    }
}

/// Whether a read's conditions are met (RFC 9110 section 13.2.2).
pub(super) fn check_read(
    meta: &Meta,
    over: Option<&ETagCondition>,
    new: Option<&ETagCondition>,
    modified_since: Option<&Timestamp>,
    unmodified_since: Option<&Timestamp>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == meta.etag);
    match (over, unmodified_since) {
        (Some(condition), _) if !is(condition) => return Err(s3_error!(PreconditionFailed)),
        (None, Some(time)) if meta.last_modified() > *time => return Err(s3_error!(PreconditionFailed)),
        _ => (),
    }
    match (new, modified_since) {
        (Some(condition), _) if is(condition) => Err(s3_error!(NotModified)),
        (None, Some(time)) if meta.last_modified() <= *time => Err(s3_error!(NotModified)),
        _ => Ok(()),
    }
}
