//! The body of acquire (facts/agora.md section 1.1).

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::{hash, who};
use crate::session::{AcquireRequest, HandleHours};
use crate::units::AppId;

/// Reads an acquire request.
///
/// `clientRequest` may be missing or empty. `region`, `regionAffinity` and `excludeResourceIds` have no effect on one worker.
pub(crate) fn parse(app: AppId, body: &Value) -> Result<AcquireRequest, BadField> {
    let body = Fields::root(body)?;
    let (cname, uid) = who::required(&body)?;
    let client = body.object("clientRequest")?;
    if client.integer("scene", 0, 2)? == Some(1) {
        return Err(client.bad("scene", "is 1, web page recording, which is not offered; use 0"));
    }
    Ok(AcquireRequest { app, cname, uid, hours: hours(&client)?, promised: promise(&client)?.map(hash::of) })
}

fn hours(client: &Fields<'_>) -> Result<HandleHours, BadField> {
    let Some(value) = client.integer("resourceExpiredHour", 0, u64::MAX)? else { return Ok(HandleHours::default()) };
    u16::try_from(value).ok().and_then(HandleHours::new).ok_or_else(|| {
        let problem = format!("is {value}: invalid resourceExpiredHour value! It must be 1 to 720");
        client.bad("resourceExpiredHour", problem)
    })
}

/// What start is going to send as `clientRequest`; some callers put the whole start request here.
fn promise<'a>(client: &Fields<'a>) -> Result<Option<&'a Value>, BadField> {
    if !client.object("startParameter")?.is_present() {
        return Ok(None);
    }
    let promised = client.value("startParameter");
    let promised = promised.map(|start| start.get("clientRequest").filter(|inner| inner.is_object()).unwrap_or(start));
    Ok(promised.filter(|start| start.as_object().is_some_and(|map| !map.is_empty())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(client: &Value) -> Result<AcquireRequest, String> {
        let app = AppId::new("0123456789abcdef0123456789abcdef").unwrap();
        parse(app, &json!({ "cname": "room", "uid": "1", "clientRequest": client })).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_client_request_has_the_documented_defaults() {
        for client in [json!({}), json!(null), json!({ "scene": 2, "region": "EU", "regionAffinity": 1 })] {
            let request = read(&client).unwrap();
            assert_eq!(request.hours.as_hours(), 72);
            assert_eq!(request.promised, None);
        }
    }

    #[test]
    fn the_promise_is_the_same_with_and_without_its_envelope() {
        let start = json!({ "recordingConfig": { "streamTypes": 0 } });
        let bare = read(&json!({ "startParameter": start })).unwrap();
        let whole =
            read(&json!({ "startParameter": { "cname": "room", "uid": "1", "clientRequest": start } })).unwrap();
        assert!(bare.promised.is_some());
        assert_eq!(bare.promised, whole.promised);
        assert_eq!(read(&json!({ "startParameter": {} })).unwrap().promised, None);
    }

    #[test]
    fn hours_and_scene_out_of_range_are_refused() {
        for client in [json!({ "resourceExpiredHour": 0 }), json!({ "resourceExpiredHour": 721 })] {
            assert!(read(&client).unwrap_err().contains("1 to 720"));
        }
        assert!(read(&json!({ "scene": 1 })).unwrap_err().starts_with("clientRequest.scene"));
        assert!(read(&json!("x")).unwrap_err().contains("clientRequest must be an object"));
    }
}
