//! aws-sdk-s3 against the embedded bucket: everything that a recording, a player and a person with a console need of a store.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::support::{ACCESS_KEY, BUCKET, Server, client};

fn body(text: &str) -> ByteStream {
    ByteStream::from(text.as_bytes().to_vec())
}

fn sha256(bytes: &[u8]) -> String {
    BASE64.encode(Sha256::digest(bytes))
}

/// The code of an error, whatever the operation.
macro_rules! code {
    ($sent:expr) => {
        $sent.await.unwrap_err().code().map(str::to_owned).unwrap_or_default()
    };
}

async fn keys(client: &aws_sdk_s3::Client) -> Vec<String> {
    let list = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    list.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_object_comes_back_with_its_headers_and_checksum() {
    let server = Server::start().await;
    let client = server.client();
    let put = client.put_object().bucket(BUCKET).key("a/b c/ü.m3u8").body(body("hello"));
    let put = put.content_type("application/vnd.apple.mpegurl").cache_control("no-cache").metadata("who", "me");
    let put = put.checksum_sha256(sha256(b"hello")).send().await.unwrap();
    assert_eq!(put.checksum_sha256(), Some(sha256(b"hello").as_str()));
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let head = client.head_object().bucket(BUCKET).key("a/b c/ü.m3u8");
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_sha256(), Some(sha256(b"hello").as_str()));
    assert_eq!((head.content_type(), head.cache_control()), (Some("application/vnd.apple.mpegurl"), Some("no-cache")));
    assert_eq!((head.content_length(), head.metadata().unwrap()["who"].as_str()), (Some(5), "me"));

    let get = client.get_object().bucket(BUCKET).key("a/b c/ü.m3u8").send().await.unwrap();
    assert_eq!(get.cache_control(), Some("no-cache"));
    assert_eq!(get.body.collect().await.unwrap().into_bytes(), "hello");
    let path = server.dir.path().join("buckets").join(BUCKET).join("a/b c/ü.m3u8");
    assert_eq!(std::fs::read(path).unwrap(), b"hello", "a person finds it, too");
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let client = server.client();
    let put = || client.put_object().bucket(BUCKET).key("x").body(body("hello"));
    assert_eq!(code!(put().checksum_sha256(sha256(b"other")).send()), "BadDigest");
    assert_eq!(code!(put().checksum_crc32("AAAAAA==").send()), "BadDigest");
    assert_eq!(code!(put().content_md5(BASE64.encode([0; 16])).send()), "BadDigest");
    assert!(keys(&client).await.is_empty());
    put().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.unwrap();
    assert_eq!(code!(put().checksum_sha256(sha256(b"other")).send()), "BadDigest");
    let get = client.get_object().bucket(BUCKET).key("x").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().into_bytes(), "hello", "the old object is untouched");
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_made() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(code!(client.put_object().bucket("nowhere").key("x").body(body("x")).send()), "NoSuchBucket");
    assert_eq!(code!(client.get_object().bucket("nowhere").key("x").send()), "NoSuchBucket");
    assert!(client.head_bucket().bucket("nowhere").send().await.is_err());
    assert_eq!(code!(client.create_bucket().bucket(BUCKET).send()), "BucketAlreadyOwnedByYou");
    client.create_bucket().bucket("second").send().await.unwrap();
    let buckets = client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), [BUCKET, "second"]);
}

#[tokio::test]
async fn no_key_leaves_its_bucket() {
    let server = Server::start().await;
    let client = server.client();
    client.create_bucket().bucket("other").send().await.unwrap();
    let strange = [
        "../../evil",
        "../other/evil",
        "a/../../../evil",
        "/etc/evil",
        "a//b",
        "folder/",
        ".store/meta/evil",
        "...",
        "a\\..\\b",
    ];
    for key in strange {
        client.put_object().bucket(BUCKET).key(key).body(body(key)).send().await.unwrap();
    }
    for key in strange {
        let get = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(get.body.collect().await.unwrap().into_bytes(), key);
    }
    let mut sorted = strange.to_vec();
    sorted.sort_unstable();
    assert_eq!(keys(&client).await, sorted);
    assert_eq!(client.list_objects_v2().bucket("other").send().await.unwrap().key_count(), Some(0));
    let beside: Vec<_> = std::fs::read_dir(server.dir.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "only the server's own directory: {beside:?}");
}

