//! The sums that a body is checked against.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, TrailingHeaders, s3_error};

/// Sums what comes. MD5 and SHA-256 always, others where the caller speaks of them.
pub(super) struct Summer {
    md5: Md5,
    others: ChecksumHasher,
}

/// The sums of a whole body.
pub(super) struct Sums {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

impl Summer {
    /// `named`: the names of all checksums that the caller speaks of, in any form that holds them.
    pub(super) fn new(named: &str) -> Self {
        let named = named.to_ascii_lowercase();
        let has = |name| named.contains(name);
        Self {
            md5: Md5::new(),
            others: ChecksumHasher {
                // "crc32" is in "crc32c" too; one sum more does no harm.
                crc32: has("crc32").then(Crc32::new),
                crc32c: has("crc32c").then(Crc32c::new),
                crc64nvme: has("crc64nvme").then(Crc64Nvme::new),
                sha1: has("sha1").then(Sha1::new),
                sha256: Some(Sha256::new()),
            },
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.others.update(bytes);
    }

    pub(super) fn finish(self) -> Sums {
        Sums { md5: self.md5.finalize(), checksum: self.others.finalize() }
    }
}

/// What the caller says that the sums are.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) md5: Option<String>,
    pub(super) checksum: Checksum,
}

impl Claims {
    /// Adds what came after the body.
    pub(super) fn add_trailers(&mut self, trailers: Option<&TrailingHeaders>) {
        let Some(trailers) = trailers.and_then(TrailingHeaders::take) else { return };
        let get = |name| trailers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let claimed = &mut self.checksum;
        for (name, place) in [
            ("x-amz-checksum-crc32", &mut claimed.checksum_crc32),
            ("x-amz-checksum-crc32c", &mut claimed.checksum_crc32c),
            ("x-amz-checksum-crc64nvme", &mut claimed.checksum_crc64nvme),
            ("x-amz-checksum-sha1", &mut claimed.checksum_sha1),
            ("x-amz-checksum-sha256", &mut claimed.checksum_sha256),
        ] {
            if place.is_none() {
                *place = get(name);
            }
        }
    }

    /// Whether everything that is claimed is so.
    pub(super) fn check(&self, sums: &Sums) -> S3Result<()> {
        let (claimed, found) = (&self.checksum, &sums.checksum);
        let md5 = Some(BASE64.encode(sums.md5));
        let pairs = [
            (&self.md5, &md5, "Content-MD5"),
            (&claimed.checksum_crc32, &found.checksum_crc32, "CRC32"),
            (&claimed.checksum_crc32c, &found.checksum_crc32c, "CRC32C"),
            (&claimed.checksum_crc64nvme, &found.checksum_crc64nvme, "CRC64NVME"),
            (&claimed.checksum_sha1, &found.checksum_sha1, "SHA1"),
            (&claimed.checksum_sha256, &found.checksum_sha256, "SHA256"),
        ];
        for (claimed, found, name) in pairs {
            if claimed.is_some() && claimed != found {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match what we received"));
            }
        }
        Ok(())
    }
}
