//! The events of a recording, as a type: what can happen, its number, and what makes it the same event after a crash
//! (docs/protocol/agora.md section 5.1).
//!
//! An event becomes text in one place ([`RecordingEvent::encode`]), and the text of an earlier run is read back in one place
//! ([`LoggedEvent::read`]). Documented fields keep their names, types and meaning; ours follow them. Times are UTC milliseconds.

mod encode;
mod error;
mod key;
mod logged;
mod warning;

pub use self::error::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module};
pub use self::key::EventKey;
pub use self::logged::{LoggedEvent, Mark};
pub use self::warning::{BackupState, UploadWarning, Waiting, Warning};
use crate::recording::{Mode, PlaylistId, Verdict};
use crate::units::{EventType, Uid, WallMs};

/// The progress of [`RecordingEvent::UploadingProgress`] when everything is in the bucket.
pub const PROGRESS_COMPLETE: u16 = 10_000;

/// Something that happened to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingEvent {
    /// Event 1.
    Error(ErrorEvent),
    /// Event 2.
    Warning(Warning),
    /// Event 3: a call does not fit the current state, or something that was asked for is not done.
    StatusUpdate {
        /// As in `query` (docs/protocol/agora.md section 1.3).
        status: u8,
        /// On the wire as the current English documents have it: 0 individual, 1 composite.
        mode: Mode,
        /// The playlist's name, or empty.
        file_list: String,
        /// Why.
        why: StatusReason,
    },
    /// Event 4: a playlist is in the bucket for the first time; once a playlist.
    FileInfos {
        /// Its full object key: a string here, a list in event 31.
        file_list: String,
    },
    /// Event 11: the session is over.
    SessionExit {
        /// How.
        status: ExitStatus,
        /// What the ledger says, where there is one.
        verdict: Option<Verdict>,
        /// Why it is over, as a word for machines.
        end_reason: Option<&'static str>,
    },
    /// Event 12: the worker that recorded died, or was replaced, and the recording goes on. Between `interrupted` and `resumed` nothing
    /// was recorded.
    SessionFailover {
        /// The vendor's recorder comes back with a random uid; ours keeps its own, which `newUid` repeats as a number.
        uid: Uid,
        /// When it goes on.
        resumed: WallMs,
        /// The last input before.
        interrupted: WallMs,
    },
    /// Event 30: uploads have begun to be possible.
    UploaderStarted,
    /// Event 31: all files are in the customer's bucket.
    Uploaded {
        /// In this order: receivers take the first one's start as the recording's.
        files: Vec<UploadedFile>,
        /// What the ledger says.
        verdict: Option<Verdict>,
    },
    /// Event 32: the recording is over, and at least one file is in the backup bucket alone. It is on its way to the customer's: event 31
    /// follows when all are there.
    Backuped {
        /// As of 31; names are those in the customer's bucket.
        files: Vec<UploadedFile>,
        /// What the ledger says.
        verdict: Option<Verdict>,
    },
    /// Event 33: how much is uploaded of what is recorded, in ten-thousandths, at most once a minute. [`PROGRESS_COMPLETE`] says that
    /// the recorder is gone too; larger values are taken for it.
    UploadingProgress(u16),
    /// Event 34: the temporary credentials of the bucket have expired; `update` with a fresh `storageConfig` brings new ones. The
    /// vendor names it in its console alone, so nothing but the name is known.
    StsExpired,
    /// Event 40: the recorder is in the channel.
    RecorderStarted,
    /// Event 41: the recorder left the channel.
    RecorderLeave(LeaveCode),
    /// Event 42: the first slice of a playlist begins, or the first one after an interruption.
    RecorderSliceStart {
        /// Which; that of a further source of a uid says `source`.
        playlist: PlaylistId,
        /// When the slice starts.
        start: WallMs,
        /// `start`, or after an interruption the end of the last good slice.
        discontinue: WallMs,
    },
    /// Event 43: a member's audio arrives (state 0), or no longer (state 1). The documents spell the time `UtcMs`, the original was seen
    /// to send `utcMs`: both are there.
    AudioStreamState {
        /// Whose.
        uid: Uid,
        /// Whether it arrives.
        receiving: bool,
        /// Since when.
        at: WallMs,
    },
}

/// Why there is an event 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReason {
    /// A call does not fit: the fault's code.
    Call(&'static str),
    /// What was asked for and is not done, for people.
    Notes(Vec<&'static str>),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// After everything was uploaded.
    Normal = 0,
    /// Otherwise.
    Abnormal = 1,
}

/// Why the recorder left the channel: the vendor's bit mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveCode {
    /// It never came in.
    InitFailed = 0,
    /// The worker was told to end.
    Interrupted = 2,
    /// Nobody was there for `maxIdleTime`.
    Idle = 4,
    /// `stop` was called: 16, with the bit 8 that the original sets beside it.
    Stopped = 24,
}

/// A playlist in the bucket, for events 31 and 32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// The full object key with its prefix.
    pub file_name: String,
    /// What it holds.
    pub playlist: PlaylistId,
    /// When its first slice starts.
    pub slice_start: WallMs,
}

impl RecordingEvent {
    /// Which event it is.
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Error(_) => EventType::Error,
            Self::Warning(_) => EventType::Warning,
            Self::StatusUpdate { .. } => EventType::StatusUpdate,
            Self::FileInfos { .. } => EventType::FileInfos,
            Self::SessionExit { .. } => EventType::SessionExit,
            Self::SessionFailover { .. } => EventType::SessionFailover,
            Self::UploaderStarted => EventType::UploaderStarted,
            Self::Uploaded { .. } => EventType::Uploaded,
            Self::Backuped { .. } => EventType::Backuped,
            Self::UploadingProgress(_) => EventType::UploadingProgress,
            Self::StsExpired => EventType::StsExpired,
            Self::RecorderStarted => EventType::RecorderStarted,
            Self::RecorderLeave(_) => EventType::RecorderLeave,
            Self::RecorderSliceStart { .. } => EventType::RecorderSliceStart,
            Self::AudioStreamState { .. } => EventType::AudioStreamState,
        }
    }

    /// The vendor's number for it.
    pub const fn number(&self) -> u16 {
        self.event_type().number()
    }
}
