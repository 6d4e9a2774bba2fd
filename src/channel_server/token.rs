//! Who may join what: LiveKit's JWT and the vendor's tokens 007 and 006, checked into one [`Pass`].
//!
//! A token is judged in a fixed order: shape, signature, time, then what it names. So a forged token never learns more than
//! "invalid token, authorized failed", and only the rightful owner of an old one hears that it has expired.

mod bytes;
mod livekit;
mod privileges;
mod v006;
mod v007;

use std::collections::HashMap;

use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use livekit_protocol::participant_info::Kind;
use secrecy::SecretString;
use sha2::Sha256;

pub use livekit::{Mint as MintLiveKit, mint as mint_livekit};
pub use privileges::Role;
pub use v006::{Mint as Mint006, mint as mint_006};
pub use v007::{Mint as Mint007, mint as mint_007};

use privileges::{Privileges, Standing};

use crate::channel::jwt::{JwtError, MAX_TOKEN_LEN};
use crate::fault::{Explain, Fault};
use crate::units::{AppId, Cname, InvalidId, Uid, WallMs};

/// One app's keys.
#[derive(Clone, Debug)]
pub struct AppKeys {
    /// The app, and its key for LiveKit tokens.
    pub app_id: AppId,
    /// Signs the app's tokens. Without one no token of the app is accepted.
    pub certificate: Option<SecretString>,
}

/// All keys that open rooms.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The apps; the first one owns the rooms of a server-wide token that names no app.
    pub apps: Vec<AppKeys>,
    /// The server-wide LiveKit API key.
    pub api_key: String,
    /// Its secret.
    pub api_secret: SecretString,
}

/// What a client asks for beside its token: an Agora token may leave open who, and a 006 token doesn't say where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `room` of the query.
    pub room: Option<String>,
    /// `identity` of the query.
    pub identity: Option<String>,
}

/// The right to be in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whose room.
    pub app: AppId,
    /// Which room.
    pub cname: Cname,
    /// Who; `None` when the token is for any uid and the client asked for none: the server assigns one.
    pub identity: Option<Uid>,
    /// Display name.
    pub name: String,
    /// Free text for other members.
    pub metadata: String,
    /// Free pairs for other members.
    pub attributes: HashMap<String, String>,
    /// What the member is: a person, an agent, …
    pub kind: Kind,
    /// What the member may do.
    pub grants: Grants,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Publish a microphone.
    pub microphone: bool,
    /// Publish the sound of a shared screen.
    pub screen_audio: bool,
    /// Hear others.
    pub subscribe: bool,
    /// Send data packets.
    pub data: bool,
    /// Change its own name, metadata and attributes.
    pub own_metadata: bool,
    /// Not seen by others.
    pub hidden: bool,
    /// Records: others see that the room is being recorded, and the room closes without it.
    pub recorder: bool,
}

/// Why a token doesn't open the room. The text is the vendor's own (facts/agora.md section 8.3); clients look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token at all.
    #[error("dynamic use static key")]
    NoToken,
    /// A rightful token whose time, or whose right to join, is over.
    #[error("dynamic key expired")]
    Expired,
    /// Anything else; the reason is for our log, not for the client.
    #[error("invalid token, authorized failed")]
    Invalid(&'static str),
    /// A rightful token that names a room or member that can't be.
    #[error(transparent)]
    Name(#[from] InvalidId),
}

impl Explain for Refusal {
    fn fault(&self) -> Fault {
        Fault::caller(match self {
            Self::NoToken => "token_missing",
            Self::Expired => "token_expired",
            Self::Invalid(_) => "token_invalid",
            Self::Name(_) => "invalid_name",
        })
    }
}

impl From<JwtError> for Refusal {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Expired => Self::Expired,
            JwtError::Malformed => Self::Invalid("not a JWT"),
            JwtError::Algorithm => Self::Invalid("not signed with HS256"),
            JwtError::Signature => Self::Invalid("signed with another secret"),
            JwtError::NotYetValid => Self::Invalid("not valid yet"),
        }
    }
}

