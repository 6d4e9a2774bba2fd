//! A worker, put together from its configuration: every room gets its settings here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::channel_events::{self, ChannelEventWriter};
use super::descriptors::{self, DescriptorBudget};
use super::directory::Directory;
use super::rule_keeper::StoredRules;
use super::token_checked_channel::TokenCheckedChannel;
use super::{development, housekeeping, private};
use crate::api::{self, ApiState, Credentials, KeyPair, RestSecret};
use crate::callback::{self, Dispatcher, Intake};
use crate::channel::Channel;
use crate::channel::livekit::{self, LiveKitChannel};
use crate::channel_server::token::{AppKeys, MintLiveKit, mint_livekit};
use crate::channel_server::{self, ChannelServer, Limits};
use crate::clock;
use crate::codec::container::Container;
use crate::config::{self, App, ChannelChoice, Config, IdleRoom};
use crate::console::{self, DevBucket, DevSettings};
use crate::metrics::Metrics;
use crate::serving;
use crate::session::{AppSettings, Backing, BackupSettings, Sessions, Settings};
use crate::storage::bucket_server::{self, BucketServer};
use crate::storage::vendor::{self, ExtensionParams, StorageConfigParts};
use crate::storage::{Destination, DiskWatch, RetryPolicy, Spool, SpoolLimits, Uploader, journal};
use crate::store::Store;
use crate::store::seal::Sealer;

/// How long running recordings have for their ends when the worker is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a token of the voice room page is good for, in seconds.
const PAGE_TOKEN_SECS: u32 = 6 * 3600;

/// Everything that runs. [`Worker::stop`] ends it in good order, or [`Worker::drain`] and [`Worker::close`]; dropping it does
/// not.
pub(in crate::cli) struct Worker {
    /// REST, signalling, pages.
    pub(in crate::cli) http: SocketAddr,
    /// Where clients of the embedded channel server are told to send media.
    pub(in crate::cli) udp: Option<SocketAddr>,
    /// The embedded bucket.
    pub(in crate::cli) bucket: Option<SocketAddr>,
    sessions: Sessions,
    credentials: Arc<Credentials>,
    dispatcher: Dispatcher,
    channel_server: Option<ChannelServer>,
    channel_events: Option<ChannelEventWriter>,
    bucket_server: Option<BucketServer>,
    store: Store,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
}

impl Worker {
    /// Starts everything; an error says what could not be had and nothing is left running.
    pub(in crate::cli) async fn start(mut config: Config, development: bool) -> anyhow::Result<Self> {
        let began = clock::now();
        let data = config.server.data_dir.clone();
        std::fs::create_dir_all(&data).with_context(|| format!("can't make the data folder {}", data.display()))?;
        private::close(&data);
        if let Some(captures) = &config.server.capture_dir {
            std::fs::create_dir_all(captures).with_context(|| format!("can't make {}", captures.display()))?;
        }
        let database = data.join("recorder.db");
        let store = Store::open(&database).await.with_context(|| database.display().to_string())?;
        let sealer = match &config.server.seal_key {
            Some(key) => Sealer::from_hex(key).context("server.seal_key")?,
            None => Sealer::from_file_of(&data.join("seal.key"), store.sealed_count().await?)?,
        };
        let listener = listen(config.server.listen, "server.listen").await?;
        let http = listener.local_addr()?;
        let places = DescriptorBudget::share(descriptors::raise(), &config);
        let bucket_server = start_bucket(&config, &places).await?;
        let bucket = bucket_server.as_ref().map(BucketServer::addr);
        if let Some(bucket) = bucket.filter(|_| development) {
            development::point_at_bucket(&mut config, bucket)?;
        }
        let channel_server = start_channel_server(&config, &store).await?;
        let metrics = Metrics::default();
        let dispatcher = Dispatcher::spawn(store.clone(), callbacks(&config, &metrics))?;
        let channel_events = match &channel_server {
            Some(server) => {
                let intake = Intake::spawn(store.clone(), dispatcher.clone(), metrics.clone());
                for app in &config.apps {
                    channel_events::end_earlier(&store, &intake, &app.id).await?;
                    dispatcher.nudge_channel(&app.id);
                }
                Some(ChannelEventWriter::spawn(server.channel_events(), intake))
            }
            None => None,
        };
        let backing = Backing {
            store: store.clone(),
            sealer,
            spool: Spool::open(data.join("spool"), spool_limits(&config)).context("server.data_dir")?,
            disk: DiskWatch::new(&data, u64::from(config.server.disk_reserve_mib) << 20),
            journal: journal::Writer::open(data.join("journal")).context("server.data_dir")?,
            uploader: Arc::new(Uploader::new(RetryPolicy::default(), rand::random()).with_meters(metrics.clone())),
            dispatcher: dispatcher.clone(),
        };
        let max_sessions = config.server.max_recordings as usize;
        let mut settings = Settings { metrics, max_sessions, ..Settings::new(apps(&config, http)?) };
        settings.capture.clone_from(&config.server.capture_dir);
        let sessions = Sessions::open(settings, backing).await?;

        let metrics = config.server.metrics.then_some(began);
        let credentials = Arc::new(credentials(&config));
        let directory = Directory::new(&config, Arc::clone(&credentials));
        let state = ApiState { sessions: sessions.clone(), credentials: Arc::clone(&credentials), metrics };
        let mut router = api::router(state).merge(console::router(pages(&config, bucket, development)?));
        if let Some(server) = &channel_server {
            router = router.merge(server.router());
        }
        router = router.merge(channel_server::rest::router(channel_server.clone(), Arc::new(directory)));
        let router = api::complete(router, sessions.metrics().clone());
        let housekeeping = housekeeping::spawn(store.clone(), config.recording.remember_days);
        let stop = CancellationToken::new();
        let limits = limits(&config, &places);
        let serving = tokio::spawn(serving::serve(listener, router, limits, stop.clone()));
        let udp = channel_server.as_ref().and_then(|server| server.media_addresses().first().copied());
        Ok(Self {
            http,
            udp,
            bucket,
            sessions,
            credentials,
            dispatcher,
            channel_server,
            channel_events,
            bucket_server,
            store,
            stop,
            serving,
            housekeeping,
        })
    }

