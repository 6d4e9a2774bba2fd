//! What is gathered for the disk, and what is written to it in one go.

use super::log::LogFile;
use recorder_core::units::Sid;

/// Records on their way.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    pub(super) checkpoints: Vec<BatchSlot>,
    pub(super) checkpoint_bytes: u64,
}

/// A checkpoint, and what it lets go of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchSlot {
    pub(super) sid: Sid,
    /// The first file that the session still needs when the checkpoint is synced.
    pub(super) from: u64,
}

/// What is to be written next.
#[derive(Debug)]
pub(super) struct Batch {
    /// The file to append to.
    pub(super) file: LogFile,
    /// With these bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether the file ends with them.
    pub(super) last: bool,
    /// [`super::pending::Pending::appended`] when all is done.
    pub(super) upto: u64,
    /// Records in it.
    pub(super) records: u64,
    /// Its checkpoints.
    pub(super) checkpoints: Vec<BatchSlot>,
    /// Bytes of these.
    pub(super) checkpoint_bytes: u64,
}
