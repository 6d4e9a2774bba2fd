//! A real S3 server takes a recording, is killed in the middle and started again: nothing is missing.
//!
//! docs/protocol/storage.md section 3 says how the server is built; `test_support::versitygw` finds it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{Bucket, Proof, RetryPolicy, Spool, UploadReport, Uploader};
use cloud_recorder::units::Sid;

use crate::recording::{assert_bucket_holds, make};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, app, client, destination};

/// A process that is killed with its test.
pub(crate) struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start(binary: &str, port: u16, dir: &Path) -> Gateway {
    let mut command = Command::new(binary);
    command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
    command.args(["--port", &format!("127.0.0.1:{port}"), "posix"]).arg(dir);
    Gateway(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

pub(crate) async fn until_it_answers(client: &aws_sdk_s3::Client) {
    for _ in 0..300 {
        if client.list_buckets().send().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("versitygw does not answer");
}

#[tokio::test]
async fn killed_in_the_middle() {
    let Some(binary) = test_support::versitygw("a real S3 server takes a recording") else { return };
    let dir = tempfile::tempdir().unwrap();
    let objects_dir = dir.path().join("objects");
    std::fs::create_dir(&objects_dir).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let gateway = start(&binary, port, &objects_dir);
    let client = client(&endpoint, ACCESS_KEY, SECRET_KEY);
    until_it_answers(&client).await;

    let bucket = Bucket::connect(&destination(&endpoint, BUCKET, ACCESS_KEY, SECRET_KEY));
    assert_eq!(bucket.prove().await.unwrap_err().error_class().code, "bucket_missing");
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    bucket.prove().await.unwrap();

    let retry = RetryPolicy { first: Duration::from_millis(10), longest: Duration::from_millis(100) };
    let spool = Spool::open(dir.path().join("spool"), u64::MAX).unwrap();
    let session = spool.session(&app(), &Sid::from_random([1; 16])).unwrap();
    let (queue, mut reports) = Uploader::new(retry, 0).spawn(bucket, session.clone());
    let drained = async {
        let objects = make(&queue, &session, 2, 30).await;
        queue.drained().await;
        objects
    };
    tokio::pin!(drained);
    let mut gateway = Some(gateway);
    let (mut confirmed, mut recovered) = (0, false);
    let objects = loop {
        tokio::select! {
            objects = &mut drained => break objects,
            report = reports.recv() => match report.unwrap() {
                UploadReport::Confirmed { confirmed: object, .. } => {
                    assert_eq!(object.proof, Proof::Checksum);
                    confirmed += 1;
                    if confirmed == 20 {
                        drop(gateway.take());
                    }
                }
                UploadReport::Retrying { error, .. } => {
                    assert!(error.error_class().retry, "an outage passes: {error}");
                    if gateway.is_none() {
                        gateway = Some(start(&binary, port, &objects_dir));
                    }
                }
                UploadReport::Recovered => recovered = true,
                UploadReport::Settled { .. } | UploadReport::Gone { .. } => (),
                UploadReport::Taken { object, held } => panic!("{object:?} {held:?}"),
            },
        }
    };
    assert!(recovered);
    assert_bucket_holds(&client, BUCKET, &objects).await;
    assert!(session.list().await.unwrap().is_empty());
}
