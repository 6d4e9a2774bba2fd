//! docs/protocol/agora.md section 8.4: names of channels and members, as a caller of the recording API meets them. Tokens (8.1 to 8.3) are
//! in crates/channel-server/src/token, tests/channel and tests/peers/test_vendor_tokens.py.

use serde_json::json;

use crate::contract::{accepted, path, refused};
use crate::world::World;

const SPECIAL: &str = " !#$%&()+-:;<=.>?@[]^_{}|~,";

#[tokio::test]
async fn channel_names_have_the_vendors_characters() {
    let world = World::new().await;
    let acquire = async |cname: &str| world.post(&path("acquire"), json!({ "cname": cname, "uid": "1" })).await;
    let dead_letters = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(SPECIAL.chars());
    assert_eq!(dead_letters.clone().count(), 89, "8.4: 89 characters");
    for letter in dead_letters {
        accepted(&format!("8.4 {letter:?}"), &acquire(&format!("x{letter}x")).await);
    }
    accepted("8.4 64 bytes", &acquire(&"x".repeat(64)).await);
    for wrong in ["/", "\\", "\"", "'", "`", "*", "\n", "\u{0}", "é", "会議", "😀"] {
        refused(&format!("8.4 {wrong:?}"), &acquire(&format!("x{wrong}x")).await, 400, 401, "invalid_channel_name");
    }
    refused("8.4 65 bytes", &acquire(&"x".repeat(65)).await, 400, 401, "invalid_channel_name");
}

/// 8.4 uid: a recorder's is an integer, members may have accounts.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_members_and_no_recorders() {
    let world = World::new().await;
    let account = world.post(&path("acquire"), json!({ "cname": "room", "uid": "alice" })).await;
    refused("8.4 a recorder's uid", &account, 400, 2, "uid");
    let mut client = world.client();
    client["recordingConfig"]["subscribeAudioUids"] = json!(["alice", "42"]);
    let resource = world.acquire("room", "1").await;
    accepted("8.4 accounts in lists", &world.start(&resource, "individual", "room", "1", &client).await);
}
