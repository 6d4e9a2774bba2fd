//! An embedded bucket, and aws-sdk-s3 clients for it.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use cloud_recorder::storage::Destination;
use cloud_recorder::storage::bucket_server::{BucketServer, Settings};
use cloud_recorder::storage::vendor::{self, StorageConfigParts};
use cloud_recorder::units::AppId;
use serde_json::json;
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "calls";
pub(crate) const ACCESS_KEY: &str = "test-key";
pub(crate) const SECRET_KEY: &str = "test-secret";

/// The app of every scenario.
pub(crate) fn app() -> AppId {
    AppId::new("0123456789abcdef0123456789abcdef").unwrap()
}

/// A bucket server with the bucket [`BUCKET`] in a directory of its own.
pub(crate) struct Server {
    pub(crate) server: BucketServer,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(true).await
    }

    pub(crate) async fn with(public_read: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = BucketServer::bind(Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            dir: dir.path().join("buckets"),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            public_read,
        })
        .await
        .unwrap();
        server.ensure_bucket(BUCKET).await.unwrap();
        Self { server, dir }
    }

    pub(crate) fn client(&self) -> Client {
        client(&self.server.endpoint(), ACCESS_KEY, SECRET_KEY)
    }

    pub(crate) fn destination(&self) -> Destination {
        destination(&self.server.endpoint(), BUCKET, ACCESS_KEY, SECRET_KEY)
    }

    /// The URL of an object, for anonymous callers.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}/{BUCKET}/{key}", self.server.endpoint())
    }
}

/// A client as the SDK makes it by default: trailing CRC32, retries off so that an answer is an answer.
pub(crate) fn client(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    Client::from_conf(config.build())
}

pub(crate) fn destination(endpoint: &str, bucket: &str, access_key: &str, secret_key: &str) -> Destination {
    let parts: StorageConfigParts = serde_json::from_value(json!({
        "vendor": 11, "region": 0, "bucket": bucket, "accessKey": access_key, "secretKey": secret_key,
        "fileNamePrefix": ["recordings", "room_1"], "extensionParams": {"endpoint": endpoint},
    }))
    .unwrap();
    vendor::destination(&parts).unwrap()
}
