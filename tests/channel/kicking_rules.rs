//! Kicking rules (docs/protocol/agora.md section 7): made, listed, changed and deleted over REST, and what members feel of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::rules::{KeeperError, NewRule, Rule, RuleId, RuleKeeper};
use cloud_recorder::channel_server::{LeftReason, RoomEvent, Settings};
use cloud_recorder::recording::{Input, Selection};
use cloud_recorder::units::WallMs;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, DisconnectReason, ParticipantInfo, TrackSource};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::audio_probe::{AudioProbe, Speech};
use crate::client::Client;
use crate::rest::{call, get, rule};
use crate::test_server::{APP, TestServer, app_elsewhere, recorder_token, settings, token, uid};

fn ban(target: &Value, privilege: &str) -> Value {
    let mut body = json!({ "appid": APP, "time": 5, "privileges": [privilege] });
    body.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    body
}

/// What the door says to a member of room, or of another channel.
async fn door(test_server: &TestServer, identity: &str, channel: &str) -> (StatusCode, String) {
    let token = token(identity, &json!({ "room": channel }));
    let answer =
        reqwest::get(format!("http://{}/rtc/validate?access_token={token}", test_server.address)).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn open() -> (StatusCode, String) {
    (StatusCode::OK, "success".to_owned())
}

fn banned(word: &str) -> (StatusCode, String) {
    (StatusCode::FORBIDDEN, word.to_owned())
}

/// Rows "kick create", "kick list", "kick update", "kick delete".
#[tokio::test]
async fn a_rule_is_made_listed_changed_and_deleted() {
    let test_server = TestServer::open().await;
    let list = format!("kicking-rule?appid={APP}");
    assert_eq!(get(&test_server, &list).await, json!({ "status": "success", "rules": [] }));
    let order = ban(&json!({ "cname": "room", "uid": 589_517_928, "ip": "" }), "join_channel");
    let made = rule(&test_server, Method::POST, order).await;
    let id = made["id"].as_u64().expect("a number");
    assert_eq!(made, json!({ "status": "success", "id": id }));

    let listed = get(&test_server, &list).await["rules"][0].clone();
    let fields: Vec<_> = listed.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "appid", "uid", "opid", "cname", "ip", "ts", "privileges", "createAt", "updateAt"]);
    assert_eq!(listed["privileges"], json!(["join_channel"]));
    assert_eq!((&listed["uid"], &listed["cname"], &listed["ip"]), (&json!(589_517_928), &json!("room"), &json!("")));
    let time = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    assert_eq!((time(&listed["ts"]) - time(&listed["createAt"])).num_seconds(), 300);

    let updated = rule(&test_server, Method::PUT, json!({ "appid": APP, "id": id, "time_in_seconds": 20 })).await;
    assert_eq!(updated["result"]["id"], json!(id));
    let listed = get(&test_server, &list).await["rules"][0].clone();
    assert_eq!(listed["ts"], updated["result"]["ts"]);
    assert_eq!((time(&listed["ts"]) - time(&listed["updateAt"])).num_seconds(), 20);

    assert_eq!(
        rule(&test_server, Method::DELETE, json!({ "appid": APP, "id": id })).await,
        json!({ "status": "success", "id": id })
    );
    assert_eq!(get(&test_server, &list).await["rules"], json!([]));
    let (status, answer) =
        call(&test_server, Method::DELETE, "kicking-rule", Some(json!({ "appid": APP, "id": id }))).await;
    assert!(status == 404 && answer["message"].is_string(), "{answer}");
}

/// The combinations: ip, cname, uid, cname and uid; in the vendor's words for each.
#[tokio::test]
async fn who_is_banned_does_not_get_in() {
    for (target, uid_7, uid_8, uid_7_elsewhere) in [
        (json!({ "uid": 7 }), banned("UID_BANNED"), open(), banned("UID_BANNED")),
        (json!({ "cname": "room" }), banned("CHANNEL_BANNED"), banned("CHANNEL_BANNED"), open()),
        (json!({ "cname": "room", "uid": "7" }), banned("UID_BANNED"), open(), open()),
        (json!({ "ip": "127.0.0.1" }), banned("IP_BANNED"), banned("IP_BANNED"), banned("IP_BANNED")),
        (json!({ "ip": "192.0.2.1" }), open(), open(), open()),
        (json!({ "cname": "room", "ip": "127.0.0.1" }), banned("IP_BANNED"), banned("IP_BANNED"), open()),
    ] {
        let test_server = TestServer::open().await;
        let id = rule(&test_server, Method::POST, ban(&target, "join_channel")).await["id"].clone();
        let got = (
            door(&test_server, "7", "room").await,
            door(&test_server, "8", "room").await,
            door(&test_server, "7", "other").await,
        );
        assert_eq!(got, (uid_7, uid_8, uid_7_elsewhere), "{target}");
        Client::with_token(&test_server, &recorder_token("recorder-1")).await.still_served().await;
        rule(&test_server, Method::DELETE, json!({ "appid": APP, "id": id })).await;
        assert_eq!(door(&test_server, "7", "room").await, open());
    }
}

