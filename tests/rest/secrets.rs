//! The built binary records with distinctive secrets, logs all that it can, and meets buckets, callers and channel servers that
//! put those secrets where they do not belong. Then every byte that it wrote is searched for them.

use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::token::{MintLiveKit, mint_livekit};
use cloud_recorder::clock;
use cloud_recorder::units::{Cname, Uid};
use reqwest::{Client, Method};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::echoing_bucket::EchoingBucket;
use crate::media;
use crate::receiver::{Answer, Receiver};
use crate::secret_scan::SecretScan;
use crate::world::until;

const APP: &str = "0123456789abcdef0123456789abcdef";
const FAR_APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const CUSTOMER: &str = "customer";
const FAR_CUSTOMER: &str = "far customer";

const CERTIFICATE: &str = "5f1c9e2a7b3d4860a9c8e7f6d5b4a392";
const CUSTOMER_SECRET: &str = "Cus/t0mer+Secret=7hQ\"zK2\\pW é";
const CALLBACK_SECRET: &str = "cb-Signing\"Secret/9+vR4tY6uI8oP0";
const CALLBACK_KEY: &str = "QueryKeyOfTheReceiver0Lk3Jh2Gf1D";
const SERVER_SECRET: &str = "lk-Server-Api-Secret-Zx9Cv8Bn7Ma6";
const FAR_SECRET: &str = "lk-Far-Api-Secret-Qw1Er2Ty3Ui4Op5";
const SEAL_KEY: &str = "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92";
const EMBEDDED_SECRET: &str = "Embedded/Bucket+Secret/As6Df7Gh8";
const DEFAULT_ACCESS_KEY: &str = "AKIAQ1D3F5A7U9L2T4K6";
const DEFAULT_SECRET_KEY: &str = "dEfAuLt/Secret+Key/Of/The/App0Rr9Tt8Yy7U";
const BACKUP_ACCESS_KEY: &str = "AKIAB8C6D4E2F0G1H3J5";
const BACKUP_SECRET_KEY: &str = "bAcKuP/Secret+Key/Of/The/App1Ll2Mm3Nn4Oo";
const ACCESS_KEY: &str = "AKIAX7YQ2N4V6B8M0K3J";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXQ1w2e3r";
const FRESH_ACCESS_KEY: &str = "ASIAZ5T7R9E1W3Q5L7K9";
const FRESH_SECRET_KEY: &str = "fReShSeCrEt/Zz8Yy7Xx6Ww5Vv+4Uu3Tt2Ss1Rr0";
const TOKEN: &str = "FwoGZXIvYXdzEBYaDKJh/Old+Session+Token==Pq9Wn8Eb7Rv6Tc5";
const FRESH_TOKEN: &str = "IQoJb3JpZ2luX2VjEHMa/New+Session+Token==Mk2Jn3Hb4Gv5Fc6";
const BAD_TOKEN: &str = "IQoJb3JpZ2luX2VjEHMa/Bad+Session+Token==Xs1Za2Qw3Ed4Rf5";
const CHANNEL_TOKEN: &str = "007eJxTYBBbsMMnKq7p9Hf/HcIX5kce9b518kCiQgSr5Zrp4X1Tu6UUnpqq";

const SECRETS: [(&str, &str); 20] = [
    ("app certificate", CERTIFICATE),
    ("customer secret", CUSTOMER_SECRET),
    ("callback secret", CALLBACK_SECRET),
    ("key in the callback URL", CALLBACK_KEY),
    ("embedded channel server's secret", SERVER_SECRET),
    ("LiveKit server's secret", FAR_SECRET),
    ("sealing key", SEAL_KEY),
    ("embedded bucket's secret", EMBEDDED_SECRET),
    ("app's own access key", DEFAULT_ACCESS_KEY),
    ("app's own secret key", DEFAULT_SECRET_KEY),
    ("backup's access key", BACKUP_ACCESS_KEY),
    ("backup's secret key", BACKUP_SECRET_KEY),
    ("access key", ACCESS_KEY),
    ("secret key", SECRET_KEY),
    ("fresh access key", FRESH_ACCESS_KEY),
    ("fresh secret key", FRESH_SECRET_KEY),
    ("session token", TOKEN),
    ("fresh session token", FRESH_TOKEN),
    ("refused session token", BAD_TOKEN),
    ("channel token in start", CHANNEL_TOKEN),
];

