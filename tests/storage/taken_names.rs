//! No media object is put over another, whatever the store is like: each row is a kind of store, and says what comes of a name that is
//! free, that is taken by the same bytes, and that is taken by others.

use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{
    Abilities, Bucket, BucketError, Destinations, Earlier, Held, ObjectKind, PROOF_TIME, Proof, RetryPolicy, Spool,
    UploadReport, Uploader,
};
use cloud_recorder::units::Sid;
use sha2::{Digest, Sha256};

use crate::scripted::{Condition, Overwriting, Script, Scripted, Tells};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, destination};

const OURS: &[u8] = b"the segment that was recorded";
const OTHERS: &[u8] = b"a segment that somebody else p";
const NAME: &str = "a_1.m4s";
/// Requests on loopback, with room for a slow machine.
const LIMIT: Duration = Duration::from_secs(30);

/// What comes of a PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stored(Proof),
    /// Refused, and what is there may be read.
    Seen,
    /// Refused, and nobody knows what is there.
    Unseen,
    /// Put over what was there: nothing told that it was.
    Over(Proof),
}
use End::{Over, Seen, Stored, Unseen};

fn bucket_at(store: &Scripted) -> Bucket {
    Bucket::connect(&destination(&store.endpoint, BUCKET, ACCESS_KEY, SECRET_KEY))
}

async fn put(bucket: &Bucket, earlier: Earlier) -> Result<Proof, BucketError> {
    let (key, bytes) = (bucket.key(NAME), Bytes::from_static(OURS));
    let confirmed = bucket.put_within(LIMIT, &key, bytes, ObjectKind::Segment, earlier).await?;
    assert_eq!((confirmed.size, confirmed.sha256), (OURS.len() as u64, format!("{:x}", Sha256::digest(OURS))));
    Ok(confirmed.proof)
}

