//! What a dead worker left is uploaded by the next one; a bucket that is wrong is told about and tried again when it is changed.

use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{Bucket, ObjectKind, RetryPolicy, Spool, UploadReport, Uploader};
use cloud_recorder::units::Sid;

use crate::recording::{assert_bucket_holds, submit};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, destination};
use crate::upload_run::TIMEOUT;

/// Waits so long that only a change of the bucket can explain a second attempt.
const PATIENT: RetryPolicy = RetryPolicy { first: Duration::from_secs(3600), longest: Duration::from_secs(3600) };

#[tokio::test]
async fn the_next_worker_uploads_what_is_left() {
    let server = Server::start().await;
    let (dir, sid) = (server.dir.path().join("spool"), Sid::from_random([1; 16]));
    let dead = Spool::open(&dir, u64::MAX).unwrap().session(&app(), &sid).unwrap();
    let mut objects = Vec::new();
    for (name, kind, bytes) in [
        ("a_1.m4s", ObjectKind::Segment, "one"),
        ("a.m3u8", ObjectKind::Playlist, "#EXTM3U\na_1.m4s\n"),
        ("a_2.m4s", ObjectKind::Segment, "two"),
        ("a.m3u8", ObjectKind::Playlist, "#EXTM3U\na_1.m4s\na_2.m4s\n#EXT-X-ENDLIST\n"),
    ] {
        let bytes = Bytes::from_static(bytes.as_bytes());
        dead.put(name, kind, bytes.clone()).await.unwrap();
        objects.retain(|(known, _)| known != name);
        objects.push((name.to_owned(), bytes));
    }
    drop(dead);

    let spool = Spool::open(&dir, u64::MAX).unwrap();
    let session = spool.session(&app(), &sid).unwrap();
    let bucket = Bucket::connect(&server.destination());
    let (queue, _reports) = Uploader::new(PATIENT, 0).with_patience(TIMEOUT).spawn(bucket, session.clone());
    queue.resume(session.list().await.unwrap());
    queue.drained().await;
    assert_bucket_holds(&server.client(), BUCKET, &objects).await;
    session.close().await.unwrap();
    assert!(spool.sessions().unwrap().is_empty());
}

#[tokio::test]
async fn new_credentials_are_used_at_once() {
    let server = Server::start().await;
    let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    let expired = Bucket::connect(&destination(&server.server.endpoint(), BUCKET, ACCESS_KEY, "expired"));
    let (queue, mut reports) = Uploader::new(PATIENT, 0).spawn(expired.clone(), session.clone());
    submit(&queue, &session, "a_1.m4s", ObjectKind::Segment, Bytes::from_static(b"one")).await;
    match reports.recv().await.unwrap() {
        UploadReport::Retrying { name, error, attempt: 1 } => {
            assert_eq!(
                (name.as_str(), error.error_class().code, error.error_class().retry),
                ("a_1.m4s", "bucket_secret_key", false)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(queue.progress().trouble.unwrap().code, "bucket_secret_key");
    let renewed = destination(&server.server.endpoint(), BUCKET, ACCESS_KEY, SECRET_KEY).credentials;
    queue.use_bucket(expired.with_credentials(renewed));
    queue.drained().await;
    assert!(matches!(reports.recv().await.unwrap(), UploadReport::Recovered));
    assert!(matches!(reports.recv().await.unwrap(), UploadReport::Confirmed { .. }));
    assert_bucket_holds(&server.client(), BUCKET, &vec![("a_1.m4s".into(), Bytes::from_static(b"one"))]).await;
}

#[tokio::test]
async fn an_object_leaves_the_spool_only_when_it_is_confirmed() {
    let server = Server::start().await;
    let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    let missing = Bucket::connect(&destination(&server.server.endpoint(), "missing", ACCESS_KEY, SECRET_KEY));
    let (queue, mut reports) = Uploader::new(PATIENT, 0).spawn(missing, session.clone());
    submit(&queue, &session, "a_1.m4s", ObjectKind::Segment, Bytes::from_static(b"one")).await;
    assert!(matches!(reports.recv().await.unwrap(), UploadReport::Retrying { .. }));
    assert_eq!((session.list().await.unwrap().len(), session.bytes()), (1, 3));
    assert_eq!(queue.progress().waiting_objects, 1);
}
