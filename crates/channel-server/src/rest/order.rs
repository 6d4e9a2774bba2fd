//! What callers ask for, parsed: query parameters, and the fields of a rule's body.
//!
//! As real callers write it: numbers may come as text, and an empty text is a field that isn't there.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::answer::Refusal;
use crate::Term;
use crate::rules::{Banned, RuleId, Target};
use recorder_core::units::{Cname, Uid};

/// Channels on a page.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 1..=500;
const DEFAULT_PAGE_SIZE: usize = 100;

/// How long a rule may be in force, in minutes, as the vendor clamps it.
const MINUTES: (f64, f64) = (1.0, 1440.0);
/// The same for `time_in_seconds`.
const SECONDS: (f64, f64) = (10.0, 86_430.0);
const DEFAULT_TERM: Duration = Duration::from_secs(3600);

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 0.
    pub(super) number: usize,
    pub(super) size: usize,
}

/// `page_no` and `page_size`.
pub(super) fn page(query: &str) -> Result<Page, Refusal> {
    let number = |name: &str, default: usize| match value(query, name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| invalid(name, "must be a whole number")),
    };
    let page = Page { number: number("page_no", 0)?, size: number("page_size", DEFAULT_PAGE_SIZE)? };
    if PAGE_SIZES.contains(&page.size) { Ok(page) } else { Err(invalid("page_size", "must be 1 to 500")) }
}

/// The first value of a query parameter.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Whether a query parameter is there, with whatever value.
pub(super) fn has(query: &str, name: &str) -> bool {
    value(query, name).is_some()
}

/// A channel's name in a path.
pub(super) fn channel(text: &str) -> Result<Cname, Refusal> {
    Cname::new(text).map_err(|error| Refusal::Invalid(format!("invalid channelName: {error}")))
}

/// A uid in a path.
pub(super) fn uid_text(text: &str) -> Result<Uid, Refusal> {
    Uid::new(text).map_err(|error| Refusal::Invalid(format!("invalid uid: {error}")))
}

/// The body of a call about rules.
#[derive(Debug)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(Refusal::Invalid("the body must be a JSON object".to_owned())),
        }
    }

    /// `appid`, as it is.
    pub(super) fn app(&self) -> Result<&str, Refusal> {
        self.text("appid")?.ok_or_else(|| Refusal::Invalid("appid is required".to_owned()))
    }

    /// `id`
    pub(super) fn id(&self) -> Result<RuleId, Refusal> {
        let number = match self.0.get("id") {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        number.map(RuleId).ok_or_else(|| invalid("id", "must be the number of a rule"))
    }

    /// `cname`, `uid` and `ip`: at least one of them.
    pub(super) fn target(&self) -> Result<Target, Refusal> {
        let cname = self.text("cname")?.map(Cname::new).transpose();
        let cname = cname.map_err(|error| Refusal::Invalid(format!("invalid cname: {error}")))?;
        let ip = self.text("ip")?.map(str::parse::<IpAddr>).transpose();
        let ip = ip.map_err(|_| invalid("ip", "must be an IPv4 or IPv6 address"))?;
        Target::new(cname, self.uid()?, ip)
            .ok_or_else(|| Refusal::Invalid("one of cname, uid and ip is required".to_owned()))
    }

    /// `privileges`. Without the field it is joining that is banned, as it was before there were others.
    pub(super) fn privileges(&self) -> Result<Banned, Refusal> {
        let names = match self.0.get("privileges") {
            None | Some(Value::Null) => return Ok(Banned { join: true, ..Banned::default() }),
            Some(Value::Array(names)) => names,
            Some(_) => return Err(invalid("privileges", "must be a list")),
        };
        let mut banned = Banned::default();
        for name in names {
            match name.as_str() {
                Some("join_channel") => banned.join = true,
                Some("publish_audio") => banned.audio = true,
                Some("publish_video") => banned.video = true,
                _ => return Err(invalid("privileges", "may hold join_channel, publish_audio and publish_video")),
            }
        }
        if banned == Banned::default() { Err(invalid("privileges", "must not be empty")) } else { Ok(banned) }
    }

    /// `time_in_seconds`, else `time` in minutes, else an hour. Zero removes once and bans nobody.
    pub(super) fn term(&self) -> Result<Term, Refusal> {
        let seconds = match (self.number("time_in_seconds")?, self.number("time")?) {
            (Some(seconds), _) => within(seconds, SECONDS),
            (None, Some(minutes)) => within(minutes, MINUTES) * 60.0,
            (None, None) => return Ok(Term::For(DEFAULT_TERM)),
        };
        Ok(if seconds == 0.0 { Term::Once } else { Term::For(Duration::from_secs_f64(seconds)) })
    }

    fn uid(&self) -> Result<Option<Uid>, Refusal> {
        let text = match self.0.get("uid") {
            Some(Value::Number(number)) => {
                let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
                Some(number.ok_or_else(|| invalid("uid", "must be 1 to 4294967295"))?.to_string())
            }
            _ => self.text("uid")?.map(str::to_owned),
        };
        if text.as_deref() == Some("0") {
            return Err(invalid("uid", "must not be 0; leave it out to mean everybody"));
        }
        let uid = text.as_deref().map(Uid::new).transpose();
        uid.map_err(|error| Refusal::Invalid(format!("invalid uid: {error}")))
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid(name, "must be text")),
        }
    }

    fn number(&self, name: &'static str) -> Result<Option<f64>, Refusal> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| invalid(name, "must be a number"))
    }
}