/// What the starts that are to succeed bring: opens the channel.
static START_TOKEN: LazyLock<String> = LazyLock::new(|| {
    let (room, identity) = (Cname::new("room").unwrap(), Uid::new("9").unwrap());
    let (now, lifetime) = (clock::now(), 3600);
    let mint = MintLiveKit { key: APP, app: None, room: &room, identity: &identity, publish: false, now, lifetime };
    mint_livekit(mint, &SecretString::from(CERTIFICATE))
});

/// A caller that keeps every answer.
struct Caller {
    http: Client,
    url: String,
    answers: Mutex<Vec<u8>>,
}

impl Caller {
    async fn send(&self, method: Method, path: &str, secret: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let customer = if path.contains(FAR_APP) { FAR_CUSTOMER } else { CUSTOMER };
        let request = self.http.request(method, format!("{}{path}", self.url)).basic_auth(customer, Some(secret));
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let bytes = answer.bytes().await.unwrap();
        let mut answers = self.answers.lock().unwrap();
        answers.extend_from_slice(headers.as_bytes());
        answers.extend_from_slice(&bytes);
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, CUSTOMER_SECRET, "").await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, CUSTOMER_SECRET, body.to_string()).await
    }

    async fn acquire(&self, app: &str, cname: &str) -> String {
        let start = json!({ "token": CHANNEL_TOKEN, "storageConfig": { "secretKey": SECRET_KEY, "stsToken": TOKEN } });
        let body = json!({ "cname": cname, "uid": "9", "clientRequest": { "startParameter": start } });
        let path = format!("/v1/apps/{app}/cloud_recording/acquire");
        self.post(&path, body).await;
        let plain = json!({ "cname": cname, "uid": "9", "clientRequest": {} });
        let (status, answer) = self.post(&path, plain).await;
        assert_eq!(status, 200, "{answer}");
        answer["resourceId"].as_str().unwrap().to_owned()
    }

    async fn start(&self, app: &str, resource: &str, cname: &str, client: &Value) -> (u16, Value) {
        let path = format!("/v1/apps/{app}/cloud_recording/resourceid/{resource}/mode/individual/start");
        self.post(&path, json!({ "cname": cname, "uid": "9", "clientRequest": client })).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written");
    std::fs::create_dir(&written).unwrap();
    let pairs =
        [(ACCESS_KEY, SECRET_KEY), (FRESH_ACCESS_KEY, FRESH_SECRET_KEY), (DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY)];
    let bucket = EchoingBucket::open(&pairs).await;
    let receiver = Receiver::scripted(&[Answer::Status(500), Answer::Drop, Answer::Status(302)]).await;
    let config = folder.path().join("config.toml");
    std::fs::write(&config, configuration(&written.join("data"), &receiver, &bucket)).unwrap();
    let environment = [("RUST_LOG", "trace"), ("CLOUD_RECORDER__SERVER__SEAL_KEY", SEAL_KEY)];
    let binary = Binary::serve(&written, &config, &environment).await;
    let caller = Caller { http: Client::new(), url: binary.url.clone(), answers: Mutex::default() };

    starts_that_fail(&caller, &bucket).await;
    let sid = a_recording(&caller, &bucket, &binary.said("Bucket (S3)")).await;
    until(async || receiver.heard(&sid).last().is_some_and(|last| last.json["eventType"] == 11).then_some(())).await;
    for path in ["/metrics", "/readyz", "/livez", "/room", "/v1/apps", &format!("/v1/apps/{SECRET_KEY}/x")] {
        caller.get(path).await;
    }
    binary.stop().await;
    Binary::serve(&written, &config, &environment).await.stop().await;

    let mut check = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"));
    let checked = check.args(["config", "--config"]).arg(&config).output().unwrap();
    assert!(checked.status.success());
    let bearers = bucket.bearers();
    assert!(!bearers.is_empty(), "the channel server of the far app was asked");
    let bearers = bearers.iter().map(|bearer| ("token for the channel server", bearer.as_str()));
    let start = [("token of a start", START_TOKEN.as_str())];
    let secret_scan = SecretScan::of(&SECRETS.into_iter().chain(bearers).chain(start).collect::<Vec<_>>());
    let (mut found, files, bytes) = secret_scan.find_below(&written);
    found.extend(secret_scan.find("an answer of the API", &caller.answers.lock().unwrap()));
    found.extend(secret_scan.find("the output of `config`", &[checked.stdout, checked.stderr].concat()));
    for attempt in receiver.attempts() {
        found.extend(secret_scan.find("a callback", &attempt.body));
        found.extend(secret_scan.find("a callback's headers", format!("{:?}", attempt.headers).as_bytes()));
    }
    for (name, object) in bucket.objects() {
        found.extend(secret_scan.find(&format!("the object {name}"), &object));
        found.extend(secret_scan.find("the name of an object", name.as_bytes()));
    }
    for needed in ["recorder.db", "journal", "worker-0.err", "captures", "bucket"] {
        assert!(files.iter().any(|file| file.to_string_lossy().contains(needed)), "{needed} was searched: {files:?}");
    }
    assert!(bytes > 100_000, "a trace of a recording is long: {bytes} bytes");
    assert!(bucket.objects().keys().any(|name| name.ends_with("_manifest.json")), "the recording came to its end");
    assert!(found.is_empty(), "{} finds\n{}", found.len(), found.join("\n"));
}

