//! Only who is selected is sent to the bot, from the first packet on and after each change.

use cloud_recorder::recording::{Input, Selection};

use crate::audio_probe::{AudioProbe, Speech};
use crate::test_server::{TestServer, uid};

#[tokio::test]
async fn a_changed_selection_ends_one_and_begins_another() {
    let test_server = TestServer::open().await;
    let only = |who: &str| Selection::Only([uid(who)].into());
    let _ann = Speech::begin(&test_server.address, "ann").await;
    let mut audio_probe = AudioProbe::join(&test_server.address, only("bob")).await;
    let ann = audio_probe.track_of(&uid("ann")).await;
    let _bob = Speech::begin(&test_server.address, "bob").await;
    let bob = audio_probe.track_of(&uid("bob")).await;
    let hears_ann = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == ann);
    let hears_bob = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == bob);
    for _ in 0..50 {
        let heard = audio_probe.until(|input| hears_ann(input) || hears_bob(input)).await;
        assert!(hears_bob(&heard), "she is not selected");
    }
    audio_probe.handle.selection.send_replace(only("ann"));
    audio_probe.until(hears_ann).await;
    // What was on its way may still come; then nothing of his.
    audio_probe.hear(ann, 25).await;
    for _ in 0..50 {
        let heard = audio_probe.until(|input| hears_ann(input) || hears_bob(input)).await;
        assert!(hears_ann(&heard), "he is no longer selected");
    }
    // The same publication once more, on the same track.
    audio_probe.handle.selection.send_replace(Selection::All);
    audio_probe.hear(bob, 10).await;
    audio_probe.hear(ann, 10).await;
}
