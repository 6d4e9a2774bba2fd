//! Additive: which events an app's receiver lacks, and their second chance.
//!
//! `GET /v1/apps/{appid}/callbacks?state=dead|pending&after=&limit=` and `POST /v1/apps/{appid}/callbacks/redeliver` with `{}`
//! or `{"sid": …}`. Entries come recording by recording, in order within each; `next` is the `after` of the following page.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::calls::page_limit;
use super::error::Failure;
use super::wire::fields::BadField;
use crate::session::{MAX_REDELIVERED, Sessions};
use crate::store::{Delivery, DeliveryState, Lack, Place};
use crate::units::{AppId, Sid};

/// One page of what the receiver lacks.
pub(crate) async fn list(sessions: &Sessions, app: &AppId, query: Option<&str>) -> Result<Value, Failure> {
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let lack = match query.get("state").map_or("dead", |state| state) {
        "dead" => Lack::Dead,
        "pending" => Lack::Pending,
        _ => return Err(BadField::new("state", "must be dead or pending").into()),
    };
    let after = match query.get("after").map_or("", |after| after) {
        "" => None,
        text => Some(place(text).ok_or_else(|| BadField::new("after", "must be the next of an earlier page"))?),
    };
    let limit = page_limit(query.get("limit").map(|limit| &**limit))?;
    let page = sessions.undelivered(app, lack, after.as_ref(), limit).await?;
    let next = page.last().filter(|_| page.len() == limit as usize);
    Ok(json!({
        "receiver": sessions.has_receiver(app),
        "callbacks": page.iter().map(entry).collect::<Vec<Value>>(),
        "next": next.map(|last| format!("{}-{}", last.event.sid, last.event.sequence)),
    }))
}

/// Brings dead letters back.
pub(crate) async fn redeliver(sessions: &Sessions, app: &AppId, body: &Value) -> Result<Value, Failure> {
    let sid = match body.get("sid") {
        None | Some(Value::Null) => None,
        Some(Value::String(sid)) => {
            Some(Sid::new(sid).map_err(|_| BadField::new("sid", "must be 32 hexadecimal digits"))?)
        }
        Some(_) => return Err(BadField::new("sid", "must be a string").into()),
    };
    let count = sessions.redeliver(app, sid.as_ref()).await?;
    Ok(json!({ "redelivered": count, "more": count == u64::from(MAX_REDELIVERED) }))
}

fn entry(delivery: &Delivery) -> Value {
    let event = &delivery.event;
    let mut entry = json!({
        "sid": event.sid,
        "sequence": event.sequence,
        "noticeId": event.notice_id,
        "eventType": event.event_type,
        "attempts": delivery.attempts,
        "lastError": delivery.last_error,
    });
    let (state, since, next) = match delivery.state {
        DeliveryState::Dead(at) => ("dead", at, None),
        DeliveryState::Due(at) => ("due", delivery.asked.unwrap_or(event.sendts), Some(at)),
        DeliveryState::Waiting | DeliveryState::Delivered(_) => {
            ("waiting", delivery.asked.unwrap_or(event.sendts), None)
        }
    };
    entry["state"] = json!(state);
    entry["since"] = json!(since);
    entry["nextAttempt"] = json!(next);
    entry
}

fn place(text: &str) -> Option<Place> {
    let (sid, sequence) = text.split_once('-')?;
    Some(Place { sid: Sid::new(sid).ok()?, sequence: sequence.parse().ok()? })
}