#[tokio::test]
async fn a_key_that_is_a_folder_of_others_is_refused_and_they_stay() {
    let server = Server::start().await;
    let client = server.client();
    client.put_object().bucket(BUCKET).key("a/b").body(body("x")).send().await.unwrap();
    for key in ["a", "a/b/c"] {
        assert_eq!(code!(client.put_object().bucket(BUCKET).key(key).body(body("x")).send()), "InvalidRequest");
        assert_eq!(code!(client.get_object().bucket(BUCKET).key(key).send()), "NoSuchKey");
        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    assert_eq!(keys(&client).await, ["a/b"]);
}

#[tokio::test]
async fn keys_as_long_as_s3_allows_are_kept() {
    let server = Server::start().await;
    let client = server.client();
    let long = "k".repeat(1024);
    client.put_object().bucket(BUCKET).key(&long).body(body("x")).send().await.unwrap();
    assert_eq!(keys(&client).await, std::slice::from_ref(&long));
    client.delete_object().bucket(BUCKET).key(&long).send().await.unwrap();
    assert!(keys(&client).await.is_empty());
}

#[tokio::test]
async fn wrong_credentials_and_strangers_are_refused() {
    let server = Server::with(false).await;
    let good = server.client();
    good.put_object().bucket(BUCKET).key("x").body(body("x")).send().await.unwrap();
    let endpoint = server.server.endpoint();
    let wrong = client(&endpoint, ACCESS_KEY, "guessed");
    assert_eq!(code!(wrong.get_object().bucket(BUCKET).key("x").send()), "SignatureDoesNotMatch");
    let unknown = client(&endpoint, "stranger", "guessed");
    let refused = code!(unknown.get_object().bucket(BUCKET).key("x").send());
    assert!(["InvalidAccessKeyId", "NotSignedUp"].contains(&refused.as_str()), "{refused}");
    assert_eq!(reqwest::get(server.url("x")).await.unwrap().status(), 403);
    assert_eq!(code!(good.get_object().bucket(BUCKET).key("missing").send()), "NoSuchKey");
}

#[tokio::test]
async fn a_player_on_another_origin_may_read_but_not_write_or_list() {
    let server = Server::start().await;
    server.client().put_object().bucket(BUCKET).key("x").body(body("hello")).send().await.unwrap();
    let http = reqwest::Client::new();
    let get = http.get(server.url("x")).header("origin", "http://player.example").send().await.unwrap();
    assert_eq!((get.status().as_u16(), &get.headers()["access-control-allow-origin"]), (200, &"*".parse().unwrap()));
    let etag = get.headers()["etag"].clone();
    assert_eq!(get.text().await.unwrap(), "hello");
    let again = http.get(server.url("x")).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let asked = http.request(reqwest::Method::OPTIONS, server.url("x")).header("origin", "http://player.example");
    let asked = asked.header("access-control-request-method", "GET").header("access-control-request-headers", "range");
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), 200);
    assert!(asked.headers().contains_key("access-control-allow-headers"));
    assert_eq!(http.put(server.url("y")).body("x").send().await.unwrap().status(), 403);
    assert_eq!(http.delete(server.url("x")).send().await.unwrap().status(), 403);
    assert_eq!(http.get(server.url("")).send().await.unwrap().status(), 403);
    assert_eq!(http.get(server.url("missing")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn ranges_and_presigned_urls_work() {
    let server = Server::with(false).await;
    let client = server.client();
    client.put_object().bucket(BUCKET).key("x").body(body("0123456789")).send().await.unwrap();
    for (range, expected, content_range) in
        [("bytes=2-4", "234", "bytes 2-4/10"), ("bytes=7-", "789", "bytes 7-9/10"), ("bytes=-2", "89", "bytes 8-9/10")]
    {
        let get = client.get_object().bucket(BUCKET).key("x").range(range).send().await.unwrap();
        assert_eq!(get.content_range(), Some(content_range));
        assert_eq!(get.body.collect().await.unwrap().into_bytes(), expected);
    }
    assert_eq!(code!(client.get_object().bucket(BUCKET).key("x").range("bytes=10-").send()), "InvalidRange");
    let valid = PresigningConfig::expires_in(std::time::Duration::from_secs(60)).unwrap();
    let url = client.get_object().bucket(BUCKET).key("x").presigned(valid).await.unwrap();
    assert_eq!(reqwest::get(url.uri()).await.unwrap().text().await.unwrap(), "0123456789");
}

#[tokio::test]
async fn conditional_puts_keep_what_is_there() {
    let server = Server::start().await;
    let client = server.client();
    let put = |text| client.put_object().bucket(BUCKET).key("x").body(body(text));
    let first = put("1").if_none_match("*").send().await.unwrap();
    assert_eq!(code!(put("2").if_none_match("*").send()), "PreconditionFailed");
    put("3").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(code!(put("4").if_match(first.e_tag().unwrap()).send()), "PreconditionFailed");
    let get = client.get_object().bucket(BUCKET).key("x").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().into_bytes(), "3");
}

#[tokio::test]
async fn lists_have_prefixes_folders_and_pages() {
    let server = Server::start().await;
    let client = server.client();
    for key in ["a/1", "a/2", "a/b/3", "b", "b c/4"] {
        client.put_object().bucket(BUCKET).key(key).body(body(key)).send().await.unwrap();
    }
    let list = client.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    let folders: Vec<_> = list.common_prefixes().iter().filter_map(|folder| folder.prefix()).collect();
    assert_eq!((list.contents()[0].key(), folders), (Some("b"), vec!["a/", "b c/"]));
    let mut pages = client.list_objects_v2().bucket(BUCKET).prefix("a/").max_keys(1).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(found, ["a/1", "a/2", "a/b/3"]);
    let ids = found.iter().map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.collect())).build().unwrap();
    client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(keys(&client).await, ["b", "b c/4"]);
    assert!(!server.dir.path().join("buckets").join(BUCKET).join("a").exists(), "empty folders go");
}

