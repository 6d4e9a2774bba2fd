//! Bodies of the calls on resources and tasks, but for start's.

use serde_json::{Value, json};

use super::{Shape, about};
use crate::api::openapi::word::{Field, between, ignored, list, may, must, named, object, one_of, text, truth};

pub(super) fn all() -> Vec<Shape> {
    vec![
        ("Cname", cname()),
        ("RecorderUid", recorder_uid()),
        ("AcquireRequest", acquire()),
        ("AudioUids", audio_uids()),
        ("UpdateRequest", update()),
        ("LayoutRequest", layout()),
        ("StopRequest", stop()),
        ("RedeliverRequest", object([may("sid", text("This recording's alone, or this channel session's"))])),
        (
            "TestRequest",
            object([may("eventType", between(0, u16::MAX.into(), "Which event; a harmless one when left out"))]),
        ),
    ]
}

/// `cname` and `uid`, required.
pub(super) fn who() -> [Field; 2] {
    [must("cname", named("Cname")), must("uid", named("RecorderUid"))]
}

/// `cname` and `uid` where the sid finds the task: another one than the recording's is only told.
fn claimed() -> [Field; 2] {
    [
        may("cname", ignored("The channel; only compared with the recording's")),
        may("uid", ignored("The recorder's uid; only compared with the recording's")),
    ]
}

fn cname() -> Value {
    json!({
        "type": "string",
        "description": "The channel's name: 1 to 64 bytes of a-z A-Z 0-9 space and ! # $ % & ( ) + - : ; < = . > ? @ [ ] ^ _ { } | ~ ,",
        "minLength": 1,
        "maxLength": 64,
        "pattern": r"^[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]+$",
    })
}

fn recorder_uid() -> Value {
    json!({
        "description": "The recorder's uid, 0 to 4294967295, as digits or as a number. It tells several recordings of one channel \
                        apart and must be nobody's in the channel",
        "anyOf": [
            { "type": "string", "pattern": "^[0-9]{1,10}$" },
            between(0, u32::MAX.into(), "As a number"),
        ],
    })
}

fn acquire() -> Value {
    let promise = "What start is going to send as `clientRequest`. A start that sends another is refused with code 2, \
                   `request_hash mismatch!`. Without it start is free";
    let client = object([
        may("scene", one_of(&[0, 2], "0 or 2; 1, web page recording, is refused")),
        may(
            "resourceExpiredHour",
            between(1, 720, "Hours for which the resource names its recording; 72 when left out"),
        ),
        may("startParameter", ignored(promise)),
        may("excludeResourceIds", list(json!({ "type": "string" }), "No effect: there is one worker")),
        may("region", text("A geofence. No effect, and `notes` says so")),
        may("regionAffinity", between(0, 4, "No effect")),
    ]);
    let [cname, uid] = who();
    object([cname, uid, may("clientRequest", client)])
}

fn audio_uids() -> Value {
    let everybody = "`[]` and `[\"#allstream#\"]` mean everybody";
    about(
        object([
            may("subscribeAudioUids", uids(&format!("Only these, at most 32; {everybody}"))),
            may("unSubscribeAudioUids", uids("Everybody but these, at most 32. Not together with the other list")),
            may("unsubscribeAudioUids", uids("The same in another spelling")),
        ]),
        "Whose audio is recorded",
    )
}

/// A list of members' uids.
pub(super) fn uids(text: &str) -> Value {
    let mut list = list(json!({ "type": ["string", "integer"] }), text);
    list["maxItems"] = json!(crate::session::MAX_SELECTED_UIDS);
    list
}

fn update() -> Value {
    let subscribe = object([
        may("audioUidList", named("AudioUids")),
        may("videoUidList", json!({ "type": "object", "description": "No effect: video is not recorded" })),
    ]);
    let client = object([
        may("streamSubscribe", subscribe),
        may("storageConfig", named("StorageConfig")),
        may("mixedVideoLayout", ignored("Layout fields have no effect here either")),
    ]);
    let [cname, uid] = claimed();
    object([cname, uid, must("clientRequest", client)])
}

fn layout() -> Value {
    let client = object([
        may("mixedVideoLayout", between(0, 3, "0 floating, 1 best fit, 2 vertical, 3 custom")),
        may("maxResolutionUid", ignored("A member's uid")),
        may("backgroundColor", ignored("`#` and six hexadecimal digits")),
        may("backgroundImage", text("Its address")),
        may("defaultUserBackgroundImage", text("Its address")),
        may(
            "layoutConfig",
            ignored("At most 17 regions, each with `x_axis`, `y_axis`, `width` and `height` from 0.0 to 1.0"),
        ),
        may("backgroundConfig", ignored("Each with `uid` and `image_url`")),
    ]);
    let [cname, uid] = claimed();
    object([cname, uid, may("clientRequest", client)])
}

fn stop() -> Value {
    let at_once = truth("Answer at once, and not when everything is in the bucket; false when left out");
    let [cname, uid] = claimed();
    object([cname, uid, may("clientRequest", object([may("async_stop", at_once)]))])
}
