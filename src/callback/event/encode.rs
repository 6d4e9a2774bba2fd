//! The one place where an event of a recording becomes its documented details.

use serde_json::{Map, Value, json};

use super::warning::state;
use super::{
    BackupState, ErrorEvent, PROGRESS_COMPLETE, RecordingEvent, StatusReason, UploadWarning, UploadedFile, Waiting,
    Warning,
};
use crate::recording::{PlaylistId, Verdict};
use crate::store::NewEvent;
use crate::units::{EventType, Uid, WallMs};

/// `serviceType`: which service says so.
const PLATFORM: u8 = 0;
const RECORDER: u8 = 1;
const UPLOADER: u8 = 2;

/// The `streamUid` of everybody mixed.
pub(super) const EVERYBODY: &str = "0";

/// `reason` of [`UploadWarning::NameTaken`].
const BUCKET_TAKEN: &str = "bucket_taken";

impl RecordingEvent {
    /// The event as the log has it: number, service and details.
    pub fn encode(&self) -> NewEvent {
        let event_type = self.event_type();
        let mut details = Details::named(msg_name(event_type));
        match self {
            Self::Error(error) => details.error(error),
            Self::Warning(warning) => details.warning(warning),
            Self::StatusUpdate { status, mode, file_list, why } => {
                details.put("status", json!(status));
                details.put("recordingMode", json!(u8::from(mode.mixes())));
                details.put("fileList", json!(file_list));
                match why {
                    StatusReason::Call(code) => details.put("reason", json!(code)),
                    StatusReason::Notes(notes) => details.put("notes", json!(notes)),
                }
            }
            Self::FileInfos { file_list } => details.put("fileList", json!(file_list)),
            Self::SessionExit { status, verdict, end_reason } => {
                details.put("exitStatus", json!(*status as u8));
                details.verdict(*verdict);
                if let Some(reason) = end_reason {
                    details.put("endReason", json!(reason));
                }
            }
            Self::SessionFailover { uid, resumed, interrupted } => {
                details.put("newUid", json!(uid.as_str().parse::<u32>().unwrap_or_default()));
                details.put("resumedUtcMs", json!(resumed));
                details.put("interruptedUtcMs", json!(interrupted));
            }
            Self::Uploaded { files, verdict } | Self::Backuped { files, verdict } => {
                details.put("status", json!(0));
                details.put("fileList", files.iter().map(uploaded_file).collect());
                details.verdict(*verdict);
            }
            Self::UploadingProgress(progress) => details.put("progress", json!(progress.min(&PROGRESS_COMPLETE))),
            Self::StsExpired => {}
            Self::UploaderStarted | Self::RecorderStarted => details.put("status", json!(0)),
            Self::RecorderLeave(code) => details.put("leaveCode", json!(*code as u8)),
            Self::RecorderSliceStart { playlist, start, discontinue } => {
                details.put("startUtcMs", json!(start));
                details.put("discontinueUtcMs", json!(discontinue));
                details.put("mixedAllUser", json!(is_mix(playlist)));
                details.put("streamUid", json!(stream_uid(playlist)));
                details.put("trackType", json!("audio"));
                details.source(playlist);
            }
            Self::AudioStreamState { uid, receiving, at } => {
                details.put("streamUid", json!(uid));
                details.put("state", json!(u8::from(!receiving)));
                details.put("UtcMs", json!(at));
                details.put("utcMs", json!(at));
            }
        }
        let (event_type, service_type) = (event_type.number(), service(event_type));
        NewEvent { event_type, service_type, details: Value::Object(details.0) }
    }
}

impl From<RecordingEvent> for NewEvent {
    fn from(event: RecordingEvent) -> Self {
        event.encode()
    }
}

