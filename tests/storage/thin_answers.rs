//! Stores, and what stands before them, that tell less than S3 does: each row thins the answers out, and what was put is confirmed by
//! what is left, or is refused with the true reason. What nobody says is never called altered.

use std::time::Duration;

use axum::http::Method;
use axum::response::Response;
use bytes::Bytes;
use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{Bucket, BucketError, Earlier, ObjectKind, PROOF_TIME, Proof};
use serde_json::json;

use crate::endpoints::destination;
use crate::odd_store::{Asked, OddStore, bare, refusal};

/// Requests on loopback, with room for a slow machine.
const LIMIT: Duration = Duration::from_secs(30);
const BODY: &[u8] = b"sound";

fn bucket(store: &OddStore) -> Bucket {
    Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered() })))
}

async fn put(bucket: &Bucket) -> Result<Proof, BucketError> {
    let (key, bytes) = (bucket.key("a.m3u8"), Bytes::from_static(BODY));
    bucket.put_within(LIMIT, &key, bytes, ObjectKind::Playlist, Earlier::None).await.map(|confirmed| confirmed.proof)
}

/// A PUT is answered with an ETag that says nothing, and a HEAD so.
fn opaque(head: impl Fn(&Asked) -> Option<Response>) -> impl FnMut(&Asked) -> Option<Response> {
    move |asked| match asked.method {
        Method::PUT => Some(bare(200, &[("etag", "\"opaque-1\"")])),
        Method::HEAD => head(asked),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_left_confirms_an_object() {
    let nothing = || bare(200, &[]);
    let zero = || bare(200, &[("content-length", "0"), ("etag", "\"opaque-1\"")]);
    let compressed = || bare(200, &[("content-length", "3"), ("etag", "\"opaque-1\"")]);
    let rows: Vec<(&str, OddStore, Proof)> = vec![
        (
            "the ETag of the PUT is the MD5",
            OddStore::start(|asked| asked.is(&Method::HEAD).then(|| bare(500, &[]))).await,
            Proof::ETag,
        ),
        ("HEAD without a length", OddStore::start(opaque(move |_| Some(nothing()))).await, Proof::Length),
        ("HEAD with the length 0", OddStore::start(opaque(move |_| Some(zero()))).await, Proof::Length),
        (
            "HEAD with another length of the same ETag",
            OddStore::start(opaque(move |_| Some(compressed()))).await,
            Proof::Length,
        ),
        ("no HEAD at all", OddStore::start(opaque(|_| Some(bare(405, &[])))).await, Proof::Length),
        ("HEAD is not implemented", OddStore::start(opaque(|_| Some(bare(501, &[])))).await, Proof::Length),
        ("HEAD lags", OddStore::start(opaque(|asked| (asked.count <= 3).then(|| bare(404, &[])))).await, Proof::Length),
        (
            "HEAD lags with what was there before",
            OddStore::start(opaque(|asked| {
                let before = [("content-length", "3"), ("etag", "\"opaque-0\"")];
                (asked.count <= 3).then(|| bare(200, &before))
            }))
            .await,
            Proof::Length,
        ),
        (
            "no length, and the ETag of the PUT",
            OddStore::start(|asked| match asked.method {
                Method::PUT | Method::HEAD => Some(bare(200, &[("etag", "\"opaque-1\"")])),
                _ => Some(refusal(403, "AccessDenied", "no")),
            })
            .await,
            Proof::Signed,
        ),
        (
            "a key that may only write",
            OddStore::start(|asked| match asked.method {
                Method::PUT => Some(bare(200, &[("etag", "\"opaque-1\"")])),
                _ => Some(refusal(403, "AccessDenied", "no")),
            })
            .await,
            Proof::Signed,
        ),
        (
            "204 without a word",
            OddStore::start(|asked| asked.is(&Method::PUT).then(|| bare(204, &[]))).await,
            Proof::Length,
        ),
    ];
    for (row, store, proof) in rows {
        let bucket = bucket(&store);
        assert_eq!(put(&bucket).await, Ok(proof), "{row}: {:?}", store.lines());
        bucket.prove().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_confirmed_is_told_with_the_true_reason() {
    let silent = |asked: &Asked| match asked.method {
        Method::PUT => Some(bare(200, &[])),
        _ => Some(refusal(403, "AccessDenied", "no")),
    };
    let untold = |asked: &Asked| match asked.method {
        Method::PUT | Method::HEAD => Some(bare(200, &[])),
        _ => Some(refusal(403, "AccessDenied", "no")),
    };
    let never = opaque(|_| Some(bare(404, &[])));
    let shorter = opaque(|_| Some(bare(200, &[("content-length", "3"), ("etag", "\"other\"")])));
    for (store, code, words) in [
        (OddStore::start(silent).await, "bucket_access_denied", "may not read"),
        (OddStore::start(untold).await, "bucket_untold", "neither size nor checksum"),
        (OddStore::start(never).await, "bucket_unseen", "does not show it"),
        (OddStore::start(shorter).await, "bucket_altered", "other bytes"),
    ] {
        let error = put(&bucket(&store)).await.unwrap_err();
        assert_eq!(error.error_class().code, code, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        let error = bucket(&store).prove().await.unwrap_err();
        assert_eq!(error.error_class().code, code, "at the probe: {error:?}");
    }
}

#[tokio::test]
async fn a_busy_store_is_asked_again_at_the_probe() {
    let busy = |times: usize| move |asked: &Asked| (asked.count <= times).then(|| refusal(503, "SlowDown", "slower"));
    let store = OddStore::start(busy(2)).await;
    bucket(&store).prove().await.unwrap();
    let store = OddStore::start(busy(usize::MAX)).await;
    let begun = tokio::time::Instant::now();
    let error = bucket(&store).prove().await.unwrap_err();
    assert_eq!((error.error_class().code, error.to_string().contains("SlowDown")), ("bucket_busy", true), "{error}");
    assert!(begun.elapsed() < PROOF_TIME + Duration::from_secs(10) && store.lines().len() >= 3);
    // What took an object all the same is asked to delete it.
    let mut puts = 0;
    let taken = move |asked: &Asked| {
        puts += usize::from(asked.is(&Method::PUT));
        (asked.is(&Method::PUT) && puts == 1).then(|| refusal(500, "InternalError", "it is there"))
    };
    let store = OddStore::start(taken).await;
    bucket(&store).prove().await.unwrap();
    let deletes = store.asked().iter().filter(|asked| asked.is(&Method::DELETE)).count();
    assert_eq!((deletes, store.objects().len()), (2, 0));
}

#[tokio::test]
async fn a_checksum_header_is_left_out_where_it_is_refused_in_any_words() {
    for (status, code, message) in [
        (400, "InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm' received for this API call."),
        (501, "NotImplemented", "Header 'x-amz-checksum-sha256' with value 'x' not implemented"),
        (501, "XNotImplemented", "The request you provided implies functionality that is not implemented."),
        (403, "SignatureDoesNotMatch", "Invalid argument."),
        (400, "UnsupportedHeader", "header not supported"),
        (403, "AccessDenied", "x-amz-checksum-sha256 is not allowed"),
        (400, "", ""),
        (405, "", ""),
    ] {
        let refusing = move |asked: &Asked| asked.has("x-amz-checksum-sha256").then(|| refusal(status, code, message));
        let store = OddStore::start(refusing).await;
        let bucket = bucket(&store);
        bucket.prove().await.unwrap();
        store.lines();
        assert_eq!(put(&bucket).await, Ok(Proof::ETag), "{status} {code}");
        assert_eq!(store.lines().len(), 1, "it is remembered: {status} {code}");
    }
}

#[tokio::test]
async fn a_wrong_secret_stays_one() {
    let store = OddStore::start(|_| Some(refusal(403, "SignatureDoesNotMatch", "no"))).await;
    let error = bucket(&store).prove().await.unwrap_err();
    assert_eq!((error.error_class().code, store.lines().len()), ("bucket_secret_key", 2));
    // The signature was wrong for a header, and then the key may not write.
    let store = OddStore::start(|asked| {
        let header = asked.has("x-amz-checksum-sha256");
        Some(refusal(403, if header { "SignatureDoesNotMatch" } else { "AccessDenied" }, "no"))
    })
    .await;
    assert_eq!(bucket(&store).prove().await.unwrap_err().error_class().code, "bucket_access_denied");
}

#[tokio::test]
async fn a_store_that_wants_content_md5_gets_it() {
    let store = OddStore::start(|asked| {
        let missing = asked.is(&Method::PUT) && !asked.has("content-md5");
        missing.then(|| refusal(400, "InvalidRequest", "Missing required header for this request: Content-MD5"))
    })
    .await;
    let bucket = bucket(&store);
    bucket.prove().await.unwrap();
    store.lines();
    assert_eq!(put(&bucket).await, Ok(Proof::ETag));
    let asked = store.asked();
    let sent = asked.iter().map(|asked| asked.headers["content-md5"].to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(sent, ["C4Jj00HeAfdB5N6t+xj56w=="], "once, with the MD5 of what is sent");
    assert!(asked.iter().all(|asked| asked.has("x-amz-content-sha256")));
}
