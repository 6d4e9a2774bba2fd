//! `extensionParams.endpoint` of vendor 11: the URL that people paste, brought into the form of [`Endpoint`].
//!
//! The bucket is named once, in `storageConfig.bucket`. An endpoint that names it too is brought to the store's own URL where it is sure which
//! part is the bucket, and is refused elsewhere: taken as it is, objects would lie in `bucket/bucket/…`. One that names another bucket
//! would lead there, and is refused as well.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

use super::VendorError;
use super::stores;

const FIELD: &str = "extensionParams.endpoint";
/// The path at which every project of one store has its endpoint. No part of it is a bucket, whatever the bucket is called.
const SUPABASE: &[&str] = &["storage", "v1", "s3"];
/// What a signature takes as it is (RFC 3986 section 2.3); everything else is encoded, once.
const SIGNED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme, host, port and path, without the bucket.
    pub(super) url: Url,
    /// Whether the bucket goes into the path, where somebody said so or the store is known.
    pub(super) path_style: Option<bool>,
    /// The region to sign for, where the host says it.
    pub(super) region: Option<String>,
}

/// Parses the URL of a store. `path_style` is what the caller said.
pub(super) fn parse(text: &str, bucket: &str, path_style: Option<bool>) -> Result<Endpoint, VendorError> {
    let mut url = plain(text)?;
    let refuse = |problem| Err(VendorError::Field { field: FIELD, problem });
    let folders = folders(&url);
    let host = url.host_str().unwrap_or_default().to_owned();
    let Some(known) = stores::known(&host) else {
        if folders != SUPABASE && folders.iter().any(|folder| folder == bucket) {
            return refuse("must not name the bucket in its path; leave it to storageConfig.bucket");
        }
        let store = match (url.host(), host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.'))) {
            (Some(Host::Domain(_)), Some(store)) if !store.is_empty() => store,
            _ => return Ok(Endpoint { url, path_style, region: None }),
        };
        return match path_style {
            // It is part of the store's name.
            Some(true) => Ok(Endpoint { url, path_style, region: None }),
            None if !store.starts_with("s3.") && !store.starts_with("s3-") => refuse(
                "begins with the bucket's name: leave that out of it; or say extensionParams.pathStyle: true if it is the store's own host \
                 name all the same, false if it is the bucket's",
            ),
            None | Some(false) => Ok(Endpoint { url: at(&url, store)?, path_style: Some(false), region: None }),
        };
    };
    match folders.as_slice() {
        [] => {}
        [only] if only == bucket && known.bucket.is_none() => url.set_path(""),
        _ => return refuse("must not have a path at this store; folders belong into storageConfig.fileNamePrefix"),
    }
    if known.bucket.is_some_and(|named| named != bucket) {
        return refuse("names another bucket than storageConfig.bucket in its host name; leave it out of the endpoint");
    }
    let own = known.bucket.is_some() || known.virtual_only;
    let region = known.region.map(str::to_owned);
    Ok(Endpoint { url: at(&url, known.store)?, path_style: path_style.or_else(|| own.then_some(false)), region })
}

/// A URL that can be one of a store.
fn plain(text: &str) -> Result<Url, VendorError> {
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
    Ok(normal(url))
}

/// The same place with its path as it is signed: each part encoded once, none of them empty, no slash at the end.
pub(super) fn normal(mut url: Url) -> Url {
    let folders: Vec<String> =
        folders(&url).iter().map(|folder| utf8_percent_encode(folder, SIGNED).to_string()).collect();
    url.set_path(&folders.join("/"));
    url
}