const fn msg_name(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Error => "cloud_recording_error",
        EventType::Warning => "cloud_recording_warning",
        EventType::StatusUpdate => "cloud_recording_status_update",
        EventType::FileInfos => "cloud_recording_file_infos",
        EventType::SessionExit => "session_exit",
        EventType::SessionFailover => "session_failover",
        EventType::UploaderStarted => "uploader_started",
        EventType::Uploaded => "uploaded",
        EventType::Backuped => "backuped",
        EventType::UploadingProgress => "uploading_progress",
        EventType::StsExpired => "STSExpired",
        EventType::RecorderStarted => "recorder_started",
        EventType::RecorderLeave => "recorder_leave",
        EventType::RecorderSliceStart => "recorder_slice_start",
        EventType::AudioStreamState => "recorder_audio_stream_state_changed",
    }
}

const fn service(event_type: EventType) -> u8 {
    match event_type {
        EventType::Error
        | EventType::Warning
        | EventType::StatusUpdate
        | EventType::FileInfos
        | EventType::SessionExit
        | EventType::SessionFailover => PLATFORM,
        EventType::RecorderStarted
        | EventType::RecorderLeave
        | EventType::RecorderSliceStart
        | EventType::AudioStreamState => RECORDER,
        EventType::UploaderStarted
        | EventType::Uploaded
        | EventType::Backuped
        | EventType::UploadingProgress
        | EventType::StsExpired => UPLOADER,
    }
}

/// Details in the making: fields in the order in which they are put.
struct Details(Map<String, Value>);

impl Details {
    fn named(name: &str) -> Self {
        let mut details = Self(Map::new());
        details.put("msgName", json!(name));
        details
    }

    fn put(&mut self, field: &str, value: Value) {
        self.0.insert(field.to_owned(), value);
    }

    fn error(&mut self, ErrorEvent { module, level, code, message, reason }: &ErrorEvent) {
        self.put("module", json!(*module as u8));
        self.put("errorLevel", json!(*level as u8));
        self.put("errorCode", json!(*code as u32));
        self.put("stat", json!(0));
        self.put("errorMsg", json!(message));
        if let Some(reason) = reason {
            self.put("reason", json!(reason.word()));
            if let Some(cause) = reason.cause() {
                self.put("cause", json!(cause));
            }
        }
    }

    fn warning(&mut self, warning: &Warning) {
        self.put("module", json!(warning.module() as u8));
        self.put("warnCode", json!(warning.code() as u32));
        match warning {
            Warning::Upload(UploadWarning::Retrying { reason, waiting }) => {
                self.put("state", json!(state::RETRYING));
                self.put("reason", json!(reason));
                if let Some(waiting) = waiting {
                    self.waiting(waiting);
                }
            }
            Warning::Upload(UploadWarning::Recovered { reason, waiting, lasted_ms }) => {
                self.put("state", json!(state::RECOVERED));
                self.put("reason", json!(reason));
                self.waiting(waiting);
                self.put("lastedMs", json!(lasted_ms));
            }
            Warning::Upload(UploadWarning::NameTaken { file_name }) => {
                self.put("state", json!(state::NAME_TAKEN));
                self.put("reason", json!(BUCKET_TAKEN));
                self.put("fileName", json!(file_name));
            }
            Warning::Backup { since, state } => self.backup(*since, *state),
            Warning::UnreadableTrack { uid, source, reason, number, from } => {
                self.put("reason", json!(reason));
                self.put("streamUid", json!(uid));
                self.put("trackSource", json!(source));
                self.put("number", json!(number));
                self.put("fromMs", json!(from));
            }
        }
    }

    fn backup(&mut self, since: WallMs, state: BackupState) {
        let word = match state {
            BackupState::Begun { .. } => state::BEGUN,
            BackupState::Failing { .. } => state::FAILING,
            BackupState::Recovered => state::RECOVERED,
            BackupState::Ended { .. } => state::ENDED,
        };
        self.put("state", json!(word));
        self.put("sinceMs", json!(since));
        match state {
            BackupState::Begun { reason, waiting_objects, waiting_bytes } => {
                self.put("reason", json!(reason));
                self.put("waitingObjects", json!(waiting_objects));
                self.put("waitingBytes", json!(waiting_bytes));
            }
            BackupState::Failing { reason } => self.put("reason", json!(reason)),
            BackupState::Ended { lasted_ms: Some(lasted) } => self.put("lastedMs", json!(lasted)),
            BackupState::Recovered | BackupState::Ended { lasted_ms: None } => {}
        }
    }

