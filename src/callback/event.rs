//! The events and their documented details (docs/protocol/agora.md section 5.1), ready for the log.
//!
//! The functions are named for the vendor's `msgName` where that says enough. Fields of ours may be added with
//! [`NewEvent::with`]; the documented ones keep their names, types and meaning. Times are UTC milliseconds.

mod key;

use serde_json::{Value, json};

pub use self::key::EventKey;
use crate::recording::{Mode, PlaylistId, TrackKind};
use crate::store::NewEvent;
use crate::units::{Uid, WallMs};

const PLATFORM: u8 = 0;
const RECORDER: u8 = 1;
const UPLOADER: u8 = 2;

/// The `streamUid` of everybody mixed.
const EVERYBODY: &str = "0";

/// [`uploading_progress`] when everything is in the bucket.
pub const PROGRESS_COMPLETE: u16 = 10_000;

/// `errorCode` of a recording whose end takes too long.
pub const UPLOAD_TIMEOUT: u32 = 50;

/// `warnCode` of a track that can't be read. The vendor's recorder has no code for it.
pub const UNREADABLE_TRACK: u32 = 1;

/// `reason` of the error that says that no more whole files are made.
pub const FILES_GIVEN_UP: &str = "files_given_up";

/// `errorCode` of what this recorder did wrong (the vendor's SDK: a failure without a name).
pub const OWN_FAULT: u32 = 1;

/// `reason` of the error that says that a ledger does not add up.
pub const LEDGER_INCONSISTENT: &str = "ledger_inconsistent";

/// Which part an error or a warning comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A playlist in the bucket, for [`uploaded`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// The full object key with its prefix.
    pub file_name: String,
    /// What it holds.
    pub playlist: PlaylistId,
    /// When its first slice starts.
    pub slice_start: WallMs,
}

/// Event 1: an error. `code` is 32 (storage configuration), 47 (upload), 51 (file) for the uploader, 50 or 52 (time-outs of
/// upload and start) for the platform, a REST or SDK code for the recorder. `message` is for people and holds no secret.
pub fn error(module: Module, level: ErrorLevel, code: u32, message: &str) -> NewEvent {
    event(
        1,
        PLATFORM,
        json!({
            "msgName": "cloud_recording_error",
            "module": module as u8,
            "errorLevel": level as u8,
            "errorCode": code,
            "stat": 0,
            "errorMsg": message,
        }),
    )
}

/// Event 2: a warning. `code` is 31 (uploaded to the customer's bucket again) or 32 (to the backup) for the uploader,
/// [`UNREADABLE_TRACK`] for the recorder.
pub fn warning(module: Module, code: u32) -> NewEvent {
    event(2, PLATFORM, json!({"msgName": "cloud_recording_warning", "module": module as u8, "warnCode": code}))
}

/// Event 2 about a track that can't be read, so that what is said on it is missing: `number` tells the tracks of one uid and kind apart,
/// `from` is when it was published. None for a track that can be read.
pub fn unreadable_track(uid: &Uid, kind: TrackKind, number: u64, from: WallMs) -> Option<NewEvent> {
    let reason = kind.coding.unreadable()?;
    let said = warning(Module::Recorder, UNREADABLE_TRACK)
        .with("reason", json!(reason))
        .with("streamUid", uid.as_str())
        .with("trackSource", json!(kind.source))
        .with("number", number)
        .with("fromMs", from.0);
    Some(said)
}

/// Event 3: a call does not fit the current state. `status` as in `query` (docs/protocol/agora.md section 1.3); `file_list` the
/// playlist's name or empty. `recordingMode` as the current English documents have it: 0 individual, 1 composite.
pub fn status_update(status: u8, mode: Mode, file_list: &str) -> NewEvent {
    event(
        3,
        PLATFORM,
        json!({
            "msgName": "cloud_recording_status_update",
            "status": status,
            "recordingMode": u8::from(mode.mixes()),
            "fileList": file_list,
        }),
    )
}

