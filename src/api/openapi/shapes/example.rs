//! The examples: one story of one recording, in values of our own.

use serde_json::{Value, json};

pub(in crate::api::openapi) const APP: &str = "5f0c1f5f6a7b4c2d9e8f00112233aabb";
pub(in crate::api::openapi) const CNAME: &str = "lobby";
const UID: &str = "900001";
pub(in crate::api::openapi) const RESOURCE: &str = "KCkqKywtLi8wMTIzNDU2Nzg5OjvE9piP";
pub(in crate::api::openapi) const SID: &str = "8c1d2e3f405162738495a6b7c8d9eaf0";
const STARTED_MS: u64 = 1_700_000_000_000;
pub(in crate::api::openapi) const ENDED_MS: u64 = 1_700_000_063_500;

/// The four names of the task.
pub(in crate::api::openapi) fn task() -> Value {
    json!({ "cname": CNAME, "uid": UID, "resourceId": RESOURCE, "sid": SID })
}

pub(in crate::api::openapi) fn acquire() -> Value {
    json!({ "cname": CNAME, "uid": UID, "clientRequest": {} })
}

pub(in crate::api::openapi) fn acquire_with_promise() -> Value {
    let promised = json!({ "recordingConfig": { "channelType": 0, "streamTypes": 0 } });
    let client = json!({ "scene": 0, "resourceExpiredHour": 24, "startParameter": promised });
    json!({ "cname": CNAME, "uid": UID, "clientRequest": client })
}

pub(in crate::api::openapi) fn acquired() -> Value {
    json!({ "cname": CNAME, "uid": UID, "resourceId": RESOURCE })
}

pub(in crate::api::openapi) fn start() -> Value {
    json!({
        "cname": CNAME,
        "uid": UID,
        "clientRequest": { "recordingConfig": { "channelType": 0, "streamTypes": 0, "maxIdleTime": 300 } },
    })
}

pub(in crate::api::openapi) fn start_into_own_bucket() -> Value {
    json!({
        "cname": CNAME,
        "uid": UID,
        "clientRequest": {
            "recordingConfig": {
                "channelType": 1,
                "streamTypes": 0,
                "maxIdleTime": 300,
                "audioProfile": 1,
                "unSubscribeAudioUids": ["529"],
                "alsoIndividual": true,
            },
            "recordingFileConfig": { "avFileType": ["hls"] },
            "storageConfig": storage(),
        },
    })
}

/// A storageConfig for a store on the caller's own machine.
fn storage() -> Value {
    json!({
        "vendor": 11,
        "region": 0,
        "bucket": "recordings",
        "accessKey": "an-access-key",
        "secretKey": "a-secret-key",
        "fileNamePrefix": ["2026", CNAME],
        "extensionParams": { "endpoint": "https://s3.example.com" },
    })
}

pub(in crate::api::openapi) fn started() -> Value {
    let mut body = task();
    body["state"] = json!("recording");
    body["status"] = json!(5);
    body
}

pub(in crate::api::openapi) fn update() -> Value {
    let lists = json!({ "audioUidList": { "unSubscribeAudioUids": ["529"] } });
    json!({ "cname": CNAME, "uid": UID, "clientRequest": { "streamSubscribe": lists } })
}

pub(in crate::api::openapi) fn update_keys() -> Value {
    let mut storage = storage();
    storage["stsToken"] = json!("a-session-token");
    json!({ "cname": CNAME, "uid": UID, "clientRequest": { "storageConfig": storage } })
}

pub(in crate::api::openapi) fn layout() -> Value {
    json!({ "cname": CNAME, "uid": UID, "clientRequest": { "mixedVideoLayout": 1, "backgroundColor": "#000000" } })
}

pub(in crate::api::openapi) fn stop(at_once: bool) -> Value {
    json!({ "cname": CNAME, "uid": UID, "clientRequest": { "async_stop": at_once } })
}

/// The key of the mix's playlist.
pub(in crate::api::openapi) fn playlist() -> String {
    format!("2026/{CNAME}/{SID}_{CNAME}.m3u8")
}

fn file() -> Value {
    json!({
        "fileName": playlist(), "trackType": "audio", "uid": "0", "mixedAllUser": true, "isPlayable": true,
        "sliceStartTime": STARTED_MS,
    })
}

/// What is known of a recording whatever the call, with the ledger's totals.
pub(in crate::api::openapi) fn knowledge(state: &str, verdict: &str) -> Value {
    let account = json!({
        "uid": "527", "expectedMs": 60_000, "recordedMs": 59_940, "concealedMs": 60, "missingMs": 0, "gapCount": 1,
        "causesMs": { "network_loss": 60 },
    });
    let upload = json!({
        "state": "ok", "attempts": 0, "waitingObjects": 0, "waitingBytes": 0, "storedBytes": 489_113, "spool": "ok",
        "memoryBytes": 0,
    });
    let member =
        json!({ "uid": "527", "lastPacketAgeMs": 14, "levelDbfs": -21.4, "bytesSafe": null, "bytesSpooled": null });
    let mix = json!({ "bytesSafe": 489_113, "bytesSpooled": 0 });
    json!({
        "state": state,
        "fileList": [file()],
        "durationMs": 60_000,
        "verdict": verdict,
        "segments": { "made": 10, "stored": 10 },
        "upload": upload,
        "packetsDropped": 0,
        "health": { "uids": [member], "mix": mix, "bytesSafe": 489_113, "bytesSpooled": 0 },
        "ledger": { "uids": [account] },
    })
}