    fn waiting(&mut self, Waiting { since, objects, bytes }: &Waiting) {
        self.put("sinceMs", json!(since));
        self.put("waitingObjects", json!(objects));
        self.put("waitingBytes", json!(bytes));
    }

    fn verdict(&mut self, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            self.put("verdict", json!(verdict));
        }
    }

    /// Ours: which further source of a uid it is.
    fn source(&mut self, playlist: &PlaylistId) {
        if let Some(source) = playlist.source() {
            self.put("source", json!(source));
        }
    }
}

fn uploaded_file(file: &UploadedFile) -> Value {
    let mut entry = Details(Map::new());
    entry.put("fileName", json!(file.file_name));
    entry.put("trackType", json!("audio"));
    entry.put("uid", json!(stream_uid(&file.playlist)));
    entry.put("mixedAllUser", json!(is_mix(&file.playlist)));
    entry.put("isPlayable", json!(true));
    entry.put("sliceStartTime", json!(file.slice_start));
    // A copy for those that read the older name.
    entry.put("filename", json!(file.file_name));
    entry.source(&file.playlist);
    Value::Object(entry.0)
}

pub(super) fn stream_uid(playlist: &PlaylistId) -> &str {
    playlist.uid().map_or(EVERYBODY, Uid::as_str)
}

