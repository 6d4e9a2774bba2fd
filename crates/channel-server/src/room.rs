//! A room: who is in it, what they publish, who hears what. Pure: each method takes what happened and answers with what has to
//! be done about it, in order; no clock, no I/O, no locks.
//!
//! Invariants: an identity is in a room once; a member is told of a track before it is made to hear it; hidden members are in
//! nobody's list but their own; the last word about a member is said once.
//!
//! A room is open from its first member to some time after its last; recorders are no members of it in that. Recorders that are in
//! it before and after wait for the next member: of a room that only they hold nothing is told, and for everybody else there is none.

mod data;
mod member;
mod messages;
mod metadata;
mod moderation;
mod roles;
mod speaking;
mod subscriptions;
mod terms;
mod tracks;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, JoinResponse, RoomUpdate, leave_request::Action};

pub(super) use member::Client;
pub(super) use messages::{leave as leave_message, server_info};
pub(super) use tracks::{Label, Sending, Started};

use member::Member;

use super::ids::{self, MemberId, TrackSid};
use super::limits::{Limits, PING_INTERVAL};
use super::notices::{LeftReason, MemberSummary, RoomEvent};
use super::roles::Profile;
use super::token::VerifiedToken;
use recorder_core::units::{Cname, Uid, WallMs};

/// What has to be done, in order.
pub(super) type Effects = Vec<Effect>;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Send a message to a member.
    Tell(MemberId, Box<Message>),
    /// Let `listener` hear `track`.
    Hear { listener: MemberId, track: TrackSid },
    /// No longer let `listener` hear `track`.
    Unhear { listener: MemberId, track: TrackSid },
    /// The track is over: nobody hears it any more.
    End(TrackSid),
    /// Close a member's connections, after what it was told.
    Dismiss(MemberId),
    /// Tell observers of the server.
    News(RoomEvent),
}

/// Why somebody can't join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// [`Limits::members_per_room`].
    #[error("the channel has as many members as it can take")]
    Members,
    /// [`Limits::recorders_per_room`].
    #[error("the channel has as many recorders as it can take")]
    Recorders,
}

/// What a room says of its members as a whole. As on a LiveKit server, agents and whatever records are no participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MemberCounts {
    participants: u32,
    publishers: u32,
    recorded: bool,
}

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    sid: String,
    cname: Cname,
    opened: WallMs,
    limits: Limits,
    members: Vec<Member>,
    /// Who speaks how loudly, by track; silent ones are absent.
    levels: HashMap<TrackSid, f32>,
    /// What the first member, recorders not counted, made of it: whether it is open.
    profile: Option<Profile>,
    /// Who was the last to leave.
    last: Option<Uid>,
}

impl Room {
    pub(super) fn new(cname: Cname, limits: Limits, now: WallMs) -> Self {
        Self {
            sid: ids::room(),
            cname,
            opened: now,
            limits,
            members: Vec::new(),
            levels: HashMap::new(),
            profile: None,
            last: None,
        }
    }

    /// Whether there is a place for a member; one with the same identity would make room for it.
    pub(super) fn admits(&self, uid: Option<&Uid>, recorder: bool) -> Result<(), Full> {
        let others = self.members.iter().filter(|member| Some(&member.uid) != uid);
        match others.filter(|member| member.verified.grants.recorder == recorder).count() {
            alike if !recorder && alike >= self.limits.members_per_room => Err(Full::Members),
            alike if recorder && alike >= self.limits.recorders_per_room => Err(Full::Recorders),
            _ => Ok(()),
        }
    }

    /// A new member, in place of one with the same identity; a rule may have silenced it until some time. The response is the
    /// first thing to send to it.
    pub(super) fn join(
        &mut self,
        id: &MemberId,
        uid: Uid,
        verified: VerifiedToken,
        client: Client,
        silenced: Option<WallMs>,
        now: WallMs,
    ) -> Result<(Box<JoinResponse>, Effects), Full> {
        let twin = self.members.iter().find(|member| member.uid == uid).map(|member| member.id.clone());
        let recorder = verified.grants.recorder;
        self.admits(Some(&uid), recorder)?;
        let mut effects = twin.map(|twin| self.remove(&twin, LeftReason::DuplicateIdentity)).unwrap_or_default();
        let before = self.counts();
        if !recorder && !self.is_open() {
            self.profile = Some(client.requested_role.founds());
            self.open(now, &mut effects);
        }
        let mut member = Member::new(id.clone(), uid, verified, client, self.profile(), now);
        member.silenced = silenced;
        let member_info = member.member_info();
        self.members.push(member);
        self.record_counts(before, Some(id), &mut effects);
        if self.is_open() {
            effects.push(Effect::News(RoomEvent::Joined(member_info)));
        }
        let response = Box::new(self.join_response(id));
        self.catch_up(id, &mut effects);
        Ok((response, effects))
    }

