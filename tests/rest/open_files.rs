//! The built worker with 256 open files, as it is served: strangers take every connection that there is on all its ports, and an app that
//! records hears nothing of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::token::{MintLiveKit, mint_livekit};
use cloud_recorder::clock;
use cloud_recorder::units::{Cname, Uid};
use reqwest::Method;
use rustix::process::{Resource, getrlimit, setrlimit};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::binary::Binary;
use crate::connection_limits::attack;
use crate::media;
use crate::world::until;

const APP: &str = "0123456789abcdef0123456789abcdef";
const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";
const CUSTOMER: (&str, &str) = ("customer", "1f3870be274f6c49b3e31a0c6728957f");
const STRANGER: &str = "ffffffffffffffffffffffffffffffff";
const STRANGERS: (&str, &str) = ("stranger", "8b1a9953c4611296a827abf8c47804d7");
const BUCKET_SECRET: &str = "c4ca4238a0b923820dcc509a6f75849b";
const ROOM: &str = "room";

/// What the worker may open.
const FILES: u32 = 256;

/// Of each kind of attack: alone more than the worker can hold.
const ATTACKERS: usize = 300;

/// How long a call may take on a busy machine. Without a place it is never answered.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn who_records_goes_on_while_strangers_hold_every_connection() {
    let mut own = getrlimit(Resource::Nofile);
    own.current = own.maximum;
    setrlimit(Resource::Nofile, own).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, configuration(&folder.path().join("data"))).unwrap();
    let binary = Binary::serve_with(FILES, folder.path(), &config).await;
    let app = App { url: binary.url.clone(), bucket: binary.said("Bucket (S3)") };
    let _voice = speak(&binary.url.replace("http://", "ws://")).await;
    let task = app.start("1").await;
    let stored = async |task: &str| app.query(task).await["segments"]["stored"].as_u64().unwrap();
    until(async || (stored(&task).await >= 1).then_some(())).await;

    let (rest, bucket) = (address(&app.url), address(&app.bucket));
    let half = "GET /livez HTTP/1.1\r\nX";
    let body = format!(
        "POST /v1/apps/{STRANGER}/cloud_recording/acquire HTTP/1.1\r\nhost: x\r\nauthorization: Basic {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n ",
        STANDARD.encode(format!("{}:{}", STRANGERS.0, STRANGERS.1))
    );
    let signalling = "GET /rtc?access_token=x HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nX";
    let mut held = Vec::new();
    for (port, text) in [(rest, half), (rest, &body), (rest, signalling), (bucket, half)] {
        held.extend(attack(port, ATTACKERS, text).await);
        assert_eq!(app.call(Method::GET, "/livez", Value::Null).await.0, StatusCode::OK);
    }
    // The first one may have been made before the last of the strangers came.
    let before = stored(&task).await;
    until(async || (stored(&task).await >= before + 2).then_some(())).await;
    let second = app.start("2").await;
    until(async || (stored(&second).await >= 1).then_some(())).await;
    for (task, uid) in [(&second, "2"), (&task, "1")] {
        let stop = json!({ "cname": ROOM, "uid": uid, "clientRequest": {} });
        let (status, stopped) = app.call(Method::POST, &format!("{task}/stop"), stop).await;
        assert_eq!((status, &stopped["verdict"]), (StatusCode::OK, &json!("complete")), "{stopped}");
        assert_eq!(stopped["serverResponse"]["uploadingStatus"], "uploaded", "{stopped}");
    }
    drop(held);
    binary.stop().await;
}

struct App {
    url: String,
    bucket: String,
}

impl App {
    /// Over a new connection.
    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(TIMEOUT).build().unwrap();
        let request = http.request(method, format!("{}{path}", self.url)).basic_auth(CUSTOMER.0, Some(CUSTOMER.1));
        let answer = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// The path of a new recording.
    async fn start(&self, uid: &str) -> String {
        let base = format!("/v1/apps/{APP}/cloud_recording");
        let body = |client: Value| json!({ "cname": ROOM, "uid": uid, "clientRequest": client });
        let (status, acquired) = self.call(Method::POST, &format!("{base}/acquire"), body(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{acquired}");
        let resource = format!("{base}/resourceid/{}", acquired["resourceId"].as_str().unwrap());
        let storage = json!({ "vendor": 11, "region": 0, "bucket": "recordings", "accessKey": "cloud-recorder",
            "secretKey": BUCKET_SECRET, "extensionParams": { "endpoint": self.bucket } });
        let start = body(json!({ "storageConfig": storage }));
        let (status, started) = self.call(Method::POST, &format!("{resource}/mode/mix/start"), start).await;
        assert_eq!(status, StatusCode::OK, "{started}");
        format!("{resource}/sid/{}/mode/mix", started["sid"].as_str().unwrap())
    }

    async fn query(&self, task: &str) -> Value {
        let (status, told) = self.call(Method::GET, &format!("{task}/query"), Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

async fn speak(channel: &str) -> AbortOnDropHandle<()> {
    let (room, identity, now) = (Cname::new(ROOM).unwrap(), Uid::new("7").unwrap(), clock::now());
    let mint =
        MintLiveKit { key: APP, app: None, room: &room, identity: &identity, publish: true, now, lifetime: 3600 };
    let token = mint_livekit(mint, &SecretString::from(CERTIFICATE));
    let member = Talker::join(channel, &SecretString::from(token)).await.unwrap();
    AbortOnDropHandle::new(tokio::spawn(async move {
        media::send_tone(&member, 0..).await;
    }))
}

fn configuration(data: &Path) -> String {
    let data = toml::Value::String(data.to_string_lossy().into_owned());
    let app = |id: &str, (customer, secret): (&str, &str)| {
        format!(
            "[[apps]]\nid = \"{id}\"\ncertificate = \"{CERTIFICATE}\"\ncustomer_id = \"{customer}\"\n\
             customer_secret = \"{secret}\"\nallow_private_endpoints = true\n"
        )
    };
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
data_dir = {data}

[recording]
segment_seconds = 2

[channel_server]
udp_listen = "127.0.0.1:0"

[bucket]
enabled = true
listen = "127.0.0.1:0"
secret_key = "{BUCKET_SECRET}"

{}
{}
"#,
        app(APP, CUSTOMER),
        app(STRANGER, STRANGERS),
    )
}
