//! What is gathered for the disk, and what is written to it in one go.

use super::log::LogFile;
use crate::units::Sid;

/// Records on their way.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    pub(super) checkpoints: Vec<Sid>,
    pub(super) checkpoint_bytes: u64,
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
    /// Sessions with a checkpoint in it.
    pub(super) checkpoints: Vec<Sid>,
    /// Bytes of these.
    pub(super) checkpoint_bytes: u64,
}
