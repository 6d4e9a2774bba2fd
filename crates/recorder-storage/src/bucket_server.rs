//! The embedded bucket: an S3 server over plain files, for development, demonstrations and single machines. Everybody reaches it
//! over HTTP like any other store.
//!
//! * An object lies under `<dir>/<bucket>/<key>`, so a person finds it; what is known about it beside, under `<dir>/.store`.
//! * A PUT goes to a temporary file, is checked against every checksum that came with it, synced and renamed. A reader sees the
//!   old object or the new one, never a mixture; what fails a check leaves nothing.
//! * No key leads out of its bucket: each part of it is encoded as a file name.
//! * What the [`s3s::S3`] trait has and this server has not answers NotImplemented.

mod api;
mod conditions;
mod files;
mod http;
mod layout;
mod listing;
mod meta;
mod multipart;
mod receive;
mod sums;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use s3s::path::check_bucket_name;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use files::Files;
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_edge::serving;

pub use receive::MAX_OBJECT_BYTES;

/// How long a shutdown waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(3);

/// How long a body may pause.
const BODY_PAUSE: Duration = Duration::from_secs(20);

/// How the embedded bucket runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 for any.
    pub listen: SocketAddr,
    /// Where the objects lie; made where it is missing.
    pub dir: PathBuf,
    /// The access key id that callers have.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
    /// Whether objects can be read without credentials, as players do. Listing and writing never can.
    pub public_read: bool,
}

/// Why the embedded bucket does not run.
#[derive(Debug, thiserror::Error)]
pub enum BucketServerError {
    /// The address can't be had.
    #[error("the embedded bucket can't listen on {addr}: {source}; choose another address or stop what uses it")]
    Listen {
        /// Which address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The disk said no.
    #[error("the embedded bucket's directory can't be used: {0}; check the disk and the permissions")]
    Io(#[from] io::Error),
    /// No name for a bucket.
    #[error("{0:?} can't be a bucket's name; use 3 to 63 characters of a-z 0-9 . -")]
    Name(String),
}

impl Classify for BucketServerError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Listen { .. } => ErrorClass::ours("bucket_server_listen", true),
            Self::Io(_) => ErrorClass::ours("bucket_server_io", true),
            Self::Name(_) => ErrorClass::caller("bucket_server_name"),
        }
    }
}

/// A running embedded bucket. Dropping it ends the listener without grace.
#[derive(Debug)]
pub struct BucketServer {
    addr: SocketAddr,
    files: Arc<Files>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl BucketServer {
    /// Listens and serves, within [`limits`] of 1,024 connections.
    pub async fn bind(settings: Settings) -> Result<Self, BucketServerError> {
        Self::bind_within(settings, limits(1_024)).await
    }

    /// The same within these limits.
    pub async fn bind_within(settings: Settings, limits: serving::Limits) -> Result<Self, BucketServerError> {
        let dir = settings.dir.clone();
        let files = Arc::new(blocking(move || Files::open(dir)).await?);
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|source| BucketServerError::Listen { addr: settings.listen, source })?;
        let addr = listener.local_addr()?;
        let router = http::router(Arc::clone(&files), &settings);
        let stop = CancellationToken::new();
        let task = tokio::spawn(serving::serve(listener, router, limits, stop.clone()));
        Ok(Self { addr, files, stop, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL, for `extensionParams.endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes a bucket where it is missing.
    pub async fn ensure_bucket(&self, name: &str) -> Result<(), BucketServerError> {
        if !check_bucket_name(name) {
            return Err(BucketServerError::Name(name.to_owned()));
        }
        let (files, name) = (Arc::clone(&self.files), name.to_owned());
        blocking(move || files.make_bucket(&name).map(drop)).await?;
        Ok(())
    }

    /// Takes no more requests, and ends when those under way are answered or three seconds later.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // The task either ends in time or is aborted by the drop.
        let _ = tokio::time::timeout(GRACE, &mut self.task).await;
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a bucket's port allows: objects of any size, as long as they keep coming.
pub fn limits(connections: usize) -> serving::Limits {
    serving::Limits {
        connections,
        per_address: connections.div_ceil(4),
        body: serving::BodyTime::Pause(BODY_PAUSE),
        ..serving::Limits::default()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}
