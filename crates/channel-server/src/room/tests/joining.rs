//! Who comes, who is there, who goes.

use super::*;

#[test]
fn the_join_names_everybody_but_the_hidden() {
    let mut stage = TestRoom::new();
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
fn members_are_told_how_many_they_are() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    stage.new_effects();
    let counts = |effects: &Effects, id: &MemberId| {
        let rooms = received(effects, id).filter_map(|message| match message {
            Message::RoomUpdate(update) => update.room.as_ref(),
            _ => None,
        });
        rooms.map(|room| (room.num_participants, room.num_publishers)).collect::<Vec<_>>()
    };
    let bob = stage.join("bob");
    let joined = stage.new_effects();
    assert_eq!((counts(&joined, &alice), counts(&joined, &bob)), (vec![(2, 0)], vec![]), "its join tells bob");
    let track = stage.publish(&bob, "cid");
    assert_eq!(counts(&stage.new_effects(), &alice), [(2, 1)]);
    assert_eq!(counts(&stage.room.unpublish(&bob, &track), &alice), [(2, 0)]);

    let hidden = Grants { hidden: true, ..speaker() };
    stage.enter("hidden", hidden).unwrap();
    let agent = VerifiedToken { kind: Kind::Agent, ..verified(speaker()) };
    let (agent, _) = stage.enter_with("agent", agent, Client::default()).unwrap();
    stage.publish(&agent, "cid");
    assert_eq!(counts(&stage.new_effects(), &alice), [(2, 1)], "an agent publishes, but takes no part");
    assert_eq!(counts(&stage.room.remove(&bob, LeftReason::Quit), &alice), [(1, 1)]);
}

#[test]
fn the_last_word_about_a_member_is_said_once() {
    let mut stage = TestRoom::new();
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
    let mut stage = TestRoom::new();
    let (old, bob) = (stage.join("alice"), stage.join("bob"));
    stage.new_effects();
    let new = stage.join("alice");
    let effects = stage.new_effects();
    let leave = received(&effects, &old).find_map(|message| match message {
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
    let mut stage = TestRoom::with(Limits { members_per_room: 1, recorders_per_room: 1, ..Limits::default() });
    stage.join("alice");
    stage.enter("recorder-1", recorder()).unwrap();
    assert_eq!(stage.enter("bob", speaker()).unwrap_err(), Full::Members);
    assert_eq!(stage.enter("recorder-2", recorder()).unwrap_err(), Full::Recorders);
    assert!(stage.enter("alice", speaker()).is_ok());
}

#[test]
fn versions_grow_with_each_update() {
    let mut stage = TestRoom::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.log.extend(stage.room.connected(&alice));
    stage.publish(&alice, "cid");
    stage.log.extend(stage.room.remove(&alice, LeftReason::Quit));
    let versions: Vec<_> = updates(&stage.new_effects(), &bob).iter().map(|info| info.version).collect();
    assert!(versions.len() == 3 && versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn who_comes_late_or_back_hears_what_there_is() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    let track = stage.publish(&alice, "cid");
    stage.room.speaks(&alice, &track, 0.5);
    stage.new_effects();
    let bob = stage.join("bob");
    let hear = Effect::Hear { listener: bob.clone(), track };
    let joined = stage.new_effects();
    assert!(joined.contains(&hear));
    assert!(received(&joined, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if s.speakers[0].active)));
    let back = stage.room.resume(&bob);
    assert!(back.contains(&hear));
    assert_eq!(updates(&back, &bob).len(), 2, "everybody, itself too");
}
