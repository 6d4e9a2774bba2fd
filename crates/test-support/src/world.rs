//! A worker with everything embedded: store, journal, spool and bucket in a folder of its own, a scripted channel, and
//! the API called in process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_recorder::api::{self, ApiState, Credentials, KeyPair};
use cloud_recorder::callback::{self, Dispatcher, Target};
use cloud_recorder::channel::Channel;
use cloud_recorder::clock;
use cloud_recorder::codec::container::Container;
use cloud_recorder::codec::whole::Roll;
use cloud_recorder::recording::SegmentLength;
use cloud_recorder::session::{AppSettings, Backing, BackupSettings, Sessions, Settings, StorageConfigParts};
use cloud_recorder::storage::bucket_server::{self, BucketServer};
use cloud_recorder::storage::journal::{JournalError, Limits, Writer};
use cloud_recorder::storage::vendor;
use cloud_recorder::storage::{AttemptTimes, DiskWatch, Files, LocalFiles, RetryPolicy, Spool, SpoolLimits, Uploader};
use cloud_recorder::store::Store;
use cloud_recorder::store::seal::Sealer;
use cloud_recorder::units::{AppId, BootTime, EventTypes, WallMs};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use url::Url;

use crate::channel::{JoinAnswer, Script, ScriptedChannel};
use crate::documented::assert_documented;

/// The app that scenarios call for, and another tenant.
pub const APP: &str = "0123456789abcdef0123456789abcdef";
pub const OTHER_APP: &str = "ffffffffffffffffffffffffffffffff";
/// The bucket of every scenario.
pub const BUCKET: &str = "calls";
const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "secret";
/// Waiting recordings may leave this much; no scenario comes near.
const SPOOL_LIMIT: u64 = 1 << 30;
/// A limit for tests that would otherwise hang; no result depends on it.
const HANG_LIMIT: Duration = Duration::from_secs(60);

/// How long the journal gathers before it writes: a scenario need not wait for what it journals.
const JOURNAL_GROUP_TIME: Duration = Duration::from_millis(5);

/// How long uploads and events that follow from what is journaled take, and more.
const SETTLING: Duration = Duration::from_millis(500);

/// The app's second bucket, for scenarios that use it.
const BACKUP: &str = "backup";

/// What differs between scenarios.
#[derive(Clone, Debug)]
pub struct Options {
    pub max_sessions: usize,
    /// The same for all apps together.
    pub worker_sessions: usize,
    /// Of each app; none is no limit.
    pub requests_per_second: Option<u32>,
    pub private_endpoints: bool,
    /// Whose pages may call for the app.
    pub origins: Vec<String>,
    pub callbacks: Option<Url>,
    /// How callbacks are delivered.
    pub delivery: callback::Settings,
    /// Which of them.
    pub events: EventTypes,
    /// How far wall time is ahead when the worker starts.
    pub ahead: Duration,
    /// What the first bots find.
    pub doors: Vec<JoinAnswer>,
    pub upload_patience: Duration,
    /// After which time the second bucket is used; without one there is none.
    pub backup: Option<Duration>,
    /// Where the second bucket is reached, if not directly.
    pub backup_endpoint: Option<String>,
    /// The sealing key: these two digits, again and again.
    pub seal_key: &'static str,
    /// What the spool is written to.
    pub files: Arc<dyn Files>,
    pub spool: SpoolLimits,
    /// Bytes that wait for the journal; with none it refuses everything.
    pub journal_buffer_bytes: usize,
    /// Bytes of a journal file.
    pub journal_file_bytes: u64,
    /// The apps' default storage.
    pub storage: Option<cloud_recorder::storage::Destination>,
    /// How long whole files are.
    pub roll: Roll,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_sessions: 10,
            worker_sessions: 100,
            requests_per_second: None,
            private_endpoints: true,
            origins: Vec::new(),
            callbacks: None,
            delivery: callback::Settings::default(),
            events: EventTypes::All,
            ahead: Duration::ZERO,
            doors: Vec::new(),
            upload_patience: HANG_LIMIT,
            backup: None,
            backup_endpoint: None,
            seal_key: "0f",
            files: Arc::new(LocalFiles),
            spool: SPOOL_LIMIT.into(),
            journal_buffer_bytes: Limits::default().buffer_bytes,
            journal_file_bytes: Limits::default().file_bytes,
            storage: None,
            roll: Roll::default(),
        }
    }
}

impl Options {
    fn target(&self, url: &Url) -> Target {
        let target = Target::new(url.clone(), "callback-secret".to_owned().into());
        Target { private: true, recording: self.events.clone(), channel: EventTypes::All, ..target }
    }
}

