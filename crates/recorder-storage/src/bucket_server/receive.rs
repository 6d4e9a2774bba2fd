//! Bodies to files.

use axum::http::HeaderMap;
use futures_util::StreamExt;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};
use tokio::io::AsyncWriteExt;

use super::files::{Files, Temporary};
use super::sums::{Claims, Summer, Sums};

/// Longest object, and longest part of one, in bytes: what S3 takes in one PUT.
pub const MAX_OBJECT_BYTES: u64 = 5 << 30;

/// Writes a body to a temporary file, checked and synced.
pub(super) async fn receive(
    files: &Files,
    body: Option<StreamingBlob>,
    length: Option<i64>,
    named: &str,
    claims: &mut Claims,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<(Temporary, Sums)> {
    let too_large = || s3_error!(EntityTooLarge, "an object must not be longer than {MAX_OBJECT_BYTES} bytes");
    if length.is_some_and(|length| u64::try_from(length).is_ok_and(|length| length > MAX_OBJECT_BYTES)) {
        return Err(too_large());
    }
    let temporary = files.temporary();
    let mut file = tokio::fs::File::create(&temporary.0).await.map_err(S3Error::internal_error)?;
    let (mut summer, mut size) = (Summer::new(named), 0u64);
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|error| s3_error!(IncompleteBody, "the body is not the one announced: {error}"))?;
            size += chunk.len() as u64;
            if size > MAX_OBJECT_BYTES {
                return Err(too_large());
            }
            summer.update(&chunk);
            file.write_all(&chunk).await.map_err(S3Error::internal_error)?;
        }
    }
    if length.is_some_and(|length| u64::try_from(length) != Ok(size)) {
        return Err(s3_error!(IncompleteBody, "the body is not as long as its Content-Length"));
    }
    claims.add_trailers(trailers);
    let sums = summer.finish();
    claims.check(&sums)?;
    file.sync_all().await.map_err(S3Error::internal_error)?;
    Ok((temporary, sums))
}

/// The names of the checksums that a request speaks of.
pub(super) fn named_sums(request: &HeaderMap) -> String {
    let values = request.iter().filter(|(name, _)| {
        name.as_str().starts_with("x-amz-checksum-")
            || matches!(name.as_str(), "x-amz-trailer" | "x-amz-sdk-checksum-algorithm")
    });
    values.map(|(name, value)| format!("{name} {} ", value.to_str().unwrap_or_default())).collect()
}