async fn come_to_its_end(store: &Scripted, bucket: &Bucket, there: Option<&'static [u8]>, earlier: Earlier) -> End {
    let key = bucket.key(NAME);
    if let Some(bytes) = there {
        store.lay(&key, bytes);
    }
    let put = loop {
        match put(bucket, earlier).await {
            // A conflict is tried again.
            Err(BucketError::Busy { status: 409, .. }) => {}
            put => break put,
        }
    };
    let now = store.get(&key).unwrap();
    match put {
        Ok(proof) if there == Some(OTHERS) && now == OURS => Over(proof),
        Ok(proof) => {
            assert_eq!(now, OURS);
            Stored(proof)
        }
        Err(BucketError::Taken { held, .. }) => {
            assert_eq!(Some(&now[..]), there, "it is left as it is");
            match held {
                Some(Held { size, .. }) => {
                    assert_eq!(size, Some(now.len() as u64));
                    Seen
                }
                None => Unseen,
            }
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// A row: what the probe says of the store, then the ends of a free name, the same bytes and others, each after a probe and without one.
async fn row(script: Script, abilities: (Option<bool>, Option<bool>, Option<bool>), ends: [End; 3]) {
    let (conditional, readable, write_once) = abilities;
    // A store that is busy with a name that nobody else knows is not taken at start.
    let probes: &[bool] = if matches!(script.condition, Condition::Conflict(_)) { &[false] } else { &[true, false] };
    for &probed in probes {
        for (there, end) in [None, Some(OURS), Some(OTHERS)].into_iter().zip(ends) {
            let store = Scripted::start(script).await;
            let bucket = bucket_at(&store);
            if probed {
                bucket.prove().await.unwrap();
                assert_eq!(
                    bucket.abilities(),
                    Abilities { conditional, readable, write_once, ..Abilities::default() },
                    "{script:?}"
                );
                store.requests();
            }
            let came = come_to_its_end(&store, &bucket, there, Earlier::None).await;
            assert_eq!(came, end, "{script:?}, probed {probed}, there {there:?}: {:?}", store.requests());
        }
    }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

fn script(condition: Condition, tells: Tells) -> Script {
    Script { condition, tells, overwriting: Overwriting::Allowed }
}

const SUM: Proof = Proof::Checksum;

macro_rules! rows {
    ($($name:ident: $script:expr => $abilities:expr, $ends:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                row($script, $abilities, $ends).await;
            }
        )*
    };
}

rows! {
    it_honours_the_condition: script(Condition::Honoured, Tells::Checksum)
        => (YES, YES, NO), [Stored(SUM), Stored(SUM), Seen];
    it_ignores_the_condition: script(Condition::Ignored, Tells::Checksum)
        => (NO, YES, NO), [Stored(SUM), Stored(SUM), Seen];
    it_refuses_the_condition_with_501: script(Condition::Refused(501), Tells::Checksum)
        => (NO, YES, NO), [Stored(SUM), Stored(SUM), Seen];
    it_refuses_the_condition_with_400: script(Condition::Refused(400), Tells::Checksum)
        => (NO, YES, NO), [Stored(SUM), Stored(SUM), Seen];
    its_answer_is_a_conflict_at_first: script(Condition::Conflict(3), Tells::Checksum)
        => (None, None, None), [Stored(SUM), Stored(SUM), Seen];
    it_knows_no_checksums: script(Condition::Honoured, Tells::Md5)
        => (YES, YES, NO), [Stored(Proof::ETag), Stored(Proof::ETag), Seen];
    it_knows_lengths_alone: script(Condition::Honoured, Tells::Length)
        => (YES, YES, NO), [Stored(Proof::Length), Seen, Seen];
    it_lets_nobody_read: script(Condition::Honoured, Tells::Nothing)
        => (YES, NO, NO), [Stored(SUM), Unseen, Unseen];
    it_lets_nobody_read_and_ignores_the_condition: script(Condition::Ignored, Tells::Nothing)
        => (NO, NO, NO), [Stored(SUM), Stored(SUM), Over(SUM)];
    it_ignores_the_condition_and_knows_no_checksums: script(Condition::Ignored, Tells::Md5)
        => (NO, YES, NO), [Stored(Proof::ETag), Stored(Proof::ETag), Seen];
    it_denies_what_is_there: Script { overwriting: Overwriting::Denied, ..script(Condition::Honoured, Tells::Checksum) }
        => (None, YES, YES), [Stored(SUM), Stored(SUM), Seen];
    it_needs_the_condition: Script { overwriting: Overwriting::NeedsCondition, ..script(Condition::Honoured, Tells::Checksum) }
        => (YES, YES, YES), [Stored(SUM), Stored(SUM), Seen];
}

#[tokio::test]
async fn what_may_have_been_taken_before_is_ours() {
    for (tells, earlier, end) in [
        (Tells::Nothing, Earlier::MayBeThere, Stored(Proof::Length)),
        (Tells::Nothing, Earlier::None, Unseen),
        (Tells::Length, Earlier::MayBeThere, Stored(Proof::Length)),
        (Tells::Length, Earlier::None, Seen),
    ] {
        let store = Scripted::start(script(Condition::Honoured, tells)).await;
        assert_eq!(
            come_to_its_end(&store, &bucket_at(&store), Some(OURS), earlier).await,
            end,
            "{tells:?} {earlier:?}"
        );
    }
    // Bytes that can be compared are.
    for tells in [Tells::Checksum, Tells::Md5] {
        let store = Scripted::start(script(Condition::Honoured, tells)).await;
        let end = come_to_its_end(&store, &bucket_at(&store), Some(OTHERS), Earlier::MayBeThere).await;
        assert_eq!(end, Seen, "{tells:?}");
    }
}

#[tokio::test]
async fn what_the_store_altered_is_put_over() {
    let store = Scripted::start(script(Condition::Honoured, Tells::Checksum)).await;
    let end = come_to_its_end(&store, &bucket_at(&store), Some(OTHERS), Earlier::Altered).await;
    assert_eq!(end, Over(SUM));
}

#[tokio::test]
async fn a_destination_is_probed_once() {
    let store = Scripted::start(script(Condition::Honoured, Tells::Checksum)).await;
    let destinations = Destinations::default();
    let first = bucket_at(&store).remembered(&destinations);
    first.prove().await.unwrap();
    let kinds = |requests: Vec<String>| -> Vec<String> {
        let kind = |line: &String| format!("{}{}", &line[..3], if line.ends_with('*') { "*" } else { "" });
        requests.iter().map(kind).collect()
    };
    assert_eq!(kinds(store.requests()), ["PUT*", "PUT*", "HEA", "PUT", "DEL"]);
    let second = bucket_at(&store).remembered(&destinations);
    assert_eq!(second.abilities(), first.abilities());
    second.prove().await.unwrap();
    assert_eq!(kinds(store.requests()), ["PUT*", "DEL"]);
    put(&second, Earlier::None).await.unwrap();
    assert_eq!(store.requests(), ["PUT a_1.m4s*"], "no question before what the store does by itself");
}

#[tokio::test]
async fn what_was_never_probed_is_learned_with_the_first_segment() {
    for (condition, honoured) in
        [(Condition::Honoured, true), (Condition::Ignored, false), (Condition::Refused(501), false)]
    {
        let store = Scripted::start(script(condition, Tells::Checksum)).await;
        let bucket = bucket_at(&store);
        put(&bucket, Earlier::None).await.unwrap();
        assert_eq!(bucket.abilities().conditional, Some(honoured));
        let requests = store.requests();
        assert_eq!(requests[..2], ["HEAD a_1.m4s", "PUT a_1.m4s*"]);
        assert_eq!(requests.len(), 3, "{requests:?}");
    }
}

#[tokio::test]
async fn playlists_are_replaced_except_where_nothing_is() {
    for (overwriting, replaced) in
        [(Overwriting::Allowed, true), (Overwriting::Denied, false), (Overwriting::NeedsCondition, false)]
    {
        let store = Scripted::start(Script { overwriting, ..script(Condition::Honoured, Tells::Checksum) }).await;
        let bucket = bucket_at(&store);
        bucket.prove().await.unwrap();
        for name in ["a.m3u8", "a_manifest.json"] {
            let (key, kind) = (bucket.key(name), ObjectKind::Document);
            let put = |text: &'static str| bucket.put_within(LIMIT, &key, text.into(), kind, Earlier::None);
            put("first").await.unwrap();
            put("first").await.unwrap();
            match put("second").await {
                Ok(_) => assert!(replaced),
                Err(error) => {
                    assert!(matches!(error, BucketError::Taken { held: Some(_), .. }) && !replaced, "{error:?}");
                    assert_eq!((error.error_class().code, error.error_class().retry), ("bucket_taken", false));
                }
            }
            assert_eq!(store.get(&key).unwrap(), if replaced { "second" } else { "first" });
        }
    }
}

#[tokio::test]
async fn an_upload_leaves_the_decision_to_its_session() {
    let store = Scripted::start(script(Condition::Honoured, Tells::Checksum)).await;
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    let bucket = bucket_at(&store);
    store.lay(&bucket.key(NAME), OTHERS);
    let (queue, mut reports) = Uploader::new(RetryPolicy::default(), 1).spawn(bucket.clone(), session.clone());
    queue.submit(session.put(NAME, ObjectKind::Segment, Bytes::from_static(OURS)).await.unwrap());
    queue.submit(session.put("a.m3u8", ObjectKind::Playlist, Bytes::from_static(b"#EXTM3U\n")).await.unwrap());
    let Some(UploadReport::Taken { object, held }) = reports.recv().await else { panic!("the name is taken") };
    let held = held.unwrap();
    assert_eq!((object.name.as_str(), held.size), (NAME, Some(OTHERS.len() as u64)));
    assert_eq!(held.sha256, Some(format!("{:x}", Sha256::digest(OTHERS))));
    assert_eq!((session.list().await.unwrap().len(), queue.progress().waiting_objects), (2, 2), "it is in the spool");
    // Under another name, and the playlist waits for that one too.
    let bytes = session.read(&object).await.unwrap();
    queue.submit(session.put("bak0_a_1.m4s", ObjectKind::Segment, bytes).await.unwrap());
    queue.let_go(object);
    queue.drained().await;
    assert_eq!(store.get(&bucket.key("bak0_a_1.m4s")).unwrap(), OURS);
    assert_eq!(store.get(&bucket.key(NAME)).unwrap(), OTHERS);
    assert!(store.get(&bucket.key("a.m3u8")).is_some() && session.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_copy_for_a_second_bucket_is_put_over_nothing_either() {
    let store = Scripted::start(script(Condition::Ignored, Tells::Md5)).await;
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    let bucket = bucket_at(&store);
    store.lay(&bucket.key(NAME), OTHERS);
    let (queue, mut reports) = Uploader::new(RetryPolicy::default(), 1).spawn_copies(bucket.clone(), session.clone());
    let spooled = session.put(NAME, ObjectKind::Segment, Bytes::from_static(OURS)).await.unwrap();
    queue.copy(&spooled);
    let Some(UploadReport::Taken { object, .. }) = reports.recv().await else { panic!("the name is taken") };
    queue.let_go(object);
    queue.drained().await;
    assert_eq!(store.get(&bucket.key(NAME)).unwrap(), OTHERS);
    assert_eq!(session.list().await.unwrap(), [spooled], "the first bucket needs it");
}

#[tokio::test]
async fn what_is_there_can_be_read_back() {
    let server = Server::start().await;
    let bucket = Bucket::connect(&server.destination());
    assert_eq!(bucket.head_within(LIMIT, &bucket.key(NAME)).await.unwrap(), None);
    assert_eq!(bucket.get_within(LIMIT, &bucket.key(NAME), 1000).await.unwrap(), None);
    put(&bucket, Earlier::None).await.unwrap();
    let held = bucket.head_within(LIMIT, &bucket.key(NAME)).await.unwrap().unwrap();
    assert_eq!((held.size, held.sha256), (Some(OURS.len() as u64), Some(format!("{:x}", Sha256::digest(OURS)))));
    assert_eq!(bucket.get_within(LIMIT, &bucket.key(NAME), OURS.len() as u64).await.unwrap().unwrap(), OURS);
    let error = bucket.get_within(LIMIT, &bucket.key(NAME), OURS.len() as u64 - 1).await.unwrap_err();
    assert!(matches!(error, BucketError::TooLong { .. }), "{error:?}");

    for number in 0..5 {
        let (key, bytes) = (bucket.key(&format!("b_{number}.m4s")), Bytes::from_static(OURS));
        bucket.put_within(PROOF_TIME, &key, bytes, ObjectKind::Segment, Earlier::None).await.unwrap();
    }
    let listed = bucket.list_within(LIMIT, &bucket.key("b_"), 100).await.unwrap();
    let keys: Vec<_> = listed.iter().map(|object| object.key.clone()).collect();
    assert_eq!(keys, (0..5).map(|number| bucket.key(&format!("b_{number}.m4s"))).collect::<Vec<_>>());
    assert!(listed.iter().all(|object| object.size == OURS.len() as u64 && object.etag.is_some()));
    assert_eq!(bucket.list_within(LIMIT, &bucket.key("b_"), 3).await.unwrap(), listed[..3]);
    assert!(bucket.list_within(LIMIT, &bucket.key("c_"), 3).await.unwrap().is_empty());
}
