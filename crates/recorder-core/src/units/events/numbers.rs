//! The vendor's numbers of events, named. No other place in the sources knows one.

/// An event of a recording (productId 3; docs/protocol/agora.md section 5.1), by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum EventType {
    /// `cloud_recording_error`.
    Error = 1,
    /// `cloud_recording_warning`.
    Warning = 2,
    /// `cloud_recording_status_update`.
    StatusUpdate = 3,
    /// `cloud_recording_file_infos`.
    FileInfos = 4,
    /// `session_exit`.
    SessionExit = 11,
    /// `session_failover`.
    SessionFailover = 12,
    /// `uploader_started`.
    UploaderStarted = 30,
    /// `uploaded`.
    Uploaded = 31,
    /// `backuped`.
    Backuped = 32,
    /// `uploading_progress`.
    UploadingProgress = 33,
    /// `STSExpired`.
    StsExpired = 34,
    /// `recorder_started`.
    RecorderStarted = 40,
    /// `recorder_leave`.
    RecorderLeave = 41,
    /// `recorder_slice_start`.
    RecorderSliceStart = 42,
    /// `recorder_audio_stream_state_changed`.
    AudioStreamState = 43,
}

impl EventType {
    /// All that audio can cause, by number.
    pub const ALL: [Self; 15] = [
        Self::Error,
        Self::Warning,
        Self::StatusUpdate,
        Self::FileInfos,
        Self::SessionExit,
        Self::SessionFailover,
        Self::UploaderStarted,
        Self::Uploaded,
        Self::Backuped,
        Self::UploadingProgress,
        Self::StsExpired,
        Self::RecorderStarted,
        Self::RecorderLeave,
        Self::RecorderSliceStart,
        Self::AudioStreamState,
    ];

    /// The vendor's number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The event with this number, if it is one of these.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// An event of a channel (productId 1; docs/protocol/agora.md section 6), by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum ChannelEventType {
    /// The channel's first member comes.
    Created = 101,
    /// Its last member has gone.
    Destroyed = 102,
    /// A host joins.
    HostJoined = 103,
    /// A host leaves.
    HostLeft = 104,
    /// An audience member joins.
    AudienceJoined = 105,
    /// An audience member leaves.
    AudienceLeft = 106,
    /// A user of a communication channel joins.
    UserJoined = 107,
    /// A user of a communication channel leaves.
    UserLeft = 108,
    /// A member becomes a host.
    BecameHost = 111,
    /// A member becomes audience.
    BecameAudience = 112,
}

impl ChannelEventType {
    /// All of them, by number.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Destroyed,
        Self::HostJoined,
        Self::HostLeft,
        Self::AudienceJoined,
        Self::AudienceLeft,
        Self::UserJoined,
        Self::UserLeft,
        Self::BecameHost,
        Self::BecameAudience,
    ];

    /// The vendor's number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The event with this number.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }

    /// What a member is said to do who leaves after this; none where nobody came by this.
    pub const fn leave_after(self) -> Option<Self> {
        match self {
            Self::HostJoined | Self::BecameHost => Some(Self::HostLeft),
            Self::AudienceJoined | Self::BecameAudience => Some(Self::AudienceLeft),
            Self::UserJoined => Some(Self::UserLeft),
            Self::Created | Self::Destroyed | Self::HostLeft | Self::AudienceLeft | Self::UserLeft => None,
        }
    }

    /// Whether it happens once in a session of a channel.
    pub const fn is_once(self) -> bool {
        matches!(self, Self::Created | Self::Destroyed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CHANNEL_EVENTS, RECORDING_EVENTS};
    use super::*;

    #[test]
    fn numbers_and_events_are_the_vendors() {
        assert!(EventType::ALL.iter().all(|one| RECORDING_EVENTS.contains(&one.number())));
        assert_eq!(ChannelEventType::ALL.map(ChannelEventType::number), CHANNEL_EVENTS);
        for one in EventType::ALL {
            assert_eq!(EventType::of(one.number()), Some(one));
        }
        assert_eq!((EventType::of(13), ChannelEventType::of(109)), (None, None));
    }
}
