//! A callback's signatures (docs/protocol/agora.md section 5): HMAC over the raw body, keyed with the app's callback secret, in
//! lower-case hexadecimal digits.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// The header of [`v1`].
pub const HEADER_V1: &str = "Agora-Signature";
/// The header of [`v2`].
pub const HEADER_V2: &str = "Agora-Signature-V2";

/// HMAC-SHA1: 40 digits.
pub fn v1(secret: &SecretString, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// HMAC-SHA256: 64 digits.
pub fn v2(secret: &SecretString, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_the_vector_of_the_fact_sheet() {
        let secret = SecretString::from("test-secret");
        let body =
            br#"{"noticeId":"n-1","productId":3,"eventType":40,"notifyMs":1700000000000,"payload":{"sequence":0}}"#;
        assert_eq!(v1(&secret, body), "9a255a7e2bad6d9391785b05394df1cfda61558a");
        assert_eq!(v2(&secret, body), "c8537e77b3f5abbe557254817db408906a836acc85aeb57a38140c73a159b3d5");
    }
}
