//! `[[apps]]`: the tenants.

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::text::{self, PrivateUrl};
use crate::units::{AppId, EventTypes};

/// A tenant: its identity, its credentials, where its channels and callbacks are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// 32 hexadecimal digits.
    pub id: AppId,
    /// 32 hexadecimal digits; signs the app's channel tokens. Without it the embedded channel server accepts no token of the app.
    pub certificate: Option<SecretString>,
    /// User name of REST Basic authentication.
    pub customer_id: String,
    /// Password of REST Basic authentication.
    pub customer_secret: SecretString,
    /// Where callbacks are posted; without it events are only logged, queried and stored.
    pub callback_url: Option<PrivateUrl>,
    /// Signs callbacks.
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
    /// Recordings that may run at once.
    #[serde(default = "default_max_recordings")]
    pub max_recordings: u32,
    /// Bytes that may wait on disk for this app's buckets, in GiB; with as much waiting it begins no new recording.
    #[serde(default = "default_spool_gib")]
    pub spool_gib: u32,
    /// Whether `storageConfig` endpoints and `callback_url` may be loopback, private or link-local addresses.
    #[serde(default)]
    pub allow_private_endpoints: bool,
    /// Used when a start brings no storage of its own.
    pub storage: Option<DefaultStorage>,
    /// Where recordings go too while their own bucket takes nothing.
    pub backup: Option<BackupStorage>,
}

/// Where an app's channels live.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChannelChoice {
    /// In the embedded channel server.
    #[default]
    Embedded,
    /// In a LiveKit server.
    Livekit {
        /// `ws://`, `wss://`, `http://` or `https://`.
        #[serde(deserialize_with = "text::url")]
        url: Url,
        /// API key.
        api_key: String,
        /// API secret.
        api_secret: SecretString,
    },
}

/// The app's own bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultStorage {
    /// 1 Amazon S3, 11 S3-compatible.
    pub vendor: u8,
    /// The vendor's region number; ignored for vendor 11.
    #[serde(default)]
    pub region: u32,
    /// Bucket name.
    pub bucket: String,
    /// Access key.
    pub access_key: SecretString,
    /// Secret key.
    pub secret_key: SecretString,
    /// Endpoint of an S3-compatible store (vendor 11).
    #[serde(default, deserialize_with = "text::optional_url")]
    pub endpoint: Option<Url>,
    /// Put before each recording's own fileNamePrefix.
    #[serde(default)]
    pub prefix: Vec<String>,
}

const fn every_event() -> EventTypes {
    EventTypes::All
}

/// The app's second bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupStorage {
    /// How long the oldest object of a recording waits for the recording's own bucket before what waits is copied here, in minutes,
    /// 1 to 1440.
    #[serde(default = "default_after_minutes")]
    pub after_minutes: u16,
    /// 1 Amazon S3, 11 S3-compatible.
    pub vendor: u8,
    /// The vendor's region number; ignored for vendor 11.
    #[serde(default)]
    pub region: u32,
    /// Bucket name.
    pub bucket: String,
    /// Access key.
    pub access_key: SecretString,
    /// Secret key.
    pub secret_key: SecretString,
    /// Endpoint of an S3-compatible store (vendor 11).
    #[serde(default, deserialize_with = "text::optional_url")]
    pub endpoint: Option<Url>,
    /// Put before each recording's own fileNamePrefix.
    #[serde(default)]
    pub prefix: Vec<String>,
}

const fn default_after_minutes() -> u16 {
    5
}

const fn default_max_recordings() -> u32 {
    50
}

const fn default_spool_gib() -> u32 {
    32
}
