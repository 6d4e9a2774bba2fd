//! A whole file goes from the spool's disk to the bucket in one signed PUT, read while it is sent, confirmed by its SHA-256, and the
//! segments beside it do not wait for it.

use std::path::Path;

use bytes::Bytes;
use cloud_recorder::storage::{
    Abilities, Bucket, Destination, Earlier, ObjectKind, PROOF_TIME, Proof, RetainedSegments, RetryPolicy,
    SessionSpool, Spool, UploadReport, Uploader,
};
use cloud_recorder::units::Sid;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, app, client, destination};
use crate::versitygw::{start, until_it_answers};

/// Bytes of the file: more than what a connection holds by far.
const SIZE: usize = 40 << 20;

/// A block of bytes like no other.
fn block(number: usize) -> Vec<u8> {
    let mut block = vec![number as u8; 1 << 20];
    block[..8].copy_from_slice(&(number as u64).to_le_bytes());
    block
}

fn spool(dir: &Path) -> (Spool, SessionSpool) {
    let spool = Spool::open(dir.join("spool"), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    (spool, session)
}

/// Uploads a file and a segment; what came of them, in the order of their confirmations.
async fn upload(
    destination: &Destination,
    session: &SessionSpool,
    patience: RetryPolicy,
) -> Vec<(String, Proof, String)> {
    let (queue, mut reports) = Uploader::new(patience, 1).spawn(Bucket::connect(destination), session.clone());
    let recipe = |_: &RetainedSegments<'_>, out: &mut dyn std::io::Write| {
        (0..SIZE >> 20).try_for_each(|n| out.write_all(&block(n)))
    };
    let (object, file) = session.make("a_0.mp4", ObjectKind::Mp4, Vec::new(), recipe).await.unwrap();
    assert_eq!((object.size, file.size, session.bytes()), (SIZE as u64, SIZE as u64, SIZE as u64));
    queue.submit(object);
    queue.submit(session.put("a_1.m4s", ObjectKind::Segment, Bytes::from_static(b"segment")).await.unwrap());
    let mut confirmations = Vec::new();
    while confirmations.len() < 2 {
        match reports.recv().await.unwrap() {
            UploadReport::Confirmed { name, confirmed, .. } => {
                confirmations.push((name, confirmed.proof, confirmed.sha256));
            }
            other => panic!("{other:?}"),
        }
    }
    queue.drained().await;
    assert_eq!(session.bytes(), 0, "what is confirmed leaves the spool");
    confirmations
}

fn expected() -> String {
    let mut digest = Sha256::new();
    (0..SIZE >> 20).for_each(|n| digest.update(block(n)));
    format!("{:x}", digest.finalize())
}

async fn check(client: &aws_sdk_s3::Client, confirmations: &[(String, Proof, String)]) {
    assert_eq!(confirmations[0].0, "a_1.m4s", "the segment is there first");
    assert_eq!((&confirmations[1].0[..], &confirmations[1].2), ("a_0.mp4", &expected()));
    let held = client.get_object().bucket(BUCKET).key("recordings/room_1/a_0.mp4").send().await.unwrap();
    assert_eq!(held.content_type(), Some("audio/mp4"));
    let bytes = held.body.collect().await.unwrap().into_bytes();
    assert_eq!(format!("{:x}", Sha256::digest(&bytes)), expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn into_the_embedded_bucket() {
    let server = Server::start().await;
    let (_spool, session) = spool(server.dir.path());
    let confirmations = upload(&server.destination(), &session, RetryPolicy::default()).await;
    check(&server.client(), &confirmations).await;
    assert_eq!(confirmations[1].1, Proof::Checksum);
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_real_s3_server() {
    let Some(binary) = test_support::versitygw("a real S3 server takes a whole file") else { return };
    let dir = tempfile::tempdir().unwrap();
    let objects = dir.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let _gateway = start(&binary, port, &objects);
    let client = client(&endpoint, ACCESS_KEY, SECRET_KEY);
    until_it_answers(&client).await;
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let (_spool, session) = spool(dir.path());
    let to = destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY);
    check(&client, &upload(&to, &session, RetryPolicy::default()).await).await;
    let left = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert!(left.uploads().is_empty(), "nothing half stays behind");
}

#[tokio::test]
async fn the_request_is_signed_for_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (_spool, session) = spool(dir.path());
    let recipe = |_: &RetainedSegments<'_>, out: &mut dyn std::io::Write| out.write_all(&block(7));
    let (object, file) = session.make("a_0.mp4", ObjectKind::Mp4, Vec::new(), recipe).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let bucket = Bucket::connect(&destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
    bucket.learn(Abilities { conditional: Some(true), ..Abilities::default() });
    let put = bucket.put_file_within(PROOF_TIME, "a_0.mp4", file, object.kind, Earlier::None);
    let seen = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        String::from_utf8_lossy(&head).to_lowercase()
    };
    let (_, head) = tokio::join!(put, seen);
    let sha256 = format!("{:x}", Sha256::digest(block(7)));
    assert!(head.contains(&format!("x-amz-content-sha256: {sha256}")), "{head}");
    assert!(head.contains(&format!("content-length: {}", 1 << 20)), "{head}");
}
