//! Acquire and start.

use serde_json::json;

use super::{RECORDING, app_post};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, coded};
use crate::api::openapi::shapes::example;

pub(super) fn all() -> Vec<Operation> {
    vec![acquire(), start()]
}

fn acquire() -> Operation {
    let operation = app_post("/v1/apps/{appid}/cloud_recording/acquire", RECORDING, "acquire", "Acquire a resource")
        .about(
            "A resource is the right to start one recording of one channel by one recorder uid. Start it within five minutes; \
             afterwards it names the recording in query, update and stop for `resourceExpiredHour`.",
        )
        .body("AcquireRequest", [("least", example::acquire()), ("with_a_promise", example::acquire_with_promise())])
        .answers(200, "The resource", "Acquired", [("acquired", example::acquired())])
        .refuses(&[coded(
            400,
            "bad_hours",
            2,
            "Acquire: invalid resourceExpiredHour value!",
            &json!({ "detail": "clientRequest.resourceExpiredHour is 721, which is out of range; it must be 1 to 720" }),
        )])
        .refuses(&[
            coded(400, "bad_field", 2, "uid is out of range; it must hold a whole number from 0 to 4294967295", &json!({})),
        ])
        .refuses(&full_worker(501, "no_worker_manager_available"));
    once(operation)
}

fn start() -> Operation {
    let differs = json!({
        "detail": format!("the resourceId was started with a different request, as sid {}", example::SID),
        "sid": example::SID, "fault": "already_started", "retry": false,
    });
    let operation = app_post(
        "/v1/apps/{appid}/cloud_recording/resourceid/{resourceid}/mode/{mode}/start",
        RECORDING,
        "start",
        "Start a recording",
    )
    .about(
        "Proves the bucket by writing and deleting one small object, sends the recorder into the channel, and answers when it \
         is there. The same start repeated on its resource answers 200 with the same sid; a fresh token makes no difference.",
    )
    .body("StartRequest", [("least", example::start()), ("own_bucket", example::start_into_own_bucket())])
    .answers(200, "The recording runs", "Started", [("started", example::started())])
    .refuses(&[
        coded(201, "started_differently", 7, "already started", &differs),
        coded(400, "bad_field", 2, "clientRequest.recordingConfig.maxIdleTime is 3, which is out of range; it must be 5 to 2592000", &json!({})),
        coded(
            400,
            "promise_broken",
            2,
            "request_hash mismatch!",
            &json!({
                "detail": "request_hash mismatch! clientRequest differs from the startParameter that was sent with acquire",
                "fault": "request_hash_mismatch",
                "retry": false,
            }),
        ),
        coded(
            400,
            "same_channel_and_uid",
            53,
            "task conflict",
            &json!({
                "detail": format!("a recording of this channel with this uid is running, as sid {}; stop it or use another uid", example::SID),
                "runningSid": example::SID, "fault": "task_conflict", "retry": false,
            }),
        ),
        coded(
            400,
            "too_many_recordings",
            406,
            "vendor_over_load",
            &json!({ "detail": "50 recordings run, and no more are allowed; try again when one has ended", "fault": "overloaded", "retry": true }),
        ),
        coded(
            400,
            "resource_of_another_uid",
            432,
            "uid is not the one that the resourceId was acquired for",
            &json!({ "fault": "resource_mismatch", "retry": false }),
        ),
        coded(
            400,
            "resource_expired",
            433,
            "resourceId expired: it must be started within 5 minutes; acquire a new one",
            &json!({ "fault": "resource_expired", "retry": false }),
        ),
        coded(400, "no_resource", 1001, "resourceId can't be read; send the one that acquire answered, unchanged", &json!({})),
        coded(
            400,
            "resource_of_another_app",
            1003,
            "resourceId does not belong to this app; acquire a new one",
            &json!({ "fault": "foreign_resource", "retry": false }),
        ),
        coded(
            404,
            "resource_of_another_worker",
            404,
            "Failed to find worker.",
            &json!({
                "detail": "failed to find worker: this resourceId is not on this worker. Send acquire, start and all other calls of one \
                           recording to one worker (docs/coming-from-agora.md, Several workers), or acquire a new resourceId here",
                "fault": "not_on_this_worker",
                "retry": false,
            }),
        ),
        coded(
            400,
            "token_expired",
            109,
            "dynamic key expired",
            &json!({ "detail": "clientRequest.token has expired; mint a new one", "fault": "token_expired", "retry": false }),
        ),
        coded(
            400,
            "token_invalid",
            110,
            "invalid token, authorized failed",
            &json!({
                "detail": "clientRequest.token is no token of this app for this channel and uid",
                "fault": "token_invalid",
                "retry": false,
            }),
        ),
        coded(
            500,
            "bucket_out_of_reach",
            62,
            "request timeout",
            &json!({
                "detail": "clientRequest.storageConfig can't be written to: the bucket does not answer",
                "fault": "bucket_unreachable",
                "retry": true,
            }),
        ),
        coded(
            500,
            "channel_out_of_reach",
            502,
            "Failed to allocate worker",
            &json!({ "detail": "the channel server does not answer", "fault": "channel_unreachable", "retry": true }),
        ),
    ])
    .refuses(&full_worker(502, "Failed to allocate worker"));
    once(operation)
}

/// A call that can be repeated safely.
fn once(operation: Operation) -> Operation {
    let reused = "header Idempotency-Key was sent with a different request before; send the same request again, or a new key with a new one";
    let too_many = "header Idempotency-Key can't be remembered: this app sent too many keys within a day; send the request without one, \
                    or wait until older ones are forgotten";
    operation
        .header(
            "Idempotency-Key",
            "Addition: makes a retry safe. The same key with the same request within a day is the same call, for start with a new \
             resource too: the answer has the first one's sid. 1 to 255 ASCII characters without blanks",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        )
        .refuses(&[
            coded(
                400,
                "bad_key",
                2,
                "header Idempotency-Key must hold one key of 1 to 255 ASCII characters without blanks",
                &json!({}),
            ),
            coded(422, "key_reused", 2, reused, &json!({ "fault": "idempotency_key_reused", "retry": false })),
            coded(
                429,
                "too_many_keys",
                406,
                "vendor_over_load",
                &json!({ "detail": too_many, "fault": "too_many_idempotency_keys", "retry": false }),
            ),
        ])
}

/// Acquire and start on a worker that takes no new recordings.
fn full_worker(code: u16, reason: &str) -> [Refusal; 1] {
    let more = json!({
        "detail": "this worker is being stopped or replaced and takes no new recordings; send it again in a few seconds",
        "fault": "draining",
        "retry": true,
    });
    [coded(503, "draining", code, reason, &more)]
}
