//! Additive: what an app's receiver has, lacks and was sent, the second chance of dead letters, and a test of the receiver.
//!
//! `GET /v1/apps/{appid}/callbacks?state=dead|pending|delivered|filtered|all&productId=&sid=&after=&limit=`,
//! `POST /v1/apps/{appid}/callbacks/redeliver` with `{}` or `{"sid": …}`, and `POST /v1/apps/{appid}/callbacks/test` with `{}` or
//! `{"eventType": …}`. Entries come recording by recording, then channel by channel, in order within each; `next` is the `after`
//! of the following page.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::error::{Failure, Refusal};
use super::paging::page_limit;
use super::wire::fields::BadField;
use crate::callback::{DEFAULT_TEST_EVENT, TestEventError};
use crate::session::{Error, MAX_REDELIVERED, Sessions};
use crate::store::{
    Attempt, ChannelNotice, Deliverable, Delivery, DeliveryState, Event, EventPosition, UndeliveredFilter,
};
use crate::units::{AppId, ChannelSid, Sid};

/// The vendor's numbers: what happens to recordings, and in channels.
const RECORDING: u8 = 3;
const CHANNEL: u8 = 1;

/// One page of what the receiver has or lacks.
pub(crate) async fn list(sessions: &Sessions, app: &AppId, query: Option<&str>) -> Result<Value, Failure> {
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let standing = match query.get("state").map_or("dead", |state| state) {
        "dead" => UndeliveredFilter::Dead,
        "pending" => UndeliveredFilter::Pending,
        "delivered" => UndeliveredFilter::Delivered,
        "filtered" => UndeliveredFilter::Filtered,
        "all" => UndeliveredFilter::All,
        _ => return Err(BadField::new("state", "must be dead, pending, delivered, filtered or all").into()),
    };
    let product = match query.get("productId").map_or("", |product| product) {
        "" => None,
        "3" => Some(RECORDING),
        "1" => Some(CHANNEL),
        _ => return Err(BadField::new("productId", "must be 3 (recordings) or 1 (channels)").into()),
    };
    let stream = query.get("sid").map(|sid| stream(sid)).transpose()?;
    let after = match query.get("after").map_or("", |after| after) {
        "" => None,
        text => {
            Some(event_position(text).ok_or_else(|| BadField::new("after", "must be the next of an earlier page"))?)
        }
    };
    let limit = page_limit(query.get("limit").map(|limit| &**limit))?;
    let page = Page { sessions, app, standing, stream };
    let (behind_recordings, after) = match &after {
        Some((CHANNEL, event_position)) => (true, Some(event_position)),
        Some((_, event_position)) => (false, Some(event_position)),
        None => (false, None),
    };
    let (mut entries, mut last) = (Vec::new(), None);
    if product != Some(CHANNEL) && !behind_recordings {
        page.fill::<Event>(RECORDING, after, limit, &mut entries, &mut last).await?;
    }
    let rest = limit - u32::try_from(entries.len()).unwrap_or(limit);
    if product != Some(RECORDING) && rest > 0 {
        let after = after.filter(|_| behind_recordings || product == Some(CHANNEL));
        page.fill::<ChannelNotice>(CHANNEL, after, rest, &mut entries, &mut last).await?;
    }
    let next = last.filter(|_| entries.len() == limit as usize);
    Ok(json!({ "receiver": sessions.has_receiver(app), "callbacks": entries, "next": next }))
}

/// Brings dead letters back.
pub(crate) async fn redeliver(sessions: &Sessions, app: &AppId, body: &Value) -> Result<Value, Failure> {
    let stream = match body.get("sid") {
        None | Some(Value::Null) => None,
        Some(Value::String(sid)) => Some(stream(sid)?),
        Some(_) => return Err(BadField::new("sid", "must be a string").into()),
    };
    let count = sessions.redeliver(app, stream).await?;
    Ok(json!({ "redelivered": count, "more": count == u64::from(MAX_REDELIVERED) }))
}

