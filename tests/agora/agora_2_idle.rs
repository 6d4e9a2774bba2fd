//! docs/protocol/agora.md section 2.1, maxIdleTime and channelType: idle is no host in a live channel, and no user in a communication
//! channel.

use cloud_recorder::recording::Input;
use serde_json::json;

use crate::contract::accepted;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_keeps_a_communication_channel_and_no_live_one() {
    let world = World::new().await;
    let client = |kind: u8| {
        let mut client = world.client();
        client["recordingConfig"] = json!({ "channelType": kind, "streamTypes": 0, "maxIdleTime": 5 });
        client
    };
    let (call, show) =
        (world.record("mix", "call", "1", &client(0)).await, world.record("mix", "show", "1", &client(1)).await);
    for task in [&call, &show] {
        world.scripted_channel(task).await.at(0, Input::Joined { uid: "7".parse().unwrap() }).await;
    }
    world.over(&show).await;
    let log = world.log(&show).await;
    let leave = log.iter().find(|event| event["eventType"] == 41).unwrap();
    assert_eq!(leave["payload"]["details"]["leaveCode"], 4, "5.1 leaveCode: no users");
    accepted("2.1 maxIdleTime, communication", &world.query(&call).await);
}
