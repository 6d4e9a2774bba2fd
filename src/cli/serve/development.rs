//! `serve` with no file: a loopback-only server with everything embedded and random credentials, kept in
//! `<data_dir>/development.toml` so that they are the same tomorrow. That file is an ordinary configuration.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::Rng;
use secrecy::ExposeSecret;
use url::Url;

use crate::cli::config::load as load_config;
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
    Ok((load_config(&path, "delete it to get a fresh one")?, path))
}

/// The embedded bucket's own address wins over the one in the file, which an override of `bucket.listen` does not change.
pub(super) fn point_at_bucket(config: &mut Config, bucket: SocketAddr) -> anyhow::Result<()> {
    let endpoint = Url::parse(&format!("http://{bucket}"))?;
    let Some(secret) = config.bucket.secret_key.as_ref().map(ExposeSecret::expose_secret) else { return Ok(()) };
    for storage in config.apps.iter_mut().filter_map(|app| app.storage.as_mut()) {
        if storage.bucket == config.bucket.name
            && storage.access_key.expose_secret() == config.bucket.access_key
            && storage.secret_key.expose_secret() == secret
        {
            storage.endpoint = Some(endpoint.clone());
        }
    }
    Ok(())
}

/// The configuration's text. HTTP and bucket are on loopback, the bucket may be read by anybody who reaches it. Media are not: Firefox connects
/// to no loopback address, and what is not signed with the credentials of a session, which only HTTP gives out, is dropped.
pub(crate) fn text(data_dir: &Path, random: &mut impl Rng) -> String {
    let mut hex32 = || format!("{:032x}", random.random::<u128>());
    let (app, certificate, customer, secret) = (hex32(), hex32(), hex32(), hex32());
    let (api_key, api_secret, bucket_secret) = (hex32(), hex32(), hex32());
    let data_dir = toml::Value::String(data_dir.display().to_string());
    format!(
        r#"# A development server's configuration: HTTP on loopback only, random credentials. deploy/cloud-recorder.toml explains every knob.
[server]
listen = "127.0.0.1:8080"
data_dir = {data_dir}
disk_reserve_mib = 64

[channel_server]
# Media are reached at this machine's own address, because Firefox connects to no loopback address; without the credentials of a session, which
# only the HTTP port gives out, nothing is taken there.
udp_listen = "0.0.0.0:7882"
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
allowed_origins = ["http://127.0.0.1:8080", "http://localhost:8080"]

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
        assert_eq!(config.open_ports(), [config.channel_server.udp_listen], "media alone, for Firefox");
        assert_eq!(config.server.data_dir, Path::new("a \"strange\" folder"));
    }

    #[test]
    fn the_bucket_is_where_it_was_told_to_be_and_not_where_the_file_says() {
        let elsewhere = ("CLOUD_RECORDER__BUCKET__LISTEN".to_owned(), "127.0.0.1:9999".to_owned());
        let text = text(Path::new("data"), &mut rand::rng());
        let mut config = Config::parse(&text, std::iter::once(elsewhere)).unwrap();
        let listen = config.bucket.listen;
        point_at_bucket(&mut config, listen).unwrap();
        let endpoint = config.apps[0].storage.as_ref().unwrap().endpoint.as_ref().unwrap();
        assert_eq!(endpoint.as_str(), "http://127.0.0.1:9999/");
        config.apps[0].storage.as_mut().unwrap().access_key = "somebody else's".into();
        point_at_bucket(&mut config, ([127, 0, 0, 1], 1).into()).unwrap();
        let endpoint = config.apps[0].storage.as_ref().unwrap().endpoint.as_ref().unwrap();
        assert_eq!(endpoint.port(), Some(9999), "a bucket elsewhere stays where it is");
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
