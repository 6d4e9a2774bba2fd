//! A line of the log that an earlier run of the worker left, perhaps an older version: what it says of the recording.
//!
//! The only reader of details. A line that it does not understand has no key and leaves no mark.

use serde_json::Value;

use super::encode::EVERYBODY;
use super::key::is_of_the_recording;
use super::warning::{WarnCode, state};
use super::{BackupState, ErrorLevel, EventKey, Module, PROGRESS_COMPLETE, RecordingEvent, Warning};
use crate::recording::PlaylistId;
use crate::units::{EventType, Uid, WallMs};

/// What is known of an event in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedEvent {
    /// What makes it the same event; none for an alarm.
    pub key: Option<EventKey>,
    /// What it changed.
    pub mark: Option<Mark>,
}

/// What an event says of the recording for all that comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The recording failed.
    Fatal,
    /// The backup bucket is used, since then.
    BackupBegun(WallMs),
    /// It is not used any more.
    BackupEnded,
}

impl RecordingEvent {
    /// What it says for all that comes after it.
    pub const fn mark(&self) -> Option<Mark> {
        match self {
            Self::Error(error) if matches!(error.level, ErrorLevel::Fatal) => Some(Mark::Fatal),
            Self::Warning(Warning::Backup { since, state: BackupState::Begun { .. } }) => {
                Some(Mark::BackupBegun(*since))
            }
            Self::Warning(Warning::Backup { state: BackupState::Ended { .. }, .. }) => Some(Mark::BackupEnded),
            _ => None,
        }
    }
}

impl From<&RecordingEvent> for LoggedEvent {
    fn from(event: &RecordingEvent) -> Self {
        Self { key: event.identity(), mark: event.mark() }
    }
}

impl LoggedEvent {
    /// Reads number and details of a line.
    pub fn read(number: u16, details: &str) -> Self {
        let Some(event_type) = EventType::of(number) else { return Self::default() };
        let details = Details(serde_json::from_str(details).unwrap_or_default());
        Self { key: details.key(event_type), mark: details.mark(event_type) }
    }
}

struct Details(Value);

impl Details {
    fn number(&self, field: &str) -> Option<u64> {
        self.0[field].as_u64()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0[field].as_str()
    }

    fn owned(&self, field: &str) -> Option<String> {
        self.text(field).map(str::to_owned)
    }

    fn time(&self, field: &str) -> Option<WallMs> {
        self.number(field).map(WallMs)
    }

    fn word<Word: serde::de::DeserializeOwned>(&self, field: &str) -> Option<Word> {
        serde_json::from_value(self.0[field].clone()).ok()
    }

    fn is_of(&self, module: Module, code: WarnCode) -> bool {
        self.number("module") == Some(module as u64) && self.number("warnCode") == Some(code as u64)
    }

    fn key(&self, event_type: EventType) -> Option<EventKey> {
        match event_type {
            EventType::Error => {
                let (module, code) = (self.number("module")?, self.number("errorCode")?);
                is_of_the_recording(self.number("errorLevel")?, code, self.text("reason")).then(|| EventKey::Failure {
                    module,
                    code,
                    reason: self.owned("reason"),
                })
            }
            EventType::Warning if self.is_of(Module::Recorder, WarnCode::UnreadableTrack) => {
                Some(EventKey::Unreadable {
                    uid: self.owned("streamUid")?,
                    source: self.word("trackSource")?,
                    reason: self.word("reason")?,
                    number: self.number("number")?,
                })
            }
            EventType::FileInfos => Some(EventKey::Listed(self.owned("fileList")?)),
            EventType::SessionExit
            | EventType::UploaderStarted
            | EventType::Uploaded
            | EventType::Backuped
            | EventType::RecorderStarted
            | EventType::RecorderLeave => Some(EventKey::Once(event_type)),
            EventType::SessionFailover => Some(EventKey::Failover {
                interrupted: self.time("interruptedUtcMs")?,
                resumed: self.time("resumedUtcMs")?,
            }),
            EventType::UploadingProgress => {
                (self.number("progress")? >= PROGRESS_COMPLETE.into()).then_some(EventKey::Once(event_type))
            }
            EventType::RecorderSliceStart => {
                Some(EventKey::SliceStart { playlist: self.playlist()?, start: self.time("startUtcMs")? })
            }
            EventType::AudioStreamState => Some(EventKey::StreamState {
                uid: self.owned("streamUid")?,
                receiving: self.number("state")? == 0,
                at: self.time("utcMs")?,
            }),
            EventType::Warning | EventType::StatusUpdate | EventType::StsExpired => None,
        }
    }