/// Sends the receiver a test event.
pub(crate) async fn test(sessions: &Sessions, app: &AppId, body: &Value) -> Result<Value, Failure> {
    let event_type = match body.get("eventType") {
        None | Some(Value::Null) => Ok(DEFAULT_TEST_EVENT),
        Some(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()).ok_or("must be a number"),
    };
    let event_type = event_type.map_err(|problem| BadField::new("eventType", problem))?;
    let test_event = sessions.test_receiver(app, event_type).await.map_err(|untried| match untried {
        TestEventError::Busy => Refusal::Busy.into(),
        TestEventError::NoSuchEvent(_) => Failure::from(BadField::new("eventType", untried.to_string())),
        TestEventError::NoReceiver | TestEventError::Client(_) => Error::Invalid(untried.to_string()).into(),
    })?;
    let status = match &test_event.outcome {
        Ok(status) => Some(*status),
        Err(problem) => problem.status(),
    };
    Ok(json!({
        "delivered": test_event.outcome.is_ok(),
        "eventType": event_type,
        "noticeId": test_event.notice_id,
        "status": status,
        "tookMs": u64::try_from(test_event.took.as_millis()).unwrap_or(u64::MAX),
        "error": test_event.outcome.err().map(|problem| problem.to_string()),
        "body": test_event.body,
    }))
}

/// What a page is made from.
struct Page<'a> {
    sessions: &'a Sessions,
    app: &'a AppId,
    standing: UndeliveredFilter,
    stream: Option<&'a str>,
}

impl Page<'_> {
    /// Adds up to `limit` entries of a product; `last` names the last one.
    async fn fill<L: Deliverable>(
        &self,
        product: u8,
        after: Option<&EventPosition>,
        limit: u32,
        entries: &mut Vec<Value>,
        last: &mut Option<String>,
    ) -> Result<(), Failure> {
        for (delivery, log) in
            self.sessions.dead_letters::<L>(self.app, self.standing, self.stream, after, limit).await?
        {
            let (stream, sequence) = (delivery.event.stream(), delivery.event.sequence());
            *last = Some(format!("{stream}-{sequence}"));
            entries.push(entry(product, &delivery, &log));
        }
        Ok(())
    }
}

fn entry<L: Deliverable>(product: u8, delivery: &Delivery<L>, log: &[Attempt]) -> Value {
    let event = &delivery.event;
    let asked = delivery.asked.unwrap_or_else(|| event.written());
    let (state, since, next) = match delivery.state {
        DeliveryState::Dead(at) => ("dead", at, None),
        DeliveryState::Delivered(at) => ("delivered", at, None),
        DeliveryState::Filtered(at) => ("filtered", at, None),
        DeliveryState::Due(at) => ("due", asked, Some(at)),
        DeliveryState::Waiting => ("waiting", asked, None),
    };
    json!({
        "productId": product,
        "sid": event.stream(),
        "sequence": event.sequence(),
        "noticeId": event.notice_id(),
        "eventType": event.event_type(),
        "attempts": delivery.attempts,
        "lastError": delivery.last_error,
        "state": state,
        "since": since,
        "nextAttempt": next,
        "log": log.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let Attempt { at, took_ms, status, error } = attempt;
    json!({ "at": at, "tookMs": took_ms, "status": status, "error": error })
}

/// The id of a recording, or of a channel's session.
fn stream(sid: &str) -> Result<&str, BadField> {
    let known = Sid::new(sid).is_ok() || ChannelSid::new(sid).is_ok();
    if known { Ok(sid) } else { Err(BadField::new("sid", "must be 32 hexadecimal digits")) }
}

/// A place and its product. An id without letters is a recording's.
fn event_position(text: &str) -> Option<(u8, EventPosition)> {
    let (stream, sequence) = text.split_once('-')?;
    let event_position = EventPosition { stream: stream.to_owned(), sequence: sequence.parse().ok()? };
    if Sid::new(stream).is_ok() {
        return Some((RECORDING, event_position));
    }
    ChannelSid::new(stream).is_ok().then_some((CHANNEL, event_position))
}
