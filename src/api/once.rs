//! The header `Idempotency-Key` (the IETF's draft draft-ietf-httpapi-idempotency-key-header; taken as it is, quotes included).

use axum::http::HeaderMap;

use super::wire::fields::BadField;
use crate::session::{IdempotencyKey, MAX_KEY_BYTES};

const NAME: &str = "idempotency-key";

/// The key that a call brings, if it brings one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, BadField> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let one = values.next().is_none();
    let key = value.to_str().ok().filter(|_| one).and_then(|text| IdempotencyKey::new(text.trim()));
    let problem = || format!("must hold one key of 1 to {MAX_KEY_BYTES} ASCII characters without blanks");
    key.map(Some).ok_or_else(|| BadField::new("header Idempotency-Key", problem()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<IdempotencyKey>, BadField> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers)
    }

    #[test]
    fn keys_of_all_customs_are_taken_and_others_are_refused_by_name() {
        assert_eq!(read(&[]).unwrap(), None);
        for text in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", " room-1/2026 ", &"k".repeat(255)] {
            let text = text.trim_end_matches(' ');
            assert!(read(&[text.as_bytes()]).is_ok(), "{text}");
        }
        for values in
            [vec![&b""[..]], vec![b"a b"], vec!["schlüssel".as_bytes()], vec![b"one", b"two"], vec![&[b'k'; 256]]]
        {
            let error = read(&values).unwrap_err().to_string();
            assert!(error.starts_with("header Idempotency-Key must"), "{error}");
        }
    }
}
