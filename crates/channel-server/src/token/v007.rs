//! Agora tokens of version 007, the vendor's AccessToken2 (docs/protocol/agora.md section 8.1).
//!
//! `"007"`, then base64 of the zlib-deflated content: a signature over everything behind it. Deflate differs between builds of
//! zlib, so a token is judged by what it inflates to, never by its text.

use std::io::Read;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use secrecy::{ExposeSecret, SecretString};

use super::bytes::{Reader, Writer};
use super::privileges::Privileges;
use super::{BASE64, hmac_sha256, hmac_tag};
use base64::Engine;
use hmac::Mac;
use recorder_core::units::{AppId, Cname};

/// The most that a token may inflate to, in bytes; a real one has about 200.
const MAX_INFLATED: u64 = 64 * 1024;

const RTC: u16 = 1;

/// A parsed token whose signature nobody has checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    signature: Vec<u8>,
    signed: Vec<u8>,
    pub(super) app: AppId,
    /// Seconds since 1970.
    pub(super) issued: u32,
    /// Seconds after the issue.
    pub(super) lifetime: u32,
    salt: u32,
    /// The token's RTC services, in its order; a token may hold several.
    pub(super) rtc: Vec<Rtc>,
}

/// What an RTC service of a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rtc {
    pub(super) privileges: Privileges,
    pub(super) channel: String,
    /// Empty means any.
    pub(super) uid: String,
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
    /// Now, in seconds since 1970.
    pub issued: u32,
    /// How long the token is good for, in seconds.
    pub lifetime: u32,
    /// Anything from 1 to 99 999 999; makes tokens of one second differ.
    pub salt: u32,
}

/// A token signed with the app's `certificate`.
pub fn mint(mint: Mint<'_>, certificate: &SecretString) -> String {
    let rtc = Rtc {
        privileges: mint.privileges.clone(),
        channel: mint.channel.as_str().to_owned(),
        uid: if mint.uid == "0" { String::new() } else { mint.uid.to_owned() },
    };
    pack(mint.app, mint.issued, mint.lifetime, mint.salt, &rtc, certificate)
}

impl Token {
    /// Parses the text behind `"007"`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let packed = BASE64.decode(text).ok()?;
        let mut inflated = Vec::new();
        let mut zlib = ZlibDecoder::new(packed.as_slice()).take(MAX_INFLATED);
        zlib.read_to_end(&mut inflated).ok()?;
        // Bytes behind the deflated content would be signed by nobody.
        if zlib.into_inner().total_in() != packed.len() as u64 {
            return None;
        }
        let mut reader = Reader(&inflated);
        let signature = reader.bytes()?.to_vec();
        let signed = reader.0.to_vec();
        let app = AppId::new(reader.text()?).ok()?;
        let (issued, lifetime, salt) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let count = reader.u16()?;
        let rtc = rtc_services(&mut reader, count)?;
        Some(Self { signature, signed, app, issued, lifetime, salt, rtc })
    }

    /// Whether `certificate` signed exactly these bytes; compares in constant time.
    pub(super) fn signed_by(&self, certificate: &SecretString) -> bool {
        let key = signing_key(self.issued, self.salt, certificate);
        hmac_sha256(&key, &[&self.signed]).verify_slice(&self.signature).is_ok()
    }
}

/// Services come sorted by type and RTC has the smallest, so the first other one ends the search. Every byte is signed, known
/// or not.
fn rtc_services(reader: &mut Reader<'_>, count: u16) -> Option<Vec<Rtc>> {
    let mut found = Vec::new();
    for _ in 0..count {
        if reader.u16()? != RTC {
            break;
        }
        let privileges = Privileges::read(reader)?;
        found.push(Rtc { privileges, channel: reader.text()?.to_owned(), uid: reader.text()?.to_owned() });
    }
    Some(found)
}