/// Malformed bodies with secrets in wrong places, a bucket that refuses and quotes, a channel server that refuses and quotes.
async fn starts_that_fail(caller: &Caller, bucket: &EchoingBucket) {
    let resource = caller.acquire(APP, "room").await;
    let path = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/mode/individual/start");
    for text in [
        format!(
            "{{\"cname\":\"room\",\"uid\":\"9\",\"clientRequest\":{{\"storageConfig\":{{\"secretKey\":\"{SECRET_KEY}\""
        ),
        format!("secretKey={SECRET_KEY}&stsToken={TOKEN}"),
        format!("\"{SECRET_KEY}\""),
        format!("[\"{SECRET_KEY}\"]"),
    ] {
        let (status, _) = caller.send(Method::POST, &path, CUSTOMER_SECRET, text).await;
        assert_eq!(status, 400);
    }
    for (field, value) in [
        ("vendor", json!(SECRET_KEY)),
        ("region", json!(SECRET_KEY)),
        ("bucket", json!(SECRET_KEY)),
        ("accessKey", json!([ACCESS_KEY])),
        ("secretKey", json!({ SECRET_KEY: 1 })),
        ("stsToken", json!([TOKEN])),
        ("fileNamePrefix", json!([SECRET_KEY])),
        ("fileNamePrefix", json!(SECRET_KEY)),
        ("extensionParams", json!({ "endpoint": format!("http://{ACCESS_KEY}:{}@127.0.0.1:1", "x".repeat(3)) })),
        ("extensionParams", json!({ "endpoint": format!("http://127.0.0.1:1/?token={FRESH_TOKEN}") })),
        ("extensionParams", json!({ "endpoint": SECRET_KEY })),
        ("extensionParams", json!({ "endpoint": bucket.endpoint, "sse": SECRET_KEY })),
    ] {
        let mut client = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
        client["storageConfig"][field] = value;
        let (status, answer) = caller.start(APP, &resource, "room", &client).await;
        assert_eq!(status, 400, "{field}: {answer}");
    }
    for recording in [
        json!({ "audioProfile": SECRET_KEY }),
        json!({ "streamMode": SECRET_KEY }),
        json!({ "subscribeAudioUids": SECRET_KEY }),
        json!({ "maxIdleTime": SECRET_KEY }),
    ] {
        let mut client = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
        client["recordingConfig"] = recording;
        assert_eq!(caller.start(APP, &resource, "room", &client).await.0, 400);
    }
    let mut forged = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
    forged["token"] = json!(CHANNEL_TOKEN);
    let (status, answer) = caller.start(APP, &resource, "room", &forged).await;
    assert_eq!((status, &answer["code"]), (400, &json!(110)), "{answer}");
    let mut misplaced = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
    misplaced["recordingFileConfig"] = json!({ "avFileType": [CALLBACK_SECRET] });
    assert_eq!(caller.start(APP, &resource, "room", &misplaced).await.0, 400);
    caller.start(APP, SECRET_KEY, "room", &misplaced).await;
    caller.start(APP, &resource, SECRET_KEY, &client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN)).await;
    caller.send(Method::POST, &path, TOKEN, "{}").await;

    bucket.want("another");
    for _ in 0..6 {
        let (status, answer) =
            caller.start(APP, &resource, "room", &client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN)).await;
        assert_ne!(status, 200, "{answer}");
    }
    assert_ne!(caller.start(APP, &resource, "room", &json!({})).await.0, 200, "the app's own bucket refuses too");
    assert!(bucket.refusals() >= 6, "every kind of refusal was met");

    bucket.want(TOKEN);
    let resource = caller.acquire(FAR_APP, "far").await;
    let far = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
    let (status, answer) = caller.start(FAR_APP, &resource, "far", &far).await;
    assert_ne!(status, 200, "the channel server refuses: {answer}");
}

