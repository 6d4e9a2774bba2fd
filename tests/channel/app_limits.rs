//! One app can't fill the server: what an app may have is bounded, and a refusal names the key that bounds it.

use cloud_recorder::channel::jwt;
use cloud_recorder::channel_server::{AppKeys, Limits, Settings};
use cloud_recorder::clock;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, LeaveRequest, TrackSource};
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::client::Client;
use crate::test_server::{CERTIFICATE, KEY, TestServer, app, app_elsewhere, secret, settings, token};

/// A token for a room of the second app.
fn second(identity: &str) -> String {
    let exp = clock::now().0 / 1000 + 600;
    let video = json!({ "roomJoin": true, "room": "room" });
    jwt::mint(&json!({ "iss": KEY, "sub": identity, "app": app_elsewhere(), "exp": exp, "video": video }), &secret())
}

async fn test_server(limits: Limits) -> TestServer {
    let keys = |app_id| AppKeys { app_id, certificate: Some(CERTIFICATE.to_owned().into()) };
    TestServer::set(Settings { apps: vec![keys(app()), keys(app_elsewhere())], limits, ..settings() }).await
}

/// What the refusal says; `None` when the client is let in.
async fn refusal(test_server: &TestServer, token: &str) -> Option<String> {
    match tokio_tungstenite::connect_async(format!("ws://{}/rtc?access_token={token}", test_server.address)).await {
        Ok(_) => None,
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
            Some(String::from_utf8(answer.body().clone().unwrap()).unwrap())
        }
        Err(error) => panic!("{error}"),
    }
}

async fn add_track(client: &mut Client, cid: &str) -> Result<(), (i32, String)> {
    let source = TrackSource::Microphone.into();
    client.send(Request::AddTrack(AddTrackRequest { cid: cid.into(), source, ..Default::default() })).await;
    let answer = |message| match message {
        Message::TrackPublished(_) => Some(Ok(())),
        Message::RequestResponse(response) => Some(Err((response.reason, response.message))),
        _ => None,
    };
    client.until(answer).await
}

#[tokio::test]
async fn channels_members_and_tracks_are_counted_by_app() {
    let limits = Limits { rooms_per_app: 1, members_per_app: 2, tracks_per_app: 1, ..Limits::default() };
    let test_server = test_server(limits).await;
    let mut alice = Client::join(&test_server, "alice").await;
    let elsewhere = token("bob", &json!({ "room": "elsewhere" }));
    assert!(refusal(&test_server, &elsewhere).await.unwrap().contains("channel_server.max_channels_per_app"));
    let mut bob = Client::join(&test_server, "bob").await;
    let carol = token("carol", &json!({}));
    assert!(refusal(&test_server, &carol).await.unwrap().contains("channel_server.max_members_per_app"));

    assert_eq!(add_track(&mut alice, "a").await, Ok(()));
    let (reason, words) = add_track(&mut bob, "b").await.unwrap_err();
    assert_eq!(reason, i32::from(Reason::LimitExceeded));
    assert!(words.contains("channel_server.max_tracks_per_app"), "{words}");

    let mut dave = Client::with_token(&test_server, &second("dave")).await;
    assert_eq!(add_track(&mut dave, "d").await, Ok(()), "the other app has all of its own");
    let again = Client::join(&test_server, "alice").await;
    assert_eq!(again.join.room.unwrap().num_participants, 2, "who takes its own place needs none");
    assert_eq!(add_track(&mut bob, "b").await, Ok(()), "the track of the first alice is gone");

    bob.send(Request::Leave(LeaveRequest::default())).await;
    bob.until_closed().await;
    assert_eq!(refusal(&test_server, &carol).await, None, "bob gave his place back");
}

#[tokio::test]
async fn connections_are_counted_by_app() {
    let test_server = test_server(Limits { sockets_per_app: 1, ..Limits::default() }).await;
    let _alice = Client::join(&test_server, "alice").await;
    let bob = token("bob", &json!({}));
    assert!(refusal(&test_server, &bob).await.unwrap().contains("channel_server.max_connections_per_app"));
    assert_eq!(refusal(&test_server, &second("dave")).await, None);
}
