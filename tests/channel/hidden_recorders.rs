//! Members know that they are recorded, and never see who records.

use livekit_protocol::signal_response::Message;
use serde_json::json;

use crate::client::Client;
use crate::test_server::{TestServer, recorder_token, token};

fn recording(message: Message) -> Option<bool> {
    if let Message::RoomUpdate(update) = message { Some(update.room.unwrap().active_recording) } else { None }
}

#[tokio::test]
async fn its_coming_and_going_is_a_state_of_the_room() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    assert!(!alice.join.room.as_ref().unwrap().active_recording);

    let recorder = Client::with_token(&test_server, &recorder_token("recorder-1")).await;
    assert_eq!(recorder.join.other_participants.len(), 1, "it sees the members");
    assert!(alice.until(recording).await);

    let bob = Client::join(&test_server, "bob").await;
    let room = bob.join.room.as_ref().unwrap();
    assert_eq!((room.active_recording, room.num_participants), (true, 2));
    let seen: Vec<_> = bob.join.other_participants.iter().map(|info| info.identity.as_str()).collect();
    assert_eq!(seen, ["alice"]);

    let mut recorder = recorder;
    recorder.send(livekit_protocol::signal_request::Message::Leave(Default::default())).await;
    let messages = async {
        loop {
            match alice.next().await.unwrap() {
                Message::Update(update) => {
                    assert!(update.participants.iter().all(|info| info.identity != "recorder-1"))
                }
                // Of bob, who came meanwhile.
                Message::RoomUpdate(update) if update.room.as_ref().unwrap().active_recording => {}
                Message::RoomUpdate(update) => return update.room.unwrap(),
                _ => {}
            }
        }
    };
    assert_eq!(messages.await.num_participants, 2);
}

#[tokio::test]
async fn it_may_not_publish() {
    let test_server = TestServer::open().await;
    let listener = Client::with_token(&test_server, &token("listener", &json!({ "canPublish": false }))).await;
    let permission = listener.join.participant.unwrap().permission.unwrap();
    assert!(permission.can_subscribe && !permission.can_publish && !permission.can_publish_data);
}
