//! A refusal says which of the vendor's errors it is, on the socket's path and on the path that SDKs ask afterwards.

use cloud_recorder::channel_server::Limits;
use cloud_recorder::channel_server::token::{Mint006, Mint007, Privileges, Role, mint_006, mint_007};
use cloud_recorder::clock;
use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Client, connect, receive};
use crate::test_server::{CERTIFICATE, TestServer, app, room, token};

async fn get(test_server: &TestServer, path: &str) -> (StatusCode, String, bool) {
    let answer = reqwest::get(format!("http://{}{path}", test_server.address)).await.unwrap();
    let cors = answer.headers().get("access-control-allow-origin").is_some_and(|value| value == "*");
    (answer.status(), answer.text().await.unwrap(), cors)
}

fn now() -> u32 {
    u32::try_from(clock::now().0 / 1000).unwrap()
}

fn agora(uid: &str, issued: u32) -> String {
    let (app, room, privileges) = (app(), room(), Privileges::of(Role::Publisher, 600));
    let order = Mint007 { app: &app, channel: &room, uid, privileges: &privileges, issued, lifetime: 600, salt: 1 };
    encode(&mint_007(order, &CERTIFICATE.to_owned().into()))
}

/// Base64 in a query.
fn encode(token: &str) -> String {
    url::form_urlencoded::byte_serialize(token.as_bytes()).collect()
}

#[tokio::test]
async fn each_refusal_has_its_words_status_and_cors() {
    let test_server = TestServer::open().await;
    let expired = agora("7", now() - 10_000);
    let mut forged = agora("7", now());
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    for (query, words) in [
        (String::new(), "dynamic use static key"),
        ("access_token=".to_owned(), "dynamic use static key"),
        (format!("access_token={expired}"), "dynamic key expired"),
        (format!("access_token={forged}"), "invalid token, authorized failed"),
        (format!("access_token={}&room=other", agora("7", now())), "invalid token, authorized failed"),
        ("access_token=rubbish".to_owned(), "invalid token, authorized failed"),
    ] {
        for path in ["/rtc/validate", "/rtc"] {
            let answer = get(&test_server, &format!("{path}?{query}")).await;
            assert_eq!(answer, (StatusCode::UNAUTHORIZED, words.to_owned(), true), "{path} {query}");
        }
    }
}

/// As an HTTP answer, which every SDK reports at once; a socket that is opened and closed again makes some of them try for ten seconds.
#[tokio::test]
async fn a_full_room_refuses_before_the_socket_is_opened() {
    use tokio_tungstenite::tungstenite::Error;
    let test_server = TestServer::with(Limits { members_per_room: 1, rooms: 1, ..Limits::default() }).await;
    let mut alice = Client::join(&test_server, "alice").await;
    let other = token("bob", &json!({ "room": "other" }));
    let full = "the channel has as many members as it can take";
    for (token, words) in [(token("bob", &json!({})), full), (other, "this server has as many channels as it can take")]
    {
        let expected = (StatusCode::SERVICE_UNAVAILABLE, words.to_owned(), true);
        assert_eq!(get(&test_server, &format!("/rtc/validate?access_token={token}")).await, expected);
        let socket = format!("ws://{}/rtc?access_token={token}", test_server.address);
        let Err(Error::Http(refusal)) = tokio_tungstenite::connect_async(socket).await else { panic!("let in") };
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE.as_u16());
        assert_eq!(refusal.body().as_deref(), Some(words.as_bytes()));
    }
    alice.still_served().await;
    let again = Client::join(&test_server, "alice").await;
    assert_eq!(again.join.room.unwrap().num_participants, 1, "who takes its own place needs none");
}

#[tokio::test]
async fn the_newer_signalling_is_not_here() {
    let test_server = TestServer::open().await;
    let token = token("alice", &json!({}));
    for path in ["/rtc/v1", "/rtc/v1/validate"] {
        let (status, body, cors) = get(&test_server, &format!("{path}?access_token={token}")).await;
        assert_eq!((status, cors), (StatusCode::NOT_FOUND, true));
        assert!(!body.contains("requested room does not exist"), "SDKs would not fall back");
    }
    assert_eq!(get(&test_server, &format!("/rtc/validate?access_token={token}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_vendors_tokens_open_the_room_they_name() {
    let test_server = TestServer::open().await;
    let numbered = Client::with_token(&test_server, &agora("7", now())).await;
    assert_eq!(numbered.join.participant.unwrap().identity, "7");
    assert_eq!(numbered.join.room.unwrap().name, "room");

    let named = Client::with_token(&test_server, &format!("{}&identity=carol", agora("0", now()))).await;
    assert_eq!(named.join.participant.unwrap().identity, "carol");

    let assigned = Client::with_token(&test_server, &agora("0", now())).await;
    assert!(assigned.join.participant.unwrap().identity.parse::<u32>().unwrap() > 0);

    let (app, channel) = (app(), room());
    let expires = now() + 600;
    let privileges = Privileges::of(Role::Subscriber, expires);
    let order = Mint006 { app: &app, channel: &channel, uid: "8", privileges: &privileges, expires, salt: 1 };
    let old = encode(&mint_006(order, &CERTIFICATE.to_owned().into()));
    let old = Client::with_token(&test_server, &format!("{old}&room=room&identity=8")).await;
    let permission = old.join.participant.unwrap().permission.unwrap();
    assert!(permission.can_subscribe && !permission.can_publish && permission.can_publish_sources.is_empty());
    assert_eq!(old.join.other_participants.len(), 3);
}

#[tokio::test]
async fn a_bearer_token_in_the_header_is_as_good() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let test_server = TestServer::open().await;
    let mut request = format!("ws://{}/rtc", test_server.address).into_client_request().unwrap();
    let bearer = format!("Bearer {}", token("alice", &json!({})));
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert!(receive(&mut socket).await.is_some());
}

#[tokio::test]
async fn a_membership_that_is_not_there_has_to_be_joined_anew() {
    use livekit_protocol::signal_response::Message;
    let test_server = TestServer::open().await;
    let token = token("alice", &json!({}));
    let mut socket = connect(&test_server, &format!("access_token={token}&reconnect=1&sid=PA_nobody")).await;
    let Some(Message::Leave(leave)) = receive(&mut socket).await else { panic!("a leave") };
    assert_eq!(leave.action, i32::from(livekit_protocol::leave_request::Action::Reconnect));
    assert_eq!(receive(&mut socket).await, None);
}
