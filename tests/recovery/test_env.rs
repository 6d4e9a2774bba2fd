//! What outlives a worker: the channel server with its talkers, the customer's bucket, the customer's callback receiver, all in
//! the test's own process, and the worker's folder on the disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

use crate::cutoff_proxy::CutoffProxy;
use crate::machine_delay::MachineDelay;
use crate::receiver::Receiver;
use crate::rest::Make;
use crate::worker::{Door, Worker};
use crate::write_once::{Policy, WriteOnce};

/// The one app.
pub(crate) const APP: &str = "0123456789abcdef0123456789abcdef";
/// Its REST credentials.
pub(crate) const CUSTOMER: (&str, &str) = ("customer", "customer-secret");
/// Signs callbacks.
pub(crate) const CALLBACK_SECRET: &str = "callback-secret";
/// The customer's bucket.
pub(crate) const BUCKET: &str = "calls";
/// The second one.
const BACKUP: &str = "copies";
const BUCKET_KEYS: (&str, &str) = ("access", "secret");
const CHANNEL_KEYS: (&str, &str) = ("devkey", "devsecret-devsecret-devsecret-000");
/// How long a token of a talker is good for, in seconds.
const TOKEN_SECS: u64 = 24 * 3600;
/// Keeps the folder of a scenario that failed.
const KEEP: &str = "RECOVERY_KEEP";

/// What differs between scenarios.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The worker's folder, where it is not below the scenario's own.
    pub(crate) data: Option<PathBuf>,
    /// More lines for `[server]`.
    pub(crate) server: String,
    /// What stands between the worker and the bucket.
    pub(crate) store: Store,
    /// MP4 and Ogg files beside the playlists.
    pub(crate) whole_files: bool,
    /// AAC in MPEG-TS in place of Opus in MP4.
    pub(crate) ts: bool,
    /// Which playlists.
    pub(crate) make: Make,
    /// A second bucket, used after a minute.
    pub(crate) backup: bool,
}

/// Who keeps the customer's objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Store {
    /// The embedded bucket server.
    #[default]
    Embedded,
    /// The same behind a proxy that lets nothing be put over, nor deleted.
    WriteOnce,
    /// The same behind a proxy that lets nobody read.
    WriteOnly,
    /// versitygw, where `test_support::versitygw` finds it.
    Versitygw,
}

impl Store {
    /// Whether it can be had here; else the test is skipped.
    pub(crate) fn is_here(self, test: &str) -> bool {
        self != Self::Versitygw || test_support::versitygw(test).is_some()
    }
}

/// See the module.
pub(crate) struct TestEnv {
    /// The customer's bucket can be shut off here.
    pub(crate) cutoff_proxy: CutoffProxy,
    /// The second one can be here.
    pub(crate) second: CutoffProxy,
    pub(crate) receiver: Receiver,
    /// Where the worker answers now.
    pub(crate) door: Door,
    /// The worker's folder.
    pub(crate) data: PathBuf,
    /// What recordings make beside their playlists.
    pub(crate) kinds: &'static [&'static str],
    /// Which playlists recordings have.
    pub(crate) make: Make,
    /// How much the machine holds up.
    pub(crate) machine_delay: MachineDelay,
    dir: Option<TempDir>,
    root: PathBuf,
    address: String,
    _house: ChannelServer,
    _http: AbortOnDropHandle<()>,
    _bucket: Option<BucketServer>,
    _gateway: Option<Gateway>,
    endpoint: String,
}

/// A running versitygw, killed when dropped.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl TestEnv {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(wishes: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let (bucket, gateway, address_of_bucket) = if wishes.store == Store::Versitygw {
            let (gateway, address) = start_gateway(&root.join("buckets")).await;
            (None, Some(gateway), address)
        } else {
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
            bucket.ensure_bucket(BACKUP).await.unwrap();
            let address = bucket.addr();
            (Some(bucket), None, address)
        };
        let (cutoff_proxy, second) =
            (CutoffProxy::to(address_of_bucket).await, CutoffProxy::to(address_of_bucket).await);
        let endpoint = match wishes.store {
            Store::WriteOnce => WriteOnce::start(&cutoff_proxy.endpoint(), Policy::ConditionFirst).await.endpoint,
            Store::WriteOnly => WriteOnce::start(&cutoff_proxy.endpoint(), Policy::WriteOnly).await.endpoint,
            Store::Embedded | Store::Versitygw => cutoff_proxy.endpoint(),
        };
        let house = ChannelServer::start(house_settings()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = house.router();
        let http = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let test_env = Self {
            cutoff_proxy,
            second,
            kinds: if wishes.whole_files { &["hls", "mp4", "ogg"] } else { &["hls"] },
            make: wishes.make,
            machine_delay: MachineDelay::in_folder(&root),
            receiver: Receiver::scripted(&[]).await,
            door: watch::Sender::new(None),
            data: wishes.data.clone().unwrap_or_else(|| root.join("data")),
            dir: Some(dir),
            root,
            address,
            _house: house,
            _http: AbortOnDropHandle::new(http),
            _bucket: bucket,
            _gateway: gateway,
            endpoint,
        };
        std::fs::write(test_env.config(), test_env.config_text(&wishes)).unwrap();
        test_env
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

    /// Where the second bucket's objects lie.
    pub(crate) fn copies(&self) -> PathBuf {
        self.root.join("buckets").join(BACKUP)
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

    fn config_text(&self, wishes: &Options) -> String {
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
container = "{container}"
[apps.storage]
vendor = 11
bucket = "{BUCKET}"
access_key = "{access_key}"
secret_key = "{secret_key}"
endpoint = "{endpoint}"
{backup}"#,
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
            endpoint = self.endpoint,
            container = if wishes.ts { "ts" } else { "fmp4" },
            backup = if wishes.backup { self.backup_text() } else { String::new() },
        )
    }
}

impl TestEnv {
    fn backup_text(&self) -> String {
        let ((access_key, secret_key), endpoint) = (BUCKET_KEYS, self.second.endpoint());
        format!(
            r#"[apps.backup]
vendor = 11
bucket = "{BACKUP}"
access_key = "{access_key}"
secret_key = "{secret_key}"
endpoint = "{endpoint}"
after_minutes = 1
"#
        )
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the worker's last words:\n{}", crate::worker::last_words(&self.log()));
            if let Some(dir) = self.dir.take().filter(|_| std::env::var_os(KEEP).is_some()) {
                eprintln!("kept: {}", dir.keep().display());
            }
        }
    }
}

/// versitygw over this folder, with the bucket in it.
async fn start_gateway(dir: &Path) -> (Gateway, SocketAddr) {
    std::fs::create_dir_all(dir.join(BUCKET)).unwrap();
    let binary = test_support::versitygw("a recording into versitygw").expect("the test asked whether it is here");
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(binary);
    command.env("ROOT_ACCESS_KEY", BUCKET_KEYS.0).env("ROOT_SECRET_KEY", BUCKET_KEYS.1);
    command.args(["--port", &address.to_string(), "posix"]).arg(dir);
    let gateway = Gateway(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..300 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return (gateway, address);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("versitygw does not answer");
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
