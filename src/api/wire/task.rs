//! The bodies of update, updateLayout and stop (docs/protocol/agora.md sections 1.4 to 1.6).

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::{layout, storage, subscribe};
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
    /// Whether a list of video subscriptions did.
    pub(crate) video: bool,
}

/// What a stop asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Answer at once, not when everything is uploaded.
    pub(crate) at_once: bool,
}

/// Reads an update. Layouts are for updateLayout, but callers mix up the two.
pub(crate) fn update(body: &Value) -> Result<Update, BadField> {
    let update = read(body)?;
    if update.is_empty() {
        let problem = "is missing; send the lists that are to change, or storageConfig with fresh keys";
        return Err(BadField::new("clientRequest.streamSubscribe", problem));
    }
    Ok(update)
}

/// Reads an updateLayout. What it leaves out falls back to the defaults, so one that says nothing is one too.
pub(crate) fn update_layout(body: &Value) -> Result<Update, BadField> {
    layout::check(&Fields::root(body)?.object("clientRequest")?)?;
    let update = read(body)?;
    Ok(Update { layout: update.layout || update.is_empty(), ..update })
}

impl Update {
    const fn is_empty(&self) -> bool {
        self.selection.is_none() && self.storage.is_none() && !self.layout && !self.video
    }
}

fn read(body: &Value) -> Result<Update, BadField> {
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
    Ok(Update { selection, storage, layout: layout::is_told(&client), video })
}

/// Reads a stop; an empty body is a synchronous stop.
pub(crate) fn stop(body: &Value) -> Result<Stop, BadField> {
    let body = Fields::root(body)?;
    let client = body.object("clientRequest")?;
    Ok(Stop { at_once: client.flag("async_stop")? })
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
        let absurd = json!({ "clientRequest": { "mixedVideoLayout": 9 } });
        assert!(super::update(&absurd).is_ok(), "it has no effect");
        assert!(update_layout(&absurd).unwrap_err().to_string().starts_with("clientRequest.mixedVideoLayout "));
    }

    #[test]
    fn a_layout_that_says_nothing_is_the_default_one() {
        for body in [json!({}), Value::Null, json!({ "clientRequest": {} })] {
            assert!(update_layout(&body).unwrap().layout);
        }
    }

    #[test]
    fn video_lists_are_no_layout() {
        let lists =
            json!({ "clientRequest": { "streamSubscribe": { "videoUidList": { "subscribeVideoUids": ["1"] } } } });
        let update = update(&lists).unwrap();
        assert!(update.video && !update.layout);
    }

    #[test]
    fn lists_are_read_from_both_calls() {
        let body = json!({ "clientRequest": { "streamSubscribe": { "audioUidList": { "subscribeAudioUids": ["#allstream#"] } } } });
        for read in [update, update_layout] {
            let update = read(&body).unwrap();
            assert_eq!((update.selection, update.layout), (Some(Selection::All), false));
        }
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