fn within(number: f64, (least, most): (f64, f64)) -> f64 {
    if number == 0.0 { 0.0 } else { number.clamp(least, most) }
}

fn invalid(name: &str, problem: &str) -> Refusal {
    Refusal::Invalid(format!("invalid {name}: {problem}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &Value) -> Body {
        Body::parse(value.to_string().as_bytes()).unwrap()
    }

    fn secs(seconds: u64) -> Term {
        Term::For(Duration::from_secs(seconds))
    }

    #[test]
    fn terms_are_clamped_as_the_vendor_does() {
        for (value, term) in [
            (json!({}), secs(3600)),
            (json!({ "time": 5 }), secs(300)),
            (json!({ "time": 0.2 }), secs(60)),
            (json!({ "time": -3 }), secs(60)),
            (json!({ "time": 100_000 }), secs(86_400)),
            (json!({ "time": "1440" }), secs(86_400)),
            (json!({ "time": 0 }), Term::Once),
            (json!({ "time_in_seconds": 3 }), secs(10)),
            (json!({ "time_in_seconds": 90_000 }), secs(86_430)),
            (json!({ "time_in_seconds": 30, "time": 60 }), secs(30)),
            (json!({ "time_in_seconds": 0, "time": 60 }), Term::Once),
            (json!({ "time": null, "time_in_seconds": "" }), secs(3600)),
        ] {
            assert_eq!(body(&value).term().unwrap(), term, "{value}");
        }
        assert!(body(&json!({ "time": "soon" })).term().is_err());
        assert!(body(&json!({ "time": "NaN" })).term().is_err());
    }

    #[test]
    fn a_target_names_somebody() {
        let full = body(&json!({ "cname": "room", "uid": 589_517_928_u32, "ip": "" })).target().unwrap();
        assert_eq!(
            (full.cname().unwrap().as_str(), full.uid().unwrap().as_str(), full.ip()),
            ("room", "589517928", None)
        );
        assert_eq!(body(&json!({ "uid": "1000" })).target().unwrap().uid().unwrap().as_str(), "1000");
        for wrong in [
            json!({}),
            json!({ "cname": "", "uid": "", "ip": "" }),
            json!({ "cname": "room", "uid": 0 }),
            json!({ "uid": -1 }),
            json!({ "uid": 4_294_967_296_u64 }),
            json!({ "ip": "0" }),
            json!({ "cname": "a/b" }),
            json!({ "cname": 7 }),
        ] {
            assert!(body(&wrong).target().is_err(), "{wrong}");
        }
    }

    #[test]
    fn privileges_are_known_words() {
        let audio = body(&json!({ "privileges": ["publish_audio", "publish_video"] })).privileges().unwrap();
        assert_eq!(audio, Banned { join: false, audio: true, video: true });
        assert!(body(&json!({})).privileges().unwrap().join);
        for wrong in [json!([]), json!("join_channel"), json!(["fly"]), json!([1])] {
            assert!(body(&json!({ "privileges": wrong })).privileges().is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_have_a_size() {
        assert_eq!(page("").unwrap(), Page { number: 0, size: 100 });
        assert_eq!(page("page_no=2&page_size=500").unwrap(), Page { number: 2, size: 500 });
        for wrong in ["page_size=0", "page_size=501", "page_no=-1", "page_no=x"] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }
}
