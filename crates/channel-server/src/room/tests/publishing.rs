//! Tracks: announced, allowed, live, over.

use crate::sdp::Coded;
use channel_client::peer::Codec;

use super::*;

#[test]
fn a_track_is_told_before_it_is_heard() {
    let mut stage = TestRoom::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.new_effects();
    let sid = stage.publish(&alice, "cid");
    let effects = stage.new_effects();
    let received = effects
        .iter()
        .position(|e| matches!(e, Effect::Tell(to, m) if *to == bob && matches!(**m, Message::Update(_))));
    let hear = effects.iter().position(|e| *e == Effect::Hear { listener: bob.clone(), track: sid.clone() });
    assert!(received.unwrap() < hear.unwrap());
    assert!(!effects.contains(&Effect::Hear { listener: alice, track: sid }), "nobody hears itself");
}

#[test]
fn announcement_and_media_may_come_in_either_order() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    assert!(stage.room.start_track(&alice, "cid", &sent(Some("0"))).is_none(), "not announced yet");
    assert!(stage.room.media(&alice, "cid", &sent(None)).is_none());
    stage.announce(&alice, "cid");
    stage.announce(&alice, "other");
    let started = stage.room.start_track(&alice, "cid", &sent(Some("0"))).unwrap();
    assert_eq!(started.label.stream, format!("{alice}|{}", started.label.track));
    assert!(stage.room.start_track(&alice, "cid", &sent(Some("0"))).is_none(), "it is live");
    assert_eq!(stage.room.media(&alice, "cid", &sent(None)).unwrap().unwrap(), started.sid);
    assert!(stage.room.media(&alice, "rewritten", &sent(None)).unwrap().is_err(), "the only one that waits");
    assert!(stage.room.media(&alice, "more", &sent(None)).is_none());
}

#[test]
fn redundancy_is_wished_for_unless_it_is_declined_or_could_not_be_unpacked() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    let declined = AddTrackRequest { disable_red: true, ..microphone("declined") };
    let encrypted = AddTrackRequest { encryption: encryption::Type::Gcm.into(), ..microphone("encrypted") };
    for (request, able, expected) in [
        (microphone("plain"), true, "audio/red"),
        (microphone("unable"), false, "audio/opus"),
        (declined, true, "audio/opus"),
        (encrypted, true, "audio/opus"),
    ] {
        let (cid, wished) = (request.cid.clone(), expected == "audio/red" || !able);
        stage.room.add_track(&alice, request, Ok(QuotaPermit::default()));
        assert_eq!(stage.room.opus_parameters(&alice, &cid).red, wished, "{cid}");
        let effects = stage.room.start_track(&alice, &cid, &Sent { red: able, ..sent(Some(&cid)) }).unwrap().effects;
        let info = updates(&effects, &alice).pop().unwrap().tracks.pop().unwrap();
        assert_eq!((info.mime_type.as_str(), info.codecs[0].mime_type.as_str()), (expected, expected), "{cid}");
    }
}

#[test]
fn a_track_is_named_by_its_codec_also_when_a_later_description_changes_it() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    stage.announce(&alice, "cid");
    let telephone = |codec: Codec| Sent { coded: Some(Coded { codec, payload_type: 8 }), ..sent(Some("0")) };
    let named = |effects: &Effects| updates(effects, &alice).pop().map(|mut info| info.tracks.remove(0).mime_type);
    assert!(stage.room.recode(&alice, "cid", &telephone(Codec::Pcma)).is_none(), "it is not live");
    let started = stage.room.start_track(&alice, "cid", &telephone(Codec::Pcma)).unwrap();
    assert_eq!(named(&started.effects).as_deref(), Some("audio/PCMA"));
    let recoded = |room: &mut Room, sent: &Sent| named(&room.recode(&alice, "cid", sent).unwrap().1);
    assert_eq!(recoded(&mut stage.room, &telephone(Codec::Pcma)), None, "nothing changed");
    assert_eq!(recoded(&mut stage.room, &telephone(Codec::Pcmu)).as_deref(), Some("audio/PCMU"));
    let refused = Sent { coded: None, taken: false, ..sent(Some("0")) };
    assert_eq!(recoded(&mut stage.room, &refused).as_deref(), Some("audio/refused"));
    assert!(stage.room.recode(&alice, "cid", &sent(None)).is_none(), "it is no longer sent, which is another thing");
}

#[test]
fn only_audio_that_the_token_allows_is_published() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    let (mute, _) = stage.enter("listener", Grants { microphone: false, ..speaker() }).unwrap();
    let camera =
        AddTrackRequest { r#type: TrackType::Video.into(), source: TrackSource::Camera.into(), ..microphone("v") };
    let screen = AddTrackRequest { source: TrackSource::ScreenShareAudio.into(), ..microphone("s") };
    let unnamed = |cid| AddTrackRequest { source: TrackSource::Unknown.into(), ..microphone(cid) };
    let (named, _) = stage.enter("named", Grants { other_audio: false, ..speaker() }).unwrap();
    for (id, request, reason) in [
        (&alice, camera, Some(Reason::NotAllowed)),
        (&mute, microphone("m"), Some(Reason::NotAllowed)),
        (&mute, screen, None),
        (&alice, unnamed("u"), None),
        (&named, unnamed("u"), Some(Reason::NotAllowed)),
        (&alice, microphone(""), Some(Reason::InvalidName)),
        (&alice, microphone(&"x".repeat(1000)), Some(Reason::InvalidName)),
        (&alice, AddTrackRequest { stream: "a b\r\nc".into(), ..microphone("n") }, Some(Reason::InvalidName)),
    ] {
        let effects = stage.room.add_track(id, request.clone(), Ok(QuotaPermit::default()));
        assert_eq!(response(&effects, id), reason.map(i32::from), "{request:?}");
    }
}

#[test]
fn permissions_name_audio_sources_only() {
    let mut stage = TestRoom::new();
    let (_, response) = stage.enter("alice", speaker()).unwrap();
    let sources = response.participant.unwrap().permission.unwrap().can_publish_sources;
    let expected = [TrackSource::Unknown, TrackSource::Microphone, TrackSource::ScreenShareAudio];
    assert_eq!(
        sources,
        expected.map(i32::from),
        "SDKs refuse by themselves what is not named, a track without a source too"
    );
}

#[test]
fn one_member_announces_a_bounded_number_of_tracks() {
    let mut stage = TestRoom::with(Limits { tracks_per_member: 2, ..Limits::default() });
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
    let mut stage = TestRoom::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let sid = stage.publish(&alice, "cid");
    stage.new_effects();
    assert!(stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "cid" }]).is_empty());
    assert!(stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "rewritten" }]).is_empty());
    let effects = stage.room.still_sends(&alice, &[]);
    assert!(effects.contains(&Effect::End(sid.clone())));
    assert!(updates(&effects, &bob)[0].tracks.is_empty());
    let own =
        received(&effects, &alice).any(|m| matches!(m, Message::TrackUnpublished(t) if t.track_sid == sid.as_str()));
    assert!(own);
}

#[test]
fn another_announced_track_on_the_same_section_is_a_republish() {
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    let first = stage.publish(&alice, "one");
    stage.announce(&alice, "two");
    let effects = stage.room.still_sends(&alice, &[Sending { mid: "0", cid: "two" }]);
    assert!(effects.contains(&Effect::End(first.clone())));
    assert_ne!(stage.room.start_track(&alice, "two", &sent(Some("0"))).unwrap().sid, first);
}