/// A talker is recorded while the session token expires and is replaced; the recording's sid, when it is over.
async fn a_recording(caller: &Caller, bucket: &EchoingBucket, embedded: &str) -> String {
    bucket.want(TOKEN);
    let resource = caller.acquire(APP, "room").await;
    let client = client(bucket, ACCESS_KEY, SECRET_KEY, TOKEN);
    let (status, answer) = caller.start(APP, &resource, "room", &client).await;
    assert_eq!(status, 200, "{answer}");
    let sid = answer["sid"].as_str().unwrap().to_owned();
    let task = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/sid/{sid}/mode/individual");
    let talking = tokio::spawn(talk(caller.url.clone()));

    let segments = async || caller.get(&format!("{task}/query")).await.1["segments"].clone();
    until(async || (segments().await["stored"].as_u64() >= Some(1)).then_some(())).await;
    bucket.want("expired");
    let before = bucket.refusals();
    until(async || (bucket.refusals() >= before + 6).then_some(())).await;
    let update = async |token| {
        let storage = client_storage(bucket, FRESH_ACCESS_KEY, FRESH_SECRET_KEY, token);
        let body = json!({ "cname": "room", "uid": "9", "clientRequest": { "storageConfig": storage } });
        caller.post(&format!("{task}/update"), body).await
    };
    bucket.want(FRESH_TOKEN);
    assert_ne!(update(BAD_TOKEN).await.0, 200, "credentials are proven first");
    let (status, answer) = update(FRESH_TOKEN).await;
    assert_eq!(status, 200, "{answer}");
    until(async || (segments().await["stored"].as_u64() >= Some(3)).then_some(())).await;
    talking.await.unwrap();

    let stop = json!({ "cname": "room", "uid": "9", "token": CHANNEL_TOKEN, "clientRequest": {} });
    caller.post(&format!("{task}/stop"), stop).await;
    let known = format!("/v1/apps/{APP}/recordings/{sid}");
    until(async || (caller.get(&known).await.1["state"] == "ended").then_some(())).await;
    caller.get(&format!("{known}/events")).await;
    caller.get(&format!("{task}/query")).await;

    let resource = caller.acquire(APP, "quiet").await;
    let storage = json!({
        "vendor": 11, "region": 0, "bucket": "recordings", "accessKey": "cloud-recorder", "secretKey": EMBEDDED_SECRET,
        "extensionParams": { "endpoint": embedded },
    });
    let (status, answer) = caller.start(APP, &resource, "quiet", &json!({ "storageConfig": storage })).await;
    assert_eq!(status, 200, "into the embedded bucket: {answer}");
    let quiet = answer["sid"].as_str().unwrap().to_owned();
    let task = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/sid/{quiet}/mode/individual");
    caller.post(&format!("{task}/stop"), json!({ "cname": "quiet", "uid": "9", "clientRequest": {} })).await;
    sid
}

