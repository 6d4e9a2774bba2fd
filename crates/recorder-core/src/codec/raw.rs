//! [`Bytes`] as serde sees them: one byte string, not a list of numbers. For formats that lend their bytes (postcard does).

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes them.
pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads them.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    <&[u8]>::deserialize(deserializer).map(Bytes::copy_from_slice)
}
