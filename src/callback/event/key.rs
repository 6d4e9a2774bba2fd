//! What makes an event the same event, so that a later run of the worker that makes it again doesn't log it a second time.
//!
//! An event is made again when the journal is replayed (slices, stream states, playlists), and when a later run continues the end of a
//! recording (leave, exit, fatal errors). Each of these has a key. An alarm of this run has none: that an earlier run
//! raised the same alarm in the same words is no reason to be silent, so it is limited by its own rate only.

use super::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, PROGRESS_COMPLETE, RecordingEvent, Warning};
use crate::recording::{Cause, PlaylistId, Source};
use crate::units::{EventType, WallMs};

/// The key of an event within its recording. Two events with one key are one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventKey {
    /// Happens once in a recording.
    Once(EventType),
    /// Event 1 about the recording as a whole: that it failed, that its end takes too long, that no more whole files are made.
    Failure {
        /// Which part says so.
        module: u64,
        /// `errorCode`.
        code: u64,
        /// The word for it, where it has one.
        reason: Option<String>,
    },
    /// Event 2 about a track that can't be read.
    Unreadable {
        /// Whose track.
        uid: String,
        /// What it sounds from.
        source: Source,
        /// Why it can't be read.
        reason: Cause,
        /// Which of the uid's tracks of this kind.
        number: u64,
    },
    /// Event 4: the playlist's object key.
    Listed(String),
    /// Event 12: from when to when there was no worker.
    Failover {
        /// The last input before.
        interrupted: WallMs,
        /// The first input after.
        resumed: WallMs,
    },
    /// Event 42: the playlist, and the slice's start.
    SliceStart {
        /// Which.
        playlist: PlaylistId,
        /// When the slice starts.
        start: WallMs,
    },
    /// Event 43.
    StreamState {
        /// Whose stream.
        uid: String,
        /// Whether it arrives.
        receiving: bool,
        /// Since when.
        at: WallMs,
    },
}

impl EventKey {
    /// Whether one run of the worker can make it more than once; the rest each run makes once by itself.
    pub const fn is_of_the_whole(&self) -> bool {
        matches!(self, Self::Once(_) | Self::Failure { .. } | Self::Unreadable { .. })
    }
}

impl RecordingEvent {
    /// What makes it the same event in a later run; none for an alarm.
    pub fn identity(&self) -> Option<EventKey> {
        match self {
            Self::Error(error) => failure(error),
            Self::Warning(Warning::UnreadableTrack { uid, source, reason, number, .. }) => Some(EventKey::Unreadable {
                uid: uid.as_str().to_owned(),
                source: *source,
                reason: *reason,
                number: *number,
            }),
            Self::FileInfos { file_list } => Some(EventKey::Listed(file_list.clone())),
            Self::SessionFailover { resumed, interrupted, .. } => {
                Some(EventKey::Failover { interrupted: *interrupted, resumed: *resumed })
            }
            Self::UploadingProgress(progress) if *progress < PROGRESS_COMPLETE => None,
            Self::SessionExit { .. }
            | Self::UploaderStarted
            | Self::Uploaded { .. }
            | Self::Backuped { .. }
            | Self::UploadingProgress(_)
            | Self::RecorderStarted
            | Self::RecorderLeave(_) => Some(EventKey::Once(self.event_type())),
            Self::RecorderSliceStart { playlist, start, .. } => {
                Some(EventKey::SliceStart { playlist: playlist.clone(), start: *start })
            }
            Self::AudioStreamState { uid, receiving, at } => {
                Some(EventKey::StreamState { uid: uid.as_str().to_owned(), receiving: *receiving, at: *at })
            }
            Self::Warning(Warning::Upload(_) | Warning::Backup { .. })
            | Self::StatusUpdate { .. }
            | Self::StsExpired => None,
        }
    }
}

fn failure(ErrorEvent { module, level, code, reason, .. }: &ErrorEvent) -> Option<EventKey> {
    let reason = reason.map(ErrorReason::word);
    is_of_the_recording(*level as u64, *code as u64, reason).then(|| EventKey::Failure {
        module: *module as u64,
        code: *code as u64,
        reason: reason.map(str::to_owned),
    })
}

/// Whether an error is about the recording as a whole, rather than an alarm.
pub(super) fn is_of_the_recording(level: u64, code: u64, reason: Option<&str>) -> bool {
    let reasons = [ErrorReason::FilesGivenUp, ErrorReason::LedgerInconsistent, ErrorReason::NotRejoined];
    level == ErrorLevel::Fatal as u64
        || code == ErrorCode::UploadTimeout as u64
        || reasons.iter().any(|known| reason == Some(known.word()))
}

#[cfg(test)]
mod tests {
    use super::super::{
        BackupState, ErrorCode, ErrorEvent, ExitStatus, LeaveCode, Module, StatusReason, UploadWarning,
    };
    use super::*;
    use crate::recording::{Coding, Mode, TrackKind, Verdict};
    use crate::units::Uid;

    fn error(module: Module, level: ErrorLevel, code: ErrorCode, message: &str) -> RecordingEvent {
        RecordingEvent::Error(ErrorEvent::new(module, level, code, message))
    }

