//! Hosts, audience, and who becomes which.

use super::*;
use crate::roles::{ROLE_ATTRIBUTE, RequestedRole, Role};

fn requested_role(profile: Option<Profile>, role: Option<Role>) -> Client {
    Client { requested_role: RequestedRole { profile, role }, ..Client::default() }
}

fn live() -> Client {
    requested_role(Some(Profile::Live), None)
}

/// A live channel with a host who talks, and audience.
fn show() -> (TestRoom, MemberId, TrackSid, MemberId) {
    let mut stage = TestRoom::new();
    let (host, _) = stage.enter_with("host", verified(speaker()), live()).unwrap();
    let (audience, _) =
        stage.enter_with("audience", verified(speaker()), requested_role(None, Some(Role::Audience))).unwrap();
    let track = stage.publish(&host, "cid");
    stage.new_effects();
    (stage, host, track, audience)
}

fn ask(role: &str) -> UpdateParticipantMetadata {
    let attributes = HashMap::from([(ROLE_ATTRIBUTE.to_owned(), role.to_owned())]);
    UpdateParticipantMetadata { request_id: 7, attributes, ..Default::default() }
}

fn role_notices(effects: &Effects) -> Vec<(&str, Role)> {
    let notices = effects.iter().filter_map(|effect| match effect {
        Effect::News(RoomEvent::RoleChanged { uid, role }) => Some((uid.as_str(), *role)),
        _ => None,
    });
    notices.collect()
}

#[test]
fn the_first_member_decides_what_channel_it_is() {
    let mut stage = TestRoom::new();
    stage.enter_with("recorder-1", verified(recorder()), live()).unwrap();
    let alice = stage.join("alice");
    let (_, response) = stage
        .enter_with("bob", verified(speaker()), requested_role(Some(Profile::Live), Some(Role::Audience)))
        .unwrap();
    assert_eq!(
        stage.room.summary().unwrap().1,
        Profile::Communication,
        "a recorder decides nothing, a later member neither"
    );
    let bob = response.participant.unwrap();
    assert!(bob.permission.unwrap().can_publish && !bob.attributes.contains_key(ROLE_ATTRIBUTE));
    let refused = stage.room.update_metadata(&alice, ask("audience"));
    assert_eq!(response_of(&refused, &alice), Reason::NotAllowed);
}

fn response_of(effects: &Effects, id: &MemberId) -> Reason {
    Reason::try_from(response(effects, id).unwrap()).unwrap()
}

#[test]
fn audience_publishes_nothing() {
    let (mut stage, host, _, audience) = show();
    let refused = stage.room.add_track(&audience, microphone("cid"), Ok(QuotaPermit::default()));
    assert_eq!(response_of(&refused, &audience), Reason::NotAllowed);
    let infos: Vec<_> = stage.room.members.iter().map(|member| (member.id.clone(), member.info())).collect();
    for (id, word, publishes) in [(host, "host", true), (audience, "audience", false)] {
        let (_, info) = infos.iter().find(|(member, _)| *member == id).unwrap();
        let permission = info.permission.as_ref().unwrap();
        assert_eq!((info.attributes[ROLE_ATTRIBUTE].as_str(), permission.can_publish), (word, publishes));
        assert_eq!(permission.can_publish_sources.is_empty(), !publishes);
        assert!(permission.can_subscribe && permission.can_publish_data);
    }
}

#[test]
fn a_host_that_becomes_audience_falls_silent_for_all_to_see() {
    let (mut stage, host, track, audience) = show();
    let effects = stage.room.update_metadata(&host, ask("audience"));
    assert_eq!(response_of(&effects, &host), Reason::Ok);
    assert!(effects.contains(&Effect::End(track)));
    let seen = updates(&effects, &audience).pop().unwrap();
    assert!(seen.tracks.is_empty() && !seen.is_publisher);
    assert_eq!(seen.attributes[ROLE_ATTRIBUTE], "audience");
    assert_eq!(role_notices(&effects), [("host", Role::Audience)]);
    let again = stage.room.update_metadata(&host, ask("audience"));
    assert_eq!((response_of(&again, &host), role_notices(&again)), (Reason::Ok, vec![]), "no news");

    let back = stage.room.update_metadata(&host, ask("host"));
    assert_eq!(role_notices(&back), [("host", Role::Host)]);
    stage.publish(&host, "cid");
}

#[test]
fn a_role_needs_no_grant_for_metadata_but_the_token_to_speak() {
    let mut stage = TestRoom::new();
    let quiet = Grants { own_metadata: false, ..speaker() };
    let (alice, _) = stage.enter_with("alice", verified(quiet), live()).unwrap();
    assert_eq!(response_of(&stage.room.update_metadata(&alice, ask("audience")), &alice), Reason::Ok);
    let mixed = UpdateParticipantMetadata { name: "Al".into(), ..ask("host") };
    let refused = stage.room.update_metadata(&alice, mixed);
    assert_eq!((response_of(&refused, &alice), role_notices(&refused)), (Reason::NotAllowed, vec![]), "all or nothing");
    for word in ["", "king"] {
        assert_eq!(response_of(&stage.room.update_metadata(&alice, ask(word)), &alice), Reason::NotAllowed);
    }

    let mute = Grants { microphone: false, screen_audio: false, other_audio: false, ..speaker() };
    let (bob, _) = stage.enter_with("bob", verified(mute), requested_role(None, Some(Role::Host))).unwrap();
    assert_eq!(stage.room.member(&bob).unwrap().role, Role::Audience, "a host that may not speak is none");
    assert_eq!(response_of(&stage.room.update_metadata(&bob, ask("host")), &bob), Reason::NotAllowed);
}

#[test]
fn a_host_whose_right_to_speak_ends_is_audience() {
    let mut stage = TestRoom::new();
    let terms = Terms { audio: Some(WallMs(NOW.0 + 1)), ..Terms::default() };
    let (alice, _) = stage.enter_with("alice", VerifiedToken { terms, ..verified(speaker()) }, live()).unwrap();
    stage.publish(&alice, "cid");
    let effects = stage.room.expire(WallMs(NOW.0 + 1));
    assert_eq!(role_notices(&effects), [("alice", Role::Audience)]);
    let after = stage.room.renew(&alice, &verified(speaker()));
    assert!(role_notices(&after).is_empty(), "a new right is no wish");
}

#[test]
fn the_token_may_name_the_role_and_others_can_not_be_fooled() {
    let mut stage = TestRoom::new();
    let claimed = HashMap::from([(ROLE_ATTRIBUTE.to_owned(), "host".to_owned())]);
    let liar = VerifiedToken { attributes: claimed, ..verified(speaker()) };
    let (_, response) =
        stage.enter_with("liar", liar, requested_role(Some(Profile::Live), Some(Role::Audience))).unwrap();
    assert_eq!(response.participant.unwrap().attributes[ROLE_ATTRIBUTE], "audience");
}
