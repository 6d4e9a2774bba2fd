//! Malformed, absurd and hostile requests: a clear JSON error, nothing recorded, nothing broken.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::world::{APP, World};

#[tokio::test]
async fn bodies_that_are_no_json_objects() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let deep = "[".repeat(100_000);
    let no_json = ["{", "{\"cname\":", "not json", "\u{0}", "{\"cname\":\"a\",}", &deep].map(|body| (body, 8));
    for (body, code) in no_json.into_iter().chain(["", "[]", "7", "\"x\""].map(|body| (body, 2))) {
        let answer = world.call(Method::POST, &path, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:.20}");
        assert_eq!(answer.body["code"], code, "{}", answer.body);
        assert!(answer.body["reason"].is_string());
    }
    let answer = world.call(Method::POST, &path, vec![0xff, 0xfe, b'{', b'}']).await;
    assert_eq!((answer.status, answer.body["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(8)));
}

#[tokio::test]
async fn an_oversized_body_is_not_read() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let answer = world.call(Method::POST, &path, vec![b' '; 1 << 20]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.body["message"], "Request size limit exceeded");
}

#[tokio::test]
async fn fields_of_acquire() {
    let world = World::new().await;
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    for (body, field) in [
        (json!({ "uid": "1" }), "cname"),
        (json!({ "cname": "", "uid": "1" }), "cname"),
        (json!({ "cname": 5, "uid": "1" }), "cname"),
        (json!({ "cname": "room" }), "uid"),
        (json!({ "cname": "room", "uid": "8810546176" }), "uid"),
        (json!({ "cname": "room", "uid": -1 }), "uid"),
        (json!({ "cname": "room", "uid": 1e99 }), "uid"),
        (json!({ "cname": "room", "uid": {} }), "uid"),
        (json!({ "cname": "room", "uid": "1", "clientRequest": [] }), "clientRequest"),
        (
            json!({ "cname": "room", "uid": "1", "clientRequest": { "resourceExpiredHour": 721 } }),
            "resourceExpiredHour",
        ),
        (
            json!({ "cname": "room", "uid": "1", "clientRequest": { "resourceExpiredHour": "72" } }),
            "resourceExpiredHour",
        ),
    ] {
        refused(&world.post(&path, body.clone()).await, field, &body);
    }
    for cname in ["../../etc/passwd", "a\\b", "a\u{0}b", &"x".repeat(65)] {
        let answer = world.post(&path, json!({ "cname": cname, "uid": "1" })).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(401)), "{}", answer.body);
        assert_eq!(answer.body["reason"], "invalid_channel_name");
        assert!(answer.body["detail"].as_str().unwrap().starts_with("cname "), "{}", answer.body);
    }
}

#[tokio::test]
async fn fields_of_start() {
    let world = World::new().await;
    let storage = world.storage(&[]);
    let with = |field: &str, value: Value| {
        let mut storage = storage.clone();
        storage[field] = value;
        json!({ "storageConfig": storage })
    };
    let resource = world.acquire("room", "1").await;
    for (client, field) in [
        (json!({}), "storageConfig is missing"),
        (
            json!({ "storageConfig": { "vendor": 0, "bucket": "", "accessKey": "", "secretKey": "" } }),
            "storageConfig is missing",
        ),
        (with("vendor", json!(99)), "storageConfig.vendor"),
        (with("vendor", json!("11")), "storageConfig.vendor"),
        (with("bucket", json!("")), "storageConfig.bucket"),
        (with("bucket", json!("../other")), "storageConfig.bucket"),
        (with("accessKey", json!(null)), "storageConfig.accessKey"),
        (with("fileNamePrefix", json!(["ok", ".."])), "storageConfig.fileNamePrefix"),
        (with("fileNamePrefix", json!(["a/../../b"])), "storageConfig.fileNamePrefix"),
        (with("fileNamePrefix", json!("x")), "storageConfig.fileNamePrefix"),
        (with("extensionParams", json!({ "endpoint": "ftp://x" })), "storageConfig.extensionParams.endpoint"),
        (with("bucket", json!("no-such-bucket")), "storageConfig"),
        (with("secretKey", json!("wrong")), "storageConfig"),
        (json!({ "recordingConfig": { "streamTypes": 1 } }), "recordingConfig.streamTypes"),
        (json!({ "recordingConfig": { "maxIdleTime": 2_592_001 } }), "recordingConfig.maxIdleTime"),
        (json!({ "recordingConfig": { "audioProfile": -1 } }), "recordingConfig.audioProfile"),
        (
            json!({ "recordingConfig": { "subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"] } }),
            "subscribeAudioUids",
        ),
        (json!({ "snapshotConfig": ["jpg"] }), "snapshotConfig"),
    ] {
        refused(&world.start(&resource, "mix", "room", "1", &client).await, field, &client);
    }
    let web = world.start(&resource, "web", "room", "1", &world.client()).await;
    refused(&web, "mode", &json!("web"));
    assert_eq!(world.channel.joins(), 0, "no bot was sent anywhere");
    let answer = world.start(&resource, "mix", "room", "1", &world.client()).await;
    assert_eq!(answer.status, StatusCode::OK, "the resource is still good: {}", answer.body);
}

#[tokio::test]
async fn a_private_endpoint_is_refused_where_it_may_not_be_used() {
    let options = crate::world::Options { private_endpoints: false, ..Default::default() };
    let world = World::with(options).await;
    let resource = world.acquire("room", "1").await;
    let answer = world.start(&resource, "mix", "room", "1", &world.client()).await;
    refused(&answer, "extensionParams.endpoint", &json!("loopback"));
}

#[tokio::test]
async fn paths_methods_and_credentials() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/".to_owned()),
        (Method::GET, "/favicon.ico".to_owned()),
        (Method::POST, format!("/v1/apps/{APP}/cloud_recording")),
        (Method::GET, format!("/v1/apps/{APP}/cloud_recording/acquire")),
        (Method::DELETE, format!("/v1/apps/{APP}/cloud_recording/acquire")),
        (Method::POST, format!("/v1/apps/{APP}/../../acquire")),
    ] {
        let answer = world.call(method.clone(), &path, "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer.body, json!({ "message": "no Route matched with those values" }));
    }
    let path = format!("/v1/apps/{APP}/cloud_recording/acquire");
    let bare = world.send(Request::post(&path).body(Body::empty()).unwrap()).await;
    assert_eq!((bare.status, &bare.body), (StatusCode::UNAUTHORIZED, &json!({ "message": "Unauthorized" })));
    assert!(bare.headers.contains_key("www-authenticate"));
    for pair in ["key:wrong", "nobody:secret", "", ":"] {
        let answer = world.call_as(pair, Method::POST, &path, "{}").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.body, json!({ "message": "Invalid authentication credentials" }));
    }
    for app in ["x", "0123456789ABCDEF0123456789ABCDEF", "%2e%2e", "11111111111111111111111111111111"] {
        let answer = world.post(&format!("/v1/apps/{app}/cloud_recording/acquire"), json!({})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{app}");
        assert_eq!(answer.body, json!({ "message": "appid is invalid" }));
    }
}

fn refused(answer: &crate::world::Answer, field: &str, sent: &Value) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sent}: {}", answer.body);
    assert_eq!(answer.body["code"], 2, "{sent}: {}", answer.body);
    let reason = answer.body["reason"].as_str().unwrap();
    assert!(reason.contains(field), "{sent}: {reason}");
    assert!(!reason.contains("secret") || reason.contains("secret key") || reason.contains("secretKey"), "{reason}");
}