/// What outlives a worker: its folder, and the customer's bucket.
pub struct TestEnv {
    dir: TempDir,
    bucket: BucketServer,
}

/// A worker at its place.
pub struct World {
    pub channel: Script,
    pub store: Store,
    pub sessions: Sessions,
    api: Router,
    journal: Writer,
    place: Arc<TestEnv>,
    ahead_ms: Arc<AtomicU64>,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl TestEnv {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketServer::bind(bucket_server::Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            dir: dir.path().join("buckets"),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            public_read: false,
        })
        .await
        .unwrap();
        bucket.ensure_bucket(BUCKET).await.unwrap();
        bucket.ensure_bucket(BACKUP).await.unwrap();
        Self { dir, bucket }
    }

    /// The journal's files.
    pub fn journal(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir.path().join("journal")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
        files.sort();
        files
    }

    /// Remembers the oldest file of the journal as it is now.
    pub fn copy_journal(&self) {
        let journal = &self.journal()[0];
        std::fs::copy(journal, journal.with_extension("old")).unwrap();
    }

    /// Puts back what [`TestEnv::copy_journal`] remembered, as a restored copy of the disk would.
    pub fn put_journal_back(&self) {
        let journal = &self.journal()[0];
        std::fs::rename(journal.with_extension("old"), journal).unwrap();
    }

    /// A storageConfig for its bucket.
    pub fn storage(&self, prefix: &[&str]) -> Value {
        json!({
            "vendor": 11, "region": 0, "bucket": BUCKET, "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY,
            "fileNamePrefix": prefix, "extensionParams": { "endpoint": self.bucket.endpoint() },
        })
    }

    /// What waits for buckets.
    pub fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    /// Where the bucket's objects lie.
    pub fn objects(&self) -> PathBuf {
        self.dir.path().join("buckets").join(BUCKET)
    }

    /// Where the second bucket's objects lie.
    pub fn copies(&self) -> PathBuf {
        self.dir.path().join("buckets").join(BACKUP)
    }

    /// The second bucket, used after this time.
    fn backup(&self, after: Duration, endpoint: Option<&str>) -> BackupSettings {
        let endpoint = endpoint.map_or_else(|| json!(self.bucket.endpoint()), |endpoint| json!(endpoint));
        let parts: StorageConfigParts = serde_json::from_value(json!({
            "vendor": 11, "bucket": BACKUP, "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY,
            "fileNamePrefix": ["copies"], "extensionParams": { "endpoint": endpoint },
        }))
        .unwrap();
        BackupSettings { destination: vendor::destination(&parts).unwrap(), after }
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::at(Arc::new(TestEnv::new().await), options).await
    }

    /// A worker, or another run of it, at this place.
    pub async fn at(place: Arc<TestEnv>, options: Options) -> Self {
        let dir = place.dir.path();
        let store = Store::open(&dir.join("store.sqlite")).await.unwrap();
        let (channel, ahead_ms) = (Script::default(), Arc::new(AtomicU64::new(options.ahead.as_millis() as u64)));
        options.doors.iter().for_each(|door| channel.next_door(door.clone()));
        std::fs::create_dir_all(dir.join("disk")).unwrap();
        let (sessions, journal) = open(&place, &store, &channel, &ahead_ms, &options).await;
        Self { channel, store, api: router(&sessions, &options), sessions, journal, place, ahead_ms }
    }

    /// The stage of a recording, once its bot is in the channel.
    pub async fn scripted_channel(&self, task: &Task) -> ScriptedChannel {
        until(async || self.channel.find(&task.sid)).await
    }

    /// Waits until what the recording's bot was told so far is in the journal, on the disk, and what follows from it has settled.
    pub async fn durable(&self, task: &Task) {
        let scripted_channel = self.scripted_channel(task).await;
        until(async || scripted_channel.is_taken().then_some(())).await;
        // The recording answers when it is done with what it has taken.
        assert_eq!(self.query(task).await.status, StatusCode::OK);
        self.journal.flush().await.unwrap();
        // What follows from it is under way: a write of SQLite's thread would land after the death of this run, and beside the next one.
        tokio::time::sleep(SETTLING).await;
    }

    /// How many bots came in.
    pub fn joins(&self) -> usize {
        self.channel.joins()
    }

    /// Lets wall time jump ahead.
    pub fn pass(&self, time: Duration) {
        self.ahead_ms.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    /// Calls the API as the app's server does.
    pub async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        self.call_as("key:secret", method, path, body).await
    }

    pub async fn call_as(&self, pair: &str, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        let request = request.header("content-type", "application/json;charset=utf-8");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The doors of the worker.
    pub fn router(&self) -> Router {
        self.api.clone()
    }

    /// Sends a request as it is. Every answer has to be a JSON object with a request id, and as the OpenAPI document has it.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = self.api.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).expect("every answer is JSON");
        assert!(body.is_object(), "every answer is an object: {body}");
        assert!(head.headers.contains_key("x-request-id"), "every answer has a request id");
        assert_documented((&method, &path), head.status, &head.headers, &body);
        Answer { status: head.status, headers: head.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body.to_string()).await
    }

    /// Acquires a resource.
    pub async fn acquire(&self, cname: &str, uid: &str) -> String {
        let body = json!({ "cname": cname, "uid": uid, "clientRequest": {} });
        let answer = self.post(&format!("/v1/apps/{APP}/cloud_recording/acquire"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["resourceId"].as_str().unwrap().to_owned()
    }

    /// Starts with this clientRequest.
    pub async fn start(&self, resource: &str, mode: &str, cname: &str, uid: &str, client: &Value) -> Answer {
        let path = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/mode/{mode}/start");
        self.post(&path, json!({ "cname": cname, "uid": uid, "clientRequest": client })).await
    }

    /// Acquires and starts; the recording.
    pub async fn record(&self, mode: &str, cname: &str, uid: &str, client: &Value) -> Task {
        let resource = self.acquire(cname, uid).await;
        let answer = self.start(&resource, mode, cname, uid, client).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let sid = answer.body["sid"].as_str().unwrap().to_owned();
        Task { cname: cname.into(), uid: uid.into(), mode: mode.into(), resource, sid }
    }

    pub async fn query(&self, task: &Task) -> Answer {
        self.get(&task.path("query")).await
    }

    pub async fn stop(&self, task: &Task) -> Answer {
        self.post(&task.path("stop"), task.body(&json!({}))).await
    }

    /// A storageConfig for the scenario's bucket.
    pub fn storage(&self, prefix: &[&str]) -> Value {
        self.place.storage(prefix)
    }

    /// A plain clientRequest into the scenario's bucket.
    pub fn client(&self) -> Value {
        json!({ "recordingConfig": { "channelType": 1, "streamTypes": 0 }, "storageConfig": self.storage(&["rec"]) })
    }

    /// Where the bucket's objects lie.
    pub fn objects(&self) -> PathBuf {
        self.place.objects()
    }

    /// The worker's database.
    pub fn database(&self) -> PathBuf {
        self.place.dir.path().join("store.sqlite")
    }

    /// The folder that stands for the worker's disk when it is looked at.
    pub fn disk(&self) -> PathBuf {
        self.place.dir.path().join("disk")
    }

    /// What waits for buckets.
    pub fn spooled(&self) -> usize {
        std::fs::read_dir(self.place.dir.path().join("spool")).unwrap().count()
    }

    /// A recording's log, in order.
    pub async fn log(&self, task: &Task) -> Vec<Value> {
        let answer = self.get(&format!("/v1/apps/{APP}/recordings/{}/events", task.sid)).await;
        answer.body["events"].as_array().unwrap().clone()
    }

    /// Waits until a recording is over; what `…/recordings/{sid}` says then.
    pub async fn over(&self, task: &Task) -> Value {
        let path = format!("/v1/apps/{APP}/recordings/{}", task.sid);
        until(async || {
            let body = self.get(&path).await.body;
            matches!(body["state"].as_str(), Some("ended" | "failed")).then_some(body)
        })
        .await
    }
}

/// A started recording, as its caller knows it.
#[derive(Clone, Debug)]
pub struct Task {
    pub cname: String,
    pub uid: String,
    pub mode: String,
    pub resource: String,
    pub sid: String,
}

impl Task {
    pub fn path(&self, action: &str) -> String {
        let Self { resource, sid, mode, .. } = self;
        format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/sid/{sid}/mode/{mode}/{action}")
    }

    pub fn body(&self, client: &Value) -> Value {
        json!({ "cname": self.cname, "uid": self.uid, "clientRequest": client })
    }
}

/// A run of a worker that dies at the end of the story: whatever it was about to do is not done.
pub fn run_that_dies<T, F: Future<Output = T>>(
    place: &Arc<TestEnv>,
    options: Options,
    story: impl FnOnce(World) -> F,
) -> T {
    let runtime = Runtime::new().unwrap();
    let place = Arc::clone(place);
    let outcome = runtime.block_on(async { story(World::at(place, options).await).await });
    runtime.shutdown_timeout(HANG_LIMIT);
    outcome
}

/// A line of the log in the bucket as the API has it: without the hash of the line before.
pub fn unchained(line: &str) -> Value {
    let mut line: Value = serde_json::from_str(line).unwrap();
    assert!(line.as_object_mut().unwrap().shift_remove("prev").is_some(), "{line}");
    line
}

/// Waits until something is there.
pub async fn until<T>(check: impl AsyncFn() -> Option<T>) -> T {
    let found = tokio::time::timeout(HANG_LIMIT, async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("what the test waits for never happened")
}

/// Opens the journal. The thread of a run that died lets go of it a moment after its runtime is gone.
fn open_journal(folder: &Path, limits: Limits) -> Writer {
    let wait = Duration::from_millis(10);
    for _ in 0..HANG_LIMIT.as_millis() / wait.as_millis() {
        match Writer::with_limits(folder, limits) {
            Err(JournalError::InUse) => std::thread::sleep(wait),
            journal => return journal.unwrap(),
        }
    }
    panic!("another run holds {}", folder.display())
}

fn router(sessions: &Sessions, options: &Options) -> Router {
    let app = |id: &str| AppId::new(id).unwrap();
    let pair =
        |key: &str, id: &str| KeyPair { key: key.into(), secret: "secret".to_owned().into(), apps: [app(id)].into() };
    let limits = options.requests_per_second.into_iter().flat_map(|limit| [(app(APP), limit), (app(OTHER_APP), limit)]);
    let credentials = Credentials::new(vec![pair("key", APP), pair("other", OTHER_APP)]).with_limits(limits);
    let credentials = credentials.with_origins([(app(APP), options.origins.clone())]);
    let state =
        ApiState { sessions: sessions.clone(), credentials: Arc::new(credentials), metrics: Some(clock::now()) };
    api::complete(api::router(state), sessions.metrics().clone())
}

async fn open(
    place: &TestEnv,
    store: &Store,
    channel: &Script,
    ahead_ms: &Arc<AtomicU64>,
    options: &Options,
) -> (Sessions, Writer) {
    let dir = place.dir.path();
    let app = || AppSettings {
        channel: Arc::new(channel.clone()) as Arc<dyn Channel>,
        storage: options.storage.clone(),
        backup: options.backup.map(|after| place.backup(after, options.backup_endpoint.as_deref())),
        max_sessions: options.max_sessions,
        segment: SegmentLength::from_secs(2).unwrap(),
        container: Container::default(),
        private_endpoints: options.private_endpoints,
    };
    let apps = [APP, OTHER_APP].map(|id| (AppId::new(id).unwrap(), app()));
    let ahead = Arc::clone(ahead_ms);
    let settings = Settings {
        clock: Arc::new(move || WallMs(clock::now().0 + ahead.load(Ordering::Relaxed))),
        // The boot clock can't be set ahead: what these worlds know is wall time.
        boot_clock: Arc::new(|| BootTime::UNKNOWN),
        upload_patience: options.upload_patience,
        max_sessions: options.worker_sessions,
        roll: options.roll,
        ..Settings::new(BTreeMap::from(apps))
    };
    let targets = options.callbacks.iter().map(|url| (AppId::new(APP).unwrap(), options.target(url)));
    let metrics = settings.metrics.clone();
    let delivery =
        callback::Settings { targets: targets.collect(), metrics: metrics.clone(), ..options.delivery.clone() };
    // Taken away by scenarios about disks that fail; what the worker writes lies beside it.
    let disk = dir.join("disk");
    let limits = Limits {
        buffer_bytes: options.journal_buffer_bytes,
        file_bytes: options.journal_file_bytes,
        group_time: JOURNAL_GROUP_TIME,
    };
    let retry = RetryPolicy { first: Duration::from_millis(5), longest: Duration::from_millis(50) };
    // The embedded bucket ends a PUT whose sender died, so nothing lands late.
    let attempt_times = AttemptTimes { unacked_put: Duration::from_millis(100), ..AttemptTimes::default() };
    let journal = open_journal(&dir.join("journal"), limits);
    let backing = Backing {
        dispatcher: Dispatcher::spawn(store.clone(), delivery).unwrap(),
        store: store.clone(),
        sealer: Sealer::from_hex(&options.seal_key.repeat(32).into()).unwrap(),
        journal: journal.clone(),
        spool: Spool::open_on(Arc::clone(&options.files), dir.join("spool"), options.spool.clone()).unwrap(),
        disk: DiskWatch::new(disk, 0),
        uploader: Arc::new(Uploader::new(retry, 1).with_patience(attempt_times).with_meters(metrics)),
    };
    (Sessions::open(settings, backing).await.unwrap(), journal)
}
