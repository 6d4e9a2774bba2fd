//! Only who is selected is sent to the bot, from the first packet on and after each change.

use cloud_recorder::recording::{Input, Selection};

use crate::ear::{Ear, Speech};
use crate::house::{House, uid};

#[tokio::test]
async fn a_changed_selection_ends_one_and_begins_another() {
    let house = House::open().await;
    let only = |who: &str| Selection::Only([uid(who)].into());
    let _ann = Speech::begin(&house.address, "ann").await;
    let mut ear = Ear::join(&house.address, only("bob")).await;
    let ann = ear.track_of(&uid("ann")).await;
    let _bob = Speech::begin(&house.address, "bob").await;
    let bob = ear.track_of(&uid("bob")).await;
    let hears_ann = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == ann);
    let hears_bob = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == bob);
    for _ in 0..50 {
        let heard = ear.until(|input| hears_ann(input) || hears_bob(input)).await;
        assert!(hears_bob(&heard), "she is not selected");
    }
    ear.handle.selection.send_replace(only("ann"));
    ear.until(hears_ann).await;
    // What was on its way may still come; then nothing of his.
    ear.hear(ann, 25).await;
    for _ in 0..50 {
        let heard = ear.until(|input| hears_ann(input) || hears_bob(input)).await;
        assert!(hears_ann(&heard), "he is no longer selected");
    }
    // The same publication once more, on the same track.
    ear.handle.selection.send_replace(Selection::All);
    ear.hear(bob, 10).await;
    ear.hear(ann, 10).await;
}
