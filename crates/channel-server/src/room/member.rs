//! One member of a room, as the room knows it.

use std::collections::HashMap;
use std::net::IpAddr;

use livekit_protocol::participant_info::{Kind, State};
use livekit_protocol::{DisconnectReason, ParticipantInfo, ParticipantPermission, TrackInfo, TrackSource};

use crate::ids::{MemberId, TrackSid};
use crate::notices::MemberInfo;
use crate::platform::Platform;
use crate::quotas::QuotaPermit;
use crate::roles::{PROFILE_ATTRIBUTE, Profile, ROLE_ATTRIBUTE, RequestedRole, Role};
use crate::token::{Grants, VerifiedToken};
use recorder_core::units::{Uid, WallMs};

/// What a client says about itself and its wishes when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// Hear every track without asking for it.
    pub(crate) auto_subscribe: bool,
    /// Which generation of data features it speaks; passed on to others.
    pub(crate) protocol: i32,
    /// Further features; passed on to others.
    pub(crate) capabilities: Vec<i32>,
    /// What it would like to be.
    pub(crate) requested_role: RequestedRole,
    /// What it runs on.
    pub(crate) platform: Platform,
    /// Whether its SDK is one of those on LiveKit's Rust core.
    pub(crate) rust_core: bool,
    /// From where it called when it joined.
    pub(crate) ip: Option<IpAddr>,
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) uid: Uid,
    pub(super) verified: VerifiedToken,
    pub(super) client: Client,
    pub(super) joined: WallMs,
    pub(super) role: Role,
    /// Until when a rule bans its audio.
    pub(super) silenced: Option<WallMs>,
    pub(super) state: State,
    pub(super) tracks: Vec<Track>,
    /// What it asked to hear or not to hear, against its general wish.
    pub(super) choices: HashMap<TrackSid, bool>,
    version: u32,
}

/// A track, announced or live.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) sid: TrackSid,
    /// The client's own id of it: the track id in its description.
    pub(super) cid: String,
    pub(super) info: TrackInfo,
    /// Whether its owner's description sends it, or its media has arrived; others know of live tracks only.
    pub(super) live: bool,
    /// Whether its owner was told that somebody hears it.
    pub(super) heard: bool,
    /// Its place among its app's tracks.
    pub(super) _place: QuotaPermit,
}

impl Member {
    pub(super) fn new(
        id: MemberId,
        uid: Uid,
        verified: VerifiedToken,
        client: Client,
        profile: Profile,
        now: WallMs,
    ) -> Self {
        let role = client.requested_role.role_in(profile, verified.grants.speaks());
        Self {
            id,
            uid,
            verified,
            client,
            joined: now,
            role,
            silenced: None,
            state: State::Joined,
            tracks: Vec::new(),
            choices: HashMap::new(),
            version: 0,
        }
    }

    /// What it may do now: what its token grants, as far as its role goes and no rule bans it.
    pub(super) fn grants(&self) -> Grants {
        let speaks = self.role != Role::Audience && self.silenced.is_none();
        let Grants { microphone, screen_audio, other_audio, .. } = self.verified.grants;
        Grants {
            microphone: microphone && speaks,
            screen_audio: screen_audio && speaks,
            other_audio: other_audio && speaks,
            ..self.verified.grants
        }
    }

    /// When a right of it, or a ban, ends next.
    pub(super) fn next_end(&self) -> Option<WallMs> {
        self.verified.terms.next().into_iter().chain(self.silenced).min()
    }

    /// A host that may no longer speak is audience.
    pub(super) fn settle_role(&mut self) {
        if self.role == Role::Host && !self.verified.grants.speaks() {
            self.role = Role::Audience;
        }
    }

    pub(super) fn member_info(&self) -> MemberInfo {
        MemberInfo {
            uid: self.uid.clone(),
            recorder: self.verified.grants.recorder,
            role: self.role,
            platform: self.client.platform,
            joined: self.joined,
        }
    }

    /// A member that keeps the room open and counts in it.
    pub(super) const fn holds_open(&self) -> bool {
        !self.verified.grants.recorder
    }

    /// What works for a room instead of taking part in it.
    pub(super) const fn is_dependent(&self) -> bool {
        self.verified.grants.recorder || matches!(self.verified.kind, Kind::Agent | Kind::Egress)
    }

    /// Whether it wants to hear, and may hear, a track of somebody else.
    pub(super) fn wants(&self, track: &TrackSid) -> bool {
        self.verified.grants.subscribe && self.choices.get(track).copied().unwrap_or(self.client.auto_subscribe)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.live)
    }

    pub(super) fn track(&mut self, sid: &TrackSid) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.sid == *sid)
    }

    /// Call before [`Self::info`] after each change: clients drop what is older than what they have.
    pub(super) const fn changed(&mut self) {
        self.version += 1;
    }

    /// What everybody may know of it.
    pub(super) fn info(&self) -> ParticipantInfo {
        let grants = self.grants();
        let ms = i64::try_from(self.joined.0).unwrap_or(i64::MAX);
        let tracks: Vec<_> = self.live().map(|track| track.info.clone()).collect();
        ParticipantInfo {
            sid: self.id.to_string(),
            identity: self.uid.to_string(),
            state: self.state.into(),
            is_publisher: !tracks.is_empty(),
            tracks,
            name: self.verified.name.clone(),
            metadata: self.verified.metadata.clone(),
            attributes: self.attributes(),
            joined_at: ms / 1000,
            joined_at_ms: ms,
            version: self.version,
            permission: Some(ParticipantPermission {
                can_subscribe: grants.subscribe,
                can_publish: grants.speaks(),
                can_publish_data: grants.data,
                can_publish_sources: self.sources().into_iter().map(i32::from).collect(),
                hidden: grants.hidden,
                #[allow(deprecated, reason = "SDKs that are older than its successor still read it")]
                recorder: grants.recorder,
                can_update_metadata: grants.own_metadata,
                ..ParticipantPermission::default()
            }),
            kind: self.verified.kind.into(),
            client_protocol: self.client.protocol,
            capabilities: self.client.capabilities.clone(),
            ..ParticipantInfo::default()
        }
    }

    /// Its own attributes, and the one that tells its role.
    fn attributes(&self) -> HashMap<String, String> {
        let mut attributes = self.verified.attributes.clone();
        attributes.remove(PROFILE_ATTRIBUTE);
        attributes.remove(ROLE_ATTRIBUTE);
        attributes.extend(self.role.word().map(|word| (ROLE_ATTRIBUTE.to_owned(), word.to_owned())));
        attributes
    }

    /// The last word about it.
    pub(super) fn departure(&mut self, reason: DisconnectReason) -> ParticipantInfo {
        self.state = State::Disconnected;
        self.changed();
        ParticipantInfo { tracks: Vec::new(), disconnect_reason: reason.into(), ..self.info() }
    }

    /// Naming what may be published keeps SDKs from ever asking for a camera (docs/protocol/livekit.md section 3). SDKs look here for the
    /// source of a track that names none, too.
    fn sources(&self) -> Vec<TrackSource> {
        let grants = self.grants();
        let all = [
            (grants.other_audio, TrackSource::Unknown),
            (grants.microphone, TrackSource::Microphone),
            (grants.screen_audio, TrackSource::ScreenShareAudio),
        ];
        all.into_iter().filter_map(|(granted, source)| granted.then_some(source)).collect()
    }
}
