//! URLs in a configuration: text in the file, parsed at the door.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|problem| Error::custom(format!("\"{text}\" is not a URL: {problem}")))
}

pub(super) fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}
