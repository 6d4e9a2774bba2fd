//! Digests of requests: canonical JSON (keys sorted, null fields dropped) under SHA-256.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::session::RequestHash;

/// The digest of a JSON value: the order of keys and blanks do not count.
pub(crate) fn of(value: &Value) -> RequestHash {
    let mut digest = Sha256::new();
    feed(&mut digest, value);
    RequestHash(digest.finalize().into())
}

fn feed(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by_key(|(key, _)| *key);
            digest.update(b"{");
            for (key, value) in fields {
                feed(digest, &Value::String(key.clone()));
                digest.update(b":");
                feed(digest, value);
                digest.update(b",");
            }
            digest.update(b"}");
        }
        Value::Array(items) => {
            digest.update(b"[");
            for item in items {
                feed(digest, item);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        scalar => digest.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_order_and_nulls_do_not_count_but_values_do() {
        let one = json!({ "a": 1, "b": [true, "x"], "c": null });
        assert_eq!(of(&one), of(&json!({ "b": [true, "x"], "a": 1 })));
        assert_ne!(of(&one), of(&json!({ "b": ["x", true], "a": 1 })));
        assert_ne!(of(&json!({ "a": "1" })), of(&json!({ "a": 1 })));
    }
}
