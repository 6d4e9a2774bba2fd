//! `extensionParams.endpoint` of vendor 11.

use url::Url;

use super::VendorError;

const FIELD: &str = "extensionParams.endpoint";

/// Parses the URL of a store. A path is kept (some stores live below one), but the bucket must not be in it: it is named once,
/// in `bucket`.
pub(super) fn parse(text: &str, bucket: &str) -> Result<Url, VendorError> {
    if text.is_empty() {
        return Err(VendorError::Missing(FIELD));
    }
    let refuse = |problem| Err(VendorError::Field { field: FIELD, problem });
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("https://{text}")) };
    let Ok(url) = url else {
        return refuse("must be a URL like https://s3.example.com");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("must not hold credentials; use accessKey and secretKey");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("must not have a query or a fragment");
    }
    if url.path_segments().is_some_and(|mut parts| parts.any(|part| part == bucket)) {
        return refuse("must not name the bucket in its path; leave it to storageConfig.bucket");
    }
    Ok(url)
}

/// The signing region of well-known hosts; elsewhere `us-east-1`, which stores without regions take.
pub(super) fn region(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    match labels.as_slice() {
        [.., "r2", "cloudflarestorage", "com"] => "auto",
        ["s3", region, "backblazeb2" | "wasabisys" | "amazonaws", "com"] => region,
        ["s3", region, "amazonaws", "com", "cn"] => region,
        [region, "digitaloceanspaces" | "linodeobjects", "com"] => region,
        _ => "us-east-1",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_real_stores_are_taken() {
        for (text, expected) in [
            ("https://0123abcd.r2.cloudflarestorage.com", "auto"),
            ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
            ("https://project.supabase.co/storage/v1/s3", "us-east-1"),
            ("http://127.0.0.1:9000", "us-east-1"),
            ("minio.example.com", "us-east-1"),
            ("localhost:9000", "us-east-1"),
        ] {
            assert_eq!(region(&parse(text, "calls").unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_a_reason() {
        for (text, reason) in [
            ("https://s3.example.com/calls", "bucket in its path"),
            ("https://s3.example.com/calls/", "bucket in its path"),
            ("ftp://s3.example.com", "https://"),
            ("https://", "URL"),
            ("https://user:key@s3.example.com", "credentials"),
            ("https://s3.example.com?x=1", "query"),
        ] {
            let error = parse(text, "calls").unwrap_err().to_string();
            assert!(error.starts_with("clientRequest.storageConfig.extensionParams.endpoint "), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }
}
