//! Recorders: heard of, never seen, never in the way.

use super::*;

#[test]
fn a_recorder_is_heard_of_but_never_seen() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.new_effects();
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    stage.log.extend(stage.room.connected(&bot));
    let joined = stage.new_effects();
    assert_eq!(recording(&joined, &alice), [true]);
    assert!(updates(&joined, &alice).is_empty());
    let left = stage.room.remove(&bot, LeftReason::Quit);
    assert_eq!(recording(&left, &alice), [false]);
    assert!(updates(&left, &alice).is_empty());
}

#[test]
fn a_second_recorder_changes_nothing_for_members() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let (one, _) = stage.enter("recorder-1", recorder()).unwrap();
    stage.new_effects();
    stage.enter("recorder-2", recorder()).unwrap();
    assert!(recording(&stage.new_effects(), &alice).is_empty());
    assert!(recording(&stage.room.remove(&one, LeftReason::Quit), &alice).is_empty());
}

#[test]
fn recorders_do_not_hold_a_room_open_once_it_was_used() {
    let mut stage = Stage::new();
    assert!(stage.room.abandoned(), "nobody came");
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    assert!(!stage.room.abandoned(), "a recorder may wait for the first member");
    let alice = stage.join("alice");
    assert!(!stage.room.abandoned());
    stage.room.remove(&alice, LeftReason::Quit);
    assert!(stage.room.abandoned());
    let closed = stage.room.close(LeftReason::RoomClosed);
    let leave = told(&closed, &bot)
        .any(|m| matches!(m, Message::Leave(l) if l.reason == i32::from(DisconnectReason::RoomClosed)));
    assert!(leave && closed.contains(&Effect::News(RoomEvent::Closed { last: Uid::new("recorder-1").unwrap() })));
}
