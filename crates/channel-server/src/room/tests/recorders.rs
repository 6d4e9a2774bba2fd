//! Recorders: heard of, never seen, never in the way.

use super::*;

#[test]
fn a_recorder_is_heard_of_but_never_seen() {
    let mut stage = TestRoom::new();
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
    let mut stage = TestRoom::new();
    let alice = stage.join("alice");
    let (one, _) = stage.enter("recorder-1", recorder()).unwrap();
    stage.new_effects();
    stage.enter("recorder-2", recorder()).unwrap();
    assert!(recording(&stage.new_effects(), &alice).is_empty());
    assert!(recording(&stage.room.remove(&one, LeftReason::Quit), &alice).is_empty());
}

#[test]
fn recorders_do_not_hold_a_room_open_and_wait_for_its_next_member() {
    let mut stage = TestRoom::new();
    assert!(stage.room.abandoned(), "nobody came");
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    assert!(!stage.room.abandoned() && !stage.room.is_open(), "a recorder may wait for the first member");
    assert!(notices(&stage.new_effects()).is_empty() && stage.room.summary().is_none());
    let alice = stage.join("alice");
    assert_eq!(notices(&stage.new_effects()), ["opened", "joined recorder-1", "joined alice"]);
    assert!(!stage.room.abandoned() && stage.room.is_open());
    stage.room.remove(&alice, LeftReason::Quit);
    assert!(stage.room.abandoned());
    let closed = stage.room.retire();
    assert_eq!(notices(&closed), ["left recorder-1", "closed recorder-1"]);
    assert!(!received(&closed, &bot).any(|message| matches!(message, Message::Leave(_))), "it is not sent away");
    assert!(!stage.room.abandoned() && stage.room.summary().is_none());
    let (_, joined) = stage.enter("bob", speaker()).unwrap();
    assert_eq!(notices(&stage.new_effects()), ["opened", "joined recorder-1", "joined bob"]);
    assert!(joined.room.unwrap().active_recording);
}

#[test]
fn of_a_recorder_in_a_room_that_is_not_open_nothing_is_told() {
    let mut stage = TestRoom::new();
    let (bot, _) = stage.enter("recorder-1", recorder()).unwrap();
    let (again, _) = stage.enter("recorder-1", recorder()).unwrap();
    assert!(received(&stage.new_effects(), &bot).any(|message| matches!(message, Message::Leave(_))));
    assert!(notices(&stage.room.remove(&again, LeftReason::Quit)).is_empty());
    assert!(stage.room.abandoned() && notices(&stage.room.close(LeftReason::RoomClosed)).is_empty());
}

fn notices(effects: &Effects) -> Vec<String> {
    let received = effects.iter().filter_map(|effect| match effect {
        Effect::News(RoomEvent::Opened) => Some("opened".to_owned()),
        Effect::News(RoomEvent::Joined(who)) => Some(format!("joined {}", who.uid)),
        Effect::News(RoomEvent::Left { who, .. }) => Some(format!("left {}", who.uid)),
        Effect::News(RoomEvent::Closed { last }) => Some(format!("closed {last}")),
        _ => None,
    });
    received.collect()
}
