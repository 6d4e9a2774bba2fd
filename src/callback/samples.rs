//! Every event of a recording that this program sends, once, as an example: for the reference page, for test events, and for
//! whoever writes a receiver. Of a recording in channel `test_webhook`, where the vendor's own test events happen too.

use super::event::{
    ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, ExitStatus, LeaveCode, Module, PROGRESS_COMPLETE, RecordingEvent,
    StatusReason, UploadWarning, UploadedFile, Warning,
};
use crate::recording::{Mode, PlaylistId, Verdict};
use crate::store::{Event, NewEvent, canonical};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// The vendor's own test channel and uid.
const CNAME: &str = "test_webhook";
const UID: &str = "12121212";

/// The examples, by number. `now` is the time in them.
pub fn samples(now: WallMs) -> Vec<RecordingEvent> {
    let before = |ms: u64| WallMs(now.0.saturating_sub(ms));
    let key = format!("recordings/{}_{CNAME}.m3u8", sid());
    let speaker = Uid::new("42").expect("two digits are a uid");
    let files = vec![UploadedFile { file_name: key.clone(), playlist: PlaylistId::Mix, slice_start: before(60_000) }];
    let verdict = Some(Verdict::Complete);
    let denied = "bucket recordings refuses the access key for writing; grant it PutObject";
    vec![
        RecordingEvent::Error(
            ErrorEvent::new(Module::Uploader, ErrorLevel::Medium, ErrorCode::StorageConfiguration, denied)
                .because(ErrorReason::Upload("bucket_access_denied")),
        ),
        RecordingEvent::Warning(Warning::Upload(UploadWarning::Retrying { reason: "bucket_busy", waiting: None })),
        RecordingEvent::StatusUpdate {
            status: 5,
            mode: Mode::Mix,
            file_list: key.clone(),
            why: StatusReason::Call("already_started"),
        },
        RecordingEvent::FileInfos { file_list: key },
        RecordingEvent::SessionExit { status: ExitStatus::Normal, verdict, end_reason: Some("stopped") },
        RecordingEvent::SessionFailover {
            uid: Uid::new(UID).expect("digits are a uid"),
            resumed: now,
            interrupted: before(4_000),
        },
        RecordingEvent::UploaderStarted,
        RecordingEvent::Uploaded { files: files.clone(), verdict },
        RecordingEvent::Backuped { files, verdict },
        RecordingEvent::UploadingProgress(PROGRESS_COMPLETE),
        RecordingEvent::StsExpired,
        RecordingEvent::RecorderStarted,
        RecordingEvent::RecorderLeave(LeaveCode::Stopped),
        RecordingEvent::RecorderSliceStart {
            playlist: PlaylistId::Mix,
            start: before(60_000),
            discontinue: before(60_000),
        },
        RecordingEvent::AudioStreamState { uid: speaker, receiving: true, at: now },
    ]
}

/// An example as a line of the log.
pub fn line(app: &AppId, new: &NewEvent, now: WallMs, notice_id: String) -> Event {
    Event {
        app: app.clone(),
        cname: Cname::new(CNAME).expect("letters are a channel's name"),
        uid: Uid::new(UID).expect("digits are a uid"),
        mode: Mode::Mix,
        sid: sid(),
        sequence: 0,
        notice_id,
        event_type: new.event_type,
        service_type: new.service_type,
        details: canonical::render(&new.details),
        sendts: now,
    }
}

/// Of no recording.
fn sid() -> Sid {
    Sid::from_random([0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::EventType;

    #[test]
    fn examples_are_the_vendors_events_in_their_order() {
        let types = samples(WallMs(1_700_000_000_000)).iter().map(RecordingEvent::event_type).collect::<Vec<_>>();
        assert_eq!(types, EventType::ALL);
    }
}