    fn playlist(&self) -> Option<PlaylistId> {
        let uid = self.text("streamUid")?;
        if uid == EVERYBODY && self.0["mixedAllUser"] == true {
            return Some(PlaylistId::Mix);
        }
        Some(PlaylistId::of(&Uid::new(uid).ok()?, self.word("source")))
    }

    fn mark(&self, event_type: EventType) -> Option<Mark> {
        match event_type {
            EventType::Error if self.number("errorLevel") == Some(ErrorLevel::Fatal as u64) => Some(Mark::Fatal),
            EventType::Warning if self.is_of(Module::Uploader, WarnCode::ToTheBackup) => match self.text("state")? {
                state::BEGUN => Some(Mark::BackupBegun(self.time("sinceMs")?)),
                state::ENDED => Some(Mark::BackupEnded),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorCode, ErrorEvent, ErrorReason, PROGRESS_COMPLETE, UploadWarning};
    use super::*;
    use crate::callback::samples::samples;
    use crate::recording::{Coding, Source, TrackKind};
    use crate::store::canonical;

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let uid = Uid::new("7").unwrap();
        let slice =
            |playlist| RecordingEvent::RecorderSliceStart { playlist, start: WallMs(5), discontinue: WallMs(4) };
        let stream = |receiving| RecordingEvent::AudioStreamState { uid: uid.clone(), receiving, at: WallMs(5) };
        let backup = |state| RecordingEvent::Warning(Warning::Backup { since: WallMs(5), state });
        let error = |level, code| ErrorEvent::new(Module::Platform, level, code, "why");
        let kind = TrackKind { source: Source::ScreenAudio, coding: Coding::Encrypted };
        let mut events = samples(WallMs(1_700_000_000_000));
        events.extend([
            slice(PlaylistId::Mix),
            slice(PlaylistId::Individual(uid.clone())),
            slice(PlaylistId::Individual(Uid::new("0").unwrap())),
            slice(PlaylistId::of(&uid, Some("screen2".parse().unwrap()))),
            stream(true),
            stream(false),
            backup(BackupState::Begun { reason: "slow", waiting_objects: 1, waiting_bytes: 2 }),
            backup(BackupState::Failing { reason: "bucket_busy" }),
            backup(BackupState::Recovered),
            backup(BackupState::Ended { lasted_ms: None }),
            RecordingEvent::Warning(Warning::Upload(UploadWarning::NameTaken { file_name: "a".into() })),
            RecordingEvent::Warning(Warning::unreadable_track(&uid, kind, 2, WallMs(5)).unwrap()),
            RecordingEvent::UploadingProgress(PROGRESS_COMPLETE - 1),
            RecordingEvent::Error(error(ErrorLevel::Fatal, ErrorCode::WrongToken)),
            RecordingEvent::Error(error(ErrorLevel::Major, ErrorCode::UploadTimeout)),
        ]);
        let reasons = [
            ErrorReason::SpoolInMemory,
            ErrorReason::SpoolFull,
            ErrorReason::FilesGivenUp,
            ErrorReason::LedgerInconsistent,
            ErrorReason::WaitsForBucket("bucket_busy"),
            ErrorReason::BucketNotAsked("bucket_busy"),
            ErrorReason::WaitsForBackup("bucket_busy"),
            ErrorReason::BackupNotAsked("bucket_busy"),
            ErrorReason::NotRejoined,
        ];
        let because = |reason| error(ErrorLevel::Medium, ErrorCode::OwnFault).because(reason);
        events.extend(reasons.map(|reason| RecordingEvent::Error(because(reason))));
        for event in &events {
            let line = event.encode();
            let read = LoggedEvent::read(line.event_type, &canonical::render(&line.details));
            assert_eq!(read, LoggedEvent::from(event), "{event:?}");
        }
        let numbers: std::collections::BTreeSet<_> = events.iter().map(RecordingEvent::event_type).collect();
        assert_eq!(numbers.len(), EventType::ALL.len(), "each of them was tried");
    }

    #[test]
    fn a_line_that_is_not_understood_says_nothing() {
        for (number, details) in [(13, "{}"), (1, "no JSON"), (42, r#"{"streamUid":""}"#), (43, r#"{"state":"0"}"#)] {
            assert_eq!(LoggedEvent::read(number, details), LoggedEvent::default(), "{number} {details}");
        }
    }
}
