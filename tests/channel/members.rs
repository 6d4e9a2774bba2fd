//! Joining, being seen, being replaced, being removed, leaving.

use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, AudioTrackFeature, LeaveRequest, Ping, SessionDescription, TrackSource};

use cloud_recorder::channel_server::{LeftReason, Limits, RoomEvent};

use crate::client::Client;
use crate::test_server::{TestServer, app, room, uid};

#[tokio::test]
async fn a_kicked_member_is_told_and_so_are_the_others() {
    let test_server = TestServer::open().await;
    let (mut alice, mut bob) = (Client::join(&test_server, "alice").await, Client::join(&test_server, "bob").await);
    assert!(test_server.server.kick(&app(), &room(), &uid("alice")));
    let leave = alice.until_leave().await;
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ParticipantRemoved.into(), Action::Disconnect.into()));
    assert_eq!(alice.next().await, None, "the socket is closed after that");
    let gone = bob.until_update(|info| info.identity == "alice").await;
    assert_eq!((gone.state, gone.disconnect_reason), (State::Disconnected.into(), leave.reason));
    assert!(!test_server.server.kick(&app(), &room(), &uid("alice")), "gone already");
    assert_eq!(test_server.server.rooms()[0].members.len(), 1);
}

#[tokio::test]
async fn the_same_identity_again_replaces_the_first() {
    let test_server = TestServer::open().await;
    let mut first = Client::join(&test_server, "alice").await;
    let second = Client::join(&test_server, "alice").await;
    assert_eq!(first.until_leave().await.reason, i32::from(DisconnectReason::DuplicateIdentity));
    assert!(second.join.other_participants.is_empty());
    assert_ne!(first.sid(), second.sid());
}

#[tokio::test]
async fn who_says_goodbye_is_gone_at_once() {
    let test_server = TestServer::open().await;
    let mut updates = test_server.watch();
    let (mut alice, mut bob) = (Client::join(&test_server, "alice").await, Client::join(&test_server, "bob").await);
    alice.send(Request::Leave(LeaveRequest::default())).await;
    let gone = bob.until_update(|info| info.identity == "alice").await;
    assert_eq!(gone.disconnect_reason, i32::from(DisconnectReason::ClientInitiated));
    let left = updates.until(|event| matches!(event, RoomEvent::Left { .. })).await;
    let RoomEvent::Left { who, reason } = left else { panic!("{left:?}") };
    assert_eq!((who.uid, who.recorder, reason), (uid("alice"), false, LeftReason::Quit));
}

#[tokio::test]
async fn both_kinds_of_ping_are_answered() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    alice.still_served().await;
    alice.send(Request::PingReq(Ping { timestamp: 42, rtt: 0 })).await;
    let pong = alice.until(|message| if let Message::PongResp(pong) = message { Some(pong) } else { None }).await;
    assert_eq!(pong.last_ping_timestamp, 42);
    assert!(pong.timestamp > 1_600_000_000_000);
}

#[tokio::test]
async fn a_camera_is_refused_and_the_session_goes_on() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    let camera =
        AddTrackRequest { cid: "cam".into(), r#type: 1, source: TrackSource::Camera.into(), ..Default::default() };
    alice.send(Request::AddTrack(camera)).await;
    let response = |message| if let Message::RequestResponse(response) = message { Some(response) } else { None };
    assert_eq!(alice.until(response).await.reason, 2, "not allowed");
    alice.still_served().await;
}

#[tokio::test]
async fn the_answer_asks_for_dtx_and_redundancy_unless_the_client_declines() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    for (features, wished) in [(vec![], "usedtx=1"), (vec![AudioTrackFeature::TfStereo.into()], "stereo=1")] {
        let cid = if features.is_empty() { "cid" } else { "second" };
        let source = TrackSource::Microphone.into();
        let disable_red = !features.is_empty();
        let track =
            AddTrackRequest { cid: cid.into(), source, audio_features: features, disable_red, ..Default::default() };
        alice.send(Request::AddTrack(track)).await;
        let sdp = include_str!("offer.sdp").replace(" cid\r", &format!(" {cid}\r"));
        alice
            .send(Request::Offer(SessionDescription { r#type: "offer".into(), sdp, id: 5, ..Default::default() }))
            .await;
        let answer =
            alice.until(|message| if let Message::Answer(answer) = message { Some(answer) } else { None }).await;
        assert_eq!(answer.id, 5, "clients drop an answer with another id");
        let fmtp = answer.sdp.lines().find(|line| line.starts_with("a=fmtp:111")).unwrap();
        assert!(fmtp.contains(wished), "{fmtp}");
        let media = answer.sdp.lines().find(|line| line.starts_with("m=audio")).unwrap();
        let (_, payload_types) = media.split_once("SAVPF ").unwrap();
        assert_eq!(payload_types, if disable_red { "111" } else { "63 111" }, "clients send what comes first");
        assert_eq!(answer.sdp.contains("red/48000"), !disable_red);
    }
}

#[tokio::test]
async fn a_client_that_never_answers_our_offer_has_to_join_anew() {
    let test_server =
        TestServer::with(Limits { answer_within: std::time::Duration::from_millis(300), ..Limits::default() }).await;
    let mut alice = Client::join(&test_server, "alice").await;
    let leave = alice.until_leave().await;
    let again = (DisconnectReason::StateMismatch.into(), Action::Reconnect.into());
    assert_eq!((leave.reason, leave.action), again, "an SDK joins anew");
}

#[tokio::test]
async fn a_shutdown_tells_everybody() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    let (leave, ()) = tokio::join!(alice.until_leave(), test_server.server.shutdown());
    assert_eq!(leave.reason, i32::from(DisconnectReason::ServerShutdown));
    assert!(test_server.server.rooms().is_empty());
}