pub(in crate::api::openapi) fn queried() -> Value {
    let server = json!({
        "fileListMode": "string", "fileList": playlist(), "status": 5, "sliceStartTime": STARTED_MS,
    });
    with_knowledge(&json!({ "serverResponse": server }), "recording")
}

pub(in crate::api::openapi) fn stopped() -> Value {
    let server = json!({ "fileListMode": "string", "fileList": playlist(), "uploadingStatus": "uploaded" });
    let mut body = with_knowledge(&json!({ "serverResponse": server }), "ended");
    body["endReason"] = json!("stopped");
    body
}

pub(in crate::api::openapi) fn recording() -> Value {
    let head = json!({
        "mode": "mix", "status": 8, "sliceStartTime": STARTED_MS, "createdMs": STARTED_MS - 180, "startedMs": STARTED_MS,
    });
    let mut body = with_knowledge(&head, "ended");
    (body["endedMs"], body["endReason"]) = (json!(ENDED_MS), json!("stopped"));
    body["fileList"][0]["bytes"] = json!(489_113);
    body["ledger"] = json!({ "uids": [{
        "uid": "527", "expectedMs": 60_000, "recordedMs": 59_940, "concealedMs": 60, "missingMs": 0,
        "gaps": [{ "from": 480_000, "to": 482_880, "cause": "network_loss" }],
        "gapsOmitted": 0,
        "packets": {
            "received": 2_997, "placed": 2_997, "duplicate": 0, "late": 0, "malformed": 0, "overflow": 0, "leftOut": 0,
            "superseded": 0, "padding": 0, "beforeStart": 0, "afterEnd": 0,
        },
        "samples": {
            "received": 2_877_120, "placed": 2_877_120, "duplicate": 0, "late": 0, "malformed": 0, "overflow": 0, "leftOut": 0,
            "superseded": 0, "padding": 0, "beforeStart": 0, "afterEnd": 0,
        },
    }] });
    body
}

pub(in crate::api::openapi) fn recordings() -> Value {
    let mut entry = task();
    for (name, value) in [
        ("mode", json!("mix")),
        ("state", json!("ended")),
        ("status", json!(8)),
        ("createdMs", json!(STARTED_MS - 180)),
        ("startedMs", json!(STARTED_MS)),
        ("endedMs", json!(ENDED_MS)),
        ("durationMs", json!(60_000)),
        ("verdict", json!("complete")),
        ("endReason", json!("stopped")),
    ] {
        entry[name] = value;
    }
    json!({ "recordings": [entry], "next": null })
}

fn with_knowledge(head: &Value, state: &str) -> Value {
    let mut body = task();
    for part in [head, &knowledge(state, "complete")] {
        for (name, value) in part.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
    }
    body
}

pub(in crate::api::openapi) fn events() -> Value {
    let details = json!({ "msgName": "recorder_started", "status": 0 });
    let payload = json!({
        "cname": CNAME, "uid": UID, "sid": SID, "sequence": 0, "sendts": STARTED_MS, "serviceType": 1,
        "serviceScene": "mix_record", "details": details,
    });
    let event = json!({
        "noticeId": "3f2a1b0c9d8e7f60514233241506f7e8", "productId": 3, "eventType": 40, "sid": SID, "payload": payload,
    });
    json!({ "sid": SID, "events": [event], "next": 0 })
}

pub(in crate::api::openapi) fn callbacks() -> Value {
    let error = "the receiver answered 500 Internal Server Error; it has to answer 200";
    let attempt = json!({ "at": ENDED_MS + 86_400_000, "tookMs": 12, "status": 500, "error": error });
    let letter = json!({
        "productId": 3, "sid": SID, "sequence": 12, "noticeId": "00c1d2e3f405162738495a6b7c8d9eaf", "eventType": 31, "attempts": 301,
        "lastError": error, "state": "dead", "since": ENDED_MS + 86_400_000, "nextAttempt": null, "log": [attempt],
    });
    json!({ "receiver": true, "callbacks": [letter], "next": null })
}

pub(in crate::api::openapi) fn rules() -> Value {
    let made = "2026-01-02T03:04:05.678Z";
    let rule = json!({
        "id": 7, "appid": APP, "uid": 527, "opid": 7, "cname": CNAME, "ip": "", "ts": "2026-01-02T04:04:05.678Z",
        "privileges": ["join_channel"], "createAt": made, "updateAt": made,
    });
    json!({ "status": "success", "rules": [rule] })
}