/// Event 4: a playlist is in the bucket for the first time; once a playlist. `file_list` is its full object key: a string
/// here, a list in event 31.
pub fn file_infos(file_list: &str) -> NewEvent {
    event(4, PLATFORM, json!({"msgName": "cloud_recording_file_infos", "fileList": file_list}))
}

/// Event 11: the session is over.
pub fn session_exit(status: ExitStatus) -> NewEvent {
    event(11, PLATFORM, json!({"msgName": "session_exit", "exitStatus": status as u8}))
}

/// Event 12: the worker that recorded died, or was replaced, and the recording goes on. The vendor's recorder comes back with a
/// random uid; ours keeps its own, which `newUid` repeats as a number. Between `interrupted` and `resumed` nothing was recorded.
pub fn session_failover(uid: &Uid, resumed: WallMs, interrupted: WallMs) -> NewEvent {
    let number = uid.as_str().parse::<u32>().unwrap_or_default();
    let details = json!({
        "msgName": "session_failover",
        "newUid": number,
        "resumedUtcMs": resumed.0,
        "interruptedUtcMs": interrupted.0,
    });
    event(12, PLATFORM, details)
}

/// Event 30: uploads have begun to be possible.
pub fn uploader_started() -> NewEvent {
    event(30, UPLOADER, json!({"msgName": "uploader_started", "status": 0}))
}

/// Event 31: all files are in the customer's bucket. The order of `files` matters: receivers take the first one's start as
/// the recording's. `filename` is a copy for those that read the older name.
pub fn uploaded(files: &[UploadedFile]) -> NewEvent {
    event(31, UPLOADER, json!({"msgName": "uploaded", "status": 0, "fileList": list(files)}))
}

/// Event 32: the recording is over, and at least one file is in the backup bucket alone. It is on its way to the customer's: event 31
/// follows when all are there. Details as of 31; names are those in the customer's bucket.
pub fn backuped(files: &[UploadedFile]) -> NewEvent {
    event(32, UPLOADER, json!({"msgName": "backuped", "status": 0, "fileList": list(files)}))
}

/// Event 33: how much is uploaded of what is recorded, in ten-thousandths, at most once a minute.
/// [`PROGRESS_COMPLETE`] says that the recorder is gone too; larger values are taken for it.
pub fn uploading_progress(progress: u16) -> NewEvent {
    event(33, UPLOADER, json!({"msgName": "uploading_progress", "progress": progress.min(PROGRESS_COMPLETE)}))
}

/// Event 34: the temporary credentials of the bucket have expired; `update` with a fresh `storageConfig` brings new ones. The
/// vendor names it in its console alone, so nothing but the name is known.
pub fn sts_expired() -> NewEvent {
    event(34, UPLOADER, json!({"msgName": "STSExpired"}))
}

/// Event 40: the recorder is in the channel.
pub fn recorder_started() -> NewEvent {
    event(40, RECORDER, json!({"msgName": "recorder_started", "status": 0}))
}

/// Event 41: the recorder left the channel.
pub fn recorder_leave(code: LeaveCode) -> NewEvent {
    event(41, RECORDER, json!({"msgName": "recorder_leave", "leaveCode": code as u8}))
}

/// Event 42: the first slice of a playlist begins, or the first one after an interruption. `discontinue` is `start`, or
/// after an interruption the end of the last good slice. The playlist of a further source of a uid says `source`.
pub fn recorder_slice_start(playlist: &PlaylistId, start: WallMs, discontinue: WallMs) -> NewEvent {
    let mut details = json!({
        "msgName": "recorder_slice_start",
        "startUtcMs": start.0,
        "discontinueUtcMs": discontinue.0,
        "mixedAllUser": is_mix(playlist),
        "streamUid": stream_uid(playlist),
        "trackType": "audio",
    });
    say_source(playlist, &mut details);
    event(42, RECORDER, details)
}

/// Event 43: a member's audio arrives (state 0), or no longer (state 1). The documents spell the time `UtcMs`, the original
/// was seen to send `utcMs`: both are there.
pub fn audio_stream_state(uid: &Uid, receiving: bool, at: WallMs) -> NewEvent {
    event(
        43,
        RECORDER,
        json!({
            "msgName": "recorder_audio_stream_state_changed",
            "streamUid": uid.as_str(),
            "state": u8::from(!receiving),
            "UtcMs": at.0,
            "utcMs": at.0,
        }),
    )
}

