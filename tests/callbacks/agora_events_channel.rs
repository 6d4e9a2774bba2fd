//! docs/protocol/agora.md section 6, row by row: channel events (productId 1) from the channel server's news to the receiver.

use cloud_recorder::callback::{Dispatcher, Intake, signature};
use cloud_recorder::channel_server::ChannelEvent;
use cloud_recorder::metrics::Metrics;
use cloud_recorder::store::{NewChannelNotice, Store};
use cloud_recorder::units::{CHANNEL_EVENTS, ChannelSid, WallMs};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::node::Node;
use crate::receiver::{Answer, Receiver};
use crate::world::{SECRET, all_settings, app, until};

const AT: WallMs = WallMs(1_700_000_000_500);

/// What the store is given of an event, as a worker does it.
pub(crate) fn notice(event: &ChannelEvent) -> NewChannelNotice {
    NewChannelNotice {
        app: event.app.clone(),
        session: event.session.clone(),
        event_type: event.number(),
        payload: event.payload(),
    }
}

/// Every example, sent to this receiver.
async fn send(receiver: &Receiver) {
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let dispatcher = Dispatcher::spawn(store.clone(), all_settings(&[(&app, &receiver.url)])).unwrap();
    let intake = Intake::spawn(store, dispatcher.clone(), Metrics::default());
    for event in ChannelEvent::samples(&app, AT) {
        assert!(intake.offer(notice(&event)));
    }
    intake.finish().await;
    until(async || distinct(receiver).len() == CHANNEL_EVENTS.len()).await;
    dispatcher.shutdown().await;
}

/// The bodies that came, without repetitions.
fn distinct(receiver: &Receiver) -> Vec<Value> {
    let mut known: Vec<Value> = Vec::new();
    for attempt in receiver.attempts() {
        if known.iter().all(|one| one["noticeId"] != attempt.json["noticeId"]) {
            known.push(attempt.json);
        }
    }
    known
}

/// The one with this number.
async fn heard(event_type: u16) -> Value {
    let receiver = Receiver::scripted(&[]).await;
    send(&receiver).await;
    distinct(&receiver).into_iter().find(|body| body["eventType"] == event_type).unwrap()
}

fn fields(payload: &Value) -> Vec<&str> {
    payload.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Rows 101 and 102.
const COMES: [&str; 2] = ["channelName", "ts"];
const GOES: [&str; 3] = ["channelName", "lastUid", "ts"];
/// Rows 103, 105, 107; 104, 106, 108; 111, 112.
const JOINS: [&str; 6] = ["channelName", "uid", "platform", "clientSeq", "ts", "account"];
const LEAVES: [&str; 8] = ["channelName", "uid", "platform", "clientSeq", "reason", "duration", "ts", "account"];
const CHANGES: [&str; 5] = ["channelName", "uid", "clientSeq", "ts", "account"];

#[tokio::test]
async fn row_101_a_channel_is_created() {
    let payload = &heard(101).await["payload"];
    assert_eq!(fields(payload), COMES);
    assert_eq!((&payload["channelName"], &payload["ts"]), (&json!("test_webhook"), &json!(1_700_000_000)), "seconds");
}

#[tokio::test]
async fn row_102_a_channel_is_destroyed() {
    let payload = &heard(102).await["payload"];
    assert_eq!(fields(payload), GOES);
    assert_eq!(payload["lastUid"], 12_121_212);
}

#[tokio::test]
async fn row_103_a_host_joins() {
    joins(103).await;
}

#[tokio::test]
async fn row_104_a_host_leaves() {
    leaves(104).await;
}

#[tokio::test]
async fn row_105_audience_joins() {
    joins(105).await;
}

#[tokio::test]
async fn row_106_audience_leaves() {
    leaves(106).await;
}

#[tokio::test]
async fn row_107_a_caller_joins() {
    joins(107).await;
}

#[tokio::test]
async fn row_108_a_caller_leaves() {
    leaves(108).await;
}

#[tokio::test]
async fn row_111_somebody_becomes_a_host() {
    assert_eq!(fields(&heard(111).await["payload"]), CHANGES);
}

#[tokio::test]
async fn row_112_somebody_becomes_audience() {
    assert_eq!(fields(&heard(112).await["payload"]), CHANGES);
}

async fn joins(event_type: u16) {
    let payload = &heard(event_type).await["payload"];
    assert_eq!(fields(payload), JOINS);
    assert_eq!((&payload["uid"], &payload["account"]), (&json!(12_121_212), &json!("12121212")));
    assert_eq!(payload["platform"], 7);
}

async fn leaves(event_type: u16) {
    let payload = &heard(event_type).await["payload"];
    assert_eq!(fields(payload), LEAVES);
    assert_eq!((&payload["reason"], &payload["duration"]), (&json!(1), &json!(600)), "quit, seconds");
}

/// The observed body: `{"sid":"<32HEX>","noticeId":"1217926940:819614:102","productId":1,"eventType":102,"notifyMs":…,"payload":{…}}`;
/// `sid` at the top level is the session, 32 upper-case digits; noticeId is `<n>:<n>:<eventType>`.
#[tokio::test]
async fn the_body_is_the_observed_one() {
    let body = heard(102).await;
    assert_eq!(fields(&body), ["sid", "noticeId", "productId", "eventType", "notifyMs", "payload"]);
    assert_eq!((&body["productId"], &body["eventType"]), (&json!(1), &json!(102)));
    assert!(ChannelSid::new(body["sid"].as_str().unwrap()).is_ok());
    let id = body["noticeId"].as_str().unwrap();
    let parts: Vec<&str> = id.split(':').collect();
    assert!(id.len() <= 64 && parts.len() == 3 && parts[..2].iter().all(|part| part.parse::<u64>().is_ok()), "{id}");
    assert_eq!(parts[2], "102");
}

/// clientSeq rises for each user: a number that both schools of signature checks print alike.
#[tokio::test]
async fn channel_events_pass_both_signature_checks() {
    let receiver = Receiver::scripted(&[]).await;
    send(&receiver).await;
    let (mut node, secret) = (Node::start(SECRET), SecretString::from(SECRET));
    for attempt in receiver.attempts() {
        let reading = node.read(std::str::from_utf8(&attempt.body).unwrap());
        assert_eq!(reading.again.as_bytes(), attempt.body);
        assert_eq!(attempt.headers[signature::HEADER_V1], signature::v1(&secret, &attempt.body));
        assert_eq!(attempt.headers[signature::HEADER_V2], reading.v2);
    }
}

/// Section 5: the original's callbacks come twice, late and unordered; here in the order of the session, each with one noticeId, whatever
/// fails.
#[tokio::test]
async fn a_receiver_that_fails_gets_a_session_in_order() {
    let script: Vec<Answer> =
        [500, 200, 503, 200, 404, 200, 500, 500, 200].map(Answer::Status).into_iter().chain([Answer::Drop]).collect();
    let receiver = Receiver::scripted(&script).await;
    send(&receiver).await;
    let order: Vec<u64> = distinct(&receiver).iter().map(|body| body["eventType"].as_u64().unwrap()).collect();
    assert_eq!(order, CHANNEL_EVENTS.map(u64::from));
    let attempts = receiver.attempts();
    assert!(attempts.len() >= CHANNEL_EVENTS.len() + 5, "each failure was repeated");
    let ids: Vec<&str> = attempts.iter().map(|attempt| attempt.notice_id()).collect();
    let mut runs = ids.clone();
    runs.dedup();
    assert_eq!(runs.len(), CHANNEL_EVENTS.len(), "no event overtakes another: {ids:?}");
}