impl Keys {
    /// What `token` allows at `now`.
    pub fn check(&self, token: Option<&str>, asked: &Asked, now: WallMs) -> Result<Pass, Refusal> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            let dynamic = self.apps.iter().any(|app| app.certificate.is_some());
            return Err(if dynamic { Refusal::NoToken } else { Refusal::Invalid("no app has a certificate") });
        };
        if token.len() > MAX_TOKEN_LEN {
            return Err(Refusal::Invalid("too long"));
        }
        match token.split_at_checked(3) {
            Some(("007", rest)) => self.check_007(rest, asked, now),
            Some(("006", rest)) => self.check_006(rest, asked, now),
            _ => self.check_livekit(token, now),
        }
    }

    fn check_007(&self, text: &str, asked: &Asked, now: WallMs) -> Result<Pass, Refusal> {
        let token = v007::Token::parse(text).ok_or(Refusal::Invalid("not a 007 token"))?;
        if !token.signed_by(self.certificate(&token.app)?) {
            return Err(Refusal::Invalid("signed with another certificate"));
        }
        let (issued, now) = (u64::from(token.issued), now.0 / 1000);
        if now >= issued + u64::from(token.lifetime) {
            return Err(Refusal::Expired);
        }
        let rtc = token
            .rtc
            .iter()
            .find(|rtc| asked.room.as_ref().is_none_or(|room| *room == rtc.channel))
            .ok_or(Refusal::Invalid("for another channel, or for none"))?;
        let identity = agreed_identity(&rtc.uid, asked)?;
        agora_pass(token.app, &rtc.channel, identity, &rtc.privileges, issued, now)
    }

    fn check_006(&self, text: &str, asked: &Asked, now: WallMs) -> Result<Pass, Refusal> {
        let token = v006::Token::parse(text).ok_or(Refusal::Invalid("not a 006 token"))?;
        let room = asked.room.as_deref().ok_or(Refusal::Invalid("a 006 token needs the query parameter room"))?;
        let identity = asked.identity.as_deref().unwrap_or_default();
        if !token.signed_by(self.certificate(&token.app)?, room, identity) {
            return Err(Refusal::Invalid("signed with another certificate, or for another channel or uid"));
        }
        let now = now.0 / 1000;
        if now >= u64::from(token.expires) {
            return Err(Refusal::Expired);
        }
        let identity = agreed_identity("", asked)?;
        agora_pass(token.app, room, identity, &token.privileges, 0, now)
    }

    fn check_livekit(&self, token: &str, now: WallMs) -> Result<Pass, Refusal> {
        let issuer = livekit::issuer(token)?;
        let server_wide = issuer == self.api_key;
        let own_app = || AppId::new(&issuer).map_err(|_| Refusal::Invalid("unknown API key"));
        let secret = if server_wide { &self.api_secret } else { self.certificate(&own_app()?)? };
        let claims = livekit::verify(token, secret, now)?;
        let app = match &claims.app {
            _ if !server_wide => own_app()?,
            Some(named) => self.known(named)?,
            None => self.apps.first().ok_or(Refusal::Invalid("no app is configured"))?.app_id.clone(),
        };
        if !claims.video.room_join {
            return Err(Refusal::Invalid("no right to join"));
        }
        let grants = livekit_grants(&claims.video);
        let kind = match claims.kind.as_str() {
            "ingress" => Kind::Ingress,
            "egress" => Kind::Egress,
            "sip" => Kind::Sip,
            "agent" => Kind::Agent,
            _ => Kind::Standard,
        };
        Ok(Pass {
            app,
            cname: Cname::new(&claims.video.room)?,
            identity: Some(Uid::new(&claims.sub)?),
            name: claims.name,
            metadata: claims.metadata,
            attributes: claims.attributes,
            kind,
            grants,
        })
    }

    fn certificate(&self, app: &AppId) -> Result<&SecretString, Refusal> {
        let keys = self.apps.iter().find(|keys| keys.app_id == *app).ok_or(Refusal::Invalid("unknown app"))?;
        keys.certificate.as_ref().ok_or(Refusal::Invalid("the app has no certificate"))
    }

    fn known(&self, app: &str) -> Result<AppId, Refusal> {
        let keys = self.apps.iter().find(|keys| keys.app_id.as_str() == app);
        keys.map(|keys| keys.app_id.clone()).ok_or(Refusal::Invalid("unknown app"))
    }
}

/// The uid of the token, or the one asked for where the token is for any; both have to agree.
fn agreed_identity(uid: &str, asked: &Asked) -> Result<Option<Uid>, Refusal> {
    let wanted = asked.identity.as_deref().filter(|identity| !identity.is_empty());
    match (uid, wanted) {
        ("", None) => Ok(None),
        ("", Some(identity)) => Ok(Some(Uid::new(identity)?)),
        (uid, Some(identity)) if uid != identity => Err(Refusal::Invalid("for another uid")),
        (uid, _) => Ok(Some(Uid::new(uid)?)),
    }
}

fn agora_pass(
    app: AppId,
    channel: &str,
    identity: Option<Uid>,
    privileges: &Privileges,
    base: u64,
    now: u64,
) -> Result<Pass, Refusal> {
    match privileges.join(base, now) {
        Standing::Granted => {}
        Standing::Expired => return Err(Refusal::Expired),
        Standing::Absent => return Err(Refusal::Invalid("no right to join")),
    }
    let audio = privileges.publish_audio(base, now);
    let grants = Grants {
        microphone: audio,
        screen_audio: audio,
        subscribe: true,
        data: privileges.publish_data(base, now),
        own_metadata: false,
        hidden: false,
        recorder: false,
    };
    Ok(Pass {
        app,
        cname: Cname::new(channel)?,
        identity,
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        kind: Kind::Standard,
        grants,
    })
}

fn livekit_grants(video: &livekit::Video) -> Grants {
    let publish = video.can_publish.unwrap_or(true);
    let source = |name: &str| {
        publish && (video.can_publish_sources.is_empty() || video.can_publish_sources.iter().any(|s| s == name))
    };
    Grants {
        microphone: source("microphone"),
        screen_audio: source("screen_share_audio"),
        subscribe: video.can_subscribe.unwrap_or(true),
        data: video.can_publish_data.unwrap_or(publish),
        own_metadata: video.can_update_own_metadata.unwrap_or(false),
        hidden: video.hidden,
        recorder: video.recorder,
    }
}

/// The vendor's decoder takes base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn hmac_tag(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    hmac_sha256(key, parts).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
