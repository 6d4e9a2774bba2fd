//! A callback's body (facts/agora.md section 5): canonical JSON, made from a line of the log.

use crate::recording::Mode;
use crate::store::Event;
use crate::store::canonical::quoted;
use crate::units::WallMs;

/// The vendor's number for cloud recording.
const PRODUCT_ID: u8 = 3;

/// What is sent, byte for byte. `notify` is the time of this attempt; everything else is the same on each.
pub fn body(event: &Event, notify: WallMs) -> String {
    format!(
        r#"{{"noticeId":{},"productId":{PRODUCT_ID},"eventType":{},"notifyMs":{},"sid":{},"payload":{}}}"#,
        quoted(&event.notice_id),
        event.event_type,
        notify.0,
        quoted(event.sid.as_str()),
        payload(event),
    )
}

/// The event's line in the log in the bucket, with its line feed: the body without the time of an attempt.
pub fn log_line(event: &Event) -> String {
    format!(
        "{{\"noticeId\":{},\"productId\":{PRODUCT_ID},\"eventType\":{},\"sid\":{},\"payload\":{}}}\n",
        quoted(&event.notice_id),
        event.event_type,
        quoted(event.sid.as_str()),
        payload(event),
    )
}

fn payload(event: &Event) -> String {
    format!(
        r#"{{"cname":{},"uid":{},"sid":{},"sequence":{},"sendts":{},"serviceType":{},"serviceScene":{},"details":{}}}"#,
        quoted(event.cname.as_str()),
        quoted(event.uid.as_str()),
        quoted(event.sid.as_str()),
        event.sequence,
        event.sendts.0,
        event.service_type,
        quoted(scene(event.mode)),
        event.details,
    )
}

/// `mix_record` was seen for the mix; for individual tracks only `rtc_record` is documented that fits.
const fn scene(mode: Mode) -> &'static str {
    match mode {
        Mode::Mix | Mode::Both => "mix_record",
        Mode::Individual => "rtc_record",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{AppId, Cname, Sid, Uid};

    fn event() -> Event {
        Event {
            app: AppId::new(&"a".repeat(32)).unwrap(),
            cname: Cname::new("show").unwrap(),
            uid: Uid::new("999").unwrap(),
            mode: Mode::Mix,
            sid: Sid::from_random([0x1d; 16]),
            sequence: 3,
            notice_id: "0".repeat(32),
            event_type: 1,
            service_type: 0,
            details: r#"{"msgName":"cloud_recording_error"}"#.into(),
            sendts: WallMs(1_700_000_000_000),
        }
    }

    #[test]
    fn a_body_has_the_observed_envelope() {
        let sid = "1d".repeat(16);
        assert_eq!(
            body(&event(), WallMs(1_700_000_000_777)),
            format!(
                r#"{{"noticeId":"{}","productId":3,"eventType":1,"notifyMs":1700000000777,"sid":"{sid}","payload":{{"cname":"show","uid":"999","sid":"{sid}","sequence":3,"sendts":1700000000000,"serviceType":0,"serviceScene":"mix_record","details":{{"msgName":"cloud_recording_error"}}}}}}"#,
                "0".repeat(32),
            )
        );
    }

    #[test]
    fn a_log_line_is_the_body_without_the_attempt() {
        let line = log_line(&event());
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        assert_eq!(line.trim_end(), body(&event(), WallMs(7)).replace(r#""notifyMs":7,"#, ""));
    }
}
