//! Who may join what: LiveKit's JWT and the vendor's tokens 007 and 006, checked into one [`VerifiedToken`].
//!
//! A token is judged in a fixed order: shape, signature, time, then what it names. So a forged token never learns more than
//! "invalid token, authorized failed", and only the rightful owner of an old one hears that it has expired.

mod agora;
mod bytes;
mod livekit;
mod privileges;
mod v006;
mod v007;
mod verified;

use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use livekit_protocol::participant_info::Kind;
use secrecy::SecretString;
use sha2::Sha256;

pub use livekit::{Mint as MintLiveKit, mint as mint_livekit};
pub use privileges::{Privileges, Role};
pub use v006::{Mint as Mint006, mint as mint_006};
pub use v007::{Mint as Mint007, mint as mint_007};
pub(super) use verified::ended;
pub use verified::{Grants, Terms, VerifiedToken};

use channel_client::jwt::{JwtError, MAX_TOKEN_LEN};
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::units::{AppId, Cname, InvalidId, Uid, WallMs};

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

/// Why a token doesn't open the room. The text is the vendor's own (docs/protocol/agora.md section 8.3); clients look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token at all.
    #[error("dynamic use static key")]
    NoToken,
    /// A rightful token whose time, or whose right to join, is over.
    #[error("dynamic key expired")]
    Expired,
    /// A token, but the app has no certificate to check it with.
    #[error("static use dynamic key")]
    NoCertificate,
    /// Anything else; the reason is for our log, not for the client.
    #[error("invalid token, authorized failed")]
    Invalid(&'static str),
    /// A rightful token that names a room or member that can't be.
    #[error(transparent)]
    Name(#[from] InvalidId),
}

impl Classify for Refusal {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::caller(match self {
            Self::NoToken => "token_missing",
            Self::Expired => "token_expired",
            Self::NoCertificate => "app_without_certificate",
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
    pub fn check(&self, token: Option<&str>, asked: &Asked, now: WallMs) -> Result<VerifiedToken, Refusal> {
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

    fn check_007(&self, text: &str, asked: &Asked, now: WallMs) -> Result<VerifiedToken, Refusal> {
        let token = v007::Token::parse(text).ok_or(Refusal::Invalid("not a 007 token"))?;
        if !token.signed_by(self.certificate(&token.app)?) {
            return Err(Refusal::Invalid("signed with another certificate"));
        }
        let (issued, now) = (u64::from(token.issued), now.0 / 1000);
        let times = agora::Times { base: issued, end: issued + u64::from(token.lifetime), now };
        if now >= times.end {
            return Err(Refusal::Expired);
        }
        let rtc = token
            .rtc
            .iter()
            .find(|rtc| asked.room.as_ref().is_none_or(|room| *room == rtc.channel))
            .ok_or(Refusal::Invalid("for another channel, or for none"))?;
        let identity = agora::agreed_identity(&rtc.uid, asked)?;
        agora::verified(token.app, &rtc.channel, identity, &rtc.privileges, times)
    }

    fn check_006(&self, text: &str, asked: &Asked, now: WallMs) -> Result<VerifiedToken, Refusal> {
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
        let identity = agora::agreed_identity("", asked)?;
        let times = agora::Times { base: 0, end: u64::from(token.expires), now };
        agora::verified(token.app, room, identity, &token.privileges, times)
    }

    fn check_livekit(&self, token: &str, now: WallMs) -> Result<VerifiedToken, Refusal> {
        let (secret, own_app) = self.livekit_secret(token)?;
        let claims = livekit::verify(token, secret, now)?;
        let app = match (own_app, &claims.app) {
            (Some(app), _) => app,
            (None, Some(named)) => self.known(named)?,
            (None, None) => self.apps.first().ok_or(Refusal::Invalid("no app is configured"))?.app_id.clone(),
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
        Ok(VerifiedToken {
            app,
            cname: Cname::new(&claims.video.room)?,
            identity: Some(Uid::new(&claims.sub)?),
            name: claims.name,
            metadata: claims.metadata,
            attributes: claims.attributes,
            kind,
            grants,
            terms: Terms::default(),
        })
    }

    /// The same LiveKit token with a new end, as a LiveKit server sends it to the members it has: so that one may resume after
    /// its token's end. `None` for the vendor's tokens, whose end is the end.
    pub fn refresh(&self, token: &str, now: WallMs) -> Option<SecretString> {
        let (secret, _) = self.livekit_secret(token).ok()?;
        livekit::refresh(token, secret, now)
    }

    /// What checks a LiveKit token, and the app whose own key signed it; nothing about the token is proven.
    fn livekit_secret(&self, token: &str) -> Result<(&SecretString, Option<AppId>), Refusal> {
        let issuer = livekit::issuer(token)?;
        if issuer == self.api_key {
            return Ok((&self.api_secret, None));
        }
        let app = AppId::new(&issuer).map_err(|_| Refusal::Invalid("unknown API key"))?;
        Ok((self.certificate(&app)?, Some(app)))
    }

    fn certificate(&self, app: &AppId) -> Result<&SecretString, Refusal> {
        let keys = self.apps.iter().find(|keys| keys.app_id == *app).ok_or(Refusal::Invalid("unknown app"))?;
        keys.certificate.as_ref().ok_or(Refusal::NoCertificate)
    }

    fn known(&self, app: &str) -> Result<AppId, Refusal> {
        let keys = self.apps.iter().find(|keys| keys.app_id.as_str() == app);
        keys.map(|keys| keys.app_id.clone()).ok_or(Refusal::Invalid("unknown app"))
    }
}

fn livekit_grants(video: &livekit::Video) -> Grants {
    let publish = video.can_publish.unwrap_or(true);
    let source = |name: &str| {
        publish && (video.can_publish_sources.is_empty() || video.can_publish_sources.iter().any(|s| s == name))
    };
    Grants {
        microphone: source("microphone"),
        screen_audio: source("screen_share_audio"),
        other_audio: publish && video.can_publish_sources.is_empty(),
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
