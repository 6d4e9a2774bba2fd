//! The vendor's channel events (productId 1; docs/protocol/agora.md section 6), made from the notices of the rooms.
//!
//! A recorder is a member like the others here, told apart by its `clientType`, as with the original. Times and durations on
//! the wire are seconds. A member that is no number has one made from its identity; `account` always is the identity.

mod departure;
mod samples;

use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

pub use departure::departure;

use super::ids::uid_number;
use super::notices::{LeftReason, MemberInfo, RoomEvent, RoomNotice};
use super::platform::Platform;
use super::roles::Role;
use recorder_core::units::{AppId, ChannelEventType, ChannelSid, Cname, Uid, WallMs};

/// `clientType` of a cloud recorder.
const CLOUD_RECORDING: u8 = 10;

/// One event of one channel's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelEvent {
    /// Whose channel.
    pub app: AppId,
    /// Which channel.
    pub cname: Cname,
    /// Its session: the `sid` of the vendor's body.
    pub session: ChannelSid,
    /// Rises with every event of the server: the `clientSeq` of events that have one.
    pub sequence: u64,
    /// When.
    pub at: WallMs,
    /// What.
    pub kind: ChannelEventKind,
}

/// What can happen in a channel, as the vendor counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEventKind {
    /// 101: its first member comes.
    Created,
    /// 102: its last member has gone, a while ago.
    Destroyed {
        /// Who that was.
        last: Uid,
    },
    /// 103 a host, 105 audience, 107 in a communication channel.
    Joined(MemberInfo),
    /// 104 a host, 106 audience, 108 in a communication channel; by the role at the end.
    Left {
        /// Who.
        who: MemberInfo,
        /// Why.
        reason: LeftReason,
    },
    /// 111 host, 112 audience.
    RoleChanged {
        /// Who.
        uid: Uid,
        /// What it is now.
        role: Role,
    },
}

impl ChannelEvent {
    /// The event in a notice; none in notices of tracks.
    pub fn of(notices: RoomNotice) -> Option<Self> {
        let RoomNotice { app, cname, session, sequence, at, event } = notices;
        let kind = match event {
            RoomEvent::Opened => ChannelEventKind::Created,
            RoomEvent::Closed { last } => ChannelEventKind::Destroyed { last },
            RoomEvent::Joined(who) => ChannelEventKind::Joined(who),
            RoomEvent::Left { who, reason } => ChannelEventKind::Left { who, reason },
            RoomEvent::RoleChanged { uid, role } => ChannelEventKind::RoleChanged { uid, role },
            RoomEvent::Published { .. } | RoomEvent::Unpublished { .. } | RoomEvent::Muted { .. } => return None,
        };
        Some(Self { app, cname, session, sequence, at, kind })
    }

    /// Which event it is.
    pub const fn event_type(&self) -> ChannelEventType {
        match &self.kind {
            ChannelEventKind::Created => ChannelEventType::Created,
            ChannelEventKind::Destroyed { .. } => ChannelEventType::Destroyed,
            ChannelEventKind::Joined(who) => match who.role {
                Role::Host => ChannelEventType::HostJoined,
                Role::Audience => ChannelEventType::AudienceJoined,
                Role::User => ChannelEventType::UserJoined,
            },
            ChannelEventKind::Left { who, .. } => match who.role {
                Role::Host => ChannelEventType::HostLeft,
                Role::Audience => ChannelEventType::AudienceLeft,
                Role::User => ChannelEventType::UserLeft,
            },
            ChannelEventKind::RoleChanged { role, .. } => match role {
                Role::Host | Role::User => ChannelEventType::BecameHost,
                Role::Audience => ChannelEventType::BecameAudience,
            },
        }
    }

    /// The vendor's number for it.
    pub const fn number(&self) -> u16 {
        self.event_type().number()
    }

    /// What makes it the same event after a crash. A room forgets everything with its server, so nothing that happened in it is made
    /// again; but the next server ends the sessions of the one before ([`departure`]), and each ends once.
    pub fn identity(&self) -> Option<(ChannelSid, ChannelEventType)> {
        let event_type = self.event_type();
        event_type.is_once().then(|| (self.session.clone(), event_type))
    }

    /// The vendor's `payload`, its fields in the documented order.
    pub fn payload(&self) -> Value {
        let mut payload = Map::new();
        let mut put = |name: &str, value: Value| payload.insert(name.to_owned(), value);
        put("channelName", json!(self.cname));
        match &self.kind {
            ChannelEventKind::Created => {}
            ChannelEventKind::Destroyed { last } => _ = put("lastUid", json!(uid_number(last))),
            ChannelEventKind::Joined(who) | ChannelEventKind::Left { who, .. } => {
                put("uid", json!(uid_number(&who.uid)));
                let platform = if who.recorder { Platform::Linux } else { who.platform };
                put("platform", json!(platform.number()));
                if who.recorder {
                    put("clientType", json!(CLOUD_RECORDING));
                }
                put("clientSeq", json!(self.sequence));
            }
            ChannelEventKind::RoleChanged { uid, .. } => {
                put("uid", json!(uid_number(uid)));
                put("clientSeq", json!(self.sequence));
            }
        }
        if let ChannelEventKind::Left { who, reason } = &self.kind {
            put("reason", json!(reason_number(*reason)));
            put("duration", json!(self.at.0.saturating_sub(who.joined.0) / 1000));
        }
        put("ts", json!(self.at.0 / 1000));
        if let Some(uid) = self.uid() {
            put("account", json!(uid));
        }
        Value::Object(payload)
    }

