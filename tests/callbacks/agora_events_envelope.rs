//! docs/protocol/agora.md section 5, HTTP and body: one test a row.

use cloud_recorder::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, Module, RecordingEvent};
use cloud_recorder::callback::{Dispatcher, signature};
use cloud_recorder::recording::Mode;
use cloud_recorder::store::{NewSession, Store};
use cloud_recorder::units::{RECORDING_EVENTS, WallMs};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::receiver::{Answer, Attempt, Receiver};
use crate::world::{SECRET, app, append, new_session, now, settings, settled, start};

/// One event of a recording in this mode, as the receiver got it, and each attempt before it failed so.
async fn heard(mode: Mode, failures: &[Answer]) -> Vec<Attempt> {
    let receiver = Receiver::scripted(failures).await;
    let store = Store::in_memory().await.unwrap();
    let app = app('a');
    let sid = start(&store, &NewSession { mode, ..new_session(&app, 1) }).await;
    append(&store, &sid, RecordingEvent::RecorderStarted).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, &[sid]).await;
    receiver.attempts()
}

async fn once() -> Attempt {
    heard(Mode::Mix, &[]).await.remove(0)
}

/// POST, JSON in UTF-8, with the header `Content-Type: application/json`.
#[tokio::test]
async fn it_is_a_post_of_json() {
    let attempt = once().await;
    assert_eq!(attempt.method, "POST");
    assert_eq!(attempt.headers["content-type"], "application/json");
    assert!(std::str::from_utf8(&attempt.body).is_ok());
}

/// `Agora-Signature` is the HMAC-SHA1 of the raw body, `Agora-Signature-V2` its HMAC-SHA256, in hexadecimal digits.
#[tokio::test]
async fn both_signatures_are_over_the_raw_body() {
    let (attempt, secret) = (once().await, SecretString::from(SECRET));
    let (v1, v2) = (signature::v1(&secret, &attempt.body), signature::v2(&secret, &attempt.body));
    assert_eq!(attempt.headers["agora-signature"], v1);
    assert_eq!(attempt.headers["agora-signature-v2"], v2);
    assert_eq!((v1.len(), v2.len()), (40, 64));
    let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    assert!(lower(&v1) && lower(&v2), "lower-case digits (docs/protocol/callers.md section 3)");
}

/// The page's vector.
#[test]
fn the_vector_of_the_fact_sheet() {
    let body = br#"{"noticeId":"n-1","productId":3,"eventType":40,"notifyMs":1700000000000,"payload":{"sequence":0}}"#;
    let secret = SecretString::from("test-secret");
    assert_eq!(signature::v1(&secret, body), "9a255a7e2bad6d9391785b05394df1cfda61558a");
    assert_eq!(signature::v2(&secret, body), "c8537e77b3f5abbe557254817db408906a836acc85aeb57a38140c73a159b3d5");
}

/// `noticeId`, `productId`, `eventType`, `notifyMs`, `payload`, and the observed `sid` at the top level.
/// The noticeId fits 64 characters, and sid stands in payload too (docs/protocol/callers.md section 3).
#[tokio::test]
async fn the_body_has_the_observed_fields() {
    let json = once().await.json;
    let fields: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["noticeId", "productId", "eventType", "notifyMs", "sid", "payload"]);
    let id = json["noticeId"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!((&json["productId"], &json["eventType"]), (&json!(3), &json!(40)));
    assert!(json["notifyMs"].as_u64().unwrap() >= json["payload"]["sendts"].as_u64().unwrap());
    assert_eq!(json["sid"], json["payload"]["sid"]);
}

/// The payload: `cname`, `uid`, `sid`, `sequence` from 0, `sendts`, `serviceType`, `serviceScene`, `details` with `msgName`.
#[tokio::test]
async fn the_payload_has_the_documented_fields() {
    let payload = once().await.json["payload"].clone();
    let fields: Vec<_> = payload.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["cname", "uid", "sid", "sequence", "sendts", "serviceType", "serviceScene", "details"]);
    assert_eq!((&payload["cname"], &payload["uid"]), (&json!("room-1"), &json!("999")));
    assert_eq!((&payload["sequence"], &payload["serviceType"]), (&json!(0), &json!(1)));
    assert!(payload["sendts"].as_u64().unwrap().abs_diff(now().0) < 60_000, "milliseconds");
    assert_eq!(payload["details"]["msgName"], "recorder_started");
}

/// `serviceType` 0 platform, 1 recorder, 2 uploader, event by event as section 5.1's second column has it.
#[test]
fn service_types_are_those_of_the_table() {
    let of = |number: u16| match number {
        30..=34 => 2,
        40..=47 => 1,
        _ => 0,
    };
    for sample in cloud_recorder::callback::samples::samples(WallMs(1)) {
        assert_eq!(sample.encode().service_type, of(sample.number()), "{sample:?}");
        assert!(RECORDING_EVENTS.contains(&sample.number()));
    }
}

/// `serviceScene`: `mix_record` was seen, `rtc_record` is listed.
#[tokio::test]
async fn the_scene_tells_mix_from_individual() {
    for (mode, scene) in [(Mode::Mix, "mix_record"), (Mode::Both, "mix_record"), (Mode::Individual, "rtc_record")] {
        assert_eq!(heard(mode, &[]).await[0].json["payload"]["serviceScene"], scene);
    }
}

/// `notifyMs` is the time of this attempt, everything else as it was.
#[tokio::test]
async fn only_the_time_of_the_attempt_changes() {
    let attempts = heard(Mode::Mix, &[Answer::Status(500), Answer::Hang]).await;
    assert_eq!(attempts.len(), 3);
    let at = |attempt: &Attempt| attempt.json["notifyMs"].as_u64().unwrap();
    assert!(at(&attempts[0]) < at(&attempts[2]));
    let rest = |attempt: &Attempt| {
        let mut json = attempt.json.clone();
        json["notifyMs"] = Value::Null;
        json
    };
    assert!(attempts.windows(2).all(|pair| rest(&pair[0]) == rest(&pair[1])));
}

/// The page's smallest observed shape.
#[test]
fn the_details_of_the_observed_envelope() {
    let error = ErrorEvent::new(Module::Recorder, ErrorLevel::Fatal, ErrorCode::WrongToken, "");
    let details = RecordingEvent::Error(error).encode().details;
    assert_eq!(
        details,
        json!({"msgName": "cloud_recording_error", "module": 0, "errorLevel": 5, "errorCode": 110, "stat": 0, "errorMsg": ""})
    );
}