    /// Takes from a configuration what a running worker can: who may call, how often, and from which pages.
    pub(in crate::cli) fn reload(&self, config: &Config) {
        self.credentials.replace(credentials(config));
    }

    /// Takes no new recordings, waits up to `patience` for those that run to end, and leaves the others to the next run. HTTP
    /// goes on answering. May be called again, with less patience.
    pub(in crate::cli) async fn drain(&self, patience: Duration) {
        self.sessions.drain(patience).await;
    }

    /// Ends running recordings, then the rest.
    pub(in crate::cli) async fn stop(self) {
        self.sessions.end_all(STOP_TIMEOUT).await;
        self.close().await;
    }

    /// Ends what is left when no recording runs here any more.
    pub(in crate::cli) async fn close(self) {
        self.housekeeping.abort();
        if let Some(server) = self.channel_server {
            server.shutdown().await;
        }
        if let Some(news) = self.channel_events {
            news.finish().await;
        }
        self.stop.cancel();
        // Long polls and sockets of clients that do not go are cut off here.
        if tokio::time::timeout(Duration::from_secs(2), self.serving).await.is_err() {
            tracing::debug!("clients were still connected at the end");
        }
        self.dispatcher.shutdown().await;
        if let Some(server) = self.bucket_server {
            server.shutdown().await;
        }
        self.store.close().await;
    }
}

fn spool_limits(config: &Config) -> SpoolLimits {
    let bytes = |gib: u32| u64::from(gib) << 30;
    SpoolLimits {
        apps: config.apps.iter().map(|app| (app.id.clone(), bytes(app.spool_gib))).collect(),
        ..SpoolLimits::from(bytes(config.server.spool_gib))
    }
}

async fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}; change {key}"))
}

fn limits(config: &Config, places: &DescriptorBudget) -> serving::Limits {
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    serving::Limits {
        connections: places.http,
        per_address: (config.server.max_connections_per_address as usize).min(places.http.div_ceil(2)),
        head: seconds(config.server.head_seconds),
        body: serving::BodyTime::Whole(seconds(config.server.body_seconds)),
        trusted_proxies: config.channel_server.trusted_proxies.clone().into(),
        ..serving::Limits::default()
    }
}

async fn start_bucket(config: &Config, places: &DescriptorBudget) -> anyhow::Result<Option<BucketServer>> {
    if !config.bucket.enabled {
        return Ok(None);
    }
    let settings = bucket_server::Settings {
        listen: config.bucket.listen,
        dir: config.server.data_dir.join("bucket"),
        access_key: config.bucket.access_key.clone(),
        secret_key: config
            .bucket
            .secret_key
            .clone()
            .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()).into()),
        public_read: config.bucket.public_read,
    };
    let server =
        BucketServer::bind_within(settings, bucket_server::limits(places.bucket)).await.context("bucket.listen")?;
    server.ensure_bucket(&config.bucket.name).await.context("bucket.name")?;
    Ok(Some(server))
}

