//! As much of STUN (RFC 8489) as it takes to see whom a binding request is for, whether it is signed with that connection's password,
//! and which request a response answers.

use hmac::{Hmac, Mac};
use sha1::Sha1;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LEN: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const FINGERPRINT: u16 = 0x8028;

/// The length of MESSAGE-INTEGRITY with its head, in bytes.
const INTEGRITY_LEN: usize = 24;

/// What tells one request from every other: 96 random bits.
pub(super) type TransactionId = [u8; 12];

/// What a datagram is to the routing table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A binding request.
    Request(Request<'a>),
    /// An answer to a binding request; `success` is false for a refusal.
    Response { id: TransactionId, success: bool },
    /// A binding request that names nobody, or is not to be read to its end.
    Unaddressed,
    /// Media, DTLS, STUN indications, rubbish.
    Other,
}

/// A binding request as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) id: TransactionId,
    /// The receiver's ICE fragment: what stands before the colon of USERNAME (RFC 8445 section 7.2.2).
    pub(super) addressee: &'a str,
    /// What MESSAGE-INTEGRITY covers behind the header, and its value.
    signed: Option<(&'a [u8], &'a [u8])>,
    header: &'a [u8],
}

/// Looks at a datagram.
pub(super) fn kind(datagram: &[u8]) -> Kind<'_> {
    let Some((header, attributes)) = datagram.split_at_checked(HEADER_LEN) else { return Kind::Other };
    let Ok(id) = TransactionId::try_from(&header[8..]) else { return Kind::Other };
    if header[4..8] != MAGIC_COOKIE {
        return Kind::Other;
    }
    match [header[0], header[1]] {
        BINDING_REQUEST => request(header, id, attributes).map_or(Kind::Unaddressed, Kind::Request),
        BINDING_SUCCESS => Kind::Response { id, success: true },
        BINDING_ERROR => Kind::Response { id, success: false },
        _ => Kind::Other,
    }
}

/// The transaction of a binding request, whoever it is for.
pub(super) fn request_id(datagram: &[u8]) -> Option<TransactionId> {
    let header = datagram.get(..HEADER_LEN)?;
    (header[..2] == BINDING_REQUEST && header[4..8] == MAGIC_COOKIE).then(|| header[8..].try_into().ok())?
}

fn request<'a>(header: &'a [u8], id: TransactionId, attributes: &'a [u8]) -> Option<Request<'a>> {
    let (mut addressee, mut signed, mut rest) = (None, None, attributes);
    while !rest.is_empty() {
        let (head, behind) = rest.split_at_checked(4)?;
        let attribute = u16::from_be_bytes([head[0], head[1]]);
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = behind.get(..len)?;
        match attribute {
            // What stands behind the signature is not signed: only what can't change a request's meaning may stand there.
            _ if signed.is_some() && !matches!(attribute, MESSAGE_INTEGRITY_SHA256 | FINGERPRINT) => return None,
            USERNAME if addressee.is_none() => {
                addressee = std::str::from_utf8(value).ok()?.split_once(':').map(|(receiver, _)| receiver);
            }
            USERNAME => return None,
            MESSAGE_INTEGRITY => signed = Some((&attributes[..attributes.len() - rest.len()], value)),
            _ => {}
        }
        rest = behind.get(len.next_multiple_of(4)..)?;
    }
    Some(Request { id, addressee: addressee?, signed, header })
}

impl Request<'_> {
    /// Whether MESSAGE-INTEGRITY was made with this password (RFC 8489 section 14.5: the length in the header that is signed is
    /// that of a message which ends with the signature).
    pub(super) fn is_signed_with(&self, password: &str) -> bool {
        let Some((covered, signature)) = self.signed else { return false };
        let Ok(len) = u16::try_from(covered.len() + INTEGRITY_LEN) else { return false };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(password.as_bytes()) else { return false };
        mac.update(&self.header[..2]);
        mac.update(&len.to_be_bytes());
        mac.update(&self.header[4..]);
        mac.update(covered);
        mac.verify_slice(signature).is_ok()
    }
}

