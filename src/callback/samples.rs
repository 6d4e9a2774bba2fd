//! Every event of a recording that this program sends, once, as an example: for the reference page, for test events, and for
//! whoever writes a receiver. Of a recording in channel `test_webhook`, where the vendor's own test events happen too.

use super::event::{self, ErrorLevel, ExitStatus, LeaveCode, Module, PROGRESS_COMPLETE, UploadedFile, error, warning};
use crate::recording::{Mode, PlaylistId};
use crate::store::{Event, NewEvent, canonical};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// The vendor's own test channel and uid.
const CNAME: &str = "test_webhook";
const UID: &str = "12121212";

/// The examples, by number. `now` is the time in them.
pub fn samples(now: WallMs) -> Vec<NewEvent> {
    let before = |ms: u64| WallMs(now.0.saturating_sub(ms));
    let key = format!("recordings/{}_{CNAME}.m3u8", sid());
    let speaker = Uid::new("42").expect("two digits are a uid");
    let file = UploadedFile { file_name: key.clone(), playlist: PlaylistId::Mix, slice_start: before(60_000) };
    let denied = "bucket recordings refuses the access key for writing; grant it PutObject";
    vec![
        error(Module::Uploader, ErrorLevel::Medium, 32, denied).with("reason", "bucket_access_denied"),
        warning(Module::Uploader, 31).with("state", "retrying").with("reason", "bucket_busy"),
        event::status_update(5, Mode::Mix, &key).with("reason", "already_started"),
        event::file_infos(&key),
        event::session_exit(ExitStatus::Normal).with("verdict", "complete").with("endReason", "stopped"),
        event::session_failover(&Uid::new(UID).expect("digits are a uid"), now, before(4_000)),
        event::uploader_started(),
        event::uploaded(std::slice::from_ref(&file)).with("verdict", "complete"),
        event::backuped(std::slice::from_ref(&file)).with("verdict", "complete"),
        event::uploading_progress(PROGRESS_COMPLETE),
        event::sts_expired(),
        event::recorder_started(),
        event::recorder_leave(LeaveCode::Stopped),
        event::recorder_slice_start(&PlaylistId::Mix, before(60_000), before(60_000)),
        event::audio_stream_state(&speaker, true, now),
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
    use crate::units::RECORDING_EVENTS;

    #[test]
    fn examples_are_the_vendors_events_in_their_order() {
        let numbers: Vec<u16> = samples(WallMs(1_700_000_000_000)).iter().map(|sample| sample.event_type).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(numbers.iter().all(|number| RECORDING_EVENTS.contains(number)));
    }
}
