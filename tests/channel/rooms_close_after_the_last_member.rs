//! A room outlives its last member for a while, then closes. Recorders don't hold it open: they wait in it for the next member, and for
//! everybody else there is no room meanwhile.

use std::time::Duration;

use cloud_recorder::channel_server::{Limits, RoomEvent};
use cloud_recorder::recording::{Input, Selection};
use serde_json::json;

use crate::client::Client;
use crate::ear::{Ear, Speech};
use crate::house::{House, app, recorder_token, room, token, uid};

fn soon() -> Limits {
    Limits { close_after: Duration::from_millis(200), resume_within: Duration::from_millis(100), ..Limits::default() }
}

#[tokio::test]
async fn a_recorder_waits_in_a_closed_room_and_hears_the_next_member_from_the_first_packet() {
    let house = House::with(soon()).await;
    let mut news = house.watch();
    let mut ear = Ear::join(&house.address, Selection::All).await;
    for name in ["alice", "bob"] {
        assert!(house.server.rooms().is_empty() && house.server.room(&app(), &room()).is_none());
        let speech = Speech::begin(&house.address, name).await;
        news.until(|event| matches!(event, RoomEvent::Opened)).await;
        news.until(|event| matches!(event, RoomEvent::Joined(who) if who.recorder)).await;
        news.until(|event| matches!(event, RoomEvent::Joined(who) if who.uid == uid(name))).await;
        let track = ear.track_of(&uid(name)).await;
        // The talker's own connection takes what it sends before it is up.
        let heard = ear.hear(track, 25).await;
        assert!(heard.iter().zip(heard.iter().skip(1)).all(|(one, next)| next - one == 1), "{heard:?}");
        drop(speech);
        ear.until(|input| *input == Input::Left { uid: uid(name) }).await;
        news.until(|event| matches!(event, RoomEvent::Left { who, .. } if who.recorder)).await;
        news.until(|event| matches!(event, RoomEvent::Closed { last } if last.as_str().starts_with("recorder-"))).await;
    }
    assert!(house.server.rooms().is_empty());
    assert!(!ear.told.iter().any(|input| matches!(input, Input::ChannelDown)), "{:?}", ear.told);
}

#[tokio::test]
async fn a_recorder_may_wait_for_the_first_member() {
    let house = House::with(soon()).await;
    let mut news = house.watch();
    let mut recorder = Client::with_token(&house, &recorder_token("recorder-1")).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    recorder.still_served().await;
    assert!(house.server.rooms().is_empty(), "for everybody else there is no room");
    let alice = Client::join(&house, "alice").await;
    let room = alice.join.room.unwrap();
    assert!(room.active_recording && room.num_participants == 1);
    assert_eq!(news.until(|_| true).await, RoomEvent::Opened);
    assert_eq!(house.server.rooms()[0].members.len(), 2);
}

#[tokio::test]
async fn rooms_that_only_recorders_hold_take_nobodys_place() {
    let house = House::with(Limits { rooms: 1, ..soon() }).await;
    let elsewhere = |identity: &str, room: &str, recorder: bool| {
        token(identity, &json!({ "room": room, "recorder": recorder, "hidden": recorder }))
    };
    let _bot = Client::with_token(&house, &elsewhere("recorder-1", "a", true)).await;
    let _alice = Client::with_token(&house, &elsewhere("alice", "b", false)).await;
    let asked = async |token: String| {
        reqwest::get(format!("http://{}/rtc/validate?access_token={token}", house.address)).await.unwrap().status()
    };
    assert_eq!(asked(elsewhere("bob", "a", false)).await, reqwest::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked(elsewhere("bob", "b", false)).await, reqwest::StatusCode::OK);
    assert_eq!(asked(elsewhere("recorder-2", "a", true)).await, reqwest::StatusCode::OK);
    assert_eq!(asked(elsewhere("recorder-2", "c", true)).await, reqwest::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(house.server.rooms().len(), 1);
}

#[tokio::test]
async fn somebody_who_comes_in_time_keeps_it() {
    let house = House::with(Limits { close_after: Duration::from_secs(3), ..soon() }).await;
    let mut news = house.watch();
    let alice = Client::join(&house, "alice").await;
    let room = alice.join.room.clone().unwrap().sid;
    alice.vanish();
    news.until(|event| matches!(event, RoomEvent::Left { .. })).await;
    let bob = Client::join(&house, "bob").await;
    assert_eq!(bob.join.room.unwrap().sid, room, "the same room");
}

#[tokio::test]
async fn a_closed_room_opens_anew() {
    let house = House::with(soon()).await;
    let mut news = house.watch();
    let alice = Client::join(&house, "alice").await;
    let room = alice.join.room.clone().unwrap().sid;
    alice.vanish();
    news.until(|event| matches!(event, RoomEvent::Closed { .. })).await;
    let bob = Client::join(&house, "bob").await;
    assert_ne!(bob.join.room.unwrap().sid, room);
}