/// A binding request for `username`, signed where there is a password.
#[cfg(test)]
pub(super) fn binding_request(username: &str, password: Option<&str>, id: TransactionId) -> Vec<u8> {
    let mut attributes = vec![0x80, 0x22, 0, 1, b'x', 0, 0, 0];
    attributes.extend(USERNAME.to_be_bytes());
    attributes.extend(u16::try_from(username.len()).unwrap().to_be_bytes());
    attributes.extend(username.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    let signature = if password.is_some() { INTEGRITY_LEN } else { 0 };
    let len = u16::try_from(attributes.len() + signature).unwrap().to_be_bytes();
    let mut bytes = [BINDING_REQUEST.as_slice(), &len, &MAGIC_COOKIE, &id, &attributes].concat();
    if let Some(password) = password {
        let mut mac = Hmac::<Sha1>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(&bytes);
        bytes.extend([0, 8, 0, 20]);
        bytes.extend(mac.finalize().into_bytes());
    }
    bytes
}

/// The answer to a request of this transaction.
#[cfg(test)]
pub(super) fn response(id: TransactionId, success: bool) -> Vec<u8> {
    let kind = if success { BINDING_SUCCESS } else { BINDING_ERROR };
    [kind.as_slice(), &[0, 0], &MAGIC_COOKIE, &id].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: TransactionId = [7; 12];

    fn addressee(datagram: &[u8]) -> Option<&str> {
        if let Kind::Request(request) = kind(datagram) { Some(request.addressee) } else { None }
    }

    fn signed(datagram: &[u8], password: &str) -> bool {
        matches!(kind(datagram), Kind::Request(request) if request.is_signed_with(password))
    }

    #[test]
    fn the_receivers_half_of_the_user_name_is_found() {
        assert_eq!(addressee(&binding_request("ours:theirs", None, ID)), Some("ours"));
        assert_eq!(kind(&binding_request("nocolon", None, ID)), Kind::Unaddressed);
        let answer = response(ID, true);
        assert_eq!(kind(&answer), Kind::Response { id: ID, success: true }, "responses carry no name that means us");
        assert_eq!(request_id(&answer), None);
        assert_eq!(request_id(&binding_request("a:b", None, ID)), Some(ID));
    }

    /// The sample request of RFC 5769 section 2.1.
    #[test]
    fn the_sample_of_rfc_5769_is_signed_with_its_password() {
        let mut sample = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\x80\x22\x00\x10STUN test client\
            \x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
            \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf"
            .to_vec();
        assert_eq!(addressee(&sample), Some("evtj"));
        assert!(signed(&sample, "VOkJxbRl1RmTxUk/WvJxBt"));
        assert!(!signed(&sample, "VOkJxbRl1RmTxUk/WvJxBu"));
        sample[46] ^= 1;
        assert!(!signed(&sample, "VOkJxbRl1RmTxUk/WvJxBt"), "what is signed can't be changed");
    }

    #[test]
    fn nothing_can_be_put_behind_a_signature() {
        let request = binding_request("ours:theirs", Some("secret"), ID);
        assert!(signed(&request, "secret"));
        assert!(!signed(&binding_request("ours:theirs", None, ID), "secret"));
        let with = |attribute: &[u8]| [&request, attribute].concat();
        assert!(signed(&with(&[0x80, 0x28, 0, 4, 1, 2, 3, 4]), "secret"), "a fingerprint stands there");
        // USE-CANDIDATE and ICE-CONTROLLED.
        for added in [[0, 0x25, 0, 0].as_slice(), &[0x80, 0x29, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]] {
            assert_eq!(kind(&with(added)), Kind::Unaddressed);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0_usize..80) {
            signed(&bytes, "secret");
            request_id(&bytes);
            let request = binding_request("ours:theirs", Some("secret"), ID);
            let cut = cut.min(request.len() - 1);
            prop_assert!(!signed(&request[..cut], "secret"));
        }
    }
}