#[tokio::test]
async fn who_is_in_already_is_removed_and_can_not_come_back() {
    let test_server = TestServer::open().await;
    let mut updates = test_server.watch();
    let (mut alice, mut bob) = (Client::join(&test_server, "7").await, Client::join(&test_server, "8").await);
    let mut bot = Client::with_token(&test_server, &recorder_token("recorder-1")).await;
    rule(&test_server, Method::POST, ban(&json!({ "uid": 7 }), "join_channel")).await;
    let leave = alice.until_leave().await;
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ParticipantRemoved.into(), Action::Disconnect.into()));
    let left = updates.until(|event| matches!(event, RoomEvent::Left { .. })).await;
    assert!(matches!(left, RoomEvent::Left { reason: LeftReason::Kicked, .. }));
    bob.until_update(|info| info.identity == "7" && info.state == 3).await;
    let resume = format!("{}&reconnect=1&sid={}", token("7", &json!({})), alice.sid());
    let refused =
        reqwest::get(format!("http://{}/rtc/validate?access_token={resume}", test_server.address)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "not by going on either");

    rule(&test_server, Method::POST, ban(&json!({ "cname": "room" }), "join_channel")).await;
    bob.until_leave().await;
    bot.still_served().await;
}

/// `time` 0: a kick and no ban; on PUT the end of the ban and a kick.
#[tokio::test]
async fn a_kick_for_once_bans_nobody() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "7").await;
    let mut order = ban(&json!({ "cname": "room", "uid": 7 }), "join_channel");
    order["time"] = json!(0);
    rule(&test_server, Method::POST, order).await;
    alice.until_leave().await;
    assert_eq!(get(&test_server, &format!("kicking-rule?appid={APP}")).await["rules"], json!([]));
    let mut alice = Client::join(&test_server, "7").await;

    let id = rule(&test_server, Method::POST, ban(&json!({ "uid": 7 }), "publish_audio")).await["id"].clone();
    rule(&test_server, Method::PUT, json!({ "appid": APP, "id": id, "time": 0 })).await;
    alice.until_leave().await;
    let permission = Client::join(&test_server, "7").await.join.participant.unwrap().permission.unwrap();
    assert!(permission.can_publish);
}

fn may_publish(info: &ParticipantInfo) -> bool {
    info.permission.as_ref().unwrap().can_publish
}

#[tokio::test]
async fn who_may_not_publish_falls_silent_until_the_ban_ends() {
    let test_server = TestServer::open().await;
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let _speech = Speech::begin(&test_server.address, "7").await;
    let track = audio_probe.track_of(&uid("7")).await;
    audio_probe.hear(track, 5).await;
    let mut bob = Client::join(&test_server, "8").await;
    let id = rule(&test_server, Method::POST, ban(&json!({ "uid": 7 }), "publish_audio")).await["id"].clone();
    audio_probe.until(|input| *input == Input::TrackRemoved { track }).await;
    bob.until_update(|info| info.identity == "7" && !may_publish(info) && info.tracks.is_empty()).await;
    assert!(test_server.server.rooms()[0].members.iter().any(|member| member.uid == uid("7") && !member.publishing));

    // Who comes while the ban lasts is silenced from the first word.
    let mut again = Client::join(&test_server, "7").await;
    assert!(!may_publish(again.join.participant.as_ref().unwrap()));
    let microphone =
        AddTrackRequest { cid: "cid".into(), source: TrackSource::Microphone.into(), ..Default::default() };
    again.send(Request::AddTrack(microphone)).await;
    let refused = |message| if let Message::RequestResponse(response) = message { Some(response.reason) } else { None };
    assert_eq!(again.until(refused).await, 2, "not allowed");

    rule(&test_server, Method::DELETE, json!({ "appid": APP, "id": id })).await;
    again.until_update(|info| info.identity == "7" && may_publish(info)).await;
    let url = format!("ws://{}", test_server.address);
    Talker::join(&url, &token("7", &json!({})).into()).await.expect("it may talk again").leave().await;
}