async fn start_channel_server(config: &Config, store: &Store) -> anyhow::Result<Option<ChannelServer>> {
    if !config.channel_server.enabled {
        return Ok(None);
    }
    // Without a key pair in the configuration there is none that anybody knows.
    let random = || format!("{:032x}", rand::random::<u128>());
    let api_key = config.channel_server.api_key.clone().unwrap_or_else(random);
    let api_secret = config.channel_server.api_secret.clone().unwrap_or_else(|| random().into());
    let apps = config.apps.iter();
    let settings = channel_server::Settings {
        apps: apps.map(|app| AppKeys { app_id: app.id.clone(), certificate: app.certificate.clone() }).collect(),
        api_key,
        api_secret,
        udp_listen: config.channel_server.udp_listen,
        announce: config.channel_server.announce,
        trusted_proxies: config.channel_server.trusted_proxies.clone(),
        rule_keeper: Some(Arc::new(StoredRules(store.clone()))),
        limits: channel_limits(&config.channel_server),
    };
    Ok(Some(ChannelServer::start(settings).await?))
}

fn channel_limits(config: &config::ChannelServer) -> Limits {
    // The configuration's numbers fit: it bounds them.
    let places = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        rooms: places(config.max_channels),
        rooms_per_app: places(config.max_channels_per_app),
        members_per_room: places(config.max_members_per_channel),
        members_per_app: places(config.max_members_per_app),
        tracks_per_app: places(config.max_tracks_per_app),
        sockets_per_app: places(config.max_connections_per_app),
        ..Limits::default()
    }
}

fn callbacks(config: &Config, metrics: &Metrics) -> callback::Settings {
    let targets = config.apps.iter().filter_map(|app| Some((app.id.clone(), receiver(app)?)));
    callback::Settings { targets: targets.collect(), metrics: metrics.clone(), ..callback::Settings::default() }
}

/// An app's callback receiver, if it has one.
pub(in crate::cli) fn receiver(app: &App) -> Option<callback::Target> {
    let (url, secret) = (app.callback_url.clone()?.0, app.callback_secret.clone()?);
    Some(callback::Target {
        recording: app.callback_events.clone(),
        channel: app.callback_channel_events.clone(),
        private: app.allow_private_endpoints,
        ..callback::Target::new(url, secret)
    })
}

/// Plain secrets become hashes here.
fn credentials(config: &Config) -> Credentials {
    let pairs = |app: &App| {
        let plain = app.customer_secret.iter().map(RestSecret::from);
        let secrets = plain.chain(app.customer_secret_hash.0.iter().cloned().map(RestSecret::from));
        let (key, apps) = (app.customer_id.clone(), BTreeSet::from([app.id.clone()]));
        secrets.map(|secret| KeyPair { key: key.clone(), secret, apps: apps.clone() }).collect::<Vec<_>>()
    };
    let limits = config.apps.iter().map(|app| (app.id.clone(), app.requests_per_second));
    let origins = config.apps.iter().map(|app| (app.id.clone(), app.allowed_origins.clone()));
    Credentials::new(config.apps.iter().flat_map(pairs).collect()).with_limits(limits).with_origins(origins)
}

fn apps(config: &Config, http: SocketAddr) -> anyhow::Result<BTreeMap<crate::units::AppId, AppSettings>> {
    let settings = |(index, app): (usize, &App)| {
        let settings = AppSettings {
            channel: channel(app, http).with_context(|| format!("apps[{index}].channel"))?,
            storage: storage(app).with_context(|| format!("apps[{index}].storage"))?,
            backup: backup(app).with_context(|| format!("apps[{index}].backup"))?,
            max_sessions: app.max_recordings as usize,
            segment: config.recording.segment_seconds,
            container: container(app).with_context(|| format!("apps[{index}].container"))?,
            private_endpoints: app.allow_private_endpoints,
        };
        Ok((app.id.clone(), settings))
    };
    config.apps.iter().enumerate().map(settings).collect()
}

/// What the app's segments are packed in, if this program can.
fn container(app: &App) -> anyhow::Result<Container> {
    anyhow::ensure!(app.container.is_offered(), "ts needs AAC, and this worker was built without it; use fmp4");
    Ok(app.container)
}

/// The bot reaches the embedded server like any other, over loopback where the server listens everywhere.
fn channel(app: &App, http: SocketAddr) -> anyhow::Result<Arc<dyn Channel>> {
    let settings = match &app.channel {
        ChannelChoice::Livekit { url, api_key, api_secret, idle_room } => livekit::Settings {
            url: url.to_string(),
            api_key: api_key.clone(),
            api_secret: api_secret.clone(),
            idle_room: match idle_room {
                IdleRoom::Hold => livekit::IdleRoom::Hold,
                IdleRoom::Watch => livekit::IdleRoom::Watch,
            },
        },
        ChannelChoice::Embedded => {
            let host = if http.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], http.port())) } else { http };
            livekit::Settings {
                url: format!("ws://{host}"),
                api_key: app.id.as_str().to_owned(),
                api_secret: app
                    .certificate
                    .clone()
                    .context("the embedded channel server needs the app's certificate")?,
                // The embedded server keeps a recorder in a room that it has closed for everybody else.
                idle_room: livekit::IdleRoom::Hold,
            }
        }
    };
    let channel = LiveKitChannel::new(settings)?;
    let channel = if matches!(app.channel, ChannelChoice::Livekit { .. }) { channel.with_agents() } else { channel };
    Ok(match &app.certificate {
        Some(certificate) => Arc::new(TokenCheckedChannel::new(channel, app.id.clone(), certificate.clone())),
        None => Arc::new(channel),
    })
}

