//! Live channels: who may publish, who becomes what, and what others and observers hear of it (docs/protocol/agora.md sections 6 and 8.4).

use cloud_recorder::channel_server::{LeftReason, Limits, Profile, Role, RoomEvent};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, DisconnectReason, LeaveRequest, ParticipantInfo, TrackSource, UpdateParticipantMetadata,
};
use serde_json::json;

use crate::client::Client;
use crate::test_server::{TestServer, token, uid};

const ROLE: &str = "channel.role";

async fn join(test_server: &TestServer, identity: &str, query: &str) -> Client {
    Client::with_token(test_server, &format!("{}&{query}", token(identity, &json!({})))).await
}

async fn ask(client: &mut Client, role: &str) -> i32 {
    let attributes = [(ROLE.to_owned(), role.to_owned())].into();
    client.send(Request::UpdateMetadata(UpdateParticipantMetadata { attributes, ..Default::default() })).await;
    client
        .until(|message| if let Message::RequestResponse(response) = message { Some(response.reason) } else { None })
        .await
}

fn role(info: &ParticipantInfo) -> Option<&str> {
    info.attributes.get(ROLE).map(String::as_str)
}

#[tokio::test]
async fn an_audience_member_publishes_only_after_it_became_host() {
    let test_server = TestServer::open().await;
    let mut updates = test_server.watch();
    let host = join(&test_server, "host", "profile=live&role=host").await;
    assert_eq!(role(host.join.participant.as_ref().unwrap()), Some("host"));
    let mut alice = join(&test_server, "alice", "role=audience").await;
    let permission = alice.join.participant.clone().unwrap().permission.unwrap();
    assert!(!permission.can_publish && permission.can_publish_sources.is_empty());
    let microphone =
        AddTrackRequest { cid: "cid".into(), source: TrackSource::Microphone.into(), ..Default::default() };
    alice.send(Request::AddTrack(microphone.clone())).await;
    let refused = |message| if let Message::RequestResponse(response) = message { Some(response.reason) } else { None };
    assert_eq!(alice.until(refused).await, 2, "not allowed");

    assert_eq!(ask(&mut alice, "host").await, 0);
    alice.send(Request::AddTrack(microphone)).await;
    alice.until(|message| matches!(message, Message::TrackPublished(_)).then_some(())).await;
    updates.until(|event| *event == RoomEvent::RoleChanged { uid: uid("alice"), role: Role::Host }).await;

    let room = test_server.server.rooms().remove(0);
    assert_eq!(room.profile, Profile::Live);
    assert!(room.members.iter().all(|member| member.role == Role::Host));
}

/// Section 8.4: `BecomeAudience`.
#[tokio::test]
async fn becoming_audience_is_seen_by_others() {
    let test_server = TestServer::open().await;
    let mut updates = test_server.watch();
    let mut alice = join(&test_server, "alice", "profile=live&role=host").await;
    let mut bob = join(&test_server, "bob", "role=audience").await;
    assert_eq!(role(&bob.join.other_participants[0]), Some("host"));
    assert_eq!(ask(&mut alice, "audience").await, 0);
    let seen = bob.until_update(|info| info.identity == "alice" && role(info) == Some("audience")).await;
    assert!(!seen.permission.unwrap().can_publish && seen.tracks.is_empty());
    updates.until(|event| *event == RoomEvent::RoleChanged { uid: uid("alice"), role: Role::Audience }).await;
}

/// Section 8.4: `Quit` and `ServerTimeOut`.
#[tokio::test]
async fn quitting_and_being_lost_are_told_apart() {
    let limits = Limits { resume_within: std::time::Duration::from_millis(100), ..Limits::default() };
    let test_server = TestServer::with(limits).await;
    let mut updates = test_server.watch();
    let mut bob = Client::join(&test_server, "bob").await;
    let mut reasons = Vec::new();
    for vanishes in [false, true] {
        let mut alice = Client::join(&test_server, "alice").await;
        if vanishes {
            alice.vanish();
        } else {
            alice.send(Request::Leave(LeaveRequest::default())).await;
        }
        let gone = bob.until_update(|info| info.identity == "alice" && info.state == 3).await;
        let RoomEvent::Left { reason, .. } = updates.until(|event| matches!(event, RoomEvent::Left { .. })).await
        else {
            unreachable!("only that was wanted")
        };
        reasons.push((gone.disconnect_reason(), reason));
    }
    let expected =
        [(DisconnectReason::ClientInitiated, LeftReason::Quit), (DisconnectReason::SignalClose, LeftReason::Lost)];
    assert_eq!(reasons, expected);
}
