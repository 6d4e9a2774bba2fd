//! What becomes of a recording's place when its signalling socket is lost.

use cloud_recorder::recording::{Coding, Input, Selection, Source, TrackKind};

use crate::ear::{Ear, Speech};
use crate::house::{House, uid};
use crate::road::Road;

/// What the talkers of these tests publish.
const MICROPHONE: TrackKind = TrackKind { source: Source::Microphone, coding: Coding::Opus };

fn is_outage(input: &Input) -> bool {
    matches!(input, Input::ChannelDown | Input::ChannelUp)
}

#[tokio::test]
async fn a_reset_socket_beside_flowing_packets_is_no_outage() {
    let house = House::open().await;
    let road = Road::to(&house.address).await;
    let _ann = Speech::begin(&house.address, "ann").await;
    let mut ear = Ear::join(&road.address, Selection::All).await;
    let track = ear.track_of(&uid("ann")).await;
    ear.hear(track, 10).await;
    road.cut(Some(&house.address));
    ear.hear(track, 100).await;
    // The new socket works: news comes over it.
    let _bob = Speech::begin(&house.address, "bob").await;
    let bobs = ear.track_of(&uid("bob")).await;
    ear.hear(bobs, 10).await;
    assert!(!ear.told.iter().any(is_outage), "{:?}", ear.told);
    assert!(!ear.told.iter().any(|input| matches!(input, Input::Left { .. } | Input::TrackRemoved { .. })));
}

#[tokio::test]
async fn what_happened_without_a_socket_is_told_after_it() {
    let house = House::open().await;
    let road = Road::to(&house.address).await;
    let mut ear = Ear::join(&road.address, Selection::All).await;
    let ann = Speech::begin(&house.address, "ann").await;
    let track = ear.track_of(&uid("ann")).await;
    ear.hear(track, 10).await;
    road.cut(None);
    drop(ann);
    let _bob = Speech::begin(&house.address, "bob").await;
    ear.until(|input| *input == Input::ChannelDown).await;
    road.cut(Some(&house.address));
    ear.until(|input| *input == Input::ChannelUp).await;
    let bobs = ear.track_of(&uid("bob")).await;
    ear.hear(bobs, 10).await;
    ear.until(|input| *input == Input::Left { uid: uid("ann") }).await;
}

#[tokio::test]
async fn another_server_with_the_same_people_is_a_gap_and_no_leave() {
    let (old, new) = (House::open().await, House::open().await);
    let road = Road::to(&old.address).await;
    let _ann = Speech::begin(&old.address, "ann").await;
    let mut ear = Ear::join(&road.address, Selection::All).await;
    let before = ear.track_of(&uid("ann")).await;
    ear.hear(before, 10).await;
    let _ann_again = Speech::begin(&new.address, "ann").await;
    let _bob = Speech::begin(&new.address, "bob").await;
    ear.told.clear();
    road.cut(Some(&new.address));
    let bobs = ear.track_of(&uid("bob")).await;
    ear.hear(bobs, 50).await;
    let after = ear.told.iter().find_map(|input| match input {
        Input::TrackAdded { track, uid, .. } if uid.as_str() == "ann" => Some(*track),
        _ => None,
    });
    let after = after.expect("her new publication was announced");
    ear.hear(after, 10).await;
    let expected = [
        Input::ChannelDown,
        Input::ChannelUp,
        Input::TrackRemoved { track: before },
        Input::TrackAdded { track: after, uid: uid("ann"), muted: false, kind: MICROPHONE },
        Input::Joined { uid: uid("bob") },
        Input::TrackAdded { track: bobs, uid: uid("bob"), muted: false, kind: MICROPHONE },
    ];
    assert_eq!(ear.told, expected);
}
