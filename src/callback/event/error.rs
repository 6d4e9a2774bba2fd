//! Event 1: what failed, how badly, and whose code it has.

/// Event 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorEvent {
    /// Which part it comes from.
    pub module: Module,
    /// How bad it is.
    pub level: ErrorLevel,
    /// The vendor's code.
    pub code: ErrorCode,
    /// For people; without secrets.
    pub message: String,
    /// What it is about, as a word for machines.
    pub reason: Option<ErrorReason>,
}

/// Which part an error or a warning comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// The recorder.
    Recorder = 0,
    /// The uploader.
    Uploader = 1,
    /// Everything around them.
    Platform = 2,
}

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorLevel {
    /// For debugging.
    Debug = 1,
    /// Nothing is lost.
    Minor = 2,
    /// Something may be lost.
    Medium = 3,
    /// Something is lost.
    Major = 4,
    /// The recording is over.
    Fatal = 5,
}

/// `errorCode` (docs/protocol/agora.md sections 3 and 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// What this recorder did wrong (the vendor's SDK: a failure without a name).
    OwnFault = 1,
    /// The bucket refuses.
    StorageConfiguration = 32,
    /// The bucket refuses an object.
    UploadFailed = 47,
    /// A recording's end takes too long.
    UploadTimeout = 50,
    /// A file could not be written or read.
    FileOperation = 51,
    /// The channel could not be reached, or the recorder did not get back into it.
    StartTimeout = 52,
    /// The token of the start expired.
    TokenExpired = 109,
    /// The channel refuses the recorder.
    WrongToken = 110,
}

/// `reason` of an error. Fault codes are those of [`crate::error_class::ErrorClass`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReason {
    /// Uploads fail: the fault's code.
    Upload(&'static str),
    /// The disk takes nothing; what waits is in memory.
    SpoolInMemory,
    /// Memory is full too: sound is being lost.
    SpoolFull,
    /// No more whole files are made.
    FilesGivenUp,
    /// The ledger does not add up.
    LedgerInconsistent,
    /// The recording waits for its bucket, which can't be asked: the fault's code.
    WaitsForBucket(&'static str),
    /// It goes on without having asked the bucket: the fault's code.
    BucketNotAsked(&'static str),
    /// The recording waits for its second bucket, which can't be asked: the fault's code.
    WaitsForBackup(&'static str),
    /// It goes on without having asked the second bucket: the fault's code.
    BackupNotAsked(&'static str),
    /// The bucket's credentials may not read, and the journal lacks a part.
    BucketNotReadable,
    /// The recorder was not back in its channel when the recording was stopped.
    NotRejoined,
}

impl ErrorReason {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upload(code) => code,
            Self::SpoolInMemory => "spool_in_memory",
            Self::SpoolFull => "spool_full",
            Self::FilesGivenUp => "files_given_up",
            Self::LedgerInconsistent => "ledger_inconsistent",
            Self::WaitsForBucket(_) => "waits_for_bucket",
            Self::BucketNotAsked(_) => "bucket_not_asked",
            Self::WaitsForBackup(_) => "waits_for_backup",
            Self::BackupNotAsked(_) => "backup_not_asked",
            Self::BucketNotReadable => "bucket_not_readable",
            Self::NotRejoined => "not_rejoined",
        }
    }

    /// What is behind it, where that is said apart.
    pub const fn cause(self) -> Option<&'static str> {
        match self {
            Self::WaitsForBucket(code)
            | Self::BucketNotAsked(code)
            | Self::WaitsForBackup(code)
            | Self::BackupNotAsked(code) => Some(code),
            Self::Upload(_)
            | Self::SpoolInMemory
            | Self::SpoolFull
            | Self::FilesGivenUp
            | Self::LedgerInconsistent
            | Self::BucketNotReadable
            | Self::NotRejoined => None,
        }
    }
}

impl ErrorEvent {
    /// An error without a reason for machines.
    pub fn new(module: Module, level: ErrorLevel, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { module, level, code, message: message.into(), reason: None }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(self, reason: ErrorReason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}
