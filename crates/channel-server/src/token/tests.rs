//! What opens a room and what does not, over all kinds of tokens.

mod builders;

use serde_json::json;

use super::*;
use channel_client::jwt;

const NOW: WallMs = WallMs(1_700_000_100_000);
const ISSUED: u32 = 1_700_000_000;

pub(super) fn app() -> AppId {
    AppId::new("0123456789abcdef0123456789abcdef").unwrap()
}

pub(super) fn certificate() -> SecretString {
    "fedcba9876543210fedcba9876543210".to_owned().into()
}

fn bare_app() -> AppId {
    AppId::new(&"b".repeat(32)).unwrap()
}

fn keys() -> Keys {
    Keys {
        apps: vec![
            AppKeys { app_id: app(), certificate: Some(certificate()) },
            AppKeys { app_id: bare_app(), certificate: None },
        ],
        api_key: "devkey".into(),
        api_secret: "devsecret".to_owned().into(),
    }
}

fn room() -> Cname {
    Cname::new("room-1").unwrap()
}

fn token_007(uid: &str, role: Role, lifetime: u32) -> String {
    let (app, channel, privileges) = (app(), room(), Privileges::of(role, lifetime));
    let order =
        Mint007 { app: &app, channel: &channel, uid, privileges: &privileges, issued: ISSUED, lifetime, salt: 1 };
    mint_007(order, &certificate())
}

fn token_006(uid: &str, expires: u32) -> String {
    let (app, channel, privileges) = (app(), room(), Privileges::of(Role::Publisher, expires));
    let order = Mint006 { app: &app, channel: &channel, uid, privileges: &privileges, expires, salt: 1 };
    mint_006(order, &certificate())
}

fn asked(room: &str, identity: &str) -> Asked {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Asked { room: some(room), identity: some(identity) }
}

fn check(token: &str, asked: &Asked) -> Result<VerifiedToken, Refusal> {
    keys().check(Some(token), asked, NOW)
}

fn claims(video: &serde_json::Value) -> serde_json::Value {
    json!({ "iss": "devkey", "sub": "alice", "nbf": ISSUED, "exp": ISSUED + 600, "video": video })
}

fn sign(claims: &serde_json::Value) -> String {
    jwt::mint(claims, &keys().api_secret)
}

#[test]
fn a_007_token_names_app_room_and_member() {
    let verified = check(&token_007("42", Role::Publisher, 600), &Asked::default()).unwrap();
    assert_eq!((verified.app, verified.cname, verified.identity), (app(), room(), Some(Uid::new("42").unwrap())));
    assert!(verified.grants.microphone && verified.grants.data && verified.grants.subscribe && !verified.grants.hidden);
}

#[test]
fn a_subscribers_token_lets_listen_only() {
    let grants = check(&token_007("42", Role::Subscriber, 600), &Asked::default()).unwrap().grants;
    assert!(grants.subscribe && !grants.microphone && !grants.screen_audio && !grants.data);
}

#[test]
fn a_token_for_any_uid_takes_the_identity_asked_for() {
    let token = token_007("0", Role::Publisher, 600);
    assert_eq!(check(&token, &Asked::default()).unwrap().identity, None);
    assert_eq!(check(&token, &asked("", "bob")).unwrap().identity, Some(Uid::new("bob").unwrap()));
}

#[test]
fn a_token_for_another_channel_or_uid_is_invalid() {
    for asked in [asked("room-2", ""), asked("", "43"), asked("room-2", "42")] {
        let refusal = check(&token_007("42", Role::Publisher, 600), &asked).unwrap_err();
        assert_eq!(refusal.to_string(), "invalid token, authorized failed");
    }
}

#[test]
fn an_old_token_is_expired_only_if_it_was_rightful() {
    let old = token_007("42", Role::Publisher, 100);
    assert_eq!(check(&old, &Asked::default()).unwrap_err().to_string(), "dynamic key expired");
    let mut forger = keys();
    forger.apps[0].certificate = Some("0".repeat(32).into());
    let refusal = forger.check(Some(&old), &Asked::default(), NOW).unwrap_err();
    assert_eq!(refusal.to_string(), "invalid token, authorized failed");
}

#[test]
fn every_changed_byte_of_a_006_token_is_noticed() {
    let token = token_006("42", ISSUED + 600);
    for at in 3..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&changed, &asked("room-1", "42")).is_err(), "byte {at}");
    }
}

#[test]
fn every_changed_byte_of_a_007_token_is_noticed() {
    let token = token_007("42", Role::Publisher, 600);
    for at in 3..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&changed, &Asked::default()).is_err(), "byte {at}");
    }
}

#[test]
fn a_006_token_needs_room_and_identity_beside_it() {
    let token = token_006("42", ISSUED + 600);
    assert_eq!(check(&token, &asked("room-1", "42")).unwrap().identity, Some(Uid::new("42").unwrap()));
    for asked in [asked("", "42"), asked("room-1", ""), asked("room-2", "42"), asked("room-1", "43")] {
        assert!(matches!(check(&token, &asked), Err(Refusal::Invalid(_))), "{asked:?}");
    }
    assert_eq!(check(&token_006("", ISSUED + 600), &asked("room-1", "")).unwrap().identity, None);
    assert_eq!(check(&token_006("42", ISSUED + 1), &asked("room-1", "42")), Err(Refusal::Expired));
}

#[test]
fn no_token_is_refused_in_the_vendors_words() {
    for token in [None, Some("")] {
        let refusal = keys().check(token, &Asked::default(), NOW).unwrap_err();
        assert_eq!(refusal.to_string(), "dynamic use static key");
    }
}

