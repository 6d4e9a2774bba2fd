//! What members tell each other: mutes, choices, metadata, data.

use super::*;

#[test]
fn muting_is_told_once_and_silences() {
    let mut stage = TestRoom::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let sid = stage.publish(&alice, "cid");
    stage.new_effects();
    assert_eq!(stage.room.speaks(&alice, &sid, 0.5).len(), 2, "both hear of it");
    let mute = MuteTrackRequest { sid: sid.to_string(), muted: true };
    let effects = stage.room.mute(&alice, &mute);
    assert!(updates(&effects, &bob)[0].tracks[0].muted);
    let silent = received(&effects, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if !s.speakers[0].active));
    assert!(silent);
    assert!(stage.room.mute(&alice, &mute).is_empty());
    assert!(stage.room.speaks(&alice, &sid, 0.5).is_empty(), "muted members don't speak");
    let unmute = MuteTrackRequest { muted: false, ..mute };
    assert!(stage.room.mute(&bob, &unmute).is_empty(), "only its own");
    let effects = stage.room.mute(&alice, &unmute);
    let speaks = received(&effects, &bob).any(|m| matches!(m, Message::SpeakersChanged(s) if s.speakers[0].active));
    assert!(speaks, "a steady voice is heard again without being measured anew");
}

#[test]
fn members_may_choose_what_they_hear() {
    let mut stage = TestRoom::new();
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
    let mut stage = TestRoom::new();
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
    let mut stage = TestRoom::new();
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
