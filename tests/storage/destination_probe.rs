//! Before a recording starts its bucket is written to; a refusal names what is wrong and where to change it.

use bytes::Bytes;
use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{Bucket, BucketError, Earlier, ObjectKind, PROOF_TIME, Proof};

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, destination};

#[tokio::test]
async fn a_good_destination_is_proven_and_left_clean() {
    let server = Server::start().await;
    let bucket = Bucket::connect(&server.destination());
    bucket.prove().await.unwrap();
    let list = server.client().list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(list.key_count(), Some(0), "the test object is deleted");
}

#[tokio::test]
async fn a_bad_destination_is_refused_by_name() {
    let server = Server::start().await;
    let endpoint = server.server.endpoint();
    for (name, access_key, secret_key, code, words) in [
        ("missing", ACCESS_KEY, SECRET_KEY, "bucket_missing", "clientRequest.storageConfig.bucket"),
        (BUCKET, "stranger", SECRET_KEY, "bucket_access_key", "clientRequest.storageConfig.accessKey"),
        (BUCKET, ACCESS_KEY, "guessed", "bucket_secret_key", "clientRequest.storageConfig.secretKey"),
    ] {
        let bucket = Bucket::connect(&destination(&endpoint, name, access_key, secret_key));
        let error = bucket.prove().await.unwrap_err();
        assert_eq!((error.error_class().code, error.error_class().retry), (code, false), "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains(name), "{error}");
        assert!(!error.to_string().contains(secret_key), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_or_silent_is_said_to_be_so_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let silent = Bucket::connect(&destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
    assert!(matches!(silent.prove().await, Err(BucketError::TimedOut { .. })));
    drop(listener);
    let away = Bucket::connect(&destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
    let error = away.prove().await.unwrap_err();
    assert!(matches!(error, BucketError::Unreachable { .. }) && error.error_class().retry, "{error:?}");
}

#[tokio::test]
async fn an_object_is_confirmed_by_its_checksum_and_has_its_headers() {
    let server = Server::start().await;
    let bucket = Bucket::connect(&server.destination());
    for (name, bytes, kind, content_type, cache_control) in [
        ("a.m3u8", "#EXTM3U\n", ObjectKind::Playlist, "application/vnd.apple.mpegurl", Some("no-cache")),
        ("b.m3u8", "#EXTM3U\n#EXT-X-ENDLIST\n", ObjectKind::Playlist, "application/vnd.apple.mpegurl", None),
        ("a_init.mp4", "init", ObjectKind::Init, "audio/mp4", None),
        ("a_0.ogg", "ogg", ObjectKind::Ogg, "audio/ogg", None),
        ("a_1.m4s", "segment", ObjectKind::Segment, "video/iso.segment", None),
        ("a_manifest.json", "{}", ObjectKind::Document, "application/json", None),
        ("a_events.jsonl", "{}\n", ObjectKind::Document, "application/x-ndjson", None),
    ] {
        let key = bucket.key(name);
        assert_eq!(key, format!("recordings/room_1/{name}"));
        let bytes_ = Bytes::from_static(bytes.as_bytes());
        let confirmed = bucket.put_within(PROOF_TIME, &key, bytes_, kind, Earlier::None).await.unwrap();
        assert_eq!((confirmed.size, confirmed.proof), (bytes.len() as u64, Proof::Checksum));
        let head = server.client().head_object().bucket(BUCKET).key(&key).send().await.unwrap();
        assert_eq!((head.content_type(), head.cache_control()), (Some(content_type), cache_control), "{name}");
    }
}