/// The parts of the path, decoded.
fn folders(url: &Url) -> Vec<String> {
    let parts = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

/// The same URL at another host.
fn at(url: &Url, host: &str) -> Result<Url, VendorError> {
    let mut url = url.clone();
    match url.set_host(Some(host)) {
        Ok(()) => Ok(url),
        Err(_) => Err(VendorError::Field { field: FIELD, problem: "must be a URL like https://s3.example.com" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_real_stores_are_taken() {
        for (text, url, region) in [
            ("https://0123abcd.r2.cloudflarestorage.com", "https://0123abcd.r2.cloudflarestorage.com/", Some("auto")),
            ("https://s3.us-west-004.backblazeb2.com", "https://s3.us-west-004.backblazeb2.com/", Some("us-west-004")),
            ("https://project.supabase.co/storage/v1/s3", "https://project.supabase.co/storage/v1/s3", None),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/", None),
            ("minio.example.com", "https://minio.example.com/", None),
            ("localhost:9000", "https://localhost:9000/", None),
            ("http://10.0.0.1:9000/a//b/", "http://10.0.0.1:9000/a/b", None),
            ("https://h.example/a b/(c)+%2Fd", "https://h.example/a%20b/%28c%29%2B%2Fd", None),
            ("https://s3.example.com:8443/", "https://s3.example.com:8443/", None),
        ] {
            let endpoint = parse(text, "calls", None).unwrap();
            assert_eq!((endpoint.url.as_str(), endpoint.region.as_deref()), (url, region), "{text}");
            assert_eq!(endpoint.path_style, None, "{text}");
            assert_eq!(parse(endpoint.url.as_str(), "calls", None).unwrap(), endpoint, "it is in its form already");
        }
        // Only a whole part is the bucket's name.
        for (text, bucket) in [
            ("https://host/storage/v1/s3", "storage"),
            ("https://host/storage/v1/s3", "s3"),
            ("https://host/callsign", "calls"),
            ("http://minio:9000", "minio"),
            ("https://callsign.example.com", "calls"),
            ("https://s3.amazonaws.com", "s3"),
        ] {
            assert!(parse(text, bucket, None).is_ok(), "{text} {bucket}");
        }
    }

    #[test]
    fn a_bucket_that_an_endpoint_names_for_sure_is_taken_out_of_it() {
        for (text, url, path_style) in [
            ("https://calls.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/", Some(false)),
            ("https://s3.eu-west-1.amazonaws.com/calls", "https://s3.eu-west-1.amazonaws.com/", None),
            ("https://0123.r2.cloudflarestorage.com/calls/", "https://0123.r2.cloudflarestorage.com/", None),
            ("https://calls.fra1.digitaloceanspaces.com", "https://fra1.digitaloceanspaces.com/", Some(false)),
            ("https://calls.oss-cn-beijing.aliyuncs.com", "https://oss-cn-beijing.aliyuncs.com/", Some(false)),
            ("https://oss-cn-beijing.aliyuncs.com", "https://oss-cn-beijing.aliyuncs.com/", Some(false)),
            ("https://calls.s3.example.com:9000/a", "https://s3.example.com:9000/a", Some(false)),
            ("https://CALLS.S3.example.com", "https://s3.example.com/", Some(false)),
        ] {
            let endpoint = parse(text, "calls", None).unwrap();
            assert_eq!((endpoint.url.as_str(), endpoint.path_style), (url, path_style), "{text}");
        }
        // A host that may be the store's own: somebody has to say it.
        let host = "https://minio.example.com";
        let said = |path_style| parse(host, "minio", Some(path_style)).unwrap();
        assert_eq!((said(true).url.as_str(), said(true).path_style), ("https://minio.example.com/", Some(true)));
        assert_eq!((said(false).url.as_str(), said(false).path_style), ("https://example.com/", Some(false)));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_a_reason() {
        for (text, reason) in [
            ("https://s3.example.com/calls", "bucket in its path"),
            ("https://s3.example.com/calls/", "bucket in its path"),
            ("https://s3.example.com/a/%63alls", "bucket in its path"),
            ("https://s3.example.com/calls/folder", "bucket in its path"),
            ("https://calls.example.com", "begins with the bucket's name"),
            ("http://calls.localhost:9000", "begins with the bucket's name"),
            ("https://other.s3.eu-west-1.amazonaws.com", "names another bucket"),
            ("https://other.fra1.digitaloceanspaces.com", "names another bucket"),
            ("https://s3.eu-west-1.amazonaws.com/other", "path at this store"),
            ("https://s3.eu-west-1.amazonaws.com/calls/folder", "path at this store"),
            ("https://calls.s3.eu-west-1.amazonaws.com/calls", "path at this store"),
            ("ftp://s3.example.com", "https://"),
            ("https://", "URL"),
            ("https://user:key@s3.example.com", "credentials"),
            ("https://s3.example.com?x=1", "query"),
        ] {
            let error = parse(text, "calls", None).unwrap_err().to_string();
            assert!(error.starts_with("clientRequest.storageConfig.extensionParams.endpoint "), "{error}");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