const fn is_mix(playlist: &PlaylistId) -> bool {
    matches!(playlist, PlaylistId::Mix)
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorCode, ErrorLevel, ErrorReason, ExitStatus, LeaveCode, Module};
    use super::*;
    use crate::recording::Mode;

    #[test]
    fn details_are_the_documented_ones() {
        let uid = Uid::new("42").unwrap();
        let at = WallMs(1_700_000_000_000);
        let waiting = Waiting { since: WallMs(5), objects: 3, bytes: 300 };
        let expected = [
            (
                RecordingEvent::Error(ErrorEvent::new(Module::Platform, ErrorLevel::Fatal, ErrorCode::WrongToken, "")),
                1,
                0,
                r#"{"msgName":"cloud_recording_error","module":2,"errorLevel":5,"errorCode":110,"stat":0,"errorMsg":""}"#,
            ),
            (
                RecordingEvent::Error(
                    ErrorEvent::new(Module::Uploader, ErrorLevel::Major, ErrorCode::StorageConfiguration, "why")
                        .because(ErrorReason::BucketNotAsked("bucket_busy")),
                ),
                1,
                0,
                r#"{"msgName":"cloud_recording_error","module":1,"errorLevel":4,"errorCode":32,"stat":0,"errorMsg":"why","reason":"bucket_not_asked","cause":"bucket_busy"}"#,
            ),
            (
                RecordingEvent::Warning(Warning::Upload(UploadWarning::Recovered {
                    reason: "bucket_busy",
                    waiting,
                    lasted_ms: 9,
                })),
                2,
                0,
                r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":31,"state":"recovered","reason":"bucket_busy","sinceMs":5,"waitingObjects":3,"waitingBytes":300,"lastedMs":9}"#,
            ),
            (
                RecordingEvent::Warning(Warning::Backup {
                    since: WallMs(7),
                    state: BackupState::Ended { lasted_ms: Some(9) },
                }),
                2,
                0,
                r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":32,"state":"ended","sinceMs":7,"lastedMs":9}"#,
            ),
            (
                RecordingEvent::StatusUpdate {
                    status: 5,
                    mode: Mode::Mix,
                    file_list: "a.m3u8".into(),
                    why: StatusReason::Notes(vec!["so"]),
                },
                3,
                0,
                r#"{"msgName":"cloud_recording_status_update","status":5,"recordingMode":1,"fileList":"a.m3u8","notes":["so"]}"#,
            ),
            (
                RecordingEvent::FileInfos { file_list: "p/a.m3u8".into() },
                4,
                0,
                r#"{"msgName":"cloud_recording_file_infos","fileList":"p/a.m3u8"}"#,
            ),
            (
                RecordingEvent::SessionExit {
                    status: ExitStatus::Normal,
                    verdict: Some(Verdict::Complete),
                    end_reason: Some("stopped"),
                },
                11,
                0,
                r#"{"msgName":"session_exit","exitStatus":0,"verdict":"complete","endReason":"stopped"}"#,
            ),
            (
                RecordingEvent::SessionFailover { uid: Uid::new("527").unwrap(), resumed: at, interrupted: WallMs(5) },
                12,
                0,
                r#"{"msgName":"session_failover","newUid":527,"resumedUtcMs":1700000000000,"interruptedUtcMs":5}"#,
            ),
            (RecordingEvent::StsExpired, 34, 2, r#"{"msgName":"STSExpired"}"#),
            (RecordingEvent::UploaderStarted, 30, 2, r#"{"msgName":"uploader_started","status":0}"#),
            (RecordingEvent::UploadingProgress(20_000), 33, 2, r#"{"msgName":"uploading_progress","progress":10000}"#),
            (RecordingEvent::RecorderStarted, 40, 1, r#"{"msgName":"recorder_started","status":0}"#),
            (
                RecordingEvent::RecorderLeave(LeaveCode::Stopped),
                41,
                1,
                r#"{"msgName":"recorder_leave","leaveCode":24}"#,
            ),
            (
                RecordingEvent::RecorderSliceStart { playlist: PlaylistId::Mix, start: at, discontinue: at },
                42,
                1,
                r#"{"msgName":"recorder_slice_start","startUtcMs":1700000000000,"discontinueUtcMs":1700000000000,"mixedAllUser":true,"streamUid":"0","trackType":"audio"}"#,
            ),
            (
                RecordingEvent::AudioStreamState { uid, receiving: true, at },
                43,
                1,
                r#"{"msgName":"recorder_audio_stream_state_changed","streamUid":"42","state":0,"UtcMs":1700000000000,"utcMs":1700000000000}"#,
            ),
        ];
        for (event, event_type, service_type, details) in expected {
            let event = event.encode();
            assert_eq!((event.event_type, event.service_type), (event_type, service_type));
            assert_eq!(event.details.to_string(), details);
        }
    }

    #[test]
    fn uploaded_files_are_a_list_with_both_spellings_of_the_name() {
        let uid = Uid::new("42").unwrap();
        let file = UploadedFile {
            file_name: "p/a.m3u8".into(),
            playlist: PlaylistId::Individual(uid),
            slice_start: WallMs(5),
        };
        let files = vec![file];
        let backuped = RecordingEvent::Backuped { files: files.clone(), verdict: None }.encode();
        let event = RecordingEvent::Uploaded { files, verdict: None }.encode();
        assert_eq!((backuped.event_type, backuped.service_type), (32, 2));
        assert_eq!(backuped.details["fileList"], event.details["fileList"]);
        assert_eq!(backuped.details["msgName"], "backuped");
        assert_eq!((event.event_type, event.service_type), (31, 2));
        assert_eq!(
            event.details.to_string(),
            r#"{"msgName":"uploaded","status":0,"fileList":[{"fileName":"p/a.m3u8","trackType":"audio","uid":"42","mixedAllUser":false,"isPlayable":true,"sliceStartTime":5,"filename":"p/a.m3u8"}]}"#
        );
    }

    #[test]
    fn a_field_of_ours_never_replaces_a_documented_one() {
        let event = RecordingEvent::UploaderStarted.encode().with("status", 1).with("test", true);
        assert_eq!(event.details.to_string(), r#"{"msgName":"uploader_started","status":0,"test":true}"#);
    }
}
