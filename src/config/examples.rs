//! Secrets that stand in `deploy/` and its documentation, which everybody knows.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{ChannelChoice, Config};

/// How examples of secrets begin.
const PREFIX: &str = "change-me";

/// Examples that have to have another form.
const FORMED: [&str; 3] = [
    "fedcba9876543210fedcba9876543210",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "sha256:00112233445566778899aabbccddeeff:058eb0c3a86c842a9ca195a2ac2b98d0b53a9cea2393e2d4005830df80d6b6b8",
];

fn is_example(secret: &str) -> bool {
    secret.starts_with(PREFIX) || FORMED.contains(&secret)
}

impl Config {
    /// The keys whose secret is an example.
    pub fn examples(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |key: String, secret: Option<&SecretString>| {
            if secret.is_some_and(|secret| is_example(secret.expose_secret())) {
                found.push(key);
            }
        };
        look("server.seal_key".into(), self.server.seal_key.as_ref());
        if self.channel_server.enabled {
            look("channel_server.api_secret".into(), self.channel_server.api_secret.as_ref());
        }
        if self.bucket.enabled {
            look("bucket.secret_key".into(), self.bucket.secret_key.as_ref());
        }
        for (index, app) in self.apps.iter().enumerate() {
            let mut look = |key: &str, secret: Option<&SecretString>| look(format!("apps[{index}].{key}"), secret);
            look("certificate", app.certificate.as_ref());
            look("customer_secret", app.customer_secret.as_ref());
            for hash in &app.customer_secret_hash.0 {
                look("customer_secret_hash", Some(&hash.to_string().into()));
            }
            look("callback_secret", app.callback_secret.as_ref());
            if let ChannelChoice::Livekit { api_secret, .. } = &app.channel {
                look("channel.livekit.api_secret", Some(api_secret));
            }
            look("storage.secret_key", app.storage.as_ref().map(|storage| &storage.secret_key));
            look("backup.secret_key", app.backup.as_ref().map(|backup| &backup.secret_key));
        }
        found
    }

    /// The ports that others than this machine reach.
    pub fn open_ports(&self) -> Vec<SocketAddr> {
        let udp = self.channel_server.enabled.then_some(self.channel_server.udp_listen);
        let bucket = self.bucket.enabled.then_some(self.bucket.listen);
        let ports = [Some(self.server.listen), udp, bucket].into_iter().flatten();
        ports.filter(|address| !address.ip().to_canonical().is_loopback()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::uncommented;

    #[test]
    fn every_secret_of_the_annotated_file_is_an_example() {
        let config = Config::parse(&uncommented(), std::iter::empty()).unwrap();
        let mut examples = config.examples();
        examples.dedup();
        assert_eq!(
            examples,
            [
                "server.seal_key",
                "channel_server.api_secret",
                "bucket.secret_key",
                "apps[0].certificate",
                "apps[0].customer_secret",
                "apps[0].customer_secret_hash",
                "apps[0].callback_secret",
                "apps[0].storage.secret_key",
                "apps[0].backup.secret_key",
            ]
        );
        assert!(config.open_ports().is_empty(), "it listens on loopback");
        assert!(!config.apps[0].allow_private_endpoints);
    }

    #[test]
    fn the_compose_file_has_to_be_given_each_of_its_secrets() {
        let config = Config::parse(include_str!("../../deploy/compose.toml"), std::iter::empty()).unwrap();
        let given = include_str!("../../deploy/compose.yaml");
        let examples = config.examples();
        assert_eq!(examples.len(), 3, "{examples:?}");
        for key in examples {
            let variable = key.replace("apps[0]", "CLOUD_RECORDER__APPS__0").replace('.', "__").to_uppercase();
            assert!(given.contains(&format!("{variable}: ${{")), "{variable}");
        }
        assert_eq!(config.open_ports().len(), 1);
        assert!(!config.apps[0].allow_private_endpoints);
    }
}
