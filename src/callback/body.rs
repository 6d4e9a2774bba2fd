//! A callback's body (docs/protocol/agora.md sections 5 and 6): canonical JSON, made from a line of the log, or from what happened in a
//! channel.

use crate::recording::Mode;
use crate::store::canonical::quoted;
use crate::store::{ChannelNotice, Deliverable, Event};
use crate::units::WallMs;

/// The vendor's number for cloud recording.
const PRODUCT_ID: u8 = 3;
/// The vendor's number for what happens in channels.
const CHANNEL_PRODUCT_ID: u8 = 1;

/// A line that can be sent.
pub(super) trait Sendable: Deliverable {
    /// The vendor's name of the product, for logs.
    const PRODUCT: &'static str;

    /// What is sent at `notify`.
    fn body(&self, notify: WallMs) -> String;
}

impl Sendable for Event {
    const PRODUCT: &'static str = "recording";

    fn body(&self, notify: WallMs) -> String {
        body(self, notify)
    }
}

impl Sendable for ChannelNotice {
    const PRODUCT: &'static str = "channel";

    fn body(&self, notify: WallMs) -> String {
        channel_body(self, notify)
    }
}

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

/// What is sent of a channel event, byte for byte; its fields in the order that was observed.
pub fn channel_body(notice: &ChannelNotice, notify: WallMs) -> String {
    format!(
        r#"{{"sid":{},"noticeId":{},"productId":{CHANNEL_PRODUCT_ID},"eventType":{},"notifyMs":{},"payload":{}}}"#,
        quoted(notice.session.as_str()),
        quoted(&notice.notice_id),
        notice.event_type,
        notify.0,
        notice.payload,
    )
}

/// The event as the log has it, with a line feed: the body without the time of an attempt. In the bucket each line also names
/// the one before it ([`super::LogChain`]).
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
    use crate::units::{AppId, ChannelSid, Cname, Sid, Uid};

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
    fn a_channel_event_has_the_observed_body() {
        let notice = ChannelNotice {
            app: AppId::new(&"a".repeat(32)).unwrap(),
            session: ChannelSid::from_random([0x1d; 16]),
            sequence: 7,
            notice_id: "1217926940:819614:102".into(),
            event_type: 102,
            payload: r#"{"channelName":"show","lastUid":539647,"ts":1700000000}"#.into(),
            written: WallMs(1_700_000_000_000),
        };
        assert_eq!(
            channel_body(&notice, WallMs(1_700_000_000_777)),
            format!(
                r#"{{"sid":"{}","noticeId":"1217926940:819614:102","productId":1,"eventType":102,"notifyMs":1700000000777,"payload":{{"channelName":"show","lastUid":539647,"ts":1700000000}}}}"#,
                "1D".repeat(16),
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