fn pack(app: &AppId, issued: u32, lifetime: u32, salt: u32, rtc: &Rtc, certificate: &SecretString) -> String {
    let head = Writer::default().bytes(app.as_str().as_bytes()).u32(issued).u32(lifetime).u32(salt).u16(1).u16(RTC);
    let signed = rtc.privileges.write(head).bytes(rtc.channel.as_bytes()).bytes(rtc.uid.as_bytes()).0;
    let signature = hmac_tag(&signing_key(issued, salt, certificate), &[&signed]);
    let content = Writer::default().bytes(&signature).0;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let deflated = std::io::Write::write_all(&mut zlib, &content)
        .and_then(|()| std::io::Write::write_all(&mut zlib, &signed))
        .and_then(|()| zlib.finish())
        .expect("writing to memory never fails");
    format!("007{}", BASE64.encode(deflated))
}

fn signing_key(issued: u32, salt: u32, certificate: &SecretString) -> [u8; 32] {
    let first = hmac_tag(&issued.to_le_bytes(), &[certificate.expose_secret().as_bytes()]);
    hmac_tag(&salt.to_le_bytes(), &[&first])
}

#[cfg(test)]
mod tests {
    use super::super::privileges::Role;
    use super::super::tests::{app, certificate};
    use super::*;

    /// docs/protocol/agora.md section 8.1.
    const ANY_UID: &str = "eJxTYOibskNm07nfgSFvZjW06ByIU/v4qUfmZuS/B+H2NYmREw8pMBgYGhmbmJqZW1gmJiWnpKah8xk+BqdGMDEwMDKAMASC+GwMRfn5ubqGDAwA+7EfUg==";
    const UID_12345: &str = "eJxTYPgcHL5zRUhzgPpO/auLItqMbv44MCex1u7tolb9c1YH3nxWYDAwNDI2MTUzt7BMTEpOSU1D5zN8DE4V4GNgYGdgYGBkYGRgYWBkAPGZwCQzmGQBk2wMRfn5ubqGrAxgIwCZoSBu";

    #[test]
    fn the_vendors_vectors_parse_and_verify() {
        let token = Token::parse(ANY_UID).unwrap();
        assert_eq!(token.app, app());
        assert_eq!((token.issued, token.lifetime, token.salt), (1_700_000_000, 600, 1));
        let rtc = Rtc { privileges: Privileges::from_pairs(&[(1, 600)]), channel: "room-1".into(), uid: String::new() };
        assert_eq!(token.rtc, [rtc]);
        assert!(token.signed_by(&certificate()));

        let token = Token::parse(UID_12345).unwrap();
        assert_eq!((token.rtc[0].uid.as_str(), token.salt), ("12345", 7));
        assert!(token.signed_by(&certificate()));
        assert!(!token.signed_by(&"0".repeat(32).into()));
    }

    #[test]
    fn minting_gives_the_vectors_content() {
        let channel = Cname::new("room-1").unwrap();
        let app = app();
        let privileges = Privileges::of(Role::Publisher, 3600);
        let order = Mint {
            app: &app,
            channel: &channel,
            uid: "12345",
            privileges: &privileges,
            issued: 1_700_000_000,
            lifetime: 3600,
            salt: 7,
        };
        let minted = mint(order, &certificate());
        assert_eq!(Token::parse(&minted[3..]), Token::parse(UID_12345));
        let zero = mint(Mint { uid: "0", ..order }, &certificate());
        assert_eq!(Token::parse(&zero[3..]).unwrap().rtc[0].uid, "");
    }

    #[test]
    fn a_service_after_rtc_is_signed_but_not_read() {
        let rtm = [2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, b'a'];
        assert_eq!(rtc_services(&mut Reader(&rtm), 1), Some(vec![]));
    }

    #[test]
    fn rubbish_is_no_token() {
        for text in ["", "!", "AAAA", &ANY_UID[..40], &BASE64.encode([0_u8; 300])] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
        let mut bomb = ZlibEncoder::new(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut bomb, &vec![0; 10_000_000]).unwrap();
        assert_eq!(Token::parse(&BASE64.encode(bomb.finish().unwrap())), None);
    }
}
