//! docs/protocol/agora.md section 5.1, row by row: the events that audio can cause, with their documented details. Fields of ours may
//! follow the documented ones.

use cloud_recorder::callback::event::{
    BackupState, ErrorCode, ErrorEvent, ErrorLevel, ExitStatus, LeaveCode, Module, PROGRESS_COMPLETE, RecordingEvent,
    StatusReason, UploadWarning, UploadedFile, Warning,
};
use cloud_recorder::callback::samples::samples;
use cloud_recorder::recording::{Mode, PlaylistId};
use cloud_recorder::units::{RECORDING_EVENTS, Uid, WallMs};
use serde_json::{Value, json};

const AT: WallMs = WallMs(1_700_000_000_000);

/// The event's number, service and details begin like this, fields in this order.
fn is(event: &RecordingEvent, number: u16, service: u8, details: &Value) {
    assert_eq!(event.number(), number);
    let event = event.encode();
    assert_eq!((event.event_type, event.service_type), (number, service));
    let documented = details.as_object().unwrap();
    let own = event.details.as_object().unwrap();
    let begin: Vec<_> = own.iter().take(documented.len()).collect();
    assert_eq!(begin, documented.iter().collect::<Vec<_>>());
}

fn uid(text: &str) -> Uid {
    Uid::new(text).unwrap()
}

/// Row 1: `module` 0 recorder, 1 uploader, 2 platform; `errorLevel` 1 debug to 5 fatal; `errorCode`, `stat`, `errorMsg`.
#[test]
fn row_1_an_error() {
    let modules = [(Module::Recorder, 0), (Module::Uploader, 1), (Module::Platform, 2)];
    let levels = [ErrorLevel::Debug, ErrorLevel::Minor, ErrorLevel::Medium, ErrorLevel::Major, ErrorLevel::Fatal];
    for (module, number) in modules {
        for (level, grade) in levels.into_iter().zip(1..) {
            let expected = json!({
                "msgName": "cloud_recording_error", "module": number, "errorLevel": grade, "errorCode": 110, "stat": 0,
                "errorMsg": "why",
            });
            let error = ErrorEvent::new(module, level, ErrorCode::WrongToken, "why");
            is(&RecordingEvent::Error(error), 1, 0, &expected);
        }
    }
}

/// Row 2: `module` 0 or 1; `warnCode` 31 uploaded again to the customer's storage, 32 to the backup.
#[test]
fn row_2_a_warning() {
    let retrying = Warning::Upload(UploadWarning::Retrying { reason: "bucket_busy", waiting: None });
    let backup = Warning::Backup { since: AT, state: BackupState::Recovered };
    for (warning, code) in [(retrying, 31), (backup, 32)] {
        let expected = json!({"msgName": "cloud_recording_warning", "module": 1, "warnCode": code});
        is(&RecordingEvent::Warning(warning), 2, 0, &expected);
    }
}

/// Row 3: `status`, `recordingMode` as in English, `fileList` a string. When it is sent: tests/rest
/// `calls_that_do_not_fit_are_told`.
#[test]
fn row_3_a_status_update() {
    for (mode, number) in [(Mode::Individual, 0), (Mode::Mix, 1)] {
        let expected = json!({
            "msgName": "cloud_recording_status_update", "status": 5, "recordingMode": number, "fileList": "a.m3u8",
        });
        let why = StatusReason::Call("already_started");
        is(&RecordingEvent::StatusUpdate { status: 5, mode, file_list: "a.m3u8".into(), why }, 3, 0, &expected);
    }
}

/// Row 4: `fileList` is a string.
#[test]
fn row_4_a_playlist_is_there() {
    let expected = json!({"msgName": "cloud_recording_file_infos", "fileList": "p/a.m3u8"});
    is(&RecordingEvent::FileInfos { file_list: "p/a.m3u8".into() }, 4, 0, &expected);
}

/// Row 11: `exitStatus` 0 normal, after the upload, or 1 abnormal.
#[test]
fn row_11_the_session_exits() {
    for (status, number) in [(ExitStatus::Normal, 0), (ExitStatus::Abnormal, 1)] {
        let exit = RecordingEvent::SessionExit { status, verdict: None, end_reason: None };
        is(&exit, 11, 0, &json!({"msgName": "session_exit", "exitStatus": number}));
    }
}

/// Row 12: `newUid` is a number. When it is sent: tests/rest `a_failover_is_told`.
#[test]
fn row_12_a_failover() {
    let said = RecordingEvent::SessionFailover { uid: uid("4294967295"), resumed: AT, interrupted: AT };
    is(&said, 12, 0, &json!({"msgName": "session_failover", "newUid": 4_294_967_295_u64}));
}

/// Row 30: "status 0 ok".
#[test]
fn row_30_the_uploader_starts() {
    is(&RecordingEvent::UploaderStarted, 30, 2, &json!({"msgName": "uploader_started", "status": 0}));
}

