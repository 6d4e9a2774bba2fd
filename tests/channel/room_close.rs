//! A room outlives its last member for a while, then closes. Recorders don't hold it open: they wait in it for the next member, and for
//! everybody else there is no room meanwhile.

use std::time::Duration;

use cloud_recorder::channel_server::{Limits, RoomEvent};
use cloud_recorder::recording::{Input, Selection};
use serde_json::json;

use crate::audio_probe::{AudioProbe, Speech};
use crate::client::Client;
use crate::test_server::{TestServer, app, recorder_token, room, token, uid};

fn soon() -> Limits {
    Limits { close_after: Duration::from_millis(200), resume_within: Duration::from_millis(100), ..Limits::default() }
}

#[tokio::test]
async fn a_recorder_waits_in_a_closed_room_and_hears_the_next_member_from_the_first_packet() {
    let test_server = TestServer::with(soon()).await;
    let mut updates = test_server.watch();
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    for name in ["alice", "bob"] {
        assert!(test_server.server.rooms().is_empty() && test_server.server.room(&app(), &room()).is_none());
        let speech = Speech::begin(&test_server.address, name).await;
        updates.until(|event| matches!(event, RoomEvent::Opened)).await;
        updates.until(|event| matches!(event, RoomEvent::Joined(who) if who.recorder)).await;
        updates.until(|event| matches!(event, RoomEvent::Joined(who) if who.uid == uid(name))).await;
        let track = audio_probe.track_of(&uid(name)).await;
        // The talker's own connection takes what it sends before it is up.
        let heard = audio_probe.hear(track, 25).await;
        assert!(heard.iter().zip(heard.iter().skip(1)).all(|(one, next)| next - one == 1), "{heard:?}");
        drop(speech);
        audio_probe.until(|input| *input == Input::Left { uid: uid(name) }).await;
        updates.until(|event| matches!(event, RoomEvent::Left { who, .. } if who.recorder)).await;
        updates
            .until(|event| matches!(event, RoomEvent::Closed { last } if last.as_str().starts_with("recorder-")))
            .await;
    }
    assert!(test_server.server.rooms().is_empty());
    assert!(!audio_probe.told.iter().any(|input| matches!(input, Input::ChannelDown)), "{:?}", audio_probe.told);
}

#[tokio::test]
async fn a_recorder_may_wait_for_the_first_member() {
    let test_server = TestServer::with(soon()).await;
    let mut updates = test_server.watch();
    let mut recorder = Client::with_token(&test_server, &recorder_token("recorder-1")).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    recorder.still_served().await;
    assert!(test_server.server.rooms().is_empty(), "for everybody else there is no room");
    let alice = Client::join(&test_server, "alice").await;
    let room = alice.join.room.unwrap();
    assert!(room.active_recording && room.num_participants == 1);
    assert_eq!(updates.until(|_| true).await, RoomEvent::Opened);
    assert_eq!(test_server.server.rooms()[0].members.len(), 2);
}

#[tokio::test]
async fn rooms_that_only_recorders_hold_take_nobodys_place() {
    let test_server = TestServer::with(Limits { rooms: 1, ..soon() }).await;
    let elsewhere = |identity: &str, room: &str, recorder: bool| {
        token(identity, &json!({ "room": room, "recorder": recorder, "hidden": recorder }))
    };
    let _bot = Client::with_token(&test_server, &elsewhere("recorder-1", "a", true)).await;
    let _alice = Client::with_token(&test_server, &elsewhere("alice", "b", false)).await;
    let asked = async |token: String| {
        reqwest::get(format!("http://{}/rtc/validate?access_token={token}", test_server.address))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(asked(elsewhere("bob", "a", false)).await, reqwest::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked(elsewhere("bob", "b", false)).await, reqwest::StatusCode::OK);
    assert_eq!(asked(elsewhere("recorder-2", "a", true)).await, reqwest::StatusCode::OK);
    assert_eq!(asked(elsewhere("recorder-2", "c", true)).await, reqwest::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(test_server.server.rooms().len(), 1);
}

#[tokio::test]
async fn somebody_who_comes_in_time_keeps_it() {
    let test_server = TestServer::with(Limits { close_after: Duration::from_secs(3), ..soon() }).await;
    let mut updates = test_server.watch();
    let alice = Client::join(&test_server, "alice").await;
    let room = alice.join.room.clone().unwrap().sid;
    alice.vanish();
    updates.until(|event| matches!(event, RoomEvent::Left { .. })).await;
    let bob = Client::join(&test_server, "bob").await;
    assert_eq!(bob.join.room.unwrap().sid, room, "the same room");
}

#[tokio::test]
async fn a_closed_room_opens_anew() {
    let test_server = TestServer::with(soon()).await;
    let mut updates = test_server.watch();
    let alice = Client::join(&test_server, "alice").await;
    let room = alice.join.room.clone().unwrap().sid;
    alice.vanish();
    updates.until(|event| matches!(event, RoomEvent::Closed { .. })).await;
    let bob = Client::join(&test_server, "bob").await;
    assert_ne!(bob.join.room.unwrap().sid, room);
}
