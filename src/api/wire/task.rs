//! The bodies of update, updateLayout and stop (facts/agora.md sections 1.4 to 1.6).

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::who::{self, Claimed};
use super::{storage, subscribe};
use crate::recording::Selection;
use crate::session::StorageConfigParts;

/// What an update asks.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// Who is recorded from here on; none when the call does not say.
    pub(crate) selection: Option<Selection>,
    /// Fresh credentials for the bucket.
    pub(crate) storage: Option<StorageConfigParts>,
    /// Whether a layout came along, which means nothing without video.
    pub(crate) layout: bool,
    pub(crate) claimed: Claimed,
}

/// What a stop asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Answer at once, not when everything is uploaded.
    pub(crate) at_once: bool,
    pub(crate) claimed: Claimed,
}

const LAYOUT: [&str; 7] = [
    "mixedVideoLayout",
    "maxResolutionUid",
    "backgroundColor",
    "backgroundImage",
    "defaultUserBackgroundImage",
    "layoutConfig",
    "backgroundConfig",
];

/// Reads update and updateLayout alike: callers mix up the two.
pub(crate) fn update(body: &Value) -> Result<Update, BadField> {
    let body = Fields::root(body)?;
    let client = body.object("clientRequest")?;
    for (field, what) in [
        ("webRecordingConfig", "is for web page recording, which is not offered"),
        ("rtmpPublishConfig", "is for web page pushing, which is not offered"),
    ] {
        if client.object(field)?.is_present() {
            return Err(client.bad(field, what));
        }
    }
    let subscribe = client.object("streamSubscribe")?;
    let selection = subscribe::selection(&subscribe.object("audioUidList")?)?;
    let video = subscribe.object("videoUidList")?.is_present();
    let storage = storage::parse(&client.object("storageConfig")?)?;
    let layout = video || LAYOUT.iter().any(|field| client.value(field).is_some());
    if selection.is_none() && storage.is_none() && !layout {
        return Err(client.bad(
            "streamSubscribe",
            "is missing; send the lists that are to change, or storageConfig with fresh keys",
        ));
    }
    Ok(Update { selection, storage, layout, claimed: who::claimed(&body) })
}

/// Reads a stop; an empty body is a synchronous stop.
pub(crate) fn stop(body: &Value) -> Result<Stop, BadField> {
    let body = Fields::root(body)?;
    let client = body.object("clientRequest")?;
    Ok(Stop { at_once: client.flag("async_stop")?, claimed: who::claimed(&body) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layouts_on_update_are_taken() {
        let body = json!({ "cname": "room", "uid": "9", "clientRequest": {
            "mixedVideoLayout": 3, "maxResolutionUid": "1", "width": 0, "height": 0, "fps": 0, "backgroundColor": "" } });
        let update = update(&body).unwrap();
        assert!(update.layout && update.selection.is_none());
    }

    #[test]
    fn lists_are_read_from_both_calls() {
        let body = json!({ "clientRequest": { "streamSubscribe": { "audioUidList": { "subscribeAudioUids": ["#allstream#"] } } } });
        assert_eq!(update(&body).unwrap().selection, Some(Selection::All));
    }

    #[test]
    fn an_update_that_would_do_nothing_is_refused() {
        assert!(update(&json!({})).unwrap_err().to_string().contains("streamSubscribe is missing"));
        let web = json!({ "clientRequest": { "webRecordingConfig": { "onhold": true } } });
        assert!(update(&web).unwrap_err().to_string().starts_with("clientRequest.webRecordingConfig"));
    }

    #[test]
    fn stops_have_any_shape() {
        assert!(!stop(&Value::Null).unwrap().at_once);
        assert!(!stop(&json!({ "resourceId": "", "token": "x", "clientRequest": {} })).unwrap().at_once);
        assert!(stop(&json!({ "clientRequest": { "async_stop": true } })).unwrap().at_once);
        assert!(stop(&json!({ "clientRequest": { "async_stop": 1 } })).is_err());
    }
}
