//! A room outlives its last member for a while, then closes; recorders don't hold it open.

use std::time::Duration;

use cloud_recorder::channel_server::{Limits, RoomEvent};
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;

use crate::client::Client;
use crate::house::{House, recorder_token};

fn soon() -> Limits {
    Limits { close_after: Duration::from_millis(200), resume_within: Duration::from_millis(100), ..Limits::default() }
}

#[tokio::test]
async fn a_recorder_is_sent_away_with_the_rooms_end() {
    let house = House::with(soon()).await;
    let mut news = house.watch();
    let mut recorder = Client::with_token(&house, &recorder_token("recorder-1")).await;
    let alice = Client::join(&house, "alice").await;
    alice.vanish();
    let leave = recorder.until_leave().await;
    assert_eq!((leave.reason, leave.action), (DisconnectReason::RoomClosed.into(), Action::Disconnect.into()));
    news.until(|event| matches!(event, RoomEvent::Closed { .. })).await;
    assert!(house.server.rooms().is_empty());
}

#[tokio::test]
async fn a_recorder_may_wait_for_the_first_member() {
    let house = House::with(soon()).await;
    let mut recorder = Client::with_token(&house, &recorder_token("recorder-1")).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    recorder.still_served().await;
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