    /// Its first member comes; the recorders that waited for it are in the new session too.
    fn open(&mut self, now: WallMs, effects: &mut Effects) {
        self.opened = now;
        effects.push(Effect::News(RoomEvent::Opened));
        for member in &mut self.members {
            member.joined = now;
            effects.push(Effect::News(RoomEvent::Joined(member.member_info())));
        }
    }

    /// A member that lost its socket is back: everything it may have missed.
    pub(super) fn resume(&mut self, id: &MemberId) -> Effects {
        let mut effects = Effects::new();
        if self.member(id).is_none() {
            return effects;
        }
        let infos =
            self.members.iter().filter(|member| member.id == *id || !member.verified.grants.hidden).map(Member::info);
        let update = messages::update(infos.collect());
        send(&mut effects, id, update);
        send(&mut effects, id, Message::RoomUpdate(RoomUpdate { room: Some(self.info()) }));
        self.catch_up(id, &mut effects);
        effects
    }

    /// The member's media connection is up: from here on others see it.
    pub(super) fn connected(&mut self, id: &MemberId) -> Effects {
        let mut effects = Effects::new();
        if let Some(member) = self.member_mut(id)
            && member.state != State::Active
        {
            member.state = State::Active;
            self.send_member(id, &mut effects);
        }
        effects
    }

    /// The member is gone, or has to go.
    pub(super) fn remove(&mut self, id: &MemberId, reason: LeftReason) -> Effects {
        let mut effects = Effects::new();
        let Some(at) = self.members.iter().position(|member| member.id == *id) else { return effects };
        let before = self.counts();
        let mut member = self.members.remove(at);
        let (code, action) = protocol_reason(reason);
        if let Some(action) = action {
            send(&mut effects, id, messages::leave(code, action));
        }
        let silenced = member.tracks.iter().any(|track| self.levels.remove(&track.sid).is_some());
        if silenced {
            self.send_all(&mut effects, &messages::speakers([(id.clone(), 0.0)]));
        }
        for track in member.live() {
            effects.push(Effect::End(track.sid.clone()));
            effects.push(Effect::News(RoomEvent::Unpublished { uid: member.uid.clone() }));
        }
        self.forget_choices(&member);
        let who = member.member_info();
        if !member.verified.grants.hidden {
            self.send_all(&mut effects, &messages::update(vec![member.departure(code)]));
        }
        effects.push(Effect::Dismiss(id.clone()));
        self.record_counts(before, None, &mut effects);
        if self.is_open() {
            self.last = Some(who.uid.clone());
            effects.push(Effect::News(RoomEvent::Left { who, reason }));
        }
        effects
    }

    /// Everybody has to go.
    pub(super) fn close(&mut self, reason: LeftReason) -> Effects {
        let ids: Vec<_> = self.members.iter().map(|member| member.id.clone()).collect();
        let mut effects: Effects = ids.iter().flat_map(|id| self.remove(id, reason)).collect();
        effects.extend(self.last.take().map(|last| Effect::News(RoomEvent::Closed { last })));
        effects
    }

    /// The room closes, and the recorders that are in it wait for its next member. That one finds another room.
    pub(super) fn retire(&mut self) -> Effects {
        let mut effects = Effects::new();
        for recorder in &self.members {
            self.last = Some(recorder.uid.clone());
            effects.push(Effect::News(RoomEvent::Left { who: recorder.member_info(), reason: LeftReason::RoomClosed }));
        }
        effects.extend(self.last.take().map(|last| Effect::News(RoomEvent::Closed { last })));
        (self.sid, self.profile) = (ids::room(), None);
        self.send_room(&mut effects, None);
        effects
    }

    /// Whether there is a room for others than the recorders in it.
    pub(super) const fn is_open(&self) -> bool {
        self.profile.is_some()
    }

    /// Whether nobody at all is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the room may close: no member is in it.
    pub(super) fn abandoned(&self) -> bool {
        !self.members.iter().any(Member::holds_open) && (self.is_open() || self.is_empty())
    }

    pub(super) fn find(&self, uid: &Uid) -> Option<&MemberId> {
        self.members.iter().find(|member| member.uid == *uid).map(|member| &member.id)
    }

    pub(super) fn uid(&self, id: &MemberId) -> Option<&Uid> {
        self.member(id).map(|member| &member.uid)
    }

    /// Since when the room is open, what it is, and who is in it, oldest first; nothing of a room that is not open.
    pub(super) fn summary(&self) -> Option<(WallMs, Profile, Vec<MemberSummary>)> {
        let members = self.members.iter().map(|member| MemberSummary {
            uid: member.uid.clone(),
            joined: member.joined,
            role: member.role,
            platform: member.client.platform,
            publishing: member.live().next().is_some(),
            hidden: member.verified.grants.hidden,
            recorder: member.verified.grants.recorder,
        });
        self.profile.map(|profile| (self.opened, profile, members.collect()))
    }

