//! Agora tokens of version 006, the vendor's first AccessToken (docs/protocol/agora.md section 8.2).
//!
//! `"006"`, the app id, then base64 of signature, CRC-32 of channel and of uid, and the signed message. The names themselves
//! are not inside, so who presents the token has to say them.

use base64::Engine;
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

use super::bytes::{Reader, Writer};
use super::privileges::Privileges;
use super::{BASE64, hmac_sha256, hmac_tag};
use recorder_core::units::{AppId, Cname};

const APP_ID_LEN: usize = 32;

/// A parsed token whose signature nobody has checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    signature: Vec<u8>,
    channel_crc: u32,
    uid_crc: u32,
    message: Vec<u8>,
    pub(super) app: AppId,
    /// Seconds since 1970.
    pub(super) expires: u32,
    pub(super) privileges: Privileges,
}

/// What to put into a new token.
#[derive(Clone, Copy, Debug)]
pub struct Mint<'a> {
    /// The app.
    pub app: &'a AppId,
    /// The channel that the token opens.
    pub channel: &'a Cname,
    /// The member; empty or `"0"` opens the channel to any.
    pub uid: &'a str,
    /// What the member may do, and until when.
    pub privileges: &'a Privileges,
    /// The end of the token, in seconds since 1970.
    pub expires: u32,
    /// Anything; makes tokens of one second differ.
    pub salt: u32,
}

/// A token signed with the app's `certificate`.
pub fn mint(mint: Mint<'_>, certificate: &SecretString) -> String {
    let uid = if mint.uid == "0" { "" } else { mint.uid };
    let head = Writer::default().u32(mint.salt).u32(mint.expires);
    let message = mint.privileges.write(head).0;
    pack(mint.app, mint.channel.as_str(), uid, &message, certificate)
}

impl Token {
    /// Parses the text behind `"006"`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (app, content) = text.split_at_checked(APP_ID_LEN)?;
        let content = BASE64.decode(content).ok()?;
        let mut reader = Reader(&content);
        let signature = reader.bytes()?.to_vec();
        let (channel_crc, uid_crc) = (reader.u32()?, reader.u32()?);
        let message = reader.bytes()?;
        let mut inner = Reader(message);
        inner.u32()?;
        let expires = inner.u32()?;
        let privileges = Privileges::read(&mut inner)?;
        // Bytes behind the last field would be signed by nobody.
        if !reader.0.is_empty() {
            return None;
        }
        let app = AppId::new(app).ok()?;
        Some(Self { signature, channel_crc, uid_crc, message: message.to_vec(), app, expires, privileges })
    }

    /// Whether the token was made for any uid.
    pub(super) const fn any_uid(&self) -> bool {
        self.uid_crc == 0
    }

    /// Whether `certificate` signed this token for exactly `channel` and `uid`; compares in constant time.
    pub(super) fn signed_by(&self, certificate: &SecretString, channel: &str, uid: &str) -> bool {
        let uid = if self.any_uid() { "" } else { uid };
        let key = certificate.expose_secret().as_bytes();
        let parts = [self.app.as_str().as_bytes(), channel.as_bytes(), uid.as_bytes(), &self.message];
        crc32fast::hash(channel.as_bytes()) == self.channel_crc
            && crc32fast::hash(uid.as_bytes()) == self.uid_crc
            && hmac_sha256(key, &parts).verify_slice(&self.signature).is_ok()
    }
}

fn pack(app: &AppId, channel: &str, uid: &str, message: &[u8], certificate: &SecretString) -> String {
    let key = certificate.expose_secret().as_bytes();
    let signature = hmac_tag(key, &[app.as_str().as_bytes(), channel.as_bytes(), uid.as_bytes(), message]);
    let content = Writer::default()
        .bytes(&signature)
        .u32(crc32fast::hash(channel.as_bytes()))
        .u32(crc32fast::hash(uid.as_bytes()))
        .bytes(message)
        .0;
    format!("006{app}{}", BASE64.encode(content))
}

#[cfg(test)]
mod tests {
    use super::super::privileges::{Role, UndeliveredFilter};
    use super::super::tests::{app, certificate};
    use super::*;

    /// docs/protocol/agora.md section 8.2: `room-1`, 12345, salt 7, ts 1700000000, {1: 1700003600}.
    const VECTOR: &str = "0060123456789abcdef0123456789abcdefIADjgfp2ZEYv7UCUrkkIDAgUEShWmdWWg38lv3afDNOrDgYI9L4cOvXLEAAHAAAAAPFTZQEAAQAQ/1Nl";

    #[test]
    fn the_vendors_vector_parses_verifies_and_is_made_again() {
        let token = Token::parse(&VECTOR[3..]).unwrap();
        assert_eq!((token.app.clone(), token.expires), (app(), 1_700_000_000));
        assert_eq!(token.privileges, Privileges::from_pairs(&[(1, 1_700_003_600)]));
        assert!(token.signed_by(&certificate(), "room-1", "12345"));
        assert!(!token.signed_by(&certificate(), "room-2", "12345"));
        assert!(!token.signed_by(&certificate(), "room-1", "1"));
        assert!(!token.signed_by(&"0".repeat(32).into(), "room-1", "12345"));
        assert_eq!(pack(&app(), "room-1", "12345", &token.message, &certificate()), VECTOR);
    }

    #[test]
    fn a_minted_token_for_any_uid_opens_for_any() {
        let channel = Cname::new("room-1").unwrap();
        let app = app();
        let privileges = Privileges::of(Role::Subscriber, 2000);
        let order = Mint { app: &app, channel: &channel, uid: "0", privileges: &privileges, expires: 2000, salt: 9 };
        let token = Token::parse(&mint(order, &certificate())[3..]).unwrap();
        assert!(token.any_uid());
        assert!(token.signed_by(&certificate(), "room-1", "whoever"));
        assert_eq!(token.privileges.publish_audio(0, 1000), UndeliveredFilter::Absent);
    }

    #[test]
    fn rubbish_is_no_token() {
        for text in ["", "0123", "ääääääääääääääääääää", &VECTOR[3..60], &format!("{}!!", &VECTOR[3..])]
        {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
