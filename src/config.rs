//! The configuration: one struct, filled from a TOML file, then the environment. Unknown keys are refused.
//!
//! Every knob is explained with its unit and default in `deploy/cloud-recorder.toml`; a test loads that file and fails on a
//! knob that is missing there or here. Environment variables name a key by its path:
//! `CLOUD_RECORDER__SERVER__LISTEN`, `CLOUD_RECORDER__APPS__0__CUSTOMER_SECRET` (list entries by index).

#[cfg(test)]
mod annotated;
mod apps;
mod examples;
mod overlay;
mod reference;
mod refusal;
mod sections;
mod shown;
mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::units::{CHANNEL_EVENTS, EventTypes, RECORDING_EVENTS};

pub use apps::{App, BackupStorage, ChannelChoice, DefaultStorage, IdleRoom, MAX_SECRETS, SecretHashes};
pub use reference::reference;
pub use sections::{Bucket, ChannelServer, LogFormat, Recording, Server};
pub use text::PrivateUrl;

/// The most that `apps.requests_per_second` may be.
const MAX_REQUESTS_PER_SECOND: u32 = 100_000;

/// The most connections that a port may be given.
const MAX_CONNECTIONS: u32 = 1_000_000;

/// The most channels, members, tracks and connections that the channel server may be given.
const MAX_PLACES: u32 = 1_000_000;

/// Everything `serve` can be told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The HTTP port and where data lie.
    pub server: Server,
    /// How recordings are cut.
    pub recording: Recording,
    /// The embedded channel server.
    pub channel_server: ChannelServer,
    /// The embedded bucket.
    pub bucket: Bucket,
    /// The tenants; at least one.
    pub apps: Vec<App>,
}

/// Why a configuration can't be used. The operator's fault; nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind; the message names the place and repeats no value, since it may
    /// be a secret.
    #[error("{0}")]
    Parse(String),
    /// An environment variable that names no place in the configuration.
    #[error("environment variable {name}: {problem}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value that parses but makes no sense.
    #[error("{key}: {problem}")]
    Invalid {
        /// Which key.
        key: String,
        /// What is wrong with it and what it must be.
        problem: String,
    },
}

impl Config {
    /// Reads `path`, lays the environment over it and checks the result.
    pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, environment)
    }

    /// Parses `text`, lays the environment over it and checks the result.
    pub fn parse(text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        // From the text first: its errors name line and column, which a merged table no longer can.
        let from_file: Self = toml::from_str(text).map_err(|error| refused(text, &error))?;
        let environment: Vec<_> = environment.collect();
        overlay::refuse_misspelt(environment.iter().map(|(name, _)| name.as_str()))?;
        let overrides = overlay::variables(environment.into_iter());
        let config = if overrides.is_empty() {
            from_file
        } else {
            overlay::read(&toml::from_str(text).map_err(|error| refused(text, &error))?, &overrides)?
        };
        config.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let invalid = |key: String, problem: &str| Err(ConfigError::Invalid { key, problem: problem.to_owned() });
        if self.apps.is_empty() {
            return invalid("apps".into(), "at least one [[apps]] entry is needed");
        }
        if !(2..=3650).contains(&self.recording.remember_days) {
            return invalid("recording.remember_days".into(), "must be 2 to 3650 days: callbacks are tried for a day");
        }
        if self.server.spool_gib == 0 {
            return invalid("server.spool_gib".into(), "must be at least 1: recordings pass through the spool");
        }
        self.bounds()?;
        for (index, app) in self.apps.iter().enumerate() {
            if app.spool_gib == 0 {
                return invalid(
                    format!("apps[{index}].spool_gib"),
                    "must be at least 1: recordings pass through the spool",
                );
            }
            if app.backup.as_ref().is_some_and(|backup| !(1..=1440).contains(&backup.after_minutes)) {
                return invalid(format!("apps[{index}].backup.after_minutes"), "must be 1 to 1440 minutes");
            }
            if app.customer_secret.is_none() && app.customer_secret_hash.0.is_empty() {
                return invalid(
                    format!("apps[{index}].customer_secret_hash"),
                    "is missing: give what `cloud-recorder token hash-secret` prints, or customer_secret",
                );
            }
            if !(1..=MAX_REQUESTS_PER_SECOND).contains(&app.requests_per_second) {
                return invalid(format!("apps[{index}].requests_per_second"), "must be 1 to 100000");
            }
            let is_origin =
                |text: &String| Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == *text);
            if !app.allowed_origins.iter().all(is_origin) {
                return invalid(
                    format!("apps[{index}].allowed_origins"),
                    "must be origins as browsers send them: scheme, host, and the port where it is not the scheme's own, such as \
                     \"https://console.example.com\"",
                );
            }
            if self.apps[..index].iter().any(|other| other.id == app.id) {
                return invalid(format!("apps[{index}].id"), "is the id of an earlier app; each app needs its own");
            }
            if matches!(app.channel, ChannelChoice::Embedded) && !self.channel_server.enabled {
                return invalid(
                    format!("apps[{index}].channel"),
                    "is \"embedded\", but channel_server.enabled is false; enable it or give { url, api_key, api_secret }",
                );
            }
            if matches!(app.channel, ChannelChoice::Embedded) && app.certificate.is_none() {
                return invalid(
                    format!("apps[{index}].certificate"),
                    "is needed with the embedded channel server: nobody, the recorder included, can join without it",
                );
            }
            if app.callback_url.is_some() && app.callback_secret.is_none() {
                return invalid(
                    format!("apps[{index}].callback_secret"),
                    "is needed with callback_url: callbacks are signed with it",
                );
            }
            if app.callback_url.as_ref().is_some_and(|url| url.is_private()) && !app.allow_private_endpoints {
                return invalid(
                    format!("apps[{index}].callback_url"),
                    "is in a loopback, private or link-local range; set allow_private_endpoints = true if that is meant",
                );
            }
            let choices = [
                ("callback_events", &app.callback_events, &RECORDING_EVENTS[..]),
                ("callback_channel_events", &app.callback_channel_events, &CHANNEL_EVENTS[..]),
            ];
            for (key, choice, known) in choices {
                if let Some(number) = choice.stranger(known) {
                    let problem = format!("names event {number}, which the vendor does not have; these are: {known:?}");
                    return invalid(format!("apps[{index}].{key}"), &problem);
                }
            }
            if app.callback_channel_events != EventTypes::none() && !matches!(app.channel, ChannelChoice::Embedded) {
                return invalid(
                    format!("apps[{index}].callback_channel_events"),
                    "needs channel = \"embedded\": only the embedded channel server tells what happens in its channels",
                );
            }
        }
        Ok(self)
    }
}