const fn event(event_type: u16, service_type: u8, details: Value) -> NewEvent {
    NewEvent { event_type, service_type, details }
}

fn list(files: &[UploadedFile]) -> Vec<Value> {
    files.iter().map(uploaded_file).collect()
}

fn uploaded_file(file: &UploadedFile) -> Value {
    let mut entry = json!({
        "fileName": file.file_name,
        "trackType": "audio",
        "uid": stream_uid(&file.playlist),
        "mixedAllUser": is_mix(&file.playlist),
        "isPlayable": true,
        "sliceStartTime": file.slice_start.0,
        "filename": file.file_name,
    });
    say_source(&file.playlist, &mut entry);
    entry
}

/// Ours: which further source of a uid it is.
fn say_source(playlist: &PlaylistId, details: &mut Value) {
    if let Some(source) = playlist.source() {
        details["source"] = json!(source);
    }
}

fn stream_uid(playlist: &PlaylistId) -> &str {
    playlist.uid().map_or(EVERYBODY, Uid::as_str)
}

const fn is_mix(playlist: &PlaylistId) -> bool {
    matches!(playlist, PlaylistId::Mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_the_documented_ones() {
        let uid = Uid::new("42").unwrap();
        let at = WallMs(1_700_000_000_000);
        let expected = [
            (
                error(Module::Platform, ErrorLevel::Fatal, 110, ""),
                1,
                0,
                r#"{"msgName":"cloud_recording_error","module":2,"errorLevel":5,"errorCode":110,"stat":0,"errorMsg":""}"#,
            ),
            (warning(Module::Uploader, 31), 2, 0, r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":31}"#),
            (
                status_update(5, Mode::Mix, "a.m3u8"),
                3,
                0,
                r#"{"msgName":"cloud_recording_status_update","status":5,"recordingMode":1,"fileList":"a.m3u8"}"#,
            ),
            (file_infos("p/a.m3u8"), 4, 0, r#"{"msgName":"cloud_recording_file_infos","fileList":"p/a.m3u8"}"#),
            (session_exit(ExitStatus::Normal), 11, 0, r#"{"msgName":"session_exit","exitStatus":0}"#),
            (
                session_failover(&Uid::new("527").unwrap(), at, WallMs(5)),
                12,
                0,
                r#"{"msgName":"session_failover","newUid":527,"resumedUtcMs":1700000000000,"interruptedUtcMs":5}"#,
            ),
            (sts_expired(), 34, 2, r#"{"msgName":"STSExpired"}"#),
            (uploader_started(), 30, 2, r#"{"msgName":"uploader_started","status":0}"#),
            (uploading_progress(20_000), 33, 2, r#"{"msgName":"uploading_progress","progress":10000}"#),
            (recorder_started(), 40, 1, r#"{"msgName":"recorder_started","status":0}"#),
            (recorder_leave(LeaveCode::Stopped), 41, 1, r#"{"msgName":"recorder_leave","leaveCode":24}"#),
            (
                recorder_slice_start(&PlaylistId::Mix, at, at),
                42,
                1,
                r#"{"msgName":"recorder_slice_start","startUtcMs":1700000000000,"discontinueUtcMs":1700000000000,"mixedAllUser":true,"streamUid":"0","trackType":"audio"}"#,
            ),
            (
                audio_stream_state(&uid, true, at),
                43,
                1,
                r#"{"msgName":"recorder_audio_stream_state_changed","streamUid":"42","state":0,"UtcMs":1700000000000,"utcMs":1700000000000}"#,
            ),
        ];
        for (event, event_type, service_type, details) in expected {
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
        let backuped = backuped(std::slice::from_ref(&file));
        let event = uploaded(&[file]);
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
        let event = session_exit(ExitStatus::Normal).with("exitStatus", 1).with("verdict", "complete");
        assert_eq!(event.details.to_string(), r#"{"msgName":"session_exit","exitStatus":0,"verdict":"complete"}"#);
    }
}
