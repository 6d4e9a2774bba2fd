//! A configuration as TOML for people to read: every key that has a value, and no secret.
//!
//! Where a secret is set there is a comment in its place. So the text is a configuration file that lacks its secrets: with them put back it
//! says the same.

use secrecy::SecretString;
use serde::{Serialize, Serializer};
use url::Url;

use super::Config;
use super::text::PrivateUrl;

/// What stands for a secret until its line becomes a comment.
const HIDDEN: &str = "\u{2026}not shown\u{2026}";

impl Config {
    /// What is in force, as TOML without secrets.
    pub fn shown(&self) -> String {
        let text = toml::to_string(self).expect("a configuration has string keys, and numbers that TOML has");
        text.lines().map(|line| hide(line) + "\n").collect()
    }
}

/// The line, or a comment where it holds a secret.
fn hide(line: &str) -> String {
    match line.split_once(" = ") {
        Some((key, value)) if value.contains(HIDDEN) => {
            let rest = value.trim_matches('"').replace(HIDDEN, "");
            let rest = if rest.is_empty() { rest } else { format!(" ({rest}…)") };
            format!("# {key} is set and not shown{rest}")
        }
        _ => line.to_owned(),
    }
}

/// A secret.
pub(super) fn secret<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

/// A secret that may be missing.
pub(super) fn optional_secret<S: Serializer>(value: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(_) => serializer.serialize_some(HIDDEN),
        None => serializer.serialize_none(),
    }
}

/// A URL; only its beginning where it may hold a key.
pub(super) fn url<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if bare { serializer.serialize_str(url.as_str()) } else { PrivateUrl(url.clone()).serialize(serializer) }
}

/// The same, where it may be missing.
pub(super) fn optional_url<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => self::url(url, serializer),
        None => serializer.serialize_none(),
    }
}

impl Serialize for PrivateUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let beginning = format!("{}://{}/", self.0.scheme(), self.0.host_str().unwrap_or_default());
        serializer.serialize_str(&(beginning + HIDDEN))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use toml::{Table, Value};

    use super::*;
    use crate::config::reference::uncommented;

    /// Every key of a table with its path.
    fn keys(path: &str, value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Table(table) => table.iter().for_each(|(key, value)| keys(&format!("{path}.{key}"), value, into)),
            Value::Array(entries) if entries.first().is_some_and(Value::is_table) => {
                entries.iter().for_each(|entry| keys(path, entry, into));
            }
            _ => into.push(path.to_owned()),
        }
    }

    #[test]
    fn every_key_is_shown_and_no_secret() {
        let text = uncommented();
        let shown = Config::parse(&text, std::iter::empty()).unwrap().shown();
        let (mut all, mut there) = (Vec::new(), Vec::new());
        keys("", &Value::Table(toml::from_str::<Table>(&text).unwrap()), &mut all);
        keys("", &Value::Table(toml::from_str::<Table>(&shown).unwrap()), &mut there);
        for key in all {
            let name = key.rsplit('.').next().unwrap();
            let hidden = shown.contains(&format!("# {name} is set and not shown"));
            assert!(there.contains(&key) || hidden, "{key} is missing in\n{shown}");
        }
        let rest = shown.replace("change-me-id", "");
        assert!(!rest.contains("change-me") && !rest.contains(HIDDEN), "{shown}");
        for secret in ["fedcba98", "00000000000000000000", "sha256:"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn with_its_secrets_put_back_the_text_is_the_same_configuration() {
        let text = r#"
            [[apps]]
            id = "0123456789abcdef0123456789abcdef"
            certificate = "fedcba9876543210fedcba9876543210"
            customer_id = "a \"customer\""
            customer_secret = "hushed"
            callback_url = "http://example.com/take?key=hushed"
            callback_secret = "hushed"
            callback_events = [31, 11]
            [apps.channel.livekit]
            url = "ws://127.0.0.1:7880/"
            api_key = "key"
            api_secret = "hushed"
            [apps.storage]
            vendor = 11
            bucket = "recordings"
            access_key = "hushed"
            secret_key = "hushed"
            endpoint = "http://127.0.0.1:9000/a"
            [[apps]]
            id = "1123456789abcdef0123456789abcdef"
            customer_id = "b"
            customer_secret = "hushed"
            certificate = "hushed"
        "#;
        let config = Config::parse(text, std::iter::empty()).unwrap();
        let shown = config.shown();
        assert!(!shown.contains("hushed"), "{shown}");
        assert!(shown.contains("# callback_url is set and not shown (http://example.com/…)"), "{shown}");
        let back: String = shown
            .lines()
            .map(|line| match line.strip_prefix("# ").and_then(|rest| rest.split_once(" is set and not shown")) {
                Some(("callback_url", _)) => "callback_url = \"http://example.com/take?key=hushed\"\n".to_owned(),
                Some((key, _)) => format!("{key} = \"hushed\"\n"),
                None => format!("{line}\n"),
            })
            .collect();
        let again = Config::parse(&back, std::iter::empty()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{config:?}"), "{back}");
        assert_eq!(again.apps[0].callback_secret.as_ref().unwrap().expose_secret(), "hushed");
    }
}