#[tokio::test]
async fn a_ban_ends_by_itself() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "7").await;
    let order = |privilege: &str| json!({ "appid": APP, "uid": 7, "time_in_seconds": 10, "privileges": [privilege] });
    rule(&test_server, Method::POST, order("publish_audio")).await;
    alice.until_update(|info| info.identity == "7" && !may_publish(info)).await;
    alice.until_update(|info| info.identity == "7" && may_publish(info)).await;
    assert_eq!(get(&test_server, &format!("kicking-rule?appid={APP}")).await["rules"], json!([]));
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_it_says() {
    let test_server = TestServer::set(Settings { trusted_proxies: vec![[127, 0, 0, 1].into()], ..settings() }).await;
    rule(&test_server, Method::POST, ban(&json!({ "ip": "198.51.100.7" }), "join_channel")).await;
    let url = format!("http://{}/rtc/validate?access_token={}", test_server.address, token("7", &json!({})));
    for (hops, status) in
        [("198.51.100.7", 403), ("203.0.113.1, 198.51.100.7", 403), ("198.51.100.7, 203.0.113.1", 200)]
    {
        let answer = reqwest::Client::new().get(&url).header("x-forwarded-for", hops).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{hops}");
    }
}

/// Bodies that make no rule, and why.
#[tokio::test]
async fn what_is_no_rule_is_refused_by_name() {
    let test_server = TestServer::open().await;
    for (method, body, words) in [
        (Method::POST, json!({ "uid": 7, "privileges": ["join_channel"] }), "appid"),
        (Method::POST, json!({ "appid": APP, "privileges": ["join_channel"] }), "one of cname, uid and ip"),
        (Method::POST, json!({ "appid": APP, "uid": 0 }), "uid"),
        (Method::POST, json!({ "appid": APP, "uid": 7, "privileges": ["fly"] }), "privileges"),
        (Method::POST, json!({ "appid": APP, "uid": 7, "time": "soon" }), "time"),
        (Method::POST, json!({ "appid": APP, "ip": "localhost" }), "ip"),
        (Method::POST, json!([]), "JSON object"),
        (Method::PUT, json!({ "appid": APP, "time": 5 }), "id"),
        (Method::DELETE, json!({ "appid": APP, "id": "x" }), "id"),
    ] {
        let (status, answer) = call(&test_server, method, "kicking-rule", Some(body.clone())).await;
        assert!(status == 400 && answer["message"].as_str().unwrap().contains(words), "{body}: {status} {answer}");
    }
    let foreign = json!({ "appid": app_elsewhere(), "uid": 7 });
    assert_eq!(call(&test_server, Method::POST, "kicking-rule", Some(foreign)).await.0, 404);
    let form = reqwest::Client::new().post(format!("http://{}/dev/v1/kicking-rule", test_server.address));
    let form =
        form.header("authorization", crate::test_server::CREDENTIALS).header("content-type", "text/plain").body("x=y");
    assert_eq!(form.send().await.unwrap().status().as_u16(), 415);
    // The vendor's old samples: no privileges, everything as text.
    let old = json!({ "appid": APP, "cname": "demo", "uid": "1000", "ip": "", "time": "1440" });
    rule(&test_server, Method::POST, old).await;
    let listed = get(&test_server, &format!("kicking-rule?appid={APP}")).await["rules"][0].clone();
    assert_eq!((&listed["uid"], &listed["privileges"]), (&json!(1000), &json!(["join_channel"])));
}

/// A keeper that lives longer than a server.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Rule>>);

#[async_trait]
impl RuleKeeper for Kept {
    async fn load(&self, _: WallMs) -> Result<Vec<Rule>, KeeperError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn insert(&self, order: &NewRule) -> Result<RuleId, KeeperError> {
        let mut rules = self.0.lock().unwrap();
        let id = RuleId(rules.len() as u64 + 1);
        rules.push(Rule { id, order: order.clone(), updated: order.created });
        Ok(id)
    }

    async fn change(&self, _: RuleId, _: WallMs, _: WallMs) -> Result<(), KeeperError> {
        Err("the disk is full".into())
    }

    async fn remove(&self, _: RuleId) -> Result<(), KeeperError> {
        Err("the disk is full".into())
    }
}

#[tokio::test]
async fn a_kept_rule_counts_after_a_restart_and_one_that_can_not_be_changed_stays() {
    let keeper = Arc::new(Kept::default());
    let kept = || Settings { rule_keeper: Some(Arc::clone(&keeper) as Arc<dyn RuleKeeper>), ..settings() };
    let test_server = TestServer::set(kept()).await;
    let id = rule(&test_server, Method::POST, ban(&json!({ "uid": 7 }), "join_channel")).await["id"].clone();
    test_server.server.shutdown().await;

    let test_server = TestServer::set(kept()).await;
    assert_eq!(door(&test_server, "7", "room").await, banned("UID_BANNED"));
    let (status, answer) =
        call(&test_server, Method::DELETE, "kicking-rule", Some(json!({ "appid": APP, "id": id }))).await;
    assert!(status == 500 && !answer["message"].as_str().unwrap().contains("disk"), "{answer}");
    assert_eq!(door(&test_server, "7", "room").await, banned("UID_BANNED"), "what is not written did not happen");
}
