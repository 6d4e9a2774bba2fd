//! What observers of the server hear: rooms and members, nothing of the protocol.

use super::platform::Platform;
use super::roles::{Profile, Role};
use recorder_core::units::{AppId, ChannelSid, Cname, Uid, WallMs};

/// Something that happened in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomNotice {
    /// Whose room.
    pub app: AppId,
    /// Which room.
    pub cname: Cname,
    /// From its opening to its closing; a room that opens anew is a new session.
    pub session: ChannelSid,
    /// Rises with every notice of the server, across restarts too as long as its clock isn't set back.
    pub sequence: u64,
    /// When.
    pub at: WallMs,
    /// What.
    pub event: RoomEvent,
}

/// What can happen in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// Its first member is about to join.
    Opened,
    /// Its last member left long enough ago, or it was shut down.
    Closed {
        /// Who was the last to leave.
        last: Uid,
    },
    /// Somebody is in the room.
    Joined(MemberInfo),
    /// Somebody is gone.
    Left {
        /// Who, as it was in the end.
        who: MemberInfo,
        /// Why.
        reason: LeftReason,
    },
    /// A member of a live channel became a host, or audience.
    RoleChanged {
        /// Who.
        uid: Uid,
        /// What it is now.
        role: Role,
    },
    /// A member's audio began.
    Published {
        /// Who.
        uid: Uid,
    },
    /// A member's audio ended.
    Unpublished {
        /// Who.
        uid: Uid,
    },
    /// A member muted or unmuted its audio.
    Muted {
        /// Who.
        uid: Uid,
        /// The new state.
        muted: bool,
    },
}

/// A member, as notices tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Who.
    pub uid: Uid,
    /// Whether it records.
    pub recorder: bool,
    /// What it is in the channel.
    pub role: Role,
    /// What its client runs on.
    pub platform: Platform,
    /// Since when it is there.
    pub joined: WallMs,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftReason {
    /// It said so.
    Quit,
    /// Its socket broke and it didn't come back in time.
    Lost,
    /// An administrator removed it.
    Kicked,
    /// Its token, or its right to be in the room, ended.
    TokenExpired,
    /// Somebody joined with its identity.
    DuplicateIdentity,
    /// It said what no client says.
    Protocol,
    /// It didn't answer in time, or its media connection failed; it was asked to join anew.
    Unresponsive,
    /// The room closed.
    RoomClosed,
    /// The server went down.
    Shutdown,
}

/// A room and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// Whose room.
    pub app: AppId,
    /// Which room.
    pub cname: Cname,
    /// Since when it is open.
    pub opened: WallMs,
    /// What kind of channel it is; communication until its first member, recorders not counted, has come.
    pub profile: Profile,
    /// Who is in it, recorders too.
    pub members: Vec<MemberSummary>,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSummary {
    /// Who.
    pub uid: Uid,
    /// Since when.
    pub joined: WallMs,
    /// What it is in the channel.
    pub role: Role,
    /// What its client runs on.
    pub platform: Platform,
    /// Whether it publishes audio.
    pub publishing: bool,
    /// Whether others see it.
    pub hidden: bool,
    /// Whether it records.
    pub recorder: bool,
}
