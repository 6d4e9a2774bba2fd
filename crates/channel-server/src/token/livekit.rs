//! LiveKit's access tokens: a JWT whose `video` claim holds the grants (docs/protocol/livekit.md section 2).

use std::collections::HashMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use channel_client::jwt::{self, JwtError, Validity};
use recorder_core::units::{AppId, Cname, Uid, WallMs};

/// How long a refreshed token is good for, in seconds, as on a LiveKit server.
const REFRESHED_SECS: u64 = 600;

/// The claims that this server reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The API key whose secret signed the token.
    #[serde(default)]
    pub(super) iss: String,
    /// The member's identity.
    #[serde(default)]
    pub(super) sub: String,
    #[serde(flatten)]
    pub(super) validity: Validity,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) metadata: String,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub(super) attributes: HashMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    /// Ours: which app's rooms a token of the server-wide key opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
    #[serde(default)]
    pub(super) video: Video,
}

/// The grants. Absent `canPublish` and `canSubscribe` mean yes, absent `canPublishData` means as `canPublish`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Video {
    pub(super) room_join: bool,
    pub(super) room: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) can_publish: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) can_subscribe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) can_publish_data: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) can_publish_sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) can_update_own_metadata: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) recorder: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) agent: bool,
}

/// What to put into a new token.
#[derive(Clone, Copy, Debug)]
pub struct Mint<'a> {
    /// The API key, or an app id.
    pub key: &'a str,
    /// The app whose room is meant, where the key is the server's and not the app's.
    pub app: Option<&'a AppId>,
    /// The room.
    pub room: &'a Cname,
    /// The member.
    pub identity: &'a Uid,
    /// Whether the member may publish audio and data.
    pub publish: bool,
    /// Now.
    pub now: WallMs,
    /// How long the token is good for, in seconds.
    pub lifetime: u32,
}

/// A token signed with `secret`: the API secret, or the app's certificate.
pub fn mint(mint: Mint<'_>, secret: &SecretString) -> String {
    let video = Video {
        room_join: true,
        room: mint.room.as_str().to_owned(),
        can_publish: Some(mint.publish),
        can_subscribe: Some(true),
        can_publish_data: Some(mint.publish),
        can_update_own_metadata: Some(mint.publish),
        ..Video::default()
    };
    let claims = Claims {
        iss: mint.key.to_owned(),
        sub: mint.identity.as_str().to_owned(),
        validity: Validity::starting(mint.now, u64::from(mint.lifetime)),
        app: mint.app.map(|app| app.as_str().to_owned()),
        video,
        ..Claims::default()
    };
    jwt::mint(&claims, secret)
}

/// Who claims to have signed a token; nothing about it is proven.
pub(super) fn issuer(token: &str) -> Result<String, JwtError> {
    jwt::unverified::<Claims>(token).map(|claims| claims.iss)
}

/// The claims of a token that `secret` signed and whose time it is.
pub(super) fn verify(token: &str, secret: &SecretString, now: WallMs) -> Result<Claims, JwtError> {
    let claims: Claims = jwt::verify(token, secret)?;
    claims.validity.check(now)?;
    Ok(claims)
}

/// A token with all the claims of `token`, those that we don't know too, and a new time.
pub(super) fn refresh(token: &str, secret: &SecretString, now: WallMs) -> Option<SecretString> {
    let mut claims: serde_json::Map<String, serde_json::Value> = jwt::verify(token, secret).ok()?;
    let now = now.0 / 1000;
    claims.insert("nbf".to_owned(), now.into());
    claims.insert("exp".to_owned(), (now + REFRESHED_SECS).into());
    Some(jwt::mint(&claims, secret).into())
}
