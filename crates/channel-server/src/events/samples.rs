//! Examples of channel events.

use super::{ChannelEvent, ChannelEventKind};
use crate::notices::{LeftReason, MemberInfo};
use crate::platform::Platform;
use crate::roles::Role;
use recorder_core::units::{AppId, ChannelSid, Cname, Uid, WallMs};

impl ChannelEvent {
    /// Every event once, as an example: for the reference page and for whoever writes a receiver.
    pub fn samples(app: &AppId, at: WallMs) -> Vec<Self> {
        let uid = Uid::new("12121212").expect("digits are a uid");
        let who = |role| MemberInfo {
            uid: uid.clone(),
            recorder: false,
            role,
            platform: Platform::Web,
            joined: WallMs(at.0.saturating_sub(600_000)),
        };
        let left = |role| ChannelEventKind::Left { who: who(role), reason: LeftReason::Quit };
        let changed = |role| ChannelEventKind::RoleChanged { uid: uid.clone(), role };
        let kinds = [
            ChannelEventKind::Created,
            ChannelEventKind::Destroyed { last: uid.clone() },
            ChannelEventKind::Joined(who(Role::Host)),
            left(Role::Host),
            ChannelEventKind::Joined(who(Role::Audience)),
            left(Role::Audience),
            ChannelEventKind::Joined(who(Role::User)),
            left(Role::User),
            changed(Role::Host),
            changed(Role::Audience),
        ];
        let event = |kind| Self {
            app: app.clone(),
            cname: Cname::new("test_webhook").expect("letters are a channel's name"),
            session: ChannelSid::from_random([0; 16]),
            sequence: at.0,
            at,
            kind,
        };
        kinds.into_iter().map(event).collect()
    }
}
