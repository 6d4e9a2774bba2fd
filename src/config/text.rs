//! URLs in a configuration: text in the file, parsed at the door.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};
use url::{Host, Url};

use crate::units::is_public;

/// A URL that may hold a key or a password: `Debug` shows its scheme and host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateUrl(pub Url);

impl PrivateUrl {
    /// Whether it names an address that is not public. Names are not resolved.
    pub(super) fn is_private(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(address)) => !is_public(address.into()),
            Some(Host::Ipv6(address)) => !is_public(address.into()),
            Some(Host::Domain(_)) | None => false,
        }
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for PrivateUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        url(deserializer).map(Self)
    }
}

pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|problem| Error::custom(format!("this is not a URL: {problem}")))
}

pub(super) fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}