#[test]
fn an_app_without_certificate_accepts_no_token() {
    let (app, channel, privileges) = (bare_app(), room(), Privileges::of(Role::Publisher, 600));
    let order = Mint007 {
        app: &app,
        channel: &channel,
        uid: "1",
        privileges: &privileges,
        issued: ISSUED,
        lifetime: 600,
        salt: 1,
    };
    for certificate in ["", "x"] {
        let token = mint_007(order, &certificate.to_owned().into());
        let refusal = check(&token, &Asked::default()).unwrap_err();
        assert_eq!(refusal.to_string(), "static use dynamic key");
    }
    let claims =
        json!({ "iss": bare_app(), "sub": "a", "exp": ISSUED + 600, "video": { "roomJoin": true, "room": "r" } });
    assert_eq!(check(&jwt::mint(&claims, &String::new().into()), &Asked::default()), Err(Refusal::NoCertificate));
}

#[test]
fn a_livekit_token_of_the_server_opens_the_first_apps_rooms() {
    let verified = check(&sign(&claims(&json!({ "roomJoin": true, "room": "room-1" }))), &Asked::default()).unwrap();
    assert_eq!((verified.app, verified.cname, verified.identity), (app(), room(), Some(Uid::new("alice").unwrap())));
    let expected = Grants {
        microphone: true,
        screen_audio: true,
        other_audio: true,
        subscribe: true,
        data: true,
        own_metadata: false,
        hidden: false,
        recorder: false,
    };
    assert_eq!(verified.grants, expected);
}

#[test]
fn a_livekit_token_may_name_its_app_or_be_signed_by_it() {
    let mut named = claims(&json!({ "roomJoin": true, "room": "r" }));
    named["app"] = json!(bare_app());
    assert_eq!(check(&sign(&named), &Asked::default()).unwrap().app, bare_app());
    named["app"] = json!("nobody");
    assert!(matches!(check(&sign(&named), &Asked::default()), Err(Refusal::Invalid(_))));

    let (id, room, identity) = (app(), room(), Uid::new("bob").unwrap());
    let order = MintLiveKit {
        key: id.as_str(),
        app: None,
        room: &room,
        identity: &identity,
        publish: false,
        now: NOW,
        lifetime: 60,
    };
    let verified = check(&mint_livekit(order, &certificate()), &Asked::default()).unwrap();
    assert_eq!((verified.app, verified.grants.microphone, verified.grants.data), (app(), false, false));
}

#[test]
fn an_apps_own_token_cannot_name_another_app() {
    let mut claims = claims(&json!({ "roomJoin": true, "room": "r" }));
    claims["iss"] = json!(app());
    claims["app"] = json!(bare_app());
    assert_eq!(check(&jwt::mint(&claims, &certificate()), &Asked::default()).unwrap().app, app());
}

#[test]
fn a_recorders_grants_are_read() {
    let video = json!({ "roomJoin": true, "room": "r", "canPublish": false, "hidden": true, "recorder": true,
        "canPublishSources": ["camera"] });
    let grants = check(&sign(&claims(&video)), &Asked::default()).unwrap().grants;
    assert!(grants.hidden && grants.recorder && grants.subscribe && !grants.microphone && !grants.data);
}

#[test]
fn sources_narrow_what_may_be_published() {
    let video = json!({ "roomJoin": true, "room": "r", "canPublishSources": ["microphone", "camera"] });
    let grants = check(&sign(&claims(&video)), &Asked::default()).unwrap().grants;
    assert!(grants.microphone && !grants.screen_audio);
}

#[test]
fn livekit_tokens_are_refused_in_the_known_words() {
    let good = json!({ "roomJoin": true, "room": "r" });
    let mut expired = claims(&good);
    expired["exp"] = json!(ISSUED);
    assert_eq!(check(&sign(&expired), &Asked::default()), Err(Refusal::Expired));

    let mut stranger = claims(&good);
    stranger["iss"] = json!("stranger");
    let mut nameless = claims(&good);
    nameless["sub"] = json!("");
    for (claims, words) in [
        (stranger, "invalid token, authorized failed"),
        (claims(&json!({ "room": "r" })), "invalid token, authorized failed"),
        (nameless, "uid must not be empty"),
        (claims(&json!({ "roomJoin": true, "room": "a/b" })), "cname may hold only"),
    ] {
        let refusal = check(&sign(&claims), &Asked::default()).unwrap_err().to_string();
        assert!(refusal.starts_with(words), "{refusal}");
    }
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", keys());
    assert!(!shown.contains("fedcba") && !shown.contains("devsecret"), "{shown}");
}

#[test]
fn a_refreshed_livekit_token_keeps_its_claims_and_gets_a_new_end() {
    let mut old = claims(&json!({ "roomJoin": true, "room": "room-1", "canPublish": false }));
    (old["exp"], old["unknown"]) = (json!(ISSUED), json!({ "kept": true }));
    let old = sign(&old);
    assert_eq!(check(&old, &Asked::default()), Err(Refusal::Expired));
    let fresh = keys().refresh(&old, NOW).unwrap();
    let fresh = secrecy::ExposeSecret::expose_secret(&fresh);
    let verified = check(fresh, &Asked::default()).unwrap();
    assert!(verified.cname == room() && !verified.grants.microphone && verified.terms == Terms::default());
    let claims: serde_json::Value = jwt::unverified(fresh).unwrap();
    assert_eq!((&claims["unknown"]["kept"], &claims["exp"]), (&json!(true), &json!(NOW.0 / 1000 + 600)));

    assert!(keys().refresh(&token_007("42", Role::Publisher, 600), NOW).is_none(), "a vendor's token ends");
    let forged = jwt::mint(&json!({ "iss": "devkey" }), &"other".to_owned().into());
    assert!(keys().refresh(&forged, NOW).is_none());
}
