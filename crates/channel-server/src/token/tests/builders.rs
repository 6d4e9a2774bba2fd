//! Tokens that the vendor's builder made (npm agora-token 2.0.6, every function and role), all at [`ISSUED`] for room-1, for
//! uid 42 or account alice, of [`app`]: docs/protocol/agora.md sections 8.1 and 8.2.

use super::*;

const UID_PUBLISHER: &str = "007eJxTYEhJkpv7ec23dJ6wP+br/dUjq2w65Zy3drJMPaTxvH+ZwBEFBgNDI2MTUzNzC8vEpOSU1DR0PsPH4NQIJgYGNgYGBkYGRgYWBkYGEJ8JTDKDSRYGiIqi/PxcXUMmBhMjACyxHfA=";
const UID_SUBSCRIBER: &str = "007eJxTYBBi/NH+KOLX4+LAKTorXs/4XHfATTaU4RD/hx8yLEUSD1UVGAwMjYxNTM3MLSwTk5JTUtPQ+Qwfg1MjmBgY2BgYGBihEMIvys/P1TVkYjAxAgCPkx2f";
/// Without an expiry for the privileges.
const UID_FOR_ALL_TIME: &str = "007eJxTYOh+IJUi7/4wbUft3O8GwSn3PEJONJ091LXiVfmy68l64XMUGAwMjYxNTM3MLSwTk5JTUtPQ+Qwfg1MjmBgY2BgYGBgZGBlYGBgZQIAJTDKDSRYwycZQlJ+fq2vIxGBiBADwuh7U";
/// The privileges end after 60 of the token's 600 seconds.
const ACCOUNT_FOR_A_MINUTE: &str = "007eJxTYNAKa/8s31K8QOiEWSI7r+OqdLV9j882urKf9eXrlmJ6+0OBwcDQyNjE1MzcwjIxKTklNQ2dz/AxODWCiYGBjYGBgZGBkYGFgZHBhoGBgQlMMoNJFjDJxlCUn5+ra8jKkJiTmZwKAO0kHc4=";
/// Joining for 500 seconds, audio for 200, video for 150, data for 300.
const UID_EACH: &str = "007eJxTYHihv8G73F/g8uez54KWfpA521Iz0TPqayi77dHXXPbcnawKDAaGRsYmpmbmFpaJSckpqWnofIaPwakRTAwMbAwMDIwMjAwsDIwMXxgZGJgYTjAwMDAzTGNgYGBh0GEEqSjKz8/VNWRiMDECAKIWH5Q=";
/// Joining for 500 seconds, the rest with the token.
const ACCOUNT_EACH: &str = "007eJxTYDD5u95DcZ5vw+1mDp5t9ys7v7xv87vgU3lD3vZz+1TW4zsVGAwMjYxNTM3MLSwTk5JTUtPQ+Qwfg1MjmBgY2BgYGBgZGBlYGBgZvjAyMDAxgAAzmGQBk2wMRfn5ubqGrAyJOZnJqQBPxiEI";
const WITH_RTM: &str = "007eJxTYFhqNsPIUanVYO2q5zM2HeLrKNtcNd9mmV3ypU/dUnXzF05TYDAwNDI2MTUzt7BMTEpOSU1D5zN8DE6NYGJgYGNgYGBiYGRgYWBkAPGZwCQzmGRhgKgoys/P1TVkZUjMyUxOBSmGKIUKAAA62iMr";
/// As [`UID_EACH`].
const WITH_RTM_EACH: &str = "007eJxTYGj30y2pWL4/aOMWyyc/nmjun/bw3qtpyRyHZvesUVrLZb1FgcHA0MjYxNTM3MIyMSk5JTUNnc/wMTg1gomBgY2BgYGJgZGBhYGR4QsjiH2CgYGBmWEaAwMDC4MOI0hFUX5+rq4hK0NiTmZyKkgxIwNIK1QAADU1Ja0=";
/// The role is called attendee; those of publisher and admin give the same bytes.
const OLD_ATTENDEE: &str = "0060123456789abcdef0123456789abcdefIAC0JjYuVNpLZn40ZuL/GUixnIUx6Emo4UOGxLH1sJo2YgYI9L6IsCQyIgABAQAAgEJVZQQAAQBY81NlAgBY81NlAwBY81NlBABY81Nl";
const OLD_SUBSCRIBER: &str = "0060123456789abcdef0123456789abcdefIABxuraoAf1xXirWC7dTkysStl4nI64nw+ys1aMnE6LplQYI9L6IsCQyEAABAQAAgEJVZQEAAQBY81Nl";
/// Without an expiry: until the token ends, a day after it was made.
const OLD_ACCOUNT: &str = "0060123456789abcdef0123456789abcdefIAC9BbFpPRt2hjVm3pkMPCcs9P6e5svgeUpEcso1y6R/zwYI9L5HvI4nIgABAQAAgEJVZQQAAQAAAAAAAgAAAAAAAwAAAAAABAAAAAAA";

