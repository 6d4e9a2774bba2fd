//! Rights that end while their owner is in the room.

use super::*;

fn at(seconds: u64) -> WallMs {
    WallMs(NOW.0 + seconds * 1000)
}

fn until(stay: u64, audio: Option<u64>, data: Option<u64>) -> VerifiedToken {
    let terms = Terms { stay: Some(at(stay)), audio: audio.map(at), data: data.map(at) };
    VerifiedToken { terms, ..verified(speaker()) }
}

#[test]
fn a_membership_ends_with_its_token() {
    let mut stage = TestRoom::new();
    let bob = stage.join("bob");
    let (alice, _) = stage.enter_with("alice", until(60, None, None), Client::default()).unwrap();
    assert_eq!(stage.room.next_end(), Some(at(60)));
    assert!(stage.room.expire(at(59)).is_empty());
    let effects = stage.room.expire(at(60));
    let leave = received(&effects, &alice).find_map(|message| match message {
        Message::Leave(leave) => Some((leave.reason, leave.action)),
        _ => None,
    });
    assert_eq!(leave, Some((DisconnectReason::ParticipantRemoved.into(), Action::Disconnect.into())));
    assert_eq!(updates(&effects, &bob)[0].state, i32::from(State::Disconnected));
    let left =
        |effect: &Effect| matches!(effect, Effect::News(RoomEvent::Left { reason: LeftReason::TokenExpired, .. }));
    assert!(effects.iter().any(left));
    assert_eq!(stage.room.next_end(), None, "bob's token knows no end");
}

#[test]
fn a_publication_ends_with_the_right_to_it_and_its_owner_stays() {
    let mut stage = TestRoom::new();
    let bob = stage.join("bob");
    let (alice, _) = stage.enter_with("alice", until(600, Some(60), None), Client::default()).unwrap();
    let live = stage.publish(&alice, "cid");
    stage.announce(&alice, "waiting");
    let effects = stage.room.expire(at(60));
    assert!(effects.contains(&Effect::End(live.clone())));
    assert!(effects.contains(&Effect::News(RoomEvent::Unpublished { uid: Uid::new("alice").unwrap() })));
    let unpublished =
        received(&effects, &alice).filter(|message| matches!(message, Message::TrackUnpublished(_))).count();
    assert_eq!(unpublished, 2, "the announced one too");
    let seen = updates(&effects, &bob).pop().unwrap();
    let permission = seen.permission.unwrap();
    assert!(seen.tracks.is_empty() && !permission.can_publish && permission.can_publish_sources.is_empty());
    assert!(permission.can_publish_data && permission.can_subscribe);

    assert!(stage.room.start_track(&alice, "waiting", &sent(Some("0"))).is_none());
    assert!(stage.room.media(&alice, "waiting", &sent(None)).is_none(), "media that comes late");
    let refused = stage.room.add_track(&alice, microphone("again"), Ok(QuotaPermit::default()));
    assert_eq!(response(&refused, &alice), Some(Reason::NotAllowed.into()));
    assert_eq!(stage.room.next_end(), Some(at(600)));
}

#[test]
fn the_right_to_send_data_ends_by_itself() {
    let mut stage = TestRoom::new();
    let (alice, _) = stage.enter_with("alice", until(600, None, Some(60)), Client::default()).unwrap();
    let sid = stage.publish(&alice, "cid");
    assert!(stage.room.data_sender(&alice).is_some());
    let effects = stage.room.expire(at(60));
    assert!(stage.room.data_sender(&alice).is_none());
    assert!(!effects.contains(&Effect::End(sid)));
    assert!(!updates(&effects, &alice)[0].permission.as_ref().unwrap().can_publish_data);
}

#[test]
fn who_comes_back_with_a_newer_token_has_its_rights() {
    let mut stage = TestRoom::new();
    let (alice, _) = stage.enter_with("alice", until(600, Some(60), None), Client::default()).unwrap();
    stage.room.expire(at(60));
    let effects = stage.room.renew(&alice, &until(1200, None, None));
    assert!(updates(&effects, &alice)[0].permission.as_ref().unwrap().can_publish);
    stage.publish(&alice, "cid");
    assert!(stage.room.expire(at(1199)).is_empty());
    let hidden =
        VerifiedToken { grants: Grants { hidden: true, recorder: true, ..speaker() }, ..until(1200, None, None) };
    stage.room.renew(&alice, &hidden);
    assert!(!stage.room.summary().unwrap().2[0].hidden, "what others see of it stays");
}