/// Joins the room and talks for some seconds.
async fn talk(url: String) {
    let (room, identity) = (Cname::new("room").unwrap(), Uid::new("7").unwrap());
    let (now, lifetime) = (clock::now(), 600);
    let mint = MintLiveKit { key: APP, app: None, room: &room, identity: &identity, publish: true, now, lifetime };
    let token = mint_livekit(mint, &SecretString::from(CERTIFICATE));
    let member = Talker::join(&url.replace("http://", "ws://"), &SecretString::from(token)).await.unwrap();
    media::send_tone(&member, 0..400).await;
    member.leave().await;
}

fn client(bucket: &EchoingBucket, access: &str, secret: &str, token: &str) -> Value {
    let storage = client_storage(bucket, access, secret, token);
    let recording = json!({ "channelType": 1, "streamTypes": 0 });
    json!({ "token": *START_TOKEN, "recordingConfig": recording, "storageConfig": storage })
}

fn client_storage(bucket: &EchoingBucket, access: &str, secret: &str, token: &str) -> Value {
    json!({
        "vendor": 11, "region": 0, "bucket": "calls", "accessKey": access, "secretKey": secret, "stsToken": token,
        "fileNamePrefix": ["rec"], "extensionParams": { "endpoint": bucket.endpoint },
    })
}

fn configuration(data: &Path, receiver: &Receiver, bucket: &EchoingBucket) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut callback = receiver.url.clone();
    callback.set_query(Some(&format!("key={CALLBACK_KEY}")));
    let (callback, captures) = (callback.to_string(), data.join("captures"));
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
data_dir = {data}
capture_dir = {captures}

[recording]
segment_seconds = 2

[channel_server]
udp_listen = "127.0.0.1:0"
api_key = "devkey"
api_secret = {server_secret}

[bucket]
enabled = true
listen = "127.0.0.1:0"
secret_key = {embedded}

[[apps]]
id = "{APP}"
certificate = {certificate}
customer_id = "{CUSTOMER}"
customer_secret = {customer}
callback_url = {callback}
callback_secret = {callback_secret}
allow_private_endpoints = true

[apps.storage]
vendor = 11
bucket = "recordings"
access_key = "{DEFAULT_ACCESS_KEY}"
secret_key = "{DEFAULT_SECRET_KEY}"
endpoint = {endpoint}

[apps.backup]
vendor = 11
bucket = "backup"
access_key = "{BACKUP_ACCESS_KEY}"
secret_key = "{BACKUP_SECRET_KEY}"
endpoint = {endpoint}

[[apps]]
id = "{FAR_APP}"
customer_id = "{FAR_CUSTOMER}"
customer_secret = {customer}
channel = {{ livekit = {{ url = {far}, api_key = "farkey", api_secret = {far_secret} }} }}
allow_private_endpoints = true
"#,
        data = text(&data.to_string_lossy()),
        captures = text(&captures.to_string_lossy()),
        server_secret = text(SERVER_SECRET),
        embedded = text(EMBEDDED_SECRET),
        certificate = text(CERTIFICATE),
        customer = text(CUSTOMER_SECRET),
        callback = text(&callback),
        callback_secret = text(CALLBACK_SECRET),
        endpoint = text(&bucket.endpoint),
        far = text(&bucket.endpoint),
        far_secret = text(FAR_SECRET),
    )
}