/// Row 31: `status`, and `fileList` of objects as in section 1.3.
#[test]
fn row_31_everything_is_uploaded() {
    let file = |name: &str, playlist| UploadedFile { file_name: name.into(), playlist, slice_start: AT };
    let files = vec![file("p/mix.m3u8", PlaylistId::Mix), file("p/42.m3u8", PlaylistId::Individual(uid("42")))];
    let said = RecordingEvent::Uploaded { files, verdict: None }.encode();
    assert_eq!((said.event_type, said.service_type, &said.details["status"]), (31, 2, &json!(0)));
    let list = said.details["fileList"].as_array().unwrap();
    for (entry, (name, uid, mixed)) in list.iter().zip([("p/mix.m3u8", "0", true), ("p/42.m3u8", "42", false)]) {
        let fields: Vec<_> = entry.as_object().unwrap().keys().take(6).collect();
        assert_eq!(fields, ["fileName", "trackType", "uid", "mixedAllUser", "isPlayable", "sliceStartTime"]);
        assert_eq!((&entry["fileName"], &entry["trackType"]), (&json!(name), &json!("audio")));
        assert_eq!((&entry["uid"], &entry["mixedAllUser"]), (&json!(uid), &json!(mixed)));
        assert_eq!((&entry["isPlayable"], &entry["sliceStartTime"]), (&json!(true), &json!(AT)));
    }
}

/// Row 32: "same as 31".
#[test]
fn row_32_something_is_in_the_backup() {
    let files = vec![UploadedFile { file_name: "p/mix.m3u8".into(), playlist: PlaylistId::Mix, slice_start: AT }];
    let backuped = RecordingEvent::Backuped { files: files.clone(), verdict: None };
    let uploaded = RecordingEvent::Uploaded { files, verdict: None }.encode();
    is(&backuped, 32, 2, &json!({"msgName": "backuped", "status": 0}));
    assert_eq!(backuped.encode().details["fileList"], uploaded.details["fileList"]);
}

/// Row 33: `progress` from 0 to 10,000.
#[test]
fn row_33_upload_progress() {
    for (progress, told) in [(0, 0), (5_000, 5_000), (PROGRESS_COMPLETE, 10_000), (u16::MAX, 10_000)] {
        let expected = json!({"msgName": "uploading_progress", "progress": told});
        is(&RecordingEvent::UploadingProgress(progress), 33, 2, &expected);
    }
}

/// Row 34: `STSExpired`, of which nothing but the name is known.
#[test]
fn row_34_temporary_credentials_expired() {
    is(&RecordingEvent::StsExpired, 34, 2, &json!({"msgName": "STSExpired"}));
}

/// Row 40: "status 0 ok".
#[test]
fn row_40_the_recorder_starts() {
    is(&RecordingEvent::RecorderStarted, 40, 1, &json!({"msgName": "recorder_started", "status": 0}));
}

/// Row 41: `leaveCode` has bits: 0 start failed, 2 signal, 4 idle, 8 timer, 16 stop; 24 was seen on a normal stop.
#[test]
fn row_41_the_recorder_leaves() {
    for (code, bits) in
        [(LeaveCode::InitFailed, 0), (LeaveCode::Interrupted, 2), (LeaveCode::Idle, 4), (LeaveCode::Stopped, 16 | 8)]
    {
        is(&RecordingEvent::RecorderLeave(code), 41, 1, &json!({"msgName": "recorder_leave", "leaveCode": bits}));
    }
}

/// Row 42: `startUtcMs`, `discontinueUtcMs`, `mixedAllUser`, `streamUid` (`"0"` in a mix), `trackType`.
#[test]
fn row_42_a_first_slice() {
    let before = WallMs(AT.0 - 30_000);
    for (playlist, mixed, stream) in [(PlaylistId::Mix, true, "0"), (PlaylistId::Individual(uid("42")), false, "42")] {
        let expected = json!({
            "msgName": "recorder_slice_start", "startUtcMs": AT, "discontinueUtcMs": before, "mixedAllUser": mixed,
            "streamUid": stream, "trackType": "audio",
        });
        is(&RecordingEvent::RecorderSliceStart { playlist, start: AT, discontinue: before }, 42, 1, &expected);
    }
}

/// Row 43: `streamUid`, `state` 0 receiving or 1 not, and the time as `UtcMs` and `utcMs`: both spellings.
#[test]
fn row_43_a_stream_comes_or_goes() {
    for (receiving, state) in [(true, 0), (false, 1)] {
        let expected = json!({
            "msgName": "recorder_audio_stream_state_changed", "streamUid": "42", "state": state, "UtcMs": AT, "utcMs": AT,
        });
        is(&RecordingEvent::AudioStreamState { uid: uid("42"), receiving, at: AT }, 43, 1, &expected);
    }
}

/// The other rows: 13 and 46, whose messages nobody has published; 44, 45, 47 and from 60 on are about
/// video, snapshots, web pages, transcoding and pushing.
#[test]
fn no_other_row_is_claimed() {
    let sent: Vec<u16> = samples(AT).iter().map(RecordingEvent::number).collect();
    let others: Vec<u16> = RECORDING_EVENTS.into_iter().filter(|number| !sent.contains(number)).collect();
    assert_eq!(others, [13, 44, 45, 46, 47, 60, 61, 70, 71, 72, 73, 80, 81, 90, 100, 1001]);
}

/// A receiver that the examples are for can rely on their shape: details begin with msgName.
#[test]
fn every_example_begins_with_its_name() {
    for sample in samples(AT) {
        let details = sample.encode().details;
        let (name, value) = details.as_object().unwrap().iter().next().unwrap();
        assert!(name == "msgName" && value.is_string(), "{sample:?}");
    }
}
