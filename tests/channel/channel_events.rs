//! The channel events of docs/protocol/agora.md section 6, row by row, as an observer of the server gets them.

use std::time::Duration;

use cloud_recorder::channel_server::{ChannelEvent, ChannelEvents, Limits};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{LeaveRequest, UpdateParticipantMetadata};
use serde_json::{Value, json};

use crate::client::Client;
use crate::test_server::{TestServer, app, recorder_token, room, token, uid};

struct Told(ChannelEvents);

impl Told {
    async fn next(&mut self) -> ChannelEvent {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("no event came");
        next.expect("the server is there").expect("nothing was missed")
    }

    /// The next event's number and payload.
    async fn payload(&mut self) -> (u16, Value) {
        let event = self.next().await;
        (event.number(), event.payload())
    }
}

fn soon() -> Limits {
    Limits { close_after: Duration::from_millis(200), resume_within: Duration::from_millis(100), ..Limits::default() }
}

async fn join(test_server: &TestServer, identity: &str, query: &str) -> Client {
    Client::with_token(test_server, &format!("{}&{query}", token(identity, &json!({})))).await
}

async fn quit(mut client: Client) {
    client.send(Request::Leave(LeaveRequest::default())).await;
    while client.next().await.is_some() {}
}

/// Rows 101, 107, 108, 102.
#[tokio::test]
async fn a_call_is_created_joined_left_and_destroyed() {
    let test_server = TestServer::with(soon()).await;
    let mut told = Told(test_server.server.channel_events());
    let alice = join(&test_server, "4711", "sdk=js&os=macOS").await;
    let created = told.next().await;
    assert_eq!((created.number(), created.app.clone()), (101, app()));
    let session = created.session.as_str();
    assert!(session.len() == 32 && session.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    assert_eq!(created.payload().as_object().unwrap().keys().collect::<Vec<_>>(), ["channelName", "ts"]);

    let (number, joined) = told.payload().await;
    assert_eq!(number, 107);
    let fields: Vec<_> = joined.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["channelName", "uid", "platform", "clientSeq", "ts", "account"]);
    assert_eq!((&joined["uid"], &joined["platform"], &joined["account"]), (&json!(4711), &json!(7), &json!("4711")));

    quit(alice).await;
    let (number, left) = told.payload().await;
    assert_eq!((number, &left["reason"], left["duration"].is_u64()), (108, &json!(1), true));
    assert!(left["clientSeq"].as_u64() > joined["clientSeq"].as_u64());
    let destroyed = told.next().await;
    assert_eq!((destroyed.number(), &destroyed.payload()["lastUid"]), (102, &json!(4711)));
    assert_eq!(destroyed.session, created.session);

    let _again = join(&test_server, "4711", "").await;
    assert_ne!(told.next().await.session, created.session, "a channel that opens anew is a new session");
    let again = told.payload().await.1;
    assert!(again["clientSeq"].as_u64() > left["clientSeq"].as_u64(), "rises for a user over sessions too");
}

/// Rows 103 to 106, 111, 112.
#[tokio::test]
async fn a_show_has_hosts_and_audience() {
    let test_server = TestServer::open().await;
    let mut told = Told(test_server.server.channel_events());
    let host = join(&test_server, "1", "profile=live&role=host&sdk=swift&os=iOS").await;
    let mut guest = join(&test_server, "guest", "role=audience&sdk=android&os=Android").await;
    assert_eq!(told.next().await.number(), 101);
    let (number, payload) = told.payload().await;
    assert_eq!((number, &payload["platform"]), (103, &json!(2)));
    let (number, payload) = told.payload().await;
    assert_eq!((number, &payload["platform"], &payload["account"]), (105, &json!(1), &json!("guest")));
    let guests_number = payload["uid"].clone();
    assert!(guests_number.as_u64().is_some_and(|number| number > 0), "an account has a number");
    let mut last = payload["clientSeq"].as_u64().unwrap();
    for (role, expected) in [("host", 111), ("audience", 112)] {
        let attributes = [("channel.role".to_owned(), role.to_owned())].into();
        guest.send(Request::UpdateMetadata(UpdateParticipantMetadata { attributes, ..Default::default() })).await;
        let (number, payload) = told.payload().await;
        assert_eq!((number, &payload["uid"]), (expected, &guests_number));
        let fields: Vec<_> = payload.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["channelName", "uid", "clientSeq", "ts", "account"]);
        assert!(payload["clientSeq"].as_u64().unwrap() > last);
        last = payload["clientSeq"].as_u64().unwrap();
    }
    quit(host).await;
    assert_eq!(told.next().await.number(), 104);
    quit(guest).await;
    assert_eq!(told.next().await.number(), 106);
}

/// The reasons: 2 lost, 3 removed, 4 server, 5 the same uid again. (12 is in `token_expiry`, 1 above, 10 below.)
#[tokio::test]
async fn reasons_are_told_apart() {
    let test_server = TestServer::with(soon()).await;
    let mut told = Told(test_server.server.channel_events());
    let _bob = Client::join(&test_server, "9").await;
    let mut reason = async |number| loop {
        let (kind, payload) = told.payload().await;
        if kind == 108 {
            assert_eq!(payload["reason"], json!(number));
            return;
        }
    };
    Client::join(&test_server, "1").await.vanish();
    reason(2).await;
    let _first = Client::join(&test_server, "1").await;
    let _second = Client::join(&test_server, "1").await;
    reason(5).await;
    test_server.server.kick(&app(), &room(), &uid("1"));
    reason(3).await;
    test_server.server.shutdown().await;
    reason(4).await;
}

#[tokio::test]
async fn a_client_that_is_asked_to_join_anew_left_for_the_networks_sake() {
    let test_server = TestServer::with(Limits { answer_within: Duration::from_millis(200), ..Limits::default() }).await;
    let mut told = Told(test_server.server.channel_events());
    let mut alice = Client::join(&test_server, "1").await;
    alice.until_leave().await;
    let left = loop {
        let (number, payload) = told.payload().await;
        if number == 108 {
            break payload;
        }
    };
    assert_eq!(left["reason"], json!(10));
}

/// `clientType` 10.
#[tokio::test]
async fn a_recorder_is_told_by_its_client_type() {
    let test_server = TestServer::open().await;
    let mut told = Told(test_server.server.channel_events());
    let _bot = Client::with_token(&test_server, &recorder_token("recorder-1")).await;
    let _alice = Client::join(&test_server, "alice").await;
    assert_eq!(told.next().await.number(), 101);
    let (number, payload) = told.payload().await;
    assert_eq!((number, &payload["platform"], &payload["clientType"]), (107, &json!(6), &json!(10)));
    let (number, payload) = told.payload().await;
    assert_eq!((number, &payload["account"], &payload["clientType"]), (107, &json!("alice"), &json!(null)));
}
