//! What a room says to whom, without any connection.

use livekit_protocol::{
    AddTrackRequest, MuteTrackRequest, ParticipantInfo, TrackSource, TrackType, UpdateParticipantMetadata,
    UpdateSubscription, participant_info::Kind, request_response::Reason,
};

use super::*;
use crate::channel_server::token::Grants;
use crate::units::AppId;

const NOW: WallMs = WallMs(1_700_000_000_000);

/// A room, and what its members were told.
struct Stage {
    room: Room,
    log: Effects,
}

impl Stage {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { room: Room::new(Cname::new("room").unwrap(), limits, NOW), log: Effects::new() }
    }

    fn enter(&mut self, uid: &str, grants: Grants) -> Result<(MemberId, JoinResponse), Full> {
        let id = MemberId::new();
        let client = Client { auto_subscribe: true, ..Client::default() };
        let (response, effects) = self.room.join(&id, Uid::new(uid).unwrap(), pass(grants), client, NOW)?;
        self.log.extend(effects);
        Ok((id, *response))
    }

    fn join(&mut self, uid: &str) -> MemberId {
        self.enter(uid, speaker()).unwrap().0
    }

    fn announce(&mut self, id: &MemberId, cid: &str) {
        let effects = self.room.add_track(id, microphone(cid));
        self.log.extend(effects);
    }

    fn publish(&mut self, id: &MemberId, cid: &str) -> TrackSid {
        self.announce(id, cid);
        let (sid, _, effects) = self.room.start_track(id, cid, Some("0")).unwrap();
        self.log.extend(effects);
        sid
    }

    /// What has happened since the last call.
    fn new_effects(&mut self) -> Effects {
        std::mem::take(&mut self.log)
    }
}

fn speaker() -> Grants {
    Grants {
        microphone: true,
        screen_audio: true,
        subscribe: true,
        data: true,
        own_metadata: true,
        hidden: false,
        recorder: false,
    }
}

fn recorder() -> Grants {
    Grants { microphone: false, screen_audio: false, data: false, hidden: true, recorder: true, ..speaker() }
}

fn pass(grants: Grants) -> Pass {
    Pass {
        app: AppId::new(&"a".repeat(32)).unwrap(),
        cname: Cname::new("room").unwrap(),
        identity: None,
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        kind: Kind::Standard,
        grants,
    }
}

fn microphone(cid: &str) -> AddTrackRequest {
    AddTrackRequest { cid: cid.to_owned(), source: TrackSource::Microphone.into(), ..AddTrackRequest::default() }
}

/// The messages among `effects` that `id` gets.
fn told<'a>(effects: &'a Effects, id: &'a MemberId) -> impl Iterator<Item = &'a Message> {
    effects.iter().filter_map(move |effect| match effect {
        Effect::Tell(to, message) if to == id => Some(&**message),
        _ => None,
    })
}

/// The updates about others and itself among `effects` that `id` gets.
fn updates(effects: &Effects, id: &MemberId) -> Vec<ParticipantInfo> {
    let infos = told(effects, id).filter_map(|message| match message {
        Message::Update(update) => Some(update.participants.clone()),
        _ => None,
    });
    infos.flatten().collect()
}

fn recording(effects: &Effects, id: &MemberId) -> Vec<bool> {
    let rooms = told(effects, id).filter_map(|message| match message {
        Message::RoomUpdate(update) => update.room.as_ref(),
        _ => None,
    });
    rooms.map(|room| room.active_recording).collect()
}

fn response(effects: &Effects, id: &MemberId) -> Option<i32> {
    told(effects, id).find_map(|message| match message {
        Message::RequestResponse(response) => Some(response.reason),
        _ => None,
    })
}

#[test]
fn a_track_is_told_before_it_is_heard() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.new_effects();
    let sid = stage.publish(&alice, "cid");
    let effects = stage.new_effects();
    let told = effects
        .iter()
        .position(|e| matches!(e, Effect::Tell(to, m) if *to == bob && matches!(**m, Message::Update(_))));
    let hear = effects.iter().position(|e| *e == Effect::Hear { listener: bob.clone(), track: sid.clone() });
    assert!(told.unwrap() < hear.unwrap());
    assert!(!effects.contains(&Effect::Hear { listener: alice, track: sid }), "nobody hears itself");
}

