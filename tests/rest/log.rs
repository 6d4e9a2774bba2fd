//! The log of the built binary, as an operator reads it: a line for each thing that happened, none at ERROR for what is somebody else's
//! mistake, requests at debug alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::token::{MintLiveKit, mint_livekit};
use cloud_recorder::clock;
use cloud_recorder::units::{Cname, Uid};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::media;
use crate::receiver::{Answer, Receiver};
use crate::world::until;

const APP: &str = "0123456789abcdef0123456789abcdef";
const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

fn configuration(folder: &Path, receiver: &Receiver, log: &str) -> std::path::PathBuf {
    let file = folder.join("worker.toml");
    let data = folder.join("data");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\ndisk_reserve_mib = 1\n{log}\n[recording]\nsegment_seconds = 2\n\
         [channel_server]\nudp_listen = \"127.0.0.1:0\"\n\
         [[apps]]\nid = \"{APP}\"\ncertificate = \"{CERTIFICATE}\"\ncustomer_id = \"id\"\ncustomer_secret = \"secret\"\n\
         allow_private_endpoints = true\ncallback_url = \"{}\"\ncallback_secret = \"signs\"\n",
        receiver.url
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A bucket that takes everything, or answers everything with another status.
struct Bucket {
    endpoint: String,
    status: Arc<AtomicU16>,
}

impl Bucket {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(200));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&status));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

async fn answer(State(status): State<Arc<AtomicU16>>, request: Request) -> Response {
    let checksum = request.headers().get("x-amz-checksum-sha256").cloned();
    match (status.load(Ordering::Relaxed), request.method()) {
        (200, &Method::PUT) => [("x-amz-checksum-sha256", checksum.unwrap())].into_response(),
        (200, &Method::DELETE) => StatusCode::NO_CONTENT.into_response(),
        (200, _) => StatusCode::NOT_IMPLEMENTED.into_response(),
        (status, _) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

async fn post(url: &str, path: &str, client: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{url}/v1/apps/{APP}/cloud_recording/{path}"));
    let body = json!({ "cname": "room", "uid": "9", "clientRequest": client });
    let answer = request.basic_auth("id", Some("secret")).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Somebody talks until the task is aborted.
async fn talk(url: String) {
    let (room, identity) = (Cname::new("room").unwrap(), Uid::new("7").unwrap());
    let (now, lifetime) = (clock::now(), 600);
    let mint = MintLiveKit { key: APP, app: None, room: &room, identity: &identity, publish: true, now, lifetime };
    let token = mint_livekit(mint, &SecretString::from(CERTIFICATE));
    let member = Talker::join(&url.replace("http://", "ws://"), &SecretString::from(token)).await.unwrap();
    media::send_tone(&member, 0..).await;
}

/// The lines of a log that is JSON.
fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("worker-0.err")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Waits for a line whose message begins so.
async fn said(folder: &Path, message: &str) -> Value {
    let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(message));
    until(async || lines(folder).into_iter().find(is_it)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_for_each_change_and_none_at_error() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::scripted(&[Answer::Status(500)]).await;
    let bucket = Bucket::open().await;
    let file = configuration(folder.path(), &receiver, "log_format = \"json\"");
    let worker = Binary::serve(folder.path(), &file, &[]).await;
    let url = worker.url.clone();
    let storage = json!({
        "vendor": 11, "region": 0, "bucket": "calls", "accessKey": "key", "secretKey": "hushed",
        "extensionParams": { "endpoint": bucket.endpoint },
    });
    let client = json!({ "recordingConfig": { "channelType": 1, "streamTypes": 0 }, "storageConfig": storage });
    let talking = tokio::spawn(talk(url.clone()));
    let resource = post(&url, "acquire", &json!({})).await.1["resourceId"].as_str().unwrap().to_owned();
    let start = format!("resourceid/{resource}/mode/mix/start");

    bucket.answers(403);
    assert_ne!(post(&url, &start, &client).await.0, 200, "the caller's key is wrong");
    bucket.answers(200);
    let (status, answer) = post(&url, &start, &client).await;
    assert_eq!(status, 200, "{answer}");
    let sid = answer["sid"].as_str().unwrap().to_owned();
    let started = said(folder.path(), "recording started").await;
    assert_eq!((&started["level"], &started["sid"], &started["cname"]), (&json!("INFO"), &json!(sid), &json!("room")));
    assert_eq!((&started["app"], &started["uid"], &started["mode"]), (&json!(APP), &json!("9"), &json!("mix")));

    bucket.answers(503);
    let refused = said(folder.path(), "the bucket takes no uploads").await;
    assert_eq!((&refused["level"], &refused["sid"]), (&json!("WARN"), &json!(sid)));
    bucket.answers(200);
    said(folder.path(), "the bucket takes uploads again").await;
    let failing = said(folder.path(), "the callback receiver fails").await;
    assert_eq!((&failing["level"], &failing["app"]), (&json!("WARN"), &json!(APP)));
    said(folder.path(), "the callback receiver takes events again").await;

    let stop = format!("resourceid/{resource}/sid/{sid}/mode/mix/stop");
    let (status, answer) = post(&url, &stop, &json!({})).await;
    // 206 where the bucket that failed just now has not got everything yet.
    assert!([200, 206].contains(&status), "{answer}");
    let ended = said(folder.path(), "recording ended").await;
    for (key, value) in [("sid", json!(sid)), ("app", json!(APP)), ("cname", json!("room")), ("state", json!("ended"))]
    {
        assert_eq!(ended[key], value, "{ended}");
    }
    assert_eq!((&ended["reason"], &ended["level"]), (&json!("stopped"), &json!("INFO")), "{ended}");
    assert!(["complete", "partial"].contains(&ended["verdict"].as_str().unwrap()), "{ended}");
    assert!(ended["duration_s"].as_f64().unwrap() > 1.0, "{ended}");
    talking.abort();
    worker.stop().await;

    let lines = lines(folder.path());
    let has = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!((has("started"), has("recording started"), has("recording ended"), has("stopped")), (1, 1, 1, 1));
    let begun = lines.iter().find(|line| line["message"] == "started").unwrap();
    assert_eq!(begun["version"], env!("CARGO_PKG_VERSION"), "{begun}");
    assert!(begun["ports"].as_str().unwrap().contains("http=127.0.0.1:"), "{begun}");
    for line in &lines {
        assert!(["INFO", "WARN"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["message"] != "request" && !line.to_string().contains("hushed"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_at_debug_without_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::scripted(&[]).await;
    let file = configuration(folder.path(), &receiver, "log = \"warn,cloud_recorder=debug\"");
    let worker = Binary::serve(folder.path(), &file, &[]).await;
    for path in
        ["/livez", "/room", "/rtc/validate?access_token=hushed", &format!("/v1/apps/{APP}/recordings"), "/hushed"]
    {
        reqwest::get(format!("{}{path}", worker.url)).await.unwrap();
    }
    worker.stop().await;
    let log = std::fs::read_to_string(folder.path().join("worker-0.err")).unwrap();
    let requests: Vec<_> = log.lines().filter(|line| line.contains(" DEBUG ") && line.contains(": request ")).collect();
    for (route, rest) in [
        ("health", "status=200"),
        ("pages", "status=200"),
        ("signalling", "status=401"),
        ("recordings", "refused=\"unauthorized\""),
        ("unknown", "status=404"),
    ] {
        let found = |line: &&&str| line.contains(&format!("route=\"{route}\"")) && line.contains(rest);
        assert_eq!(requests.iter().filter(found).count(), 1, "{route} {rest} in {log}");
    }
    assert!(!log.contains("hushed"), "{log}");
}