impl Config {
    fn bounds(&self) -> Result<(), ConfigError> {
        let Server { max_connections, max_connections_per_address, head_seconds, body_seconds, .. } = self.server;
        let channels = &self.channel_server;
        let bounds = [
            ("server.max_connections", max_connections, 16, MAX_CONNECTIONS, "connections"),
            ("server.max_connections_per_address", max_connections_per_address, 1, MAX_CONNECTIONS, "connections"),
            ("server.head_seconds", head_seconds.into(), 1, 3600, "seconds"),
            ("server.body_seconds", body_seconds.into(), 1, 3600, "seconds"),
            ("bucket.max_connections", self.bucket.max_connections, 16, MAX_CONNECTIONS, "connections"),
            ("channel_server.max_channels", channels.max_channels, 1, MAX_PLACES, "channels"),
            ("channel_server.max_channels_per_app", channels.max_channels_per_app, 1, MAX_PLACES, "channels"),
            ("channel_server.max_members_per_channel", channels.max_members_per_channel, 1, MAX_PLACES, "members"),
            ("channel_server.max_members_per_app", channels.max_members_per_app, 1, MAX_PLACES, "members"),
            ("channel_server.max_tracks_per_app", channels.max_tracks_per_app, 1, MAX_PLACES, "tracks"),
            ("channel_server.max_connections_per_app", channels.max_connections_per_app, 1, MAX_PLACES, "connections"),
        ];
        match bounds.into_iter().find(|(_, value, least, most, _)| !(least..=most).contains(&value)) {
            None => Ok(()),
            Some((key, _, least, most, unit)) => {
                Err(ConfigError::Invalid { key: key.to_owned(), problem: format!("must be {least} to {most} {unit}") })
            }
        }
    }
}

