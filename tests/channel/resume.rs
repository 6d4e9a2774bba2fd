//! A member whose socket broke comes back as the same member; others notice nothing.

use std::time::Duration;

use cloud_recorder::channel_server::Limits;
use livekit_protocol::DisconnectReason;
use livekit_protocol::signal_response::Message;
use serde_json::json;

use crate::client::{Client, connect, receive};
use crate::test_server::{TestServer, token};

fn again(client: &Client, identity: &str) -> String {
    format!("access_token={}&reconnect=1&sid={}&reconnect_reason=0", token(identity, &json!({})), client.sid())
}

#[tokio::test]
async fn it_is_told_everything_anew_and_offered_an_ice_restart() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    let offer = |message| if let Message::Offer(offer) = message { Some(offer) } else { None };
    let first = alice.until(offer).await;
    let mut bob = Client::join(&test_server, "bob").await;

    let query = again(&alice, "alice");
    alice.vanish();
    let mut socket = connect(&test_server, &query).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Reconnect(_))), "first of all");
    let Some(Message::Update(update)) = receive(&mut socket).await else { panic!("an update") };
    let mut members: Vec<_> = update.participants.iter().map(|info| info.identity.as_str()).collect();
    members.sort_unstable();
    assert_eq!(members, ["alice", "bob"]);
    let second = loop {
        if let Some(Message::Offer(offer)) = receive(&mut socket).await {
            break offer;
        }
    };
    assert!(second.id > first.id);
    let ufrag = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).map(str::to_owned);
    assert_ne!(ufrag(&second.sdp), ufrag(&first.sdp));

    assert_eq!(test_server.server.rooms()[0].members.len(), 2);
    bob.still_served().await;
}

#[tokio::test]
async fn the_old_sockets_late_end_does_not_count() {
    let test_server = TestServer::with(Limits { resume_within: Duration::from_millis(100), ..Limits::default() }).await;
    let alice = Client::join(&test_server, "alice").await;
    let mut socket = connect(&test_server, &again(&alice, "alice")).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Reconnect(_))));
    alice.vanish();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(test_server.server.rooms()[0].members.len(), 1);
}

#[tokio::test]
async fn after_its_time_it_is_gone() {
    let test_server = TestServer::with(Limits { resume_within: Duration::from_millis(100), ..Limits::default() }).await;
    let (alice, mut bob) = (Client::join(&test_server, "alice").await, Client::join(&test_server, "bob").await);
    let query = again(&alice, "alice");
    alice.vanish();
    let gone = bob.until_update(|info| info.identity == "alice").await;
    assert_eq!(gone.disconnect_reason, i32::from(DisconnectReason::SignalClose));
    let mut socket = connect(&test_server, &query).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Leave(_))));
}

#[tokio::test]
async fn nobody_resumes_as_somebody_else() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    let mut socket = connect(&test_server, &again(&alice, "mallory")).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Leave(_))));
    alice.still_served().await;
}

#[tokio::test]
async fn a_silent_socket_is_lost() {
    let limits =
        Limits { silence: Duration::from_millis(200), resume_within: Duration::from_millis(100), ..Limits::default() };
    let test_server = TestServer::with(limits).await;
    let mut updates = test_server.watch();
    // Answers no WebSocket ping either: nothing reads this socket.
    let alice = Client::join(&test_server, "alice").await;
    updates.until(|event| matches!(event, channel_server::RoomEvent::Left { .. })).await;
    drop(alice);
}