#[test]
fn announcement_and_media_may_come_in_either_order() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    assert!(stage.room.start_track(&alice, "cid", None).is_none(), "not announced yet");
    stage.announce(&alice, "cid");
    stage.announce(&alice, "other");
    let (_, label, _) = stage.room.start_track(&alice, "cid", None).unwrap();
    assert_eq!(label.stream, format!("{alice}|{}", label.track));
    assert!(stage.room.start_track(&alice, "rewritten", None).is_some(), "the only one that waits");
    assert!(stage.room.start_track(&alice, "more", None).is_none());
}

#[test]
fn the_join_names_everybody_but_the_hidden() {
    let mut stage = Stage::new();
    stage.join("alice");
    stage.enter("recorder-1", recorder()).unwrap();
    let (_, response) = stage.enter("bob", speaker()).unwrap();
    let others: Vec<_> = response.other_participants.iter().map(|info| info.identity.as_str()).collect();
    assert_eq!(others, ["alice"]);
    let room = response.room.unwrap();
    assert_eq!((room.num_participants, room.active_recording), (2, true));
    assert!(response.subscriber_primary && response.ping_interval > 0 && response.ping_timeout > 0);
}

#[test]
fn a_recorder_is_heard_of_but_never_seen() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.new_effects();
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    stage.log.extend(stage.room.connected(&bot));
    let joined = stage.new_effects();
    assert_eq!(recording(&joined, &alice), [true]);
    assert!(updates(&joined, &alice).is_empty());
    let left = stage.room.remove(&bot, LeftReason::Quit);
    assert_eq!(recording(&left, &alice), [false]);
    assert!(updates(&left, &alice).is_empty());
}

#[test]
fn a_second_recorder_changes_nothing_for_members() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let (one, _) = stage.enter("recorder-1", recorder()).unwrap();
    stage.new_effects();
    stage.enter("recorder-2", recorder()).unwrap();
    assert!(recording(&stage.new_effects(), &alice).is_empty());
    assert!(recording(&stage.room.remove(&one, LeftReason::Quit), &alice).is_empty());
}

#[test]
fn the_last_word_about_a_member_is_said_once() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let sid = stage.publish(&alice, "cid");
    stage.new_effects();
    let effects = stage.room.remove(&alice, LeftReason::Lost);
    let infos = updates(&effects, &bob);
    assert_eq!(infos.len(), 1);
    assert_eq!((infos[0].state, infos[0].tracks.len()), (State::Disconnected.into(), 0));
    assert_eq!(infos[0].disconnect_reason, i32::from(DisconnectReason::SignalClose));
    assert!(effects.contains(&Effect::End(sid)) && effects.contains(&Effect::Dismiss(alice.clone())));
    assert!(stage.room.remove(&alice, LeftReason::Lost).is_empty());
    assert!(stage.room.connected(&alice).is_empty(), "late news of a member that is gone");
}

#[test]
fn the_same_identity_takes_the_place_of_the_old() {
    let mut stage = Stage::new();
    let (old, bob) = (stage.join("alice"), stage.join("bob"));
    stage.new_effects();
    let new = stage.join("alice");
    let effects = stage.new_effects();
    let leave = told(&effects, &old).find_map(|message| match message {
        Message::Leave(leave) => Some((leave.reason, leave.action)),
        _ => None,
    });
    assert_eq!(leave, Some((DisconnectReason::DuplicateIdentity.into(), Action::Disconnect.into())));
    assert_eq!(updates(&effects, &bob).len(), 1, "the old one left; the new one shows when it is connected");
    assert_ne!(old, new);
    assert_eq!(stage.room.find(&Uid::new("alice").unwrap()), Some(&new));
}

#[test]
fn a_full_room_refuses_and_a_twin_needs_no_place() {
    let mut stage = Stage::with(Limits { members_per_room: 1, recorders_per_room: 1, ..Limits::default() });
    stage.join("alice");
    stage.enter("recorder-1", recorder()).unwrap();
    assert_eq!(stage.enter("bob", speaker()).unwrap_err(), Full::Members);
    assert_eq!(stage.enter("recorder-2", recorder()).unwrap_err(), Full::Recorders);
    assert!(stage.enter("alice", speaker()).is_ok());
}