fn storage(app: &App) -> anyhow::Result<Option<Destination>> {
    let Some(storage) = &app.storage else { return Ok(None) };
    let parts = StorageConfigParts {
        vendor: Some(storage.vendor.into()),
        region: Some(storage.region.into()),
        bucket: Some(storage.bucket.clone()),
        access_key: Some(storage.access_key.clone()),
        secret_key: Some(storage.secret_key.clone()),
        file_name_prefix: Some(storage.prefix.clone()),
        extension_params: Some(ExtensionParams {
            endpoint: storage.endpoint.as_ref().map(Url::to_string),
            region: storage.signing_region.clone(),
            path_style: storage.path_style,
            ..ExtensionParams::default()
        }),
        ..StorageConfigParts::default()
    };
    Ok(Some(vendor::destination(&parts).context("[apps.storage] can't be used")?))
}

fn backup(app: &App) -> anyhow::Result<Option<BackupSettings>> {
    let Some(backup) = &app.backup else { return Ok(None) };
    let parts = StorageConfigParts {
        vendor: Some(backup.vendor.into()),
        region: Some(backup.region.into()),
        bucket: Some(backup.bucket.clone()),
        access_key: Some(backup.access_key.clone()),
        secret_key: Some(backup.secret_key.clone()),
        file_name_prefix: Some(backup.prefix.clone()),
        extension_params: Some(ExtensionParams {
            endpoint: backup.endpoint.as_ref().map(Url::to_string),
            region: backup.signing_region.clone(),
            path_style: backup.path_style,
            ..ExtensionParams::default()
        }),
        ..StorageConfigParts::default()
    };
    let after = Duration::from_secs(u64::from(backup.after_minutes) * 60);
    let destination = vendor::destination(&parts).context("[apps.backup] can't be used")?;
    Ok(Some(BackupSettings { destination, after }))
}

/// The pages, and in development what they need to record without anybody pasting credentials.
fn pages(config: &Config, bucket: Option<SocketAddr>, development: bool) -> anyhow::Result<console::Settings> {
    let mut settings =
        console::Settings { origins: origins(config, bucket), dev: None, api: Some(&api::openapi::DOCUMENT) };
    let (Some(bucket), true, Some(app)) = (bucket, development, config.apps.first()) else { return Ok(settings) };
    let endpoint = Url::parse(&format!("http://{bucket}"))?;
    let secret_key = config.bucket.secret_key.clone().unwrap_or_else(|| String::new().into());
    let (key, certificate) =
        (app.id.clone(), app.certificate.clone().context("the development app has a certificate")?);
    let mint: console::Mint = Arc::new(move |room, identity| {
        let lifetime = PAGE_TOKEN_SECS;
        let mint =
            MintLiveKit { key: key.as_str(), app: None, room, identity, publish: true, now: clock::now(), lifetime };
        Ok(SecretString::from(mint_livekit(mint, &certificate)))
    });
    settings.dev = Some(DevSettings {
        app_id: app.id.clone(),
        channel_url: None,
        rest_key: app.customer_id.clone(),
        rest_secret: app.customer_secret.clone().context("the development app has a plain REST secret")?,
        bucket: DevBucket {
            endpoint,
            name: config.bucket.name.clone(),
            access_key: config.bucket.access_key.clone(),
            secret_key,
        },
        mint,
    });
    Ok(settings)
}

/// Where the pages may go beside our own port: the apps' channel servers and buckets, and the embedded bucket.
fn origins(config: &Config, bucket: Option<SocketAddr>) -> Vec<Url> {
    let channels = config.apps.iter().filter_map(|app| match &app.channel {
        ChannelChoice::Embedded => None,
        ChannelChoice::Livekit { url, .. } => {
            let scheme = if matches!(url.scheme(), "https" | "wss") { "wss" } else { "ws" };
            Url::parse(&format!("{scheme}{}", url.as_str().trim_start_matches(url.scheme()))).ok()
        }
    });
    let buckets = config.apps.iter().filter_map(|app| app.storage.as_ref()?.endpoint.clone());
    let embedded = bucket.and_then(|address| Url::parse(&format!("http://{address}")).ok());
    channels.chain(buckets).chain(embedded).collect()
}
