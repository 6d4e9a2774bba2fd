//! Canonical JSON: text that `JSON.stringify(JSON.parse(text))` gives back byte for byte.
//!
//! Half of the receivers check a callback's signature over exactly that (docs/protocol/callers.md section 3). So: no blanks, raw
//! UTF-8, nothing escaped that need not be, integers without exponent or fraction and within ±(2^53 - 1), and no key that
//! JavaScript would sort to the front because it looks like an array index.

use serde_json::{Map, Number, Value};

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The canonical text of a value.
///
/// What has no canonical form is changed: a number that is no safe integer becomes the string of its digits, a key that
/// looks like an array index gets an underscore in front.
pub fn render(value: &Value) -> String {
    tame(value).to_string()
}

/// The canonical text of a string, with its quotes.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn tame(value: &Value) -> Value {
    match value {
        Value::Number(number) if !is_safe(number) => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(tame).collect(),
        Value::Object(members) => {
            let mut tamed = Map::new();
            for (key, member) in members {
                let mut key = key.clone();
                while is_index(&key) || tamed.contains_key(&key) {
                    key.insert(0, '_');
                }
                tamed.insert(key, tame(member));
            }
            Value::Object(tamed)
        }
        plain => plain.clone(),
    }
}

fn is_safe(number: &Number) -> bool {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => number <= MAX_SAFE_INTEGER,
        (None, Some(number)) => number.unsigned_abs() <= MAX_SAFE_INTEGER,
        (None, None) => false,
    }
}

/// ECMAScript's array index: the decimal form, without leading zeros, of an integer below 2^32 - 1. JavaScript engines
/// reorder some larger ones too, so every key of that form counts.
fn is_index(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_stays_raw() {
        assert_eq!(
            render(&json!({"a/b": "комната/\"1\"\n\u{1f}\u{2028}", "n": [1, -2, true, null]})),
            "{\"a/b\":\"комната/\\\"1\\\"\\n\\u001f\u{2028}\",\"n\":[1,-2,true,null]}"
        );
    }

    #[test]
    fn numbers_that_javascript_would_respell_become_strings() {
        assert_eq!(
            render(&json!([9_007_199_254_740_991_u64, 9_007_199_254_740_992_u64])),
            "[9007199254740991,\"9007199254740992\"]"
        );
        assert_eq!(render(&json!([1.0, -0.0, i64::MIN])), "[\"1.0\",\"-0.0\",\"-9223372036854775808\"]");
    }

    #[test]
    fn keys_that_javascript_would_reorder_are_renamed() {
        assert_eq!(render(&json!({"b": 1, "42": 2, "_42": 3, "007": 4})), "{\"b\":1,\"_42\":2,\"__42\":3,\"007\":4}");
    }
}