#[tokio::test]
async fn a_multipart_upload_makes_one_object_or_none() {
    let server = Server::start().await;
    let client = server.client();
    let begin = || client.create_multipart_upload().bucket(BUCKET).key("big").content_type("audio/mp4");
    let part = |id: String, number: i32, bytes: Vec<u8>| {
        let part = client.upload_part().bucket(BUCKET).key("big").upload_id(id).part_number(number);
        async move {
            let sent = part.body(ByteStream::from(bytes)).send().await.unwrap();
            CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build()
        }
    };
    let complete = |id: String, parts: Vec<CompletedPart>| {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(id).multipart_upload(parts).send()
    };
    let id = begin().send().await.unwrap().upload_id.unwrap();
    let parts = vec![part(id.clone(), 1, vec![1; 5 << 20]).await, part(id.clone(), 2, vec![2; 1000]).await];
    assert!(keys(&client).await.is_empty());
    let reversed = parts.iter().rev().cloned().collect();
    assert_eq!(code!(complete(id.clone(), reversed)), "InvalidPartOrder");
    let whole = complete(id.clone(), parts.clone()).await.unwrap();
    assert!(whole.e_tag().unwrap().ends_with("-2\""));
    let get = client.get_object().bucket(BUCKET).key("big").send().await.unwrap();
    assert_eq!(get.content_type(), Some("audio/mp4"));
    let bytes = get.body.collect().await.unwrap().into_bytes();
    assert_eq!((bytes.len(), bytes[0], bytes[bytes.len() - 1]), ((5 << 20) + 1000, 1, 2));
    assert_eq!(code!(complete(id, parts)), "NoSuchUpload");

    let id = begin().send().await.unwrap().upload_id.unwrap();
    let parts = vec![part(id.clone(), 1, vec![1; 10]).await, part(id.clone(), 2, vec![2; 10]).await];
    assert_eq!(code!(complete(id.clone(), parts)), "EntityTooSmall");
    client.abort_multipart_upload().bucket(BUCKET).key("big").upload_id(&id).send().await.unwrap();
    let get = client.get_object().bucket(BUCKET).key("big").send().await.unwrap();
    assert_eq!(get.content_length(), Some((5 << 20) + 1000), "an aborted upload changes nothing");
}

