//! Event 2: outages of the two buckets, and tracks that can't be read.

use super::Module;
use crate::recording::{Cause, Source, TrackKind};
use crate::units::{Uid, WallMs};

/// Event 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// `warnCode` 31: about the recording's own bucket.
    Upload(UploadWarning),
    /// `warnCode` 32: about the backup bucket.
    Backup {
        /// Since when it is used.
        since: WallMs,
        /// What happened.
        state: BackupState,
    },
    /// `warnCode` 1, which the vendor's recorder does not have: a track that can't be read, so that what is said on it is missing.
    UnreadableTrack {
        /// Whose.
        uid: Uid,
        /// What it sounds from.
        source: Source,
        /// Why it can't be read.
        reason: Cause,
        /// Tells the tracks of one uid and source apart.
        number: u64,
        /// When it was published.
        from: WallMs,
    },
}

/// What happened to uploads to the recording's own bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadWarning {
    /// They have failed for a while and are tried again.
    Retrying {
        /// The fault's code.
        reason: &'static str,
        /// What waits; not in the published example.
        waiting: Option<Waiting>,
    },
    /// They succeed again.
    Recovered {
        /// The last fault's code.
        reason: &'static str,
        /// What waits.
        waiting: Waiting,
        /// How long they failed.
        lasted_ms: u64,
    },
    /// The bucket holds another object under this name, which is left as it is.
    NameTaken {
        /// The full object key.
        file_name: String,
    },
}

/// What happened to the use of the backup bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// It is used from now on.
    Begun {
        /// The fault's code of the own bucket, or that it is slow.
        reason: &'static str,
        /// Objects that wait for the own bucket.
        waiting_objects: u64,
        /// Their bytes.
        waiting_bytes: u64,
    },
    /// It takes no copies either.
    Failing {
        /// The fault's code.
        reason: &'static str,
    },
    /// It takes copies again.
    Recovered,
    /// The own bucket has what it lacked.
    Ended {
        /// How long it was used, where one run of the worker saw it all.
        lasted_ms: Option<u64>,
    },
}

/// What is not in the bucket, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Since when uploads fail.
    pub since: WallMs,
    /// Objects that wait.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Warning {
    /// A track of this kind; none for one that can be read.
    pub fn unreadable_track(uid: &Uid, kind: TrackKind, number: u64, from: WallMs) -> Option<Self> {
        let reason = kind.coding.unreadable()?;
        Some(Self::UnreadableTrack { uid: uid.clone(), source: kind.source, reason, number, from })
    }

    /// Which part it comes from.
    pub const fn module(&self) -> Module {
        match self {
            Self::Upload(_) | Self::Backup { .. } => Module::Uploader,
            Self::UnreadableTrack { .. } => Module::Recorder,
        }
    }

    /// `warnCode`.
    pub const fn code(&self) -> WarnCode {
        match self {
            Self::Upload(_) => WarnCode::ReUpload,
            Self::Backup { .. } => WarnCode::ToTheBackup,
            Self::UnreadableTrack { .. } => WarnCode::UnreadableTrack,
        }
    }
}

/// `warnCode` (docs/protocol/agora.md section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarnCode {
    /// A track can't be read. The vendor's recorder has no code for it.
    UnreadableTrack = 1,
    /// Uploaded to the customer's bucket again.
    ReUpload = 31,
    /// Uploaded to the backup.
    ToTheBackup = 32,
}

/// The words of `state`, as they are written and read.
pub(super) mod state {
    pub(in super::super) const RETRYING: &str = "retrying";
    pub(in super::super) const RECOVERED: &str = "recovered";
    pub(in super::super) const NAME_TAKEN: &str = "name_taken";
    pub(in super::super) const BEGUN: &str = "begun";
    pub(in super::super) const FAILING: &str = "failing";
    pub(in super::super) const ENDED: &str = "ended";
}
