//! What becomes of a recording's place when its signalling socket is lost.

use cloud_recorder::recording::{Coding, Input, Selection, Source, TrackKind};

use crate::audio_probe::{AudioProbe, Speech};
use crate::signal_proxy::SignalProxy;
use crate::test_server::{TestServer, uid};

/// What the talkers of these tests publish.
const MICROPHONE: TrackKind = TrackKind { source: Source::Microphone, coding: Coding::Opus };

fn is_outage(input: &Input) -> bool {
    matches!(input, Input::ChannelDown | Input::ChannelUp)
}

#[tokio::test]
async fn a_reset_socket_beside_flowing_packets_is_no_outage() {
    let test_server = TestServer::open().await;
    let signal_proxy = SignalProxy::to(&test_server.address).await;
    let _ann = Speech::begin(&test_server.address, "ann").await;
    let mut audio_probe = AudioProbe::join(&signal_proxy.address, Selection::All).await;
    let track = audio_probe.track_of(&uid("ann")).await;
    audio_probe.hear(track, 10).await;
    signal_proxy.cut(Some(&test_server.address));
    audio_probe.hear(track, 100).await;
    // The new socket works: news comes over it.
    let _bob = Speech::begin(&test_server.address, "bob").await;
    let bobs = audio_probe.track_of(&uid("bob")).await;
    audio_probe.hear(bobs, 10).await;
    assert!(!audio_probe.told.iter().any(is_outage), "{:?}", audio_probe.told);
    assert!(!audio_probe.told.iter().any(|input| matches!(input, Input::Left { .. } | Input::TrackRemoved { .. })));
}

#[tokio::test]
async fn what_happened_without_a_socket_is_told_after_it() {
    let test_server = TestServer::open().await;
    let signal_proxy = SignalProxy::to(&test_server.address).await;
    let mut audio_probe = AudioProbe::join(&signal_proxy.address, Selection::All).await;
    let ann = Speech::begin(&test_server.address, "ann").await;
    let track = audio_probe.track_of(&uid("ann")).await;
    audio_probe.hear(track, 10).await;
    signal_proxy.cut(None);
    drop(ann);
    let _bob = Speech::begin(&test_server.address, "bob").await;
    audio_probe.until(|input| *input == Input::ChannelDown).await;
    signal_proxy.cut(Some(&test_server.address));
    audio_probe.until(|input| *input == Input::ChannelUp).await;
    let bobs = audio_probe.track_of(&uid("bob")).await;
    audio_probe.hear(bobs, 10).await;
    audio_probe.until(|input| *input == Input::Left { uid: uid("ann") }).await;
}

#[tokio::test]
async fn another_server_with_the_same_people_is_a_gap_and_no_leave() {
    let (old, new) = (TestServer::open().await, TestServer::open().await);
    let signal_proxy = SignalProxy::to(&old.address).await;
    let _ann = Speech::begin(&old.address, "ann").await;
    let mut audio_probe = AudioProbe::join(&signal_proxy.address, Selection::All).await;
    let before = audio_probe.track_of(&uid("ann")).await;
    audio_probe.hear(before, 10).await;
    let _ann_again = Speech::begin(&new.address, "ann").await;
    let _bob = Speech::begin(&new.address, "bob").await;
    audio_probe.told.clear();
    signal_proxy.cut(Some(&new.address));
    let bobs = audio_probe.track_of(&uid("bob")).await;
    audio_probe.hear(bobs, 50).await;
    let after = audio_probe.told.iter().find_map(|input| match input {
        Input::TrackAdded { track, uid, .. } if uid.as_str() == "ann" => Some(*track),
        _ => None,
    });
    let after = after.expect("her new publication was announced");
    audio_probe.hear(after, 10).await;
    let expected = [
        Input::ChannelDown,
        Input::ChannelUp,
        Input::TrackRemoved { track: before },
        Input::TrackAdded { track: after, uid: uid("ann"), muted: false, kind: MICROPHONE },
        Input::Joined { uid: uid("bob") },
        Input::TrackAdded { track: bobs, uid: uid("bob"), muted: false, kind: MICROPHONE },
    ];
    assert_eq!(audio_probe.told, expected);
}