#[test]
fn only_audio_that_the_token_allows_is_published() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let (mute, _) = stage.enter("listener", Grants { microphone: false, ..speaker() }).unwrap();
    let camera =
        AddTrackRequest { r#type: TrackType::Video.into(), source: TrackSource::Camera.into(), ..microphone("v") };
    let screen = AddTrackRequest { source: TrackSource::ScreenShareAudio.into(), ..microphone("s") };
    for (id, request, reason) in [
        (&alice, camera, Some(Reason::NotAllowed)),
        (&mute, microphone("m"), Some(Reason::NotAllowed)),
        (&mute, screen, None),
        (&alice, microphone(""), Some(Reason::InvalidName)),
        (&alice, microphone(&"x".repeat(1000)), Some(Reason::InvalidName)),
        (&alice, AddTrackRequest { stream: "a b\r\nc".into(), ..microphone("n") }, Some(Reason::InvalidName)),
    ] {
        let effects = stage.room.add_track(id, request.clone());
        assert_eq!(response(&effects, id), reason.map(i32::from), "{request:?}");
    }
}

#[test]
fn permissions_name_audio_sources_only() {
    let mut stage = Stage::new();
    let (_, response) = stage.enter("alice", speaker()).unwrap();
    let sources = response.participant.unwrap().permission.unwrap().can_publish_sources;
    assert_eq!(sources, [i32::from(TrackSource::Microphone), i32::from(TrackSource::ScreenShareAudio)]);
}

#[test]
fn one_member_announces_a_bounded_number_of_tracks() {
    let mut stage = Stage::with(Limits { tracks_per_member: 2, ..Limits::default() });
    let alice = stage.join("alice");
    stage.announce(&alice, "1");
    stage.announce(&alice, "1");
    stage.announce(&alice, "2");
    assert_eq!(response(&stage.new_effects(), &alice), None, "the same announcement again takes no place");
    stage.announce(&alice, "3");
    assert_eq!(response(&stage.new_effects(), &alice), Some(Reason::LimitExceeded.into()));
}

#[test]
fn a_section_that_stops_sending_ends_its_track() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let sid = stage.publish(&alice, "cid");
    stage.new_effects();
    assert!(stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "cid" }]).is_empty());
    assert!(stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "rewritten" }]).is_empty());
    let effects = stage.room.still_sends(&alice, &[]);
    assert!(effects.contains(&Effect::End(sid.clone())));
    assert!(updates(&effects, &bob)[0].tracks.is_empty());
    let own = told(&effects, &alice).any(|m| matches!(m, Message::TrackUnpublished(t) if t.track_sid == sid.as_str()));
    assert!(own);
}

#[test]
fn another_announced_track_on_the_same_section_is_a_republish() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let first = stage.publish(&alice, "one");
    stage.announce(&alice, "two");
    let effects = stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "two" }]);
    assert!(effects.contains(&Effect::End(first.clone())));
    assert_ne!(stage.room.start_track(&alice, "two", Some("0")).unwrap().0, first);
}

#[test]
fn muting_is_told_once_and_silences() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let sid = stage.publish(&alice, "cid");
    stage.new_effects();
    assert_eq!(stage.room.speaks(&alice, &sid, 0.5).len(), 2, "both hear of it");
    let mute = MuteTrackRequest { sid: sid.to_string(), muted: true };
    let effects = stage.room.mute(&alice, &mute);
    assert!(updates(&effects, &bob)[0].tracks[0].muted);
    let silent = told(&effects, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if !s.speakers[0].active));
    assert!(silent);
    assert!(stage.room.mute(&alice, &mute).is_empty());
    assert!(stage.room.speaks(&alice, &sid, 0.5).is_empty(), "muted members don't speak");
    let unmute = MuteTrackRequest { muted: false, ..mute };
    assert!(stage.room.mute(&bob, &unmute).is_empty(), "only its own");
    let effects = stage.room.mute(&alice, &unmute);
    let speaks = told(&effects, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if s.speakers[0].active));
    assert!(speaks, "a steady voice is heard again without being measured anew");
}

