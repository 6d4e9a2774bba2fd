//! Where objects land with the endpoints that people paste into a storage configuration: below a path, with the bucket in the host. The
//! embedded bucket checks the signatures, and shows where everything lies.

use bytes::Bytes;
use cloud_recorder::storage::{Bucket, Destination, Earlier, ObjectKind, PROOF_TIME, vendor};
use serde_json::{Value, json};

use crate::odd_store::OddStore;
use crate::support::{ACCESS_KEY, SECRET_KEY, Server};

pub(crate) fn destination(bucket: &str, extension: &Value) -> Destination {
    let config = json!({ "vendor": 11, "bucket": bucket, "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY,
        "fileNamePrefix": ["rec", "a b"], "extensionParams": extension });
    vendor::destination(&serde_json::from_value(config).unwrap()).unwrap()
}

pub(crate) async fn put(bucket: &Bucket, name: &str) {
    let (key, bytes) = (bucket.key(name), Bytes::from_static(b"sound"));
    bucket.put_within(PROOF_TIME * 10, &key, bytes, ObjectKind::Segment, Earlier::None).await.unwrap();
}

async fn keys(server: &Server, bucket: &str) -> Vec<String> {
    let list = server.client().list_objects_v2().bucket(bucket).send().await.unwrap();
    list.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn below_a_path_nothing_lands_in_another_bucket_and_signatures_are_right() {
    let server = Server::start().await;
    for bucket in ["data", "datarecs", "recs"] {
        server.server.ensure_bucket(bucket).await.unwrap();
    }
    for (path, folder) in
        [("/data", "recs/"), ("/data/", "recs/"), ("/data//x", "x/recs/"), ("/data/(v1)+s3 b", "(v1)+s3 b/recs/")]
    {
        let endpoint = format!("{}{path}", server.server.endpoint());
        let bucket = Bucket::connect(&destination("recs", &json!({ "endpoint": endpoint })));
        bucket.prove().await.unwrap();
        put(&bucket, "x.m4s").await;
        assert_eq!(keys(&server, "data").await, [format!("{folder}rec/a b/x.m4s")], "{path}");
        bucket.delete_within(PROOF_TIME * 10, &bucket.key("x.m4s")).await.unwrap();
        assert!(keys(&server, "datarecs").await.is_empty() && keys(&server, "recs").await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_host_that_names_the_bucket_is_signed_for_and_the_key_is_all_of_the_path() {
    let server = Server::start().await;
    server.server.ensure_bucket("rec").await.unwrap();
    let endpoint = server.server.endpoint().replace("127.0.0.1", "localhost");
    let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": endpoint, "pathStyle": false })));
    bucket.prove().await.unwrap();
    put(&bucket, "x.m4s").await;
    // This server takes the first part of any path for a bucket.
    assert_eq!(keys(&server, "rec").await, ["a b/x.m4s"]);
    assert!(keys(&server, "calls").await.is_empty());
}

#[tokio::test]
async fn every_request_goes_to_the_same_place() {
    let store = OddStore::start(|_| None).await;
    for (endpoint, path_style, host, path) in [
        (format!("{}/a", store.numbered()), None, "127.0.0.1", "/a/calls/rec/a%20b"),
        (format!("{}/a/b/", store.numbered()), None, "127.0.0.1", "/a/b/calls/rec/a%20b"),
        (store.numbered(), None, "127.0.0.1", "/calls/rec/a%20b"),
        (store.named(), Some(false), "calls.localhost", "/rec/a%20b"),
        (format!("{}/a", store.named()), Some(false), "calls.localhost", "/a/rec/a%20b"),
        (format!("http://calls.s3.localhost:{}", store.port), None, "calls.s3.localhost", "/rec/a%20b"),
        (format!("http://calls.localhost:{}", store.port), Some(false), "calls.localhost", "/rec/a%20b"),
        (format!("http://calls.localhost:{}", store.port), Some(true), "calls.localhost", "/calls/rec/a%20b"),
    ] {
        let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": endpoint, "pathStyle": path_style })));
        put(&bucket, "x.m4s").await;
        let key = bucket.key("x.m4s");
        assert!(bucket.get_within(PROOF_TIME, &key, 10).await.unwrap().is_some());
        bucket.delete_within(PROOF_TIME, &key).await.unwrap();
        let lines = store.lines();
        let methods: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(methods, ["HEAD", "PUT", "PUT", "GET", "DELETE"], "{endpoint}");
        for line in &lines {
            assert!(line.ends_with(&format!(" {host} {path}/x.m4s us-east-1")), "{endpoint}: {line}");
        }
    }
}
