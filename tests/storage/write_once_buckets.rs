//! A bucket that lets nothing be put over what is there is known for what it is, and an upload to it ends.

use bytes::Bytes;
use cloud_recorder::storage::{Bucket, ObjectKind, RetryPolicy, Spool, UploadReport, Uploader};
use cloud_recorder::units::Sid;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, destination};
use crate::write_once::{Policy, WriteOnce};

#[tokio::test]
async fn what_was_put_is_success_and_what_is_other_is_told() {
    for policy in [Policy::Denies, Policy::ConditionFirst, Policy::RequiresCondition] {
        let server = Server::start().await;
        let store = WriteOnce::start(&server.server.endpoint(), policy).await;
        let bucket = Bucket::connect(&destination(&store.endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
        bucket.prove().await.unwrap();
        assert_eq!(bucket.abilities().write_once, Some(true), "{policy:?}");
        let spool = Spool::open(server.dir.path().join("spool"), u64::MAX).unwrap();
        let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
        let (queue, mut reports) = Uploader::new(RetryPolicy::default(), 1).spawn(bucket.clone(), session.clone());
        let mut taken = Vec::new();
        for (name, kind, bytes) in [
            ("a_1.m4s", ObjectKind::Segment, "sound"),
            ("a_1.m4s", ObjectKind::Segment, "sound"),
            ("a_1.m4s", ObjectKind::Segment, "silence"),
            ("a.m3u8", ObjectKind::Playlist, "#EXTM3U\n"),
            ("a.m3u8", ObjectKind::Playlist, "#EXTM3U\n#EXT-X-ENDLIST\n"),
            ("a_events.jsonl", ObjectKind::Document, "{}\n"),
        ] {
            queue.submit(session.put(name, kind, Bytes::from_static(bytes.as_bytes())).await.unwrap());
            match reports.recv().await.unwrap() {
                UploadReport::Confirmed { .. } => {}
                UploadReport::Taken { object, held } => {
                    taken.push((object.name.clone(), held.unwrap().size));
                    queue.let_go(object);
                }
                other => panic!("{policy:?}: {other:?}"),
            }
        }
        queue.drained().await;
        assert_eq!(taken, [("a_1.m4s".to_owned(), Some(5)), ("a.m3u8".to_owned(), Some(8))], "{policy:?}");
        let held = store.held().await;
        assert_eq!(held[&format!("/{BUCKET}/{}", bucket.key("a_1.m4s"))], b"sound");
        assert!(session.list().await.unwrap().is_empty() && !store.refused().is_empty());
    }
}
