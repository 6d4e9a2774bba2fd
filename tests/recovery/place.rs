//! What outlives a worker: the channel server with its talkers, the customer's bucket, the customer's callback receiver, all in
//! the test's own process, and the worker's folder on the disk.

use std::path::PathBuf;

use cloud_recorder::channel::jwt;
use cloud_recorder::channel_server::{self, AppKeys, ChannelServer, Limits};
use cloud_recorder::clock;
use cloud_recorder::storage::bucket_server::{self, BucketServer};
use cloud_recorder::units::AppId;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::gate::Gate;
use crate::receiver::Receiver;
use crate::worker::{Door, Worker};

/// The one app.
pub(crate) const APP: &str = "0123456789abcdef0123456789abcdef";
/// Its REST credentials.
pub(crate) const CUSTOMER: (&str, &str) = ("customer", "customer-secret");
/// Signs callbacks.
pub(crate) const CALLBACK_SECRET: &str = "callback-secret";
/// The customer's bucket.
pub(crate) const BUCKET: &str = "calls";
const BUCKET_KEYS: (&str, &str) = ("access", "secret");
const CHANNEL_KEYS: (&str, &str) = ("devkey", "devsecret-devsecret-devsecret-000");
/// How long a token of a talker is good for, in seconds.
const TOKEN_SECS: u64 = 24 * 3600;
/// Keeps the folder of a scenario that failed.
const KEEP: &str = "RECOVERY_KEEP";

/// What differs between scenarios.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// The worker's folder, where it is not below the scenario's own.
    pub(crate) data: Option<PathBuf>,
    /// More lines for `[server]`.
    pub(crate) server: String,
}

/// See the module.
pub(crate) struct Place {
    /// The customer's bucket can be shut off here.
    pub(crate) gate: Gate,
    pub(crate) receiver: Receiver,
    /// Where the worker answers now.
    pub(crate) door: Door,
    /// The worker's folder.
    pub(crate) data: PathBuf,
    dir: Option<TempDir>,
    root: PathBuf,
    address: String,
    _house: ChannelServer,
    _http: AbortOnDropHandle<()>,
    _bucket: BucketServer,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Wishes::default()).await
    }

    pub(crate) async fn with(wishes: Wishes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let bucket = BucketServer::bind(bucket_server::Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            dir: root.join("buckets"),
            access_key: BUCKET_KEYS.0.into(),
            secret_key: BUCKET_KEYS.1.into(),
            public_read: false,
        })
        .await
        .unwrap();
        bucket.ensure_bucket(BUCKET).await.unwrap();
        let house = ChannelServer::start(house_settings()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = house.router();
        let http = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let place = Self {
            gate: Gate::to(bucket.addr()).await,
            receiver: Receiver::scripted(&[]).await,
            door: watch::Sender::new(None),
            data: wishes.data.clone().unwrap_or_else(|| root.join("data")),
            dir: Some(dir),
            root,
            address,
            _house: house,
            _http: AbortOnDropHandle::new(http),
            _bucket: bucket,
        };
        std::fs::write(place.config(), place.config_text(&wishes)).unwrap();
        place
    }

    /// One more run of the worker.
    pub(crate) fn worker(&self) -> Worker {
        Worker::spawn(&self.config(), &self.log(), &self.door)
    }

    /// A run of the worker that answers.
    pub(crate) async fn ready_worker(&self) -> Worker {
        let mut worker = self.worker();
        worker.ready().await;
        worker
    }

    /// The worker's words, of all its runs.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("worker.log")
    }

    /// Where the bucket's objects lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("buckets").join(BUCKET)
    }

    /// The channel server.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A talker's way into a room.
    pub(crate) fn token(&self, room: &str, identity: &str) -> SecretString {
        let exp = clock::now().0 / 1000 + TOKEN_SECS;
        let video = json!({ "roomJoin": true, "room": room });
        let claims = json!({ "iss": CHANNEL_KEYS.0, "sub": identity, "exp": exp, "video": video });
        jwt::mint(&claims, &CHANNEL_KEYS.1.to_owned().into()).into()
    }

    fn config(&self) -> PathBuf {
        self.root.join("worker.toml")
    }

    fn config_text(&self, wishes: &Wishes) -> String {
        let data = toml::Value::String(self.data.display().to_string());
        format!(
            r#"
[server]
listen = "127.0.0.1:0"
data_dir = {data}
seal_key = "{seal}"
{server}
[recording]
segment_seconds = 2
[channel_server]
enabled = false
[[apps]]
id = "{APP}"
customer_id = "{customer}"
customer_secret = "{secret}"
callback_url = "{callbacks}"
callback_secret = "{CALLBACK_SECRET}"
channel = {{ livekit = {{ url = "{channel}", api_key = "{key}", api_secret = "{channel_secret}" }} }}
max_recordings = 1000
allow_private_endpoints = true
[apps.storage]
vendor = 11
bucket = "{BUCKET}"
access_key = "{access_key}"
secret_key = "{secret_key}"
endpoint = "{endpoint}"
"#,
            seal = "0f".repeat(32),
            server = wishes.server,
            customer = CUSTOMER.0,
            secret = CUSTOMER.1,
            callbacks = self.receiver.url,
            channel = self.url(),
            key = CHANNEL_KEYS.0,
            channel_secret = CHANNEL_KEYS.1,
            access_key = BUCKET_KEYS.0,
            secret_key = BUCKET_KEYS.1,
            endpoint = self.gate.endpoint(),
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the worker's last words:\n{}", crate::worker::last_words(&self.log()));
            if let Some(dir) = self.dir.take().filter(|_| std::env::var_os(KEEP).is_some()) {
                eprintln!("kept: {}", dir.keep().display());
            }
        }
    }
}

fn house_settings() -> channel_server::Settings {
    channel_server::Settings {
        apps: vec![AppKeys { app_id: AppId::new(APP).unwrap(), certificate: None }],
        api_key: CHANNEL_KEYS.0.to_owned(),
        api_secret: CHANNEL_KEYS.1.to_owned().into(),
        udp_listen: ([127, 0, 0, 1], 0).into(),
        announce: None,
        trusted_proxies: Vec::new(),
        rule_keeper: None,
        limits: Limits::default(),
    }
}
