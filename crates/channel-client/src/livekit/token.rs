//! The recorder's pass: a token that may hear and may not be seen (docs/protocol/livekit.md section 2).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::agents::NOBODY;
use crate::jwt::{self, Validity};
use recorder_core::units::WallMs;

/// How long a token of ours is valid, in seconds. It is only read while a socket is opened.
const LIFETIME_SECS: u64 = 3600;

/// How long a token for the server API is valid, in seconds.
const API_LIFETIME_SECS: u64 = 60;

/// A token from the server is used for a resume if it is valid for at least this many seconds more.
const FRESH_SECS: u64 = 30;

/// Mints passes for one identity, and keeps the newest one from the server.
#[derive(Debug)]
pub(super) struct TokenSource {
    api_key: String,
    api_secret: SecretString,
    identity: String,
    refreshed: Option<SecretString>,
    /// How long a room that our join makes lasts without a member.
    empty_timeout: Option<Duration>,
    /// No agent is sent into a room that our join makes.
    keeps_agents_out: bool,
}

impl TokenSource {
    pub(super) fn new(api_key: String, api_secret: SecretString, identity: String) -> Self {
        Self { api_key, api_secret, identity, refreshed: None, empty_timeout: None, keeps_agents_out: false }
    }

    /// Whose passes they are.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// A pass of our own making for `room`.
    pub(super) fn mint(&self, room: &str, now: WallMs) -> SecretString {
        let claims = Claims {
            iss: &self.api_key,
            sub: &self.identity,
            validity: Validity::starting(now, LIFETIME_SECS),
            video: Grants {
                room,
                room_join: true,
                can_publish: false,
                can_publish_data: false,
                can_subscribe: true,
                hidden: true,
                recorder: true,
            },
            room_config: self.empty_timeout.map(|time| RoomConfig::lasting(time, self.keeps_agents_out)),
        };
        jwt::mint(&claims, &self.api_secret).into()
    }

    /// A pass for the server API: it may look at `room`.
    pub(super) fn mint_for_api(&self, room: &str, now: WallMs) -> SecretString {
        let claims = ApiClaims {
            iss: &self.api_key,
            sub: &self.identity,
            validity: Validity::starting(now, API_LIFETIME_SECS),
            video: ApiGrants { room, room_admin: true },
        };
        jwt::mint(&claims, &self.api_secret).into()
    }

    /// From here on a room that our join makes lasts so long without a member. Where it is there already, nothing changes.
    pub(super) fn hold(&mut self, empty_timeout: Duration) {
        self.empty_timeout = Some(empty_timeout);
    }

    /// From here on no agent is sent into a room that our join makes: see [`super::agents`].
    pub(super) fn keep_agents_out(&mut self) {
        self.keeps_agents_out = true;
    }

    /// Whether agents may wait for a word of ours.
    pub(super) fn keeps_agents_out(&self) -> bool {
        self.keeps_agents_out
    }

    /// Keeps a pass that the server sent; it may know grants that we don't.
    pub(super) fn refresh(&mut self, token: String) {
        self.refreshed = Some(token.into());
    }

    /// Forgets what the server sent.
    pub(super) fn forget(&mut self) {
        self.refreshed = None;
    }

    /// The newest pass for going on in `room`: the server's while it is fresh, else one of our own.
    pub(super) fn newest(&self, room: &str, now: WallMs) -> SecretString {
        let fresh = self.refreshed.as_ref().filter(|token| {
            jwt::unverified::<Validity>(token.expose_secret())
                .is_ok_and(|claims| claims.exp > now.0 / 1000 + FRESH_SECS)
        });
        fresh.cloned().unwrap_or_else(|| self.mint(room, now))
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(flatten)]
    validity: Validity,
    video: Grants<'a>,
    #[serde(rename = "roomConfig", skip_serializing_if = "Option::is_none")]
    room_config: Option<RoomConfig>,
}

/// `RoomConfiguration` of the protocol: what a room is like that is made by the join with this token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomConfig {
    empty_timeout: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<[Agent; 1]>,
}

impl RoomConfig {
    fn lasting(time: Duration, keeps_agents_out: bool) -> Self {
        let empty_timeout = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Self { empty_timeout, agents: keeps_agents_out.then_some([Agent { agent_name: NOBODY }]) }
    }
}

/// An agent that the room wants.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    agent_name: &'static str,
}

#[derive(Serialize)]
struct ApiClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(flatten)]
    validity: Validity,
    video: ApiGrants<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGrants<'a> {
    room: &'a str,
    room_admin: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Grants<'a> {
    room: &'a str,
    room_join: bool,
    can_publish: bool,
    can_publish_data: bool,
    can_subscribe: bool,
    hidden: bool,
    recorder: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: WallMs = WallMs(1_700_000_000_000);

    fn passes() -> TokenSource {
        TokenSource::new("devkey".to_owned(), "secret".to_owned().into(), "recorder-1".to_owned())
    }

    #[test]
    fn the_pass_hears_and_is_not_seen() {
        let token = passes().mint("room", NOW);
        let claims: Value = jwt::verify(token.expose_secret(), &"secret".to_owned().into()).unwrap();
        let video = json!({"room": "room", "roomJoin": true, "canPublish": false, "canPublishData": false,
            "canSubscribe": true, "hidden": true, "recorder": true});
        assert_eq!(
            claims,
            json!({"iss": "devkey", "sub": "recorder-1", "nbf": 1_700_000_000, "exp": 1_700_003_600, "video": video})
        );
    }

    #[test]
    fn a_room_that_the_join_makes_may_be_asked_to_last() {
        let mut passes = passes();
        passes.hold(Duration::from_secs(130));
        let secret = "secret".to_owned().into();
        let claims: Value = jwt::verify(passes.mint("room", NOW).expose_secret(), &secret).unwrap();
        assert_eq!(claims["roomConfig"], json!({"emptyTimeout": 130}));
        passes.keep_agents_out();
        let claims: Value = jwt::verify(passes.mint("room", NOW).expose_secret(), &secret).unwrap();
        assert_eq!(claims["roomConfig"], json!({"emptyTimeout": 130, "agents": [{"agentName": NOBODY}]}));
        let claims: Value = jwt::verify(passes.mint_for_api("room", NOW).expose_secret(), &secret).unwrap();
        assert_eq!(claims["video"], json!({"room": "room", "roomAdmin": true}));
        assert_eq!(claims["exp"], 1_700_000_060);
    }

    #[test]
    fn the_servers_pass_is_used_while_it_is_fresh() {
        let mut passes = passes();
        let theirs = jwt::mint(&Validity { nbf: None, exp: 1_700_000_100 }, &"other".to_owned().into());
        passes.refresh(theirs.clone());
        assert_eq!(passes.newest("room", NOW).expose_secret(), theirs);
        let later = WallMs(NOW.0 + 80_000);
        assert_eq!(passes.newest("room", later).expose_secret(), passes.mint("room", later).expose_secret());
        passes.forget();
        assert_eq!(passes.newest("room", NOW).expose_secret(), passes.mint("room", NOW).expose_secret());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut passes = passes();
        passes.refresh("hush".to_owned());
        let shown = format!("{passes:?}");
        assert!(!shown.contains("secret\"") && !shown.contains("hush"), "{shown}");
    }
}
