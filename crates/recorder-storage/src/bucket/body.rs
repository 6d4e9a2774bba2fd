//! What a PUT sends: bytes in memory, or a file that is read while it is sent. Both are signed with their SHA-256.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError, Length};
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::spool::SpooledFile;

/// Bytes of a file that are in memory while it is sent, beside what the connection holds.
const READ_BUFFER: usize = 64 << 10;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Bytes(Bytes, [u8; 32]),
    File(SpooledFile),
}

impl Body {
    pub(super) fn of(bytes: Bytes) -> Self {
        let sha256 = Sha256::digest(&bytes).into();
        Self::Bytes(bytes, sha256)
    }

    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes, _) => bytes.len() as u64,
            Self::File(file) => file.size,
        }
    }

    pub(super) const fn sha256(&self) -> &[u8; 32] {
        match self {
            Self::Bytes(_, sha256) => sha256,
            Self::File(file) => &file.sha256,
        }
    }

    /// The bytes, if they are in memory.
    pub(super) const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes, _) => Some(bytes),
            Self::File(_) => None,
        }
    }

    pub(super) async fn stream(&self) -> Result<ByteStream, ByteStreamError> {
        match self {
            Self::Bytes(bytes, _) => Ok(ByteStream::from(bytes.clone())),
            Self::File(file) => {
                let from = ByteStream::read_from().path(&file.path).offset(file.offset);
                from.length(Length::Exact(file.size)).buffer_size(READ_BUFFER).build().await
            }
        }
    }

    /// MD5. Only computed where a store has nothing better to compare with.
    pub(super) async fn md5(&self) -> Result<[u8; 16], ByteStreamError> {
        let mut digest = Md5::new();
        let mut stream = self.stream().await?;
        while let Some(chunk) = stream.next().await {
            digest.update(chunk?);
        }
        Ok(digest.finalize().into())
    }

    /// Left to itself the client signs no body that it would have to read twice, and a store that knows no checksums would have no
    /// way to see that it was altered.
    pub(super) fn signature(&self) -> Signature {
        Signature(hex::encode(self.sha256()))
    }
}

/// Signs a request for a body with this SHA-256.
#[derive(Debug)]
pub(super) struct Signature(String);

impl Intercept for Signature {
    fn name(&self) -> &'static str {
        "Signature"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.clone()));
        Ok(())
    }
}