    fn join_response(&self, id: &MemberId) -> JoinResponse {
        let others = self.members.iter().filter(|member| member.id != *id && !member.verified.grants.hidden);
        JoinResponse {
            room: Some(self.info()),
            participant: self.member(id).map(Member::info),
            other_participants: others.map(Member::info).collect(),
            server_version: server_info().version,
            server_info: Some(server_info()),
            subscriber_primary: true,
            ping_interval: i32::try_from(PING_INTERVAL.as_secs()).expect("a few seconds"),
            ping_timeout: i32::try_from(self.limits.silence.as_secs()).unwrap_or(i32::MAX),
            enabled_publish_codecs: messages::codecs(),
            fast_publish: true,
            ..JoinResponse::default()
        }
    }

    /// What a member that is new, or back, doesn't get with its first message: who speaks, and what to hear.
    fn catch_up(&self, id: &MemberId, effects: &mut Effects) {
        let speaking = self.speaking();
        if !speaking.is_empty() {
            send(effects, id, messages::speakers(speaking));
        }
        let Some(listener) = self.member(id) else { return };
        let others = self.members.iter().filter(|member| member.id != *id);
        let wanted = others.flat_map(Member::live).filter(|track| listener.wants(&track.sid));
        effects.extend(wanted.map(|track| Effect::Hear { listener: id.clone(), track: track.sid.clone() }));
    }

    fn info(&self) -> livekit_protocol::Room {
        let ms = i64::try_from(self.opened.0).unwrap_or(i64::MAX);
        let MemberCounts { participants, publishers, recorded } = self.counts();
        livekit_protocol::Room {
            sid: self.sid.clone(),
            name: self.cname.to_string(),
            creation_time: ms / 1000,
            creation_time_ms: ms,
            num_participants: participants,
            num_publishers: publishers,
            active_recording: recorded,
            enabled_codecs: messages::codecs(),
            departure_timeout: u32::try_from(self.limits.close_after.as_secs()).unwrap_or(u32::MAX),
            max_participants: u32::try_from(self.limits.members_per_room).unwrap_or(u32::MAX),
            ..livekit_protocol::Room::default()
        }
    }

    fn profile(&self) -> Profile {
        self.profile.unwrap_or_default()
    }

    fn counts(&self) -> MemberCounts {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let visible = || self.members.iter().filter(|member| !member.verified.grants.hidden);
        MemberCounts {
            participants: count(visible().filter(|member| !member.is_dependent()).count()),
            publishers: count(visible().filter(|member| member.live().next().is_some()).count()),
            recorded: self.members.iter().any(|member| member.verified.grants.recorder),
        }
    }

    /// Tells of the room, but not to `except`, if what it says of its members is no longer as it was `before`.
    fn record_counts(&self, before: MemberCounts, except: Option<&MemberId>, effects: &mut Effects) {
        if self.counts() != before {
            self.send_room(effects, except);
        }
    }

    /// The member has changed: everybody who may see it is told, and itself.
    fn send_member(&mut self, id: &MemberId, effects: &mut Effects) {
        let Some(member) = self.member_mut(id) else { return };
        member.changed();
        let hidden = member.verified.grants.hidden;
        let message = messages::update(vec![member.info()]);
        if hidden {
            send(effects, id, message);
        } else {
            self.send_all(effects, &message);
        }
    }

    /// The room itself has changed.
    fn send_room(&self, effects: &mut Effects, except: Option<&MemberId>) {
        let message = Message::RoomUpdate(RoomUpdate { room: Some(self.info()) });
        let listeners = self.members.iter().filter(|member| Some(&member.id) != except);
        listeners.for_each(|member| send(effects, &member.id, message.clone()));
    }

    fn send_all(&self, effects: &mut Effects, message: &Message) {
        self.members.iter().for_each(|member| send(effects, &member.id, message.clone()));
    }

    fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    fn member_mut(&mut self, id: &MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == *id)
    }
}

fn send(effects: &mut Effects, to: &MemberId, message: Message) {
    effects.push(Effect::Tell(to.clone(), Box::new(message)));
}

/// The protocol's word for a reason, and what the member is told to do; one that left by itself, or can't be reached, is told
/// nothing.
const fn protocol_reason(reason: LeftReason) -> (DisconnectReason, Option<Action>) {
    match reason {
        LeftReason::Quit => (DisconnectReason::ClientInitiated, None),
        LeftReason::Lost => (DisconnectReason::SignalClose, None),
        LeftReason::Kicked | LeftReason::TokenExpired => {
            (DisconnectReason::ParticipantRemoved, Some(Action::Disconnect))
        }
        LeftReason::DuplicateIdentity => (DisconnectReason::DuplicateIdentity, Some(Action::Disconnect)),
        LeftReason::Protocol => (DisconnectReason::StateMismatch, Some(Action::Disconnect)),
        LeftReason::Unresponsive => (DisconnectReason::StateMismatch, Some(Action::Reconnect)),
        LeftReason::RoomClosed => (DisconnectReason::RoomClosed, Some(Action::Disconnect)),
        LeftReason::Shutdown => (DisconnectReason::ServerShutdown, Some(Action::Disconnect)),
    }
}
