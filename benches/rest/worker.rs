//! The built binary, serving on loopback with everything embedded.

use std::fs::File;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const APP: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const CUSTOMER: &str = "customer";
pub(crate) const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const BUCKET_SECRET: &str = "00112233445566778899aabbccddeeff";

/// How long it may take to begin, and to end.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);

/// A worker. It is killed when dropped.
pub(crate) struct Worker {
    child: Child,
    folder: TempDir,
    /// `http://address:port`
    pub(crate) url: String,
}

impl Worker {
    pub(crate) async fn serve() -> anyhow::Result<Self> {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let config = folder.path().join("config.toml");
        std::fs::write(&config, configuration(&folder.path().join("data").to_string_lossy()))?;
        let file = |name: &str| File::create(folder.path().join(name));
        let child = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdout(file("out")?)
            .stderr(file("err")?)
            .spawn()?;
        let mut worker = Self { child, folder, url: String::new() };
        let mut waited = Duration::ZERO;
        while !worker.said()?.contains("\nData ") {
            if waited > TIMEOUT {
                bail!("the worker does not begin: {}", std::fs::read_to_string(worker.folder.path().join("err"))?);
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        worker.url = worker.address("REST API")?;
        Ok(worker)
    }

    /// A storageConfig for its bucket.
    pub(crate) fn storage(&self) -> Value {
        let endpoint = self.address("Bucket (S3)").unwrap_or_default();
        json!({
            "vendor": 11, "region": 0, "bucket": "recordings", "accessKey": "cloud-recorder", "secretKey": BUCKET_SECRET,
            "extensionParams": { "endpoint": endpoint },
        })
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let mut waited = Duration::ZERO;
        while self.child.try_wait()?.is_none() && waited < TIMEOUT {
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        Ok(())
    }

    fn said(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("out"))?)
    }

    fn address(&self, what: &str) -> anyhow::Result<String> {
        let said = self.said()?;
        let line = said.lines().find(|line| line.starts_with(what)).with_context(|| format!("no {what} in {said}"))?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Ok(format!("http://{}", address.with_context(|| format!("no address in {line}"))?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(data: &str) -> String {
    let data = toml::Value::String(data.to_owned());
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
data_dir = {data}
max_recordings = 10000

[channel_server]
udp_listen = "127.0.0.1:0"

[bucket]
enabled = true
listen = "127.0.0.1:0"
secret_key = "{BUCKET_SECRET}"

[[apps]]
id = "{APP}"
certificate = "fedcba9876543210fedcba9876543210"
customer_id = "{CUSTOMER}"
customer_secret = "{SECRET}"
max_recordings = 10000
requests_per_second = 100000
allow_private_endpoints = true
"#
    )
}