fn refused(text: &str, error: &toml::de::Error) -> ConfigError {
    ConfigError::Parse(refusal::words(text, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOTATED: &str = include_str!("../deploy/cloud-recorder.toml");

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, std::iter::empty())
    }

    #[test]
    fn the_annotated_file_loads() {
        let config = parse(ANNOTATED).unwrap();
        assert_eq!(config.apps.len(), 1);
        assert_eq!(config.recording.segment_seconds.as_secs(), 6);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let error = parse("[server]\nlisten_on = \"127.0.0.1:1\"\n").unwrap_err().to_string();
        assert!(error.contains("listen_on") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let variables = [
            ("CLOUD_RECORDER__SERVER__LISTEN".to_owned(), "127.0.0.1:9999".to_owned()),
            ("CLOUD_RECORDER__RECORDING__SEGMENT_SECONDS".to_owned(), "4".to_owned()),
            ("CLOUD_RECORDER__APPS__0__CUSTOMER_ID".to_owned(), "12345".to_owned()),
        ];
        let config = Config::parse(ANNOTATED, variables.into_iter()).unwrap();
        assert_eq!(config.server.listen.port(), 9999);
        assert_eq!(config.recording.segment_seconds.as_secs(), 4);
        assert_eq!(config.apps[0].customer_id, "12345", "digits stay a string where a string is meant");
    }

    #[test]
    fn a_misspelt_variable_is_refused() {
        let said = |name: &str| {
            let variable = (name.to_owned(), "127.0.0.1:1".to_owned());
            Config::parse(ANNOTATED, std::iter::once(variable)).map(drop).map_err(|error| error.to_string())
        };
        let refused = said("CLOUD_RECORDER__SERVER__LISTN").unwrap_err();
        assert!(
            refused.starts_with("environment variable CLOUD_RECORDER__SERVER__LISTN: unknown field `listn`"),
            "{refused}"
        );
        for (wrong, right) in [
            ("CLOUD_RECORDER_SERVER_LISTEN", "CLOUD_RECORDER__SERVER__LISTEN"),
            ("CLOUD_RECORDER__SERVER_LISTEN", "CLOUD_RECORDER__SERVER__LISTEN"),
            ("CLOUD_RECORDER_CHANNEL_SERVER__API_SECRET", "CLOUD_RECORDER__CHANNEL_SERVER__API_SECRET"),
            ("CLOUD_RECORDER_APPS_12_CUSTOMER_SECRET", "CLOUD_RECORDER__APPS__12__CUSTOMER_SECRET"),
            ("CLOUD_RECORDER_APPS_0_STORAGE_SECRET_KEY", "CLOUD_RECORDER__APPS__0__STORAGE__SECRET_KEY"),
        ] {
            let refused = said(wrong).unwrap_err();
            assert!(refused.starts_with(&format!("environment variable {wrong}: is not read")), "{refused}");
            assert!(refused.ends_with(&format!("; {right} is")), "{refused}");
        }
        // What Kubernetes sets for services of these names, and what `token` reads.
        for theirs in [
            "CLOUD_RECORDER_PORT",
            "CLOUD_RECORDER_SERVICE_HOST",
            "CLOUD_RECORDER_PORT_8080_TCP_ADDR",
            "CLOUD_RECORDER_SERVER_PORT",
            "CLOUD_RECORDER_BUCKET_SERVICE_PORT",
            "CLOUD_RECORDER_API_KEY",
        ] {
            said(theirs).unwrap();
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = parse(ANNOTATED).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("change-me-secret") && !printed.contains("change-me-too"), "{printed}");
        let private = ANNOTATED.replace("# callback_url = \"https://", "callback_url = \"https://user:sesame@");
        let private = private.replace("recording-events\"", "recording-events?key=hushed\"");
        let private = private.replace("# callback_secret", "callback_secret");
        let printed = format!("{:?}", parse(&private).unwrap());
        assert!(printed.contains("https://example.com/…"), "{printed}");
        assert!(!printed.contains("hushed") && !printed.contains("sesame"), "{printed}");
    }

    #[test]
    fn a_backup_waits_for_minutes() {
        let backup = "[apps.backup]\nvendor = 11\nbucket = \"b\"\naccess_key = \"a\"\nsecret_key = \"hushed\"\n";
        let config = parse(&format!("{ANNOTATED}\n{backup}")).unwrap();
        assert_eq!(config.apps[0].backup.as_ref().unwrap().after_minutes, 5);
        assert!(!format!("{config:?}").contains("hushed"));
        for minutes in [0, 1441] {
            let text = format!("{ANNOTATED}\n{backup}after_minutes = {minutes}\n");
            assert!(parse(&text).unwrap_err().to_string().contains("apps[0].backup.after_minutes"));
        }
    }

    #[test]
    fn an_app_has_a_secret_or_its_hashes_and_neither_is_printed() {
        let plain = "customer_secret = \"change-me-secret\"";
        let hash = crate::units::SecretHash::of(b"secret", [1; 16]).to_string();
        let with = |line: &str| parse(&ANNOTATED.replace(plain, line));
        let config = with(&format!("customer_secret_hash = \"{hash} {hash}\"")).unwrap();
        assert_eq!(config.apps[0].customer_secret_hash.0.len(), 2);
        assert!(config.apps[0].customer_secret.is_none() && !format!("{config:?}").contains(&hash[10..20]));
        assert!(with("").unwrap_err().to_string().contains("apps[0].customer_secret_hash"));
        for wrong in ["", "change-me-secret", &[hash.as_str(); MAX_SECRETS + 1].join(" ")] {
            let error = with(&format!("customer_secret_hash = \"{wrong}\"")).unwrap_err().to_string();
            assert!(error.contains("line ") && !error.contains("change-me-secret"), "{error}");
        }
    }

    #[test]
    fn events_that_do_not_exist_are_refused() {
        let with = |key: &str, old: &str, new: &str| {
            parse(&ANNOTATED.replace(&format!("\n{key} = \"{old}\""), &format!("\n{key} = {new}")))
        };
        let chosen = with("callback_events", "all", "[1, 31]").unwrap();
        assert_eq!(chosen.apps[0].callback_events, EventTypes::Only([1, 31].into()));
        let refused = with("callback_events", "all", "[1, 101]").unwrap_err().to_string();
        assert!(refused.contains("apps[0].callback_events: names event 101"), "{refused}");
        let chosen = with("callback_channel_events", "none", "\"all\"").unwrap();
        assert_eq!(chosen.apps[0].callback_channel_events, EventTypes::All);
        assert!(with("callback_channel_events", "none", "[40]").is_err());
    }

    #[test]
    fn a_private_receiver_needs_leave() {
        let text = |leave: bool| {
            let text = ANNOTATED.replace("# callback_url = \"https://example.com", "callback_url = \"http://10.0.0.7");
            let text = text.replace("# callback_secret", "callback_secret");
            text.replace("allow_private_endpoints = false", &format!("allow_private_endpoints = {leave}"))
        };
        parse(&text(true)).unwrap();
        let refused = parse(&text(false)).unwrap_err().to_string();
        assert!(refused.contains("apps[0].callback_url") && !refused.contains("10.0.0.7"), "{refused}");
    }

    #[test]
    fn pages_are_named_by_their_origin() {
        let with = |origins: &str| {
            parse(&ANNOTATED.replace("allowed_origins = []", &format!("allowed_origins = [{origins}]")))
        };
        let config = with("\"https://console.example.com\", \"http://localhost:8080\"").unwrap();
        assert_eq!(config.apps[0].allowed_origins.len(), 2);
        for wrong in
            ["*", "null", "https://console.example.com/", "https://console.example.com:443", "console.example.com"]
        {
            let error = with(&format!("\"{wrong}\"")).unwrap_err().to_string();
            assert!(error.contains("apps[0].allowed_origins"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        for rate in ["0", "100001"] {
            let text = ANNOTATED.replace("requests_per_second = 200", &format!("requests_per_second = {rate}"));
            assert!(parse(&text).unwrap_err().to_string().contains("apps[0].requests_per_second"));
        }
    }

    #[test]
    fn ports_have_places_and_requests_have_time() {
        for (line, key) in [
            ("max_connections = 4096\n", "server.max_connections"),
            ("max_connections_per_address = 1024", "server.max_connections_per_address"),
            ("head_seconds = 10", "server.head_seconds"),
            ("body_seconds = 20", "server.body_seconds"),
            ("max_connections = 1024\n", "bucket.max_connections"),
        ] {
            let digits = line.find(|c: char| c.is_ascii_digit()).unwrap();
            let end = digits + line[digits..].find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len() - digits);
            let none = format!("{}0{}", &line[..digits], &line[end..]);
            assert!(ANNOTATED.contains(line), "{line}");
            let refused = parse(&ANNOTATED.replace(line, &none)).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{key}: must be ")), "{refused}");
        }
    }

    #[test]
    fn two_apps_with_one_id_are_refused() {
        let twice = format!("{ANNOTATED}\n{}", &ANNOTATED[ANNOTATED.find("\n[[apps]]\n").unwrap()..]);
        assert!(parse(&twice).unwrap_err().to_string().contains("apps[1].id"));
    }
}
