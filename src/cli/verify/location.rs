//! Where a recording lies: a folder or a URL, and bounded reads from it.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use url::Url;

use super::report::Kind;

/// How names of playlists end.
const PLAYLIST: &str = ".m3u8";

/// How names of manifests end.
const MANIFEST: &str = "_manifest.json";

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one object may take altogether.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(60);

/// A playlist or a manifest, and what lies beside it.
#[derive(Debug)]
pub(in crate::cli) struct Place {
    /// Its file name.
    pub(in crate::cli) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    Web { url: Url, client: reqwest::Client },
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ReadError {
    #[error("it is missing")]
    Missing,
    #[error("it is larger than {0} bytes; no such object of a recording is")]
    TooLarge(usize),
    #[error("its name is not one this recorder gives: only letters, digits, '_', '-' and '.' are")]
    Name,
    #[error("it can't be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the server answers {0}; objects must be readable without credentials, or verify a downloaded folder")]
    Status(StatusCode),
    #[error("the server gives no answer: {0}")]
    Http(String),
}

impl Place {
    /// The place of a playlist or manifest that is named by a path or an `http(s)` URL.
    pub(in crate::cli) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = Url::parse(text)?;
            let name = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
            anyhow::ensure!(!name.is_empty(), "{text} names no file; give the URL of an .m3u8 or _manifest.json file");
            let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(OBJECT_TIMEOUT).build()?;
            return Self { name, source: Source::Web { url, client } }.checked();
        }
        let path = PathBuf::from(text);
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let Some(name) = name else {
            anyhow::bail!("{text} names no file; give the path of an .m3u8 or _manifest.json file")
        };
        anyhow::ensure!(path.is_file(), "{text} is no file; give the path of an .m3u8 or _manifest.json file");
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        Self { name, source: Source::Folder(folder) }.checked()
    }

    fn checked(self) -> anyhow::Result<Self> {
        let known = self.is_manifest() || self.name.ends_with(PLAYLIST);
        anyhow::ensure!(known, "{} is neither a playlist ({PLAYLIST}) nor a manifest ({MANIFEST})", self.name);
        Ok(self)
    }

    /// Whether it is a manifest and not a playlist.
    pub(in crate::cli) fn is_manifest(&self) -> bool {
        self.name.ends_with(MANIFEST)
    }

    /// The bytes of the object `name` beside it, at most `limit` of them.
    pub(in crate::cli) async fn read(&self, name: &str, limit: usize) -> Result<Bytes, ReadError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name != self.name && (name.is_empty() || name.starts_with('.') || !name.bytes().all(plain)) {
            return Err(ReadError::Name);
        }
        match &self.source {
            Source::Folder(folder) => read_file(&folder.join(name), limit),
            Source::Web { url, client } => {
                let url = url.join(name).map_err(|_| ReadError::Name)?;
                get(client, url, limit).await
            }
        }
    }
}

impl ReadError {
    /// The kind of problem that it is.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Missing => Kind::Missing,
            Self::TooLarge(_) | Self::Name => Kind::Malformed,
            Self::Io(_) | Self::Status(_) | Self::Http(_) => Kind::Unreadable,
        }
    }
}

fn read_file(path: &std::path::Path, limit: usize) -> Result<Bytes, ReadError> {
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Io(error),
    })?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(ReadError::TooLarge(limit)) } else { Ok(bytes.into()) }
}

async fn get(client: &reqwest::Client, url: Url, limit: usize) -> Result<Bytes, ReadError> {
    let http = |error: reqwest::Error| ReadError::Http(error.without_url().to_string());
    let mut response = client.get(url).send().await.map_err(http)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(ReadError::Missing),
        status => return Err(ReadError::Status(status)),
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        if bytes.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}
