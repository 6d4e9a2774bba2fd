//! What is known about an object beside its bytes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use s3s::dto::{Checksum, ChecksumType, ETag, Timestamp};
use serde::{Deserialize, Serialize};

/// Kept as JSON in a file of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The object's ETag, without quotes.
    pub(super) etag: String,
    /// Which bytes it speaks of: length and modification time of the object's file. Where they differ, the object was put there
    /// by other hands and this is void.
    pub(super) file: FileId,
    pub(super) sums: StoredSums,
    pub(super) headers: Headers,
}

/// Tells one version of a file from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileId {
    pub(super) size: u64,
    modified: Duration,
}

impl FileId {
    pub(super) fn of(file: &fs::Metadata) -> io::Result<Self> {
        let modified = file.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { size: file.len(), modified })
    }
}

/// Checksums of the whole object, base64 as on the wire.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredSums {
    crc32: Option<String>,
    crc32c: Option<String>,
    crc64nvme: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
}

/// Headers that came with the object and go with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Headers {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    /// The caller's own (`x-amz-meta-…`).
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl Meta {
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    /// When the object was put, in whole seconds as HTTP has them.
    pub(super) fn last_modified(&self) -> Timestamp {
        Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(self.file.modified.as_secs()))
    }

    pub(super) fn checksum(&self) -> Checksum {
        let StoredSums { crc32, crc32c, crc64nvme, sha1, sha256 } = self.sums.clone();
        Checksum {
            checksum_crc32: crc32,
            checksum_crc32c: crc32c,
            checksum_crc64nvme: crc64nvme,
            checksum_sha1: sha1,
            checksum_sha256: sha256,
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        }
    }
}

impl From<Checksum> for StoredSums {
    fn from(sums: Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
        }
    }
}
