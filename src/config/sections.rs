//! The worker-wide sections: server, recording, channel server, bucket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{shown, text};
use crate::recording::SegmentLength;

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address of the one HTTP port: REST, signalling, pages.
    pub listen: SocketAddr,
    /// How clients reach that port, where it differs from `listen` (a proxy with TLS in front): the addresses that `serve` prints.
    #[serde(deserialize_with = "text::optional_url", serialize_with = "shown::optional_url")]
    pub public_url: Option<Url>,
    /// Journal, spool, database and the embedded bucket lie below this folder; made when missing.
    pub data_dir: PathBuf,
    /// With less than this free on the disk of `data_dir`, in MiB, new recordings are refused; what is left is for running ones.
    pub disk_reserve_mib: u32,
    /// How long a worker that is told to stop waits for its recordings to end, in seconds. The next run goes on with the others.
    pub drain_seconds: u16,
    /// Bytes that may wait on disk for their buckets, of all recordings together, in GiB; with as much waiting no new recording
    /// begins.
    pub spool_gib: u32,
    /// Recordings of all apps together that may run at once.
    pub max_recordings: u32,
    /// Connections of the HTTP port at once; the one that has kept it waiting for longest gives way to one more.
    pub max_connections: u32,
    /// Of these, connections of one address (IPv6: of one /64) at once; behind `channel_server.trusted_proxies`, requests.
    pub max_connections_per_address: u32,
    /// How long a request's head may take, in seconds.
    pub head_seconds: u16,
    /// How long a request's body may take, in seconds.
    pub body_seconds: u16,
    /// Whether `GET /metrics` is answered: counts for Prometheus, without credentials, secrets or names.
    pub metrics: bool,
    /// What is logged, as `RUST_LOG` says it, which wins over this.
    pub log: Option<String>,
    /// How each line of the log is written.
    pub log_format: LogFormat,
    /// Seals secrets at rest: 64 hexadecimal digits. Without it a key file is made in `data_dir`, mode 0600.
    #[serde(serialize_with = "shown::optional_secret")]
    pub seal_key: Option<SecretString>,
    /// Received inputs of every session are also written as fixtures (journals) into this folder.
    pub capture_dir: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            public_url: None,
            data_dir: "cloud-recorder-data".into(),
            disk_reserve_mib: 1024,
            drain_seconds: 0,
            spool_gib: 64,
            max_recordings: 500,
            max_connections: 4_096,
            max_connections_per_address: 1_024,
            head_seconds: 10,
            body_seconds: 20,
            metrics: true,
            log: None,
            log_format: LogFormat::default(),
            seal_key: None,
            capture_dir: None,
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[recording]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// Nominal length of an HLS segment in whole seconds, 2 to 15.
    pub segment_seconds: SegmentLength,
    /// How long an ended recording, its log and its callbacks are remembered, in days, 2 to 3650.
    pub remember_days: u16,
}

impl Default for Recording {
    fn default() -> Self {
        Self { segment_seconds: SegmentLength::default(), remember_days: 30 }
    }
}

/// `[channel_server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelServer {
    /// Whether the embedded channel server runs.
    pub enabled: bool,
    /// The one UDP port for all media.
    pub udp_listen: SocketAddr,
    /// The address announced to clients, where it differs from `udp_listen` (NAT, or a wildcard listen address).
    pub announce: Option<IpAddr>,
    /// Key pair for LiveKit tokens of the first app; other apps use their id and certificate.
    pub api_key: Option<String>,
    /// The secret of `api_key`.
    #[serde(serialize_with = "shown::optional_secret")]
    pub api_secret: Option<SecretString>,
    /// Channels of all apps together that may be open at once.
    pub max_channels: u32,
    /// Of these, channels of one app; with one app alone it may be as many as `max_channels`. Also the recorders of one app.
    pub max_channels_per_app: u32,
    /// Members of one channel at once, recorders not counted.
    pub max_members_per_channel: u32,
    /// Members of one app in all its channels at once, recorders not counted.
    pub max_members_per_app: u32,
    /// Tracks of one app that are published at once.
    pub max_tracks_per_app: u32,
    /// Signalling connections of one app at once; each is one of `server.max_connections`.
    pub max_connections_per_app: u32,
    /// Addresses of proxies whose `X-Forwarded-For` is believed, so that kicking rules and limits by address see the clients' own.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for ChannelServer {
    fn default() -> Self {
        Self {
            enabled: true,
            udp_listen: loopback(7882),
            announce: None,
            api_key: None,
            api_secret: None,
            max_channels: 1_000,
            max_channels_per_app: 500,
            max_members_per_channel: 100,
            max_members_per_app: 2_000,
            max_tracks_per_app: 2_000,
            max_connections_per_app: 2_048,
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[bucket]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bucket {
    /// Whether the embedded bucket runs.
    pub enabled: bool,
    /// Its S3 endpoint, a port of its own.
    pub listen: SocketAddr,
    /// Connections of that port at once, and a quarter as many of one address.
    pub max_connections: u32,
    /// The bucket that is made at start.
    pub name: String,
    /// The only access key.
    pub access_key: String,
    /// Its secret; without one a random secret is made at each start and nobody else can write.
    #[serde(serialize_with = "shown::optional_secret")]
    pub secret_key: Option<SecretString>,
    /// Whether anybody who reaches the port may read objects without credentials.
    pub public_read: bool,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: loopback(9000),
            max_connections: 1_024,
            name: "recordings".into(),
            access_key: "cloud-recorder".into(),
            secret_key: None,
            public_read: false,
        }
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
