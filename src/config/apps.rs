//! `[[apps]]`: the tenants.

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::shown;
use super::text::{self, PrivateUrl};
use crate::codec::container::Container;
use crate::units::{AppId, EventTypes, InvalidId, SecretHash};

/// A tenant: its identity, its credentials, where its channels and callbacks are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// 32 hexadecimal digits.
    pub id: AppId,
    /// 32 hexadecimal digits; signs the app's channel tokens. Without it the embedded channel server accepts no token of the app.
    #[serde(serialize_with = "shown::optional_secret")]
    pub certificate: Option<SecretString>,
    /// User name of REST Basic authentication.
    pub customer_id: String,
    /// Password of REST Basic authentication, as it is; for development, and for secrets that come from the environment.
    #[serde(serialize_with = "shown::optional_secret")]
    pub customer_secret: Option<SecretString>,
    /// The same as `cloud-recorder token hash-secret` prints it, or several of these, with blanks between: all are good.
    #[serde(default, skip_serializing_if = "SecretHashes::is_empty")]
    pub customer_secret_hash: SecretHashes,
    /// Requests that the app may send in a second, over a longer time; after a pause twice as many at once.
    #[serde(default = "default_requests_per_second")]
    pub requests_per_second: u32,
    /// Origins (`https://host`, `http://host:port`) of pages that may call the app's REST API from a browser.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Where callbacks are posted; without it events are only logged, queried and stored.
    pub callback_url: Option<PrivateUrl>,
    /// Signs callbacks.
    #[serde(serialize_with = "shown::optional_secret")]
    pub callback_secret: Option<SecretString>,
    /// Which recording events (productId 3) are posted.
    #[serde(default = "every_event")]
    pub callback_events: EventTypes,
    /// Which events of the app's channels in the embedded channel server (productId 1) are posted.
    #[serde(default = "EventTypes::none")]
    pub callback_channel_events: EventTypes,
    /// Where the app's channels live.
    #[serde(default)]
    pub channel: ChannelChoice,
    /// What segments are packed in where a start does not say: `fmp4` (Opus), or `ts` (AAC in MPEG-TS, as the vendor's).
    #[serde(default)]
    pub container: Container,
    /// Recordings that may run at once.
    #[serde(default = "default_max_recordings")]
    pub max_recordings: u32,
    /// Bytes that may wait on disk for this app's buckets, in GiB; with as much waiting it begins no new recording.
    #[serde(default = "default_spool_gib")]
    pub spool_gib: u32,
    /// Whether `storageConfig` endpoints and `callback_url` may be, or lead to, loopback, private or link-local addresses.
    #[serde(default)]
    pub allow_private_endpoints: bool,
    /// Used when a start brings no storage of its own.
    pub storage: Option<DefaultStorage>,
    /// Where recordings go too while their own bucket takes nothing.
    pub backup: Option<BackupStorage>,
}

/// Hashes of an app's REST secrets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretHashes(pub Vec<SecretHash>);

impl SecretHashes {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for SecretHashes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown::secret(self, serializer)
    }
}

/// Secrets that an app may have at a time: every call is compared with as many.
pub const MAX_SECRETS: usize = 4;

impl TryFrom<String> for SecretHashes {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let hashes: Vec<SecretHash> = text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        if (1..=MAX_SECRETS).contains(&hashes.len()) {
            Ok(Self(hashes))
        } else {
            Err(InvalidId { what: "customer_secret_hash", problem: "must be one to four hashes, with blanks between" })
        }
    }
}

/// Where an app's channels live.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChannelChoice {
    /// In the embedded channel server.
    #[default]
    Embedded,
    /// In a LiveKit server.
    Livekit {
        /// `ws://`, `wss://`, `http://` or `https://`.
        #[serde(deserialize_with = "text::url", serialize_with = "shown::url")]
        url: Url,
        /// API key.
        api_key: String,
        /// API secret.
        #[serde(serialize_with = "shown::secret")]
        api_secret: SecretString,
        /// What a recorder does while nobody is in its room: `hold` keeps it in the room, which it makes anew where the server closed
        /// it, and hears the next member from the first word; `watch` keeps it outside, where it looks once a second and misses a
        /// moment, and never makes a room.
        #[serde(default)]
        idle_room: IdleRoom,
    },
}

/// What a recorder does while nobody is in its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleRoom {
    /// It stays in the room.
    #[default]
    Hold,
    /// It waits outside.
    Watch,
}

/// The app's own bucket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultStorage {
    /// 1 Amazon S3, 2 Alibaba, 3 Tencent, 6 Google, 7 Huawei, 8 Baidu, 11 S3-compatible.
    pub vendor: u8,
    /// The vendor's region number; ignored for vendors 6 and 11.
    #[serde(default)]
    pub region: u32,
    /// Bucket name.
    pub bucket: String,
    /// Access key.
    #[serde(serialize_with = "shown::secret")]
    pub access_key: SecretString,
    /// Secret key.
    #[serde(serialize_with = "shown::secret")]
    pub secret_key: SecretString,
    /// Endpoint of an S3-compatible store (vendor 11).
    #[serde(default, deserialize_with = "text::optional_url", serialize_with = "shown::optional_url")]
    pub endpoint: Option<Url>,
    /// The region to sign for (vendor 11), where it is not `us-east-1` and the endpoint's name does not say it.
    pub signing_region: Option<String>,
    /// Whether the bucket goes into the path of each request, or into its host name; the store's answer decides where nothing is said.
    pub path_style: Option<bool>,
    /// The folders in which recordings lie whose start brings no storageConfig; one that does brings a fileNamePrefix of its own.
    #[serde(default)]
    pub prefix: Vec<String>,
}

/// The app's second bucket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupStorage {
    /// How long the oldest object of a recording waits for the recording's own bucket before what waits is copied here, in minutes,
    /// 1 to 1440.
    #[serde(default = "default_after_minutes")]
    pub after_minutes: u16,
    /// 1 Amazon S3, 2 Alibaba, 3 Tencent, 6 Google, 7 Huawei, 8 Baidu, 11 S3-compatible.
    pub vendor: u8,
    /// The vendor's region number; ignored for vendors 6 and 11.
    #[serde(default)]
    pub region: u32,
    /// Bucket name.
    pub bucket: String,
    /// Access key.
    #[serde(serialize_with = "shown::secret")]
    pub access_key: SecretString,
    /// Secret key.
    #[serde(serialize_with = "shown::secret")]
    pub secret_key: SecretString,
    /// Endpoint of an S3-compatible store (vendor 11).
    #[serde(default, deserialize_with = "text::optional_url", serialize_with = "shown::optional_url")]
    pub endpoint: Option<Url>,
    /// The region to sign for (vendor 11), where it is not `us-east-1` and the endpoint's name does not say it.
    pub signing_region: Option<String>,
    /// Whether the bucket goes into the path of each request, or into its host name; the store's answer decides where nothing is said.
    pub path_style: Option<bool>,
    /// Put before each recording's own folders.
    #[serde(default)]
    pub prefix: Vec<String>,
}

const fn default_after_minutes() -> u16 {
    5
}

const fn every_event() -> EventTypes {
    EventTypes::All
}

const fn default_max_recordings() -> u32 {
    50
}

const fn default_requests_per_second() -> u32 {
    200
}

const fn default_spool_gib() -> u32 {
    32
}
