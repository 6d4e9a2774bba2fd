//! Channel and uid as callers write them: `cname` a string, `uid` a number or a string in one and the same task.

use serde_json::Value;

use super::fields::{BadField, Fields, whole};
use crate::units::{Cname, Uid};

/// The channel and the recorder's uid of acquire and start, both required.
pub(crate) fn required(body: &Fields<'_>) -> Result<(Cname, Uid), BadField> {
    let cname =
        body.text("cname")?.ok_or_else(|| body.bad("cname", "is missing; send the channel's name as a string"))?;
    let cname = Cname::new(cname).map_err(|error| {
        let bad = body.bad("cname", error.problem);
        if cname.is_empty() { bad } else { bad.known_as(401, Some("invalid_channel_name")) }
    })?;
    let uid = body.value("uid").ok_or_else(|| body.bad("uid", "is missing; send the recorder's uid as a string"))?;
    Ok((cname, recorder_uid(body, uid)?))
}

/// What a call on a started task says about channel and uid; neither finds the task, so nothing is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) cname: Option<String>,
    pub(crate) uid: Option<String>,
}

impl Claimed {
    /// Reads what the body of a call on a started task claims, whatever else is in it.
    pub(crate) fn of(body: &Value) -> Self {
        let cname = body.get("cname").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let uid = body.get("uid").and_then(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        Self { cname, uid }
    }
}

/// A recorder's uid: 0 to 2^32 - 1, as a number or as a string of digits; leading zeros are dropped.
fn recorder_uid(body: &Fields<'_>, value: &Value) -> Result<Uid, BadField> {
    const RIGHT: &str = "it must hold a whole number from 0 to 4294967295";
    let number = match value {
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Value::Number(_) => whole(value).and_then(|number| u32::try_from(number).ok()),
        Value::String(_) => return Err(body.bad("uid", format!("is not a number; {RIGHT}"))),
        _ => return Err(body.bad("uid", format!("must be a string or a number; {RIGHT}"))),
    };
    let number: u32 = number.ok_or_else(|| body.bad("uid", format!("is out of range; {RIGHT}")))?;
    Ok(Uid::new(&number.to_string()).expect("digits are a valid uid"))
}

/// A member's uid in a subscription list: any identity, as a string or a number.
pub(crate) fn member_uid(list: &str, value: &Value) -> Result<Uid, BadField> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(BadField::new(list, "must be a list of uids, each a string or a number")),
    };
    Uid::new(&text).map_err(|error| BadField::new(list, format!("holds a uid that {}", error.problem)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uid(value: &Value) -> Result<String, String> {
        let body = json!({ "cname": "room", "uid": value });
        let (_, uid) = required(&Fields::root(&body).unwrap()).map_err(|error| error.to_string())?;
        Ok(uid.to_string())
    }

    #[test]
    fn a_uid_is_a_number_or_a_string() {
        assert_eq!(uid(&json!(527)), Ok("527".into()));
        assert_eq!(uid(&json!("527")), Ok("527".into()));
        assert_eq!(uid(&json!("0")), Ok("0".into()));
        assert_eq!(uid(&json!(4_294_967_295_u64)), Ok("4294967295".into()));
        assert_eq!(uid(&json!("007")), Ok("7".into()));
    }

    #[test]
    fn a_bad_uid_is_refused_with_what_is_right() {
        for value in [
            json!(-1),
            json!(4_294_967_296_u64),
            json!("8810546176"),
            json!("alice"),
            json!(""),
            json!([1]),
            json!(1.5),
        ] {
            let problem = uid(&value).unwrap_err();
            assert!(problem.starts_with("uid ") && problem.contains("0 to 4294967295"), "{value}: {problem}");
        }
    }

    #[test]
    fn claims_never_fail() {
        assert_eq!(Claimed::of(&json!({ "cname": 5, "uid": 9 })), Claimed { cname: None, uid: Some("9".into()) });
        for nothing in [Value::Null, json!([]), json!({ "cname": "", "uid": "" })] {
            assert_eq!(Claimed::of(&nothing), Claimed::default());
        }
    }
}