#[tokio::test]
async fn readers_never_see_half_of_a_write() {
    let server = Server::start().await;
    let writer = server.client();
    let content = |round: u8| vec![round; 20_000 + 1000 * usize::from(round)];
    writer.put_object().bucket(BUCKET).key("list").body(content(0).into()).send().await.unwrap();
    let reader = server.client();
    let reads = tokio::spawn(async move {
        let mut rounds = Vec::new();
        while rounds.last() != Some(&59) {
            let get = reader.get_object().bucket(BUCKET).key("list").checksum_mode(ChecksumMode::Enabled);
            let bytes = get.send().await.unwrap().body.collect().await.unwrap().into_bytes();
            assert_eq!(bytes, content(bytes[0]), "a torn read");
            rounds.push(bytes[0]);
        }
        rounds
    });
    for round in 1..60 {
        writer.put_object().bucket(BUCKET).key("list").body(content(round).into()).send().await.unwrap();
    }
    assert!(reads.await.unwrap().is_sorted(), "a reader never goes back in time");
}

#[tokio::test]
async fn objects_outlive_the_server() {
    let server = Server::start().await;
    server
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("a/x")
        .content_type("audio/mp4")
        .body(body("x"))
        .send()
        .await
        .unwrap();
    let Server { server, dir } = server;
    server.shutdown().await;
    std::fs::write(dir.path().join("buckets").join(BUCKET).join("by-hand.txt"), "hello").unwrap();
    let server =
        cloud_recorder::storage::bucket_server::BucketServer::bind(cloud_recorder::storage::bucket_server::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            dir: dir.path().join("buckets"),
            access_key: ACCESS_KEY.into(),
            secret_key: crate::support::SECRET_KEY.into(),
            public_read: false,
        });
    let server = Server { server: server.await.unwrap(), dir };
    let client = server.client();
    assert_eq!(keys(&client).await, ["a/x", "by-hand.txt"]);
    let head = client.head_object().bucket(BUCKET).key("a/x").send().await.unwrap();
    assert_eq!(head.content_type(), Some("audio/mp4"));
    let head = client.head_object().bucket(BUCKET).key("by-hand.txt").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(head.send().await.unwrap().checksum_sha256(), Some(sha256(b"hello").as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_conditional_puts_at_once_one_wins() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..5 {
        let key = format!("a_{round}.m4s");
        let puts = (0..8).map(|number| {
            let put = client.put_object().bucket(BUCKET).key(&key).if_none_match("*");
            put.body(format!("of {number}").into_bytes().into()).send()
        });
        let ended = futures_util::future::join_all(puts).await;
        let winner: Vec<_> =
            ended.iter().enumerate().filter(|(_, put)| put.is_ok()).map(|(number, _)| number).collect();
        assert_eq!(winner.len(), 1, "{ended:?}");
        for error in ended.iter().filter_map(|put| put.as_ref().err()) {
            assert_eq!(error.code(), Some("PreconditionFailed"), "{error:?}");
        }
        let held = client.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
        assert_eq!(held.body.collect().await.unwrap().into_bytes(), format!("of {}", winner[0]));
    }
}