#[test]
fn versions_grow_with_each_update() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.log.extend(stage.room.connected(&alice));
    stage.publish(&alice, "cid");
    stage.log.extend(stage.room.remove(&alice, LeftReason::Quit));
    let versions: Vec<_> = updates(&stage.new_effects(), &bob).iter().map(|info| info.version).collect();
    assert!(versions.len() == 3 && versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn members_may_choose_what_they_hear() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let track = stage.publish(&alice, "cid");
    let choice =
        |subscribe| UpdateSubscription { track_sids: vec![track.to_string()], subscribe, ..Default::default() };
    let listener = bob.clone();
    let unhear = Effect::Unhear { listener: listener.clone(), track: track.clone() };
    assert_eq!(stage.room.subscription(&bob, &choice(false)), [unhear]);
    assert!(stage.room.subscription(&bob, &choice(false)).is_empty());
    assert_eq!(stage.room.subscription(&bob, &choice(true)), [Effect::Hear { listener, track: track.clone() }]);
    let unknown = UpdateSubscription { track_sids: vec!["TR_unknown".into()], ..choice(true) };
    assert!(stage.room.subscription(&bob, &unknown).is_empty());
}

#[test]
fn metadata_changes_are_answered() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let (quiet, _) = stage.enter("quiet", Grants { own_metadata: false, ..speaker() }).unwrap();
    let attributes = HashMap::from([("seat".to_owned(), "3".to_owned())]);
    let request = UpdateParticipantMetadata { request_id: 9, name: "Al".into(), attributes, ..Default::default() };
    let effects = stage.room.update_metadata(&alice, request.clone());
    assert_eq!(response(&effects, &alice), Some(Reason::Ok.into()));
    let info = &updates(&effects, &bob)[0];
    assert_eq!((info.name.as_str(), info.attributes["seat"].as_str()), ("Al", "3"));
    let erase = HashMap::from([("seat".to_owned(), String::new())]);
    let effects =
        stage.room.update_metadata(&alice, UpdateParticipantMetadata { attributes: erase, ..request.clone() });
    assert!(updates(&effects, &bob)[0].attributes.is_empty());
    assert_eq!(response(&stage.room.update_metadata(&quiet, request), &quiet), Some(Reason::NotAllowed.into()));
    let large = UpdateParticipantMetadata { metadata: "x".repeat(100_000), ..Default::default() };
    assert_eq!(response(&stage.room.update_metadata(&alice, large), &alice), Some(Reason::LimitExceeded.into()));
}

#[test]
fn data_goes_to_those_it_names_or_to_all_others() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    let receivers = |to: &[&str]| {
        let to: Vec<_> = to.iter().map(|uid| (*uid).to_owned()).collect();
        stage.room.receivers(&alice, &to).cloned().collect::<Vec<_>>()
    };
    assert_eq!(receivers(&[]), [bob.clone(), bot]);
    assert_eq!(receivers(&["bob", "alice", "nobody"]), [bob]);
    assert!(stage.room.data_sender(&alice).is_some());
    assert!(stage.room.find(&Uid::new("recorder-1").unwrap()).is_some_and(|bot| stage.room.data_sender(bot).is_none()));
}

#[test]
fn who_comes_late_or_back_hears_what_there_is() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let track = stage.publish(&alice, "cid");
    stage.room.speaks(&alice, &track, 0.5);
    stage.new_effects();
    let bob = stage.join("bob");
    let hear = Effect::Hear { listener: bob.clone(), track };
    let joined = stage.new_effects();
    assert!(joined.contains(&hear));
    assert!(told(&joined, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if s.speakers[0].active)));
    let back = stage.room.resume(&bob);
    assert!(back.contains(&hear));
    assert_eq!(updates(&back, &bob).len(), 2, "everybody, itself too");
}

#[test]
fn recorders_do_not_hold_a_room_open_once_it_was_used() {
    let mut stage = Stage::new();
    assert!(stage.room.abandoned(), "nobody came");
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    assert!(!stage.room.abandoned(), "a recorder may wait for the first member");
    let alice = stage.join("alice");
    assert!(!stage.room.abandoned());
    stage.room.remove(&alice, LeftReason::Quit);
    assert!(stage.room.abandoned());
    let closed = stage.room.close(LeftReason::RoomClosed);
    let leave = told(&closed, &bot)
        .any(|m| matches!(m, Message::Leave(l) if l.reason == i32::from(DisconnectReason::RoomClosed)));
    assert!(leave && closed.contains(&Effect::News(RoomEvent::Closed)));
}
