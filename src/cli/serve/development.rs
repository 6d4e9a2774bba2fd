//! `serve` with no file: a loopback-only server with everything embedded and random credentials, kept in
//! `<data_dir>/development.toml` so that they are the same tomorrow. That file is an ordinary configuration.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::Rng;

use crate::config::Config;

/// Where the development server keeps its data when nothing else is said.
pub(super) const DATA_DIR: &str = "cloud-recorder-data";

/// Loads the development configuration of `data_dir`, made first where there is none.
pub(super) fn load(data_dir: &Path) -> anyhow::Result<(Config, PathBuf)> {
    let path = data_dir.join("development.toml");
    if !path.exists() {
        std::fs::create_dir_all(data_dir).with_context(|| format!("can't make the folder {}", data_dir.display()))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        file.write_all(text(data_dir, &mut rand::rng()).as_bytes())?;
    }
    let config = Config::load(&path, std::env::vars())
        .with_context(|| format!("{} can't be used; delete it to get a fresh one", path.display()))?;
    Ok((config, path))
}

/// The configuration's text. Every address is loopback: the bucket may be read by anybody who reaches it.
pub(crate) fn text(data_dir: &Path, random: &mut impl Rng) -> String {
    let mut hex32 = || format!("{:032x}", random.random::<u128>());
    let (app, certificate, customer, secret) = (hex32(), hex32(), hex32(), hex32());
    let (api_key, api_secret, bucket_secret) = (hex32(), hex32(), hex32());
    let data_dir = toml::Value::String(data_dir.display().to_string());
    format!(
        r#"# A development server's configuration: loopback only, random credentials. deploy/cloud-recorder.toml explains every knob.
[server]
listen = "127.0.0.1:8080"
data_dir = {data_dir}
disk_reserve_mib = 64

[channel_server]
udp_listen = "127.0.0.1:7882"
api_key = "dev-{api_key}"
api_secret = "{api_secret}"

[bucket]
enabled = true
listen = "127.0.0.1:9000"
secret_key = "{bucket_secret}"
public_read = true

[[apps]]
id = "{app}"
certificate = "{certificate}"
customer_id = "{customer}"
customer_secret = "{secret}"
allow_private_endpoints = true

[apps.storage]
vendor = 11
bucket = "recordings"
access_key = "cloud-recorder"
secret_key = "{bucket_secret}"
endpoint = "http://127.0.0.1:9000"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_a_configuration_on_loopback() {
        let config =
            Config::parse(&text(Path::new("a \"strange\" folder"), &mut rand::rng()), std::iter::empty()).unwrap();
        assert!(config.server.listen.ip().is_loopback());
        assert!(config.bucket.listen.ip().is_loopback());
        assert!(config.channel_server.udp_listen.ip().is_loopback());
        assert_eq!(config.server.data_dir, Path::new("a \"strange\" folder"));
    }

    #[test]
    fn credentials_survive_a_restart_and_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (first, path) = load(folder.path()).unwrap();
        let (second, _) = load(folder.path()).unwrap();
        assert_eq!(first.apps[0].id, second.apps[0].id);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