    fn because(level: ErrorLevel, code: ErrorCode, reason: ErrorReason) -> RecordingEvent {
        RecordingEvent::Error(ErrorEvent::new(Module::Uploader, level, code, "").because(reason))
    }

    #[test]
    fn alarms_have_no_key() {
        let upload = |state| RecordingEvent::Warning(Warning::Upload(state));
        for alarm in [
            because(ErrorLevel::Medium, ErrorCode::StorageConfiguration, ErrorReason::Upload("bucket_access_denied")),
            because(ErrorLevel::Minor, ErrorCode::FileOperation, ErrorReason::SpoolInMemory),
            because(ErrorLevel::Major, ErrorCode::FileOperation, ErrorReason::SpoolFull),
            because(ErrorLevel::Medium, ErrorCode::StorageConfiguration, ErrorReason::WaitsForBucket("bucket_busy")),
            because(ErrorLevel::Major, ErrorCode::StorageConfiguration, ErrorReason::BucketNotAsked("bucket_busy")),
            because(ErrorLevel::Medium, ErrorCode::StorageConfiguration, ErrorReason::WaitsForBackup("bucket_busy")),
            because(ErrorLevel::Major, ErrorCode::StorageConfiguration, ErrorReason::BackupNotAsked("bucket_busy")),
            upload(UploadWarning::Retrying { reason: "bucket_busy", waiting: None }),
            upload(UploadWarning::NameTaken { file_name: "a.m4s".into() }),
            RecordingEvent::Warning(Warning::Backup { since: WallMs(7), state: BackupState::Recovered }),
            RecordingEvent::StatusUpdate {
                status: 5,
                mode: Mode::Mix,
                file_list: "a.m3u8".into(),
                why: StatusReason::Call("already_started"),
            },
            RecordingEvent::UploadingProgress(5_000),
            RecordingEvent::StsExpired,
        ] {
            assert_eq!(alarm.identity(), None, "{alarm:?}");
        }
    }

    #[test]
    fn what_is_made_again_has_the_same_key_whatever_else_it_says() {
        let uid = Uid::new("7").unwrap();
        let track = |source, coding, number, from| {
            let kind = TrackKind { source, coding };
            RecordingEvent::Warning(Warning::unreadable_track(&uid, kind, number, WallMs(from)).unwrap())
        };
        let exit = |status, verdict| RecordingEvent::SessionExit { status, verdict: Some(verdict), end_reason: None };
        let slice = |playlist, start, discontinue| RecordingEvent::RecorderSliceStart {
            playlist,
            start: WallMs(start),
            discontinue: WallMs(discontinue),
        };
        let stream = |receiving| RecordingEvent::AudioStreamState { uid: uid.clone(), receiving, at: WallMs(5) };
        let listed = |name: &str| RecordingEvent::FileInfos { file_list: name.into() };
        let pairs = [
            (track(Source::Microphone, Coding::Encrypted, 1, 5), track(Source::Microphone, Coding::Encrypted, 1, 6)),
            (RecordingEvent::RecorderLeave(LeaveCode::Stopped), RecordingEvent::RecorderLeave(LeaveCode::Interrupted)),
            (exit(ExitStatus::Normal, Verdict::Complete), exit(ExitStatus::Abnormal, Verdict::Partial)),
            (slice(PlaylistId::Mix, 5, 5), slice(PlaylistId::Mix, 5, 3)),
            (
                error(Module::Uploader, ErrorLevel::Fatal, ErrorCode::FileOperation, "no space left"),
                error(Module::Uploader, ErrorLevel::Fatal, ErrorCode::FileOperation, "input/output error"),
            ),
        ];
        for (one, again) in pairs {
            assert_eq!(one.identity(), again.identity());
            assert!(one.identity().is_some(), "{one:?}");
        }
        let others = [
            slice(PlaylistId::Mix, 6, 6),
            slice(PlaylistId::Individual(uid.clone()), 5, 5),
            stream(true),
            stream(false),
            listed("a.m3u8"),
            listed("b.m3u8"),
            error(Module::Uploader, ErrorLevel::Fatal, ErrorCode::FileOperation, ""),
            error(Module::Recorder, ErrorLevel::Fatal, ErrorCode::StartTimeout, ""),
            error(Module::Platform, ErrorLevel::Major, ErrorCode::UploadTimeout, ""),
            because(ErrorLevel::Minor, ErrorCode::FileOperation, ErrorReason::FilesGivenUp),
            because(ErrorLevel::Major, ErrorCode::StartTimeout, ErrorReason::NotRejoined),
            RecordingEvent::UploadingProgress(PROGRESS_COMPLETE),
            track(Source::Microphone, Coding::Encrypted, 1, 5),
            track(Source::Microphone, Coding::Encrypted, 2, 5),
            track(Source::ScreenAudio, Coding::Encrypted, 1, 5),
            track(Source::Microphone, Coding::Unsupported, 1, 5),
        ];
        let keys: Vec<_> = others.iter().map(|event| event.identity().unwrap()).collect();
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }
}