    /// Whom it is about; nobody where a channel comes or goes.
    pub const fn uid(&self) -> Option<&Uid> {
        match &self.kind {
            ChannelEventKind::Joined(who) | ChannelEventKind::Left { who, .. } => Some(&who.uid),
            ChannelEventKind::RoleChanged { uid, .. } => Some(uid),
            ChannelEventKind::Created | ChannelEventKind::Destroyed { .. } => None,
        }
    }
}

/// The vendor's reasons for leaving. 9 (several addresses) and 999 (comes and goes too often) are never ours to say.
const fn reason_number(reason: LeftReason) -> u16 {
    match reason {
        LeftReason::Quit => 1,
        LeftReason::Lost => 2,
        LeftReason::Kicked => 3,
        LeftReason::Shutdown => 4,
        LeftReason::DuplicateIdentity => 5,
        LeftReason::Unresponsive => 10,
        LeftReason::TokenExpired => 12,
        LeftReason::Protocol | LeftReason::RoomClosed => 0,
    }
}

/// Channel events as they happen.
#[derive(Debug)]
pub struct ChannelEvents(pub(super) broadcast::Receiver<RoomNotice>);

/// The listener fell behind and so many notices passed it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} channel news were missed; take them up faster")]
pub struct Missed(pub u64);

impl ChannelEvents {
    /// The next event; `None` when the server is gone.
    pub async fn next(&mut self) -> Option<Result<ChannelEvent, Missed>> {
        loop {
            match self.0.recv().await {
                Ok(notices) => {
                    if let Some(event) = ChannelEvent::of(notices) {
                        return Some(Ok(event));
                    }
                }
                Err(RecvError::Lagged(count)) => return Some(Err(Missed(count))),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that has happened already, if there is one.
    pub fn try_next(&mut self) -> Option<Result<ChannelEvent, Missed>> {
        loop {
            match self.0.try_recv() {
                Ok(notices) => {
                    if let Some(event) = ChannelEvent::of(notices) {
                        return Some(Ok(event));
                    }
                }
                Err(TryRecvError::Lagged(count)) => return Some(Err(Missed(count))),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recorder_core::units::CHANNEL_EVENTS;

    fn uid(text: &str) -> Uid {
        Uid::new(text).unwrap()
    }

    fn member_info(name: &str, role: Role) -> MemberInfo {
        MemberInfo { uid: uid(name), recorder: false, role, platform: Platform::Web, joined: WallMs(1_560_396_243_500) }
    }

    fn event(kind: ChannelEventKind) -> ChannelEvent {
        ChannelEvent {
            app: AppId::new(&"a".repeat(32)).unwrap(),
            cname: Cname::new("test_webhook").unwrap(),
            session: ChannelSid::from_random([7; 16]),
            sequence: 1_625_051_030_746,
            at: WallMs(1_560_396_843_900),
            kind,
        }
    }

    #[test]
    fn payloads_have_the_documented_fields() {
        let joined = event(ChannelEventKind::Joined(member_info("12121212", Role::Host)));
        assert_eq!(
            joined.payload().to_string(),
            r#"{"channelName":"test_webhook","uid":12121212,"platform":7,"clientSeq":1625051030746,"ts":1560396843,"account":"12121212"}"#
        );
        let who = member_info("12121212", Role::Audience);
        let left = event(ChannelEventKind::Left { who, reason: LeftReason::Lost });
        assert_eq!(
            left.payload().to_string(),
            r#"{"channelName":"test_webhook","uid":12121212,"platform":7,"clientSeq":1625051030746,"reason":2,"duration":600,"ts":1560396843,"account":"12121212"}"#
        );
        let role = event(ChannelEventKind::RoleChanged { uid: uid("alice"), role: Role::Host });
        let number = uid_number(&uid("alice"));
        assert_eq!(
            role.payload(),
            json!({"channelName": "test_webhook", "uid": number, "clientSeq": 1_625_051_030_746_u64, "ts": 1_560_396_843, "account": "alice"})
        );
        assert_eq!(
            event(ChannelEventKind::Created).payload(),
            json!({"channelName": "test_webhook", "ts": 1_560_396_843})
        );
        assert_eq!(
            event(ChannelEventKind::Destroyed { last: uid("7") }).payload(),
            json!({"channelName": "test_webhook", "lastUid": 7, "ts": 1_560_396_843})
        );
    }

    #[test]
    fn roles_and_kinds_have_their_numbers() {
        for (role, joined, left) in [(Role::Host, 103, 104), (Role::Audience, 105, 106), (Role::User, 107, 108)] {
            let who = member_info("7", role);
            assert_eq!(event(ChannelEventKind::Joined(who.clone())).number(), joined);
            assert_eq!(event(ChannelEventKind::Left { who, reason: LeftReason::Quit }).number(), left);
        }
        for (role, number) in [(Role::Host, 111), (Role::Audience, 112)] {
            assert_eq!(event(ChannelEventKind::RoleChanged { uid: uid("7"), role }).number(), number);
        }
    }

    #[test]
    fn there_is_an_example_of_each() {
        let app = AppId::new(&"a".repeat(32)).unwrap();
        let numbers: Vec<u16> =
            ChannelEvent::samples(&app, WallMs(1_700_000_000_000)).iter().map(ChannelEvent::number).collect();
        assert_eq!(numbers, CHANNEL_EVENTS);
    }

    #[test]
    fn a_recorder_is_named_by_its_client_type() {
        let who = MemberInfo { recorder: true, ..member_info("recorder-1", Role::Audience) };
        let payload = event(ChannelEventKind::Joined(who)).payload();
        assert_eq!((&payload["platform"], &payload["clientType"]), (&json!(6), &json!(10)));
    }
}
