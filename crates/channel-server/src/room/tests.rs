//! What a room says to whom, without any connection. Here is the stage; the scenes are by theme.

mod joining;
mod publishing;
mod recorders;
mod roles;
mod telling;
mod terms;

use livekit_protocol::{
    AddTrackRequest, MuteTrackRequest, ParticipantInfo, TrackSource, TrackType, UpdateParticipantMetadata,
    UpdateSubscription, encryption, participant_info::Kind, request_response::Reason,
};

use super::*;
use crate::peer::Sent;
use crate::quotas::QuotaPermit;
use crate::token::{Grants, Terms};
use recorder_core::units::AppId;

const NOW: WallMs = WallMs(1_700_000_000_000);

/// A room, and what its members were told.
struct TestRoom {
    room: Room,
    log: Effects,
}

impl TestRoom {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { room: Room::new(Cname::new("room").unwrap(), limits, NOW), log: Effects::new() }
    }

    fn enter(&mut self, uid: &str, grants: Grants) -> Result<(MemberId, JoinResponse), Full> {
        self.enter_with(uid, verified(grants), Client::default())
    }

    fn enter_with(
        &mut self,
        uid: &str,
        verified: VerifiedToken,
        client: Client,
    ) -> Result<(MemberId, JoinResponse), Full> {
        let id = MemberId::new();
        let client = Client { auto_subscribe: true, ..client };
        let (response, effects) = self.room.join(&id, Uid::new(uid).unwrap(), verified, client, None, NOW)?;
        self.log.extend(effects);
        Ok((id, *response))
    }

    fn join(&mut self, uid: &str) -> MemberId {
        self.enter(uid, speaker()).unwrap().0
    }

    fn announce(&mut self, id: &MemberId, cid: &str) {
        let effects = self.room.add_track(id, microphone(cid), Ok(QuotaPermit::default()));
        self.log.extend(effects);
    }

    fn publish(&mut self, id: &MemberId, cid: &str) -> TrackSid {
        self.announce(id, cid);
        let started = self.room.start_track(id, cid, &sent(Some("0"))).unwrap();
        self.log.extend(started.effects);
        started.sid
    }

    /// What has happened since the last call.
    fn new_effects(&mut self) -> Effects {
        std::mem::take(&mut self.log)
    }
}

/// Opus or RED, in this section.
fn sent(mid: Option<&str>) -> Sent {
    Sent { mid: mid.map(str::to_owned), coded: None, red: true, taken: true }
}

fn speaker() -> Grants {
    Grants {
        microphone: true,
        screen_audio: true,
        other_audio: true,
        subscribe: true,
        data: true,
        own_metadata: true,
        hidden: false,
        recorder: false,
    }
}

fn recorder() -> Grants {
    Grants {
        microphone: false,
        screen_audio: false,
        other_audio: false,
        data: false,
        hidden: true,
        recorder: true,
        ..speaker()
    }
}

fn verified(grants: Grants) -> VerifiedToken {
    VerifiedToken {
        app: AppId::new(&"a".repeat(32)).unwrap(),
        cname: Cname::new("room").unwrap(),
        identity: None,
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        kind: Kind::Standard,
        grants,
        terms: Terms::default(),
    }
}

fn microphone(cid: &str) -> AddTrackRequest {
    AddTrackRequest { cid: cid.to_owned(), source: TrackSource::Microphone.into(), ..AddTrackRequest::default() }
}

/// The messages among `effects` that `id` gets.
fn received<'a>(effects: &'a Effects, id: &'a MemberId) -> impl Iterator<Item = &'a Message> {
    effects.iter().filter_map(move |effect| match effect {
        Effect::Tell(to, message) if to == id => Some(&**message),
        _ => None,
    })
}

/// The updates about others and itself among `effects` that `id` gets.
fn updates(effects: &Effects, id: &MemberId) -> Vec<ParticipantInfo> {
    let infos = received(effects, id).filter_map(|message| match message {
        Message::Update(update) => Some(update.participants.clone()),
        _ => None,
    });
    infos.flatten().collect()
}

fn recording(effects: &Effects, id: &MemberId) -> Vec<bool> {
    let rooms = received(effects, id).filter_map(|message| match message {
        Message::RoomUpdate(update) => update.room.as_ref(),
        _ => None,
    });
    rooms.map(|room| room.active_recording).collect()
}

fn response(effects: &Effects, id: &MemberId) -> Option<i32> {
    received(effects, id).find_map(|message| match message {
        Message::RequestResponse(response) => Some(response.reason),
        _ => None,
    })
}
