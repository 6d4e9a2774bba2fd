//! The end of channel sessions whose server was killed: who was in them left, and they are over. The server itself can't say so any
//! more; the next one can, from what was told.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reason_number;
use crate::notices::LeftReason;
use recorder_core::units::{ChannelEventType, WallMs};

/// What has to be told to end a session in good order at `now`: a leave of everybody who is told to be there, then the end of the
/// channel. `received` are the types and payloads of its events so far, in order.
pub fn departure(received: &[(ChannelEventType, Value)], now: WallMs) -> Vec<(ChannelEventType, Value)> {
    let mut there: BTreeMap<String, (ChannelEventType, &Value)> = BTreeMap::new();
    let (mut channel, mut last) = (Value::Null, Value::Null);
    for (event_type, payload) in received {
        channel.clone_from(&payload["channelName"]);
        let Some(account) = payload["account"].as_str() else { continue };
        last.clone_from(&payload["uid"]);
        match (event_type, event_type.leave_after()) {
            (ChannelEventType::BecameHost | ChannelEventType::BecameAudience, Some(leave)) => {
                if let Some((known, _)) = there.get_mut(account) {
                    *known = leave;
                }
            }
            (_, Some(leave)) => _ = there.insert(account.to_owned(), (leave, payload)),
            (_, None) => _ = there.remove(account),
        }
    }
    let has = |event_type| received.iter().any(|(one, _)| *one == event_type);
    if !has(ChannelEventType::Created) || has(ChannelEventType::Destroyed) {
        return Vec::new();
    }
    let seconds = now.0 / 1000;
    let mut notices: Vec<(ChannelEventType, Value)> = Vec::new();
    for ((leave, join), clock) in there.values().zip(now.0..) {
        let joined = join["ts"].as_u64().unwrap_or(seconds);
        let mut payload = Map::new();
        for (field, value) in join.as_object().into_iter().flatten() {
            match field.as_str() {
                "clientSeq" => {
                    payload.insert(field.clone(), json!(clock));
                    payload.insert("reason".into(), json!(reason_number(LeftReason::Shutdown)));
                    payload.insert("duration".into(), json!(seconds.saturating_sub(joined)));
                }
                "ts" => _ = payload.insert(field.clone(), json!(seconds)),
                _ => _ = payload.insert(field.clone(), value.clone()),
            }
        }
        last.clone_from(&join["uid"]);
        notices.push((*leave, Value::Object(payload)));
    }
    notices.push((ChannelEventType::Destroyed, json!({ "channelName": channel, "lastUid": last, "ts": seconds })));
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(number: u16, payload: Value) -> (ChannelEventType, Value) {
        (ChannelEventType::of(number).unwrap(), payload)
    }

    fn join(number: u16, account: &str) -> (ChannelEventType, Value) {
        let payload = json!({
            "channelName": "room", "uid": 7, "platform": 7, "clientSeq": 5, "ts": 1_000, "account": account,
        });
        received(number, payload)
    }

    #[test]
    fn everybody_who_is_there_leaves_as_what_they_are_and_the_channel_ends() {
        let log = [
            received(101, json!({ "channelName": "room", "ts": 1_000 })),
            join(103, "host"),
            join(105, "guest"),
            join(107, "gone"),
            join(108, "gone"),
            join(111, "guest"),
        ];
        let notices = departure(&log, WallMs(1_600_500));
        assert_eq!(notices.iter().map(|(event_type, _)| event_type.number()).collect::<Vec<_>>(), [104, 104, 102]);
        assert_eq!(
            notices[0].1.to_string(),
            r#"{"channelName":"room","uid":7,"platform":7,"clientSeq":1600500,"reason":4,"duration":600,"ts":1600,"account":"guest"}"#
        );
        assert!(notices[0].1["clientSeq"].as_u64() < notices[1].1["clientSeq"].as_u64());
        assert_eq!(notices[2].1.to_string(), r#"{"channelName":"room","lastUid":7,"ts":1600}"#);
    }

    #[test]
    fn what_is_over_is_told_nothing_more() {
        let created = received(101, json!({ "channelName": "room", "ts": 1 }));
        let over = [created.clone(), received(102, json!({ "channelName": "room", "lastUid": 7, "ts": 9 }))];
        assert!(departure(&over, WallMs(5)).is_empty());
        assert!(departure(&[join(107, "x")], WallMs(5)).is_empty(), "its beginning was never told");
        assert_eq!(departure(&[created], WallMs(5)).len(), 1);
    }
}
