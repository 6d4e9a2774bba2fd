//! The body of acquire (docs/protocol/agora.md section 1.1).

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::{hash, who};
use crate::session::{AcquireRequest, HandleHours};
use crate::units::AppId;

/// The vendor's words for hours out of range.
const WRONG_HOURS: &str = "Acquire: invalid resourceExpiredHour value!";

/// Said of a geofence.
const REGION_NOTE: &str = "region has no effect: a recording is made where this worker runs";

/// An acquire, and what it asks for that is not done.
#[derive(Clone, Debug)]
pub(crate) struct Acquire {
    pub(crate) request: AcquireRequest,
    pub(crate) notes: Vec<&'static str>,
}

/// Reads an acquire request.
///
/// `clientRequest` may be missing or empty. `regionAffinity` and `excludeResourceIds` choose among workers, and here is one.
pub(crate) fn parse(app: AppId, body: &Value) -> Result<Acquire, BadField> {
    let body = Fields::root(body)?;
    let (cname, uid) = who::required(&body)?;
    let client = body.object("clientRequest")?;
    if client.integer("scene", 0, 2)? == Some(1) {
        return Err(client.bad("scene", "is 1, web page recording, which is not offered; use 0"));
    }
    client.integer("regionAffinity", 0, 4)?;
    client.texts("excludeResourceIds")?;
    let region = client.text("region")?.filter(|region| !region.is_empty());
    let notes = region.map(|_| REGION_NOTE).into_iter().collect();
    let promised = promise(&client).map(hash::of);
    Ok(Acquire { request: AcquireRequest { app, cname, uid, hours: hours(&client)?, promised }, notes })
}

fn hours(client: &Fields<'_>) -> Result<HandleHours, BadField> {
    let hours = client.integer("resourceExpiredHour", 1, HandleHours::MOST.into());
    let hours = hours.map_err(|bad| BadField { reason: Some(WRONG_HOURS), ..bad })?;
    Ok(hours.and_then(|hours| u16::try_from(hours).ok()).and_then(HandleHours::new).unwrap_or_default())
}

/// What start is going to send as `clientRequest`; some callers put the whole start request here. What no start can send is
/// a promise too, that none will keep.
fn promise<'a>(client: &Fields<'a>) -> Option<&'a Value> {
    let promised = client.value("startParameter")?;
    let promised = promised.get("clientRequest").filter(|inner| inner.is_object()).unwrap_or(promised);
    let empty = promised.as_object().is_some_and(serde_json::Map::is_empty) || promised.as_str() == Some("");
    (!empty).then_some(promised)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(client: &Value) -> Result<Acquire, BadField> {
        let app = AppId::new("0123456789abcdef0123456789abcdef").unwrap();
        parse(app, &json!({ "cname": "room", "uid": "1", "clientRequest": client }))
    }

    fn read(client: &Value) -> Result<AcquireRequest, String> {
        read_all(client).map(|acquire| acquire.request).map_err(|error| error.to_string())
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
        for nothing in [json!({}), json!(null), json!("")] {
            assert_eq!(read(&json!({ "startParameter": nothing })).unwrap().promised, None);
        }
        assert!(read(&json!({ "startParameter": "x" })).unwrap().promised.is_some(), "no start can keep it");
    }

    #[test]
    fn a_geofence_is_answered_with_a_note() {
        assert_eq!(read_all(&json!({ "region": "EU" })).unwrap().notes, [REGION_NOTE]);
        for quiet in [json!({ "region": "" }), json!({ "regionAffinity": 3, "excludeResourceIds": ["x"] })] {
            assert!(read_all(&quiet).unwrap().notes.is_empty());
        }
        for wrong in [json!({ "region": 1 }), json!({ "regionAffinity": 5 }), json!({ "excludeResourceIds": "x" })] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_and_scene_out_of_range_are_refused() {
        for client in [json!({ "resourceExpiredHour": 0 }), json!({ "resourceExpiredHour": 721 })] {
            let bad = read_all(&client).unwrap_err();
            assert_eq!((bad.code, bad.reason), (2, Some(WRONG_HOURS)));
            assert!(bad.to_string().contains("1 to 720"));
        }
        assert!(read(&json!({ "scene": 1 })).unwrap_err().starts_with("clientRequest.scene"));
        assert!(read(&json!("x")).unwrap_err().contains("clientRequest must be an object"));
    }
}