fn after(seconds: u64) -> WallMs {
    WallMs((u64::from(ISSUED) + seconds) * 1000)
}

/// What a token gives 50 seconds after it was made.
fn open(token: &str, uid: &str) -> VerifiedToken {
    let verified = keys().check(Some(token), &asked("room-1", uid), after(50)).unwrap();
    assert_eq!(
        (verified.app.clone(), verified.cname.clone(), verified.identity.as_ref()),
        (app(), room(), Some(&Uid::new(uid).unwrap()))
    );
    verified
}

fn terms(stay: u64, audio: Option<u64>, data: Option<u64>) -> Terms {
    Terms { stay: Some(after(stay)), audio: audio.map(after), data: data.map(after) }
}

#[test]
fn roles_decide_who_speaks() {
    for (token, uid, speaks) in [
        (UID_PUBLISHER, "42", true),
        (UID_SUBSCRIBER, "42", false),
        (UID_FOR_ALL_TIME, "42", true),
        (WITH_RTM, "alice", true),
        (OLD_ATTENDEE, "42", true),
        (OLD_SUBSCRIBER, "42", false),
        (OLD_ACCOUNT, "alice", true),
    ] {
        let grants = open(token, uid).grants;
        let spoken = [grants.microphone, grants.screen_audio, grants.data];
        assert_eq!((spoken, grants.subscribe), ([speaks; 3], true), "{token}");
    }
}

#[test]
fn each_privilege_ends_at_its_time_and_none_after_the_token() {
    for (token, uid, expected) in [
        (UID_PUBLISHER, "42", terms(600, None, None)),
        (UID_SUBSCRIBER, "42", terms(600, None, None)),
        (UID_FOR_ALL_TIME, "42", terms(600, None, None)),
        (ACCOUNT_FOR_A_MINUTE, "alice", terms(60, None, None)),
        (UID_EACH, "42", terms(500, Some(200), Some(300))),
        (ACCOUNT_EACH, "alice", terms(500, None, None)),
        (WITH_RTM_EACH, "alice", terms(500, Some(200), Some(300))),
        (OLD_ATTENDEE, "42", terms(600, None, None)),
        (OLD_ACCOUNT, "alice", terms(24 * 3600, None, None)),
    ] {
        assert_eq!(open(token, uid).terms, expected, "{token}");
    }
}

#[test]
fn what_has_ended_is_not_granted() {
    let at = |seconds| keys().check(Some(UID_EACH), &asked("", ""), after(seconds));
    assert!(at(199).unwrap().grants.microphone);
    let verified = at(200).unwrap();
    assert!(!verified.grants.microphone && !verified.grants.screen_audio && verified.grants.data);
    assert_eq!(verified.terms, terms(500, None, Some(300)));
    assert!(!at(300).unwrap().grants.data);
    assert_eq!(at(500), Err(Refusal::Expired), "the right to join");
    assert_eq!(keys().check(Some(UID_FOR_ALL_TIME), &asked("", ""), after(600)), Err(Refusal::Expired), "the token");
}

#[test]
fn a_pass_lapses_part_by_part() {
    let mut verified = open(UID_EACH, "42");
    assert_eq!(verified.terms.next(), Some(after(200)));
    verified.lapse(after(200));
    assert!(!verified.grants.microphone && !verified.grants.screen_audio && verified.grants.data);
    assert_eq!(verified.terms.next(), Some(after(300)));
    verified.lapse(after(300));
    assert!(!verified.grants.data && verified.grants.subscribe);
    verified.renew(&open(UID_PUBLISHER, "42"));
    assert!(verified.grants.microphone && verified.grants.data);
    assert_eq!(verified.terms, terms(600, None, None));
}

#[test]
fn our_tokens_say_what_the_builders_say() {
    let (app, channel) = (app(), room());
    for (privileges, theirs) in [
        (Privileges::of(Role::Publisher, 600), UID_PUBLISHER),
        (Privileges::of(Role::Subscriber, 600), UID_SUBSCRIBER),
        (Privileges::each(500, 200, 150, 300), UID_EACH),
    ] {
        let order = Mint007 {
            app: &app,
            channel: &channel,
            uid: "42",
            privileges: &privileges,
            issued: ISSUED,
            lifetime: 600,
            salt: 1,
        };
        let ours = open(&mint_007(order, &certificate()), "42");
        assert_eq!(ours, open(theirs, "42"));
    }
    let privileges = Privileges::of(Role::Subscriber, ISSUED + 600);
    let order =
        Mint006 { app: &app, channel: &channel, uid: "42", privileges: &privileges, expires: ISSUED + 600, salt: 1 };
    assert_eq!(open(&mint_006(order, &certificate()), "42"), open(OLD_SUBSCRIBER, "42"));
}
