//! What a token grants ends when the token says so, also in the middle of a talk (docs/protocol/agora.md sections 6 and 8).

use std::time::Duration;

use cloud_recorder::channel::jwt;
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::token::{Mint007, Privileges, mint_007};
use cloud_recorder::channel_server::{LeftReason, RoomEvent};
use cloud_recorder::clock;
use cloud_recorder::recording::{Input, Selection};
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_response::Message;
use serde_json::json;

use crate::audio_probe::AudioProbe;
use crate::client::{Client, connect, receive};
use crate::test_server::{CERTIFICATE, KEY, TestServer, app, room, secret, uid};

fn now() -> u32 {
    u32::try_from(clock::now().0 / 1000).unwrap()
}

/// A token for uid 7, good for `stay` seconds and for audio during `audio` of them, made at the beginning of a second.
async fn short(stay: u32, audio: u32) -> String {
    let into = Duration::from_millis(clock::now().0 % 1000);
    tokio::time::sleep(Duration::from_secs(1).saturating_sub(into)).await;
    let (app, room, privileges) = (app(), room(), Privileges::each(stay, audio, 0, 0));
    let (issued, lifetime) = (now(), stay + 600);
    let order = Mint007 { app: &app, channel: &room, uid: "7", privileges: &privileges, issued, lifetime, salt: 1 };
    mint_007(order, &CERTIFICATE.to_owned().into())
}

#[tokio::test]
async fn a_talk_ends_with_the_privilege_to_talk_and_the_membership_with_the_one_to_join() {
    let test_server = TestServer::open().await;
    let mut updates = test_server.watch();
    let mut bob = Client::join(&test_server, "bob").await;
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let talker = Talker::join(&format!("ws://{}", test_server.address), &short(7, 5).await.into()).await.unwrap();
    let talk = tokio::spawn(async move {
        for number in 0_u16.. {
            // Sent until nobody takes them any more.
            let packet = vec![0xf8, 1, 2].into();
            if talker.send(packet, number, u32::from(number) * 960, false).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let track = audio_probe.track_of(&uid("7")).await;
    audio_probe.hear(track, 10).await;
    audio_probe.until(|input| matches!(input, Input::TrackRemoved { track: gone } if *gone == track)).await;
    updates.until(|event| *event == RoomEvent::Unpublished { uid: uid("7") }).await;
    let silenced =
        bob.until_update(|info| info.identity == "7" && info.permission.as_ref().is_some_and(|p| !p.can_publish)).await;
    assert!(silenced.tracks.is_empty());

    let left = updates.until(|event| matches!(event, RoomEvent::Left { .. })).await;
    assert!(matches!(left, RoomEvent::Left { reason: LeftReason::TokenExpired, .. }), "{left:?}");
    audio_probe.until(|input| *input == Input::Left { uid: uid("7") }).await;
    assert!(test_server.server.rooms()[0].members.iter().all(|member| member.uid != uid("7")));
    talk.abort();
}

#[tokio::test]
async fn who_is_out_of_time_is_told_to_go_and_can_not_come_back() {
    let test_server = TestServer::open().await;
    let token: String = url::form_urlencoded::byte_serialize(short(4, 4).await.as_bytes()).collect();
    let mut alice = Client::with_token(&test_server, &token).await;
    let leave = alice.until_leave().await;
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ParticipantRemoved.into(), Action::Disconnect.into()));
    assert_eq!(alice.next().await, None);
    let again =
        reqwest::get(format!("http://{}/rtc/validate?access_token={token}", test_server.address)).await.unwrap();
    assert_eq!((again.status().as_u16(), again.text().await.unwrap().as_str()), (401, "dynamic key expired"));
}

#[tokio::test]
async fn a_livekit_tokens_end_is_no_end_and_its_bearer_gets_a_new_one() {
    let test_server = TestServer::open().await;
    // Over for a while, within the leeway for clocks that differ.
    let exp = u64::from(now()) - 56;
    let video = json!({ "roomJoin": true, "room": "room" });
    let token = jwt::mint(&json!({ "iss": KEY, "sub": "alice", "exp": exp, "video": video }), &secret());
    let mut alice = Client::with_token(&test_server, &token).await;
    let fresh = |message| if let Message::RefreshToken(token) = message { Some(token) } else { None };
    let fresh = alice.until(fresh).await;
    let validate = format!("http://{}/rtc/validate?access_token={token}", test_server.address);
    while reqwest::get(&validate).await.unwrap().status() != reqwest::StatusCode::UNAUTHORIZED {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    alice.still_served().await;
    let resume = |token: &str| format!("access_token={token}&reconnect=1&sid={}", alice.sid());
    let mut socket = connect(&test_server, &resume(&fresh)).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Reconnect(_))));
}
