//! Query, update, updateLayout and stop: calls on a started task. Its sid finds it; the rest of the path is only compared.

use serde_json::{Value, json};

use super::{RECORDING, app_get, app_post};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, of_task};
use crate::api::openapi::shapes::example;

/// What a call that disagrees with its path is told.
const FOUND_BY_SID: &str = "The sid finds the recording. Where resourceid, mode, cname or uid of the call are others than the \
recording's, the call is answered all the same and `mismatched` names them.";

pub(super) fn all() -> Vec<Operation> {
    vec![query(), update(), update_layout(), stop()]
}

fn query() -> Operation {
    let path = "/v1/apps/{appid}/cloud_recording/resourceid/{resourceid}/sid/{sid}/mode/{mode}/query";
    of_any_task(app_get(path, RECORDING, "query", "Query a recording"))
        .about(&format!(
            "What is true at this moment. `serverResponse` is the original's; `state`, `fileList`, `durationMs`, `verdict`, \
             `health`, `ledger` and `upload` are additions. {FOUND_BY_SID}"
        ))
        .answers(200, "The recording runs", "Queried", [("mix", example::queried())])
}

fn update() -> Operation {
    let path = "/v1/apps/{appid}/cloud_recording/resourceid/{resourceid}/sid/{sid}/mode/{mode}/update";
    of_any_change(app_post(path, RECORDING, "update", "Change a running recording"))
        .about(&format!(
            "Whose audio is recorded from here on, and fresh keys for the bucket (an STS token that runs out). {FOUND_BY_SID}"
        ))
        .body("UpdateRequest", [("all_but_one", example::update()), ("fresh_keys", example::update_keys())])
        .answers(200, "Changed", "Updated", [("updated", example::task())])
        .refuses(&[
            nothing_to_change(),
            of_task(504, "bucket_out_of_reach", 62, "request timeout", &json!({
                "detail": "clientRequest.storageConfig can't be written to: the bucket does not answer",
                "fault": "bucket_unreachable", "retry": true,
            })),
        ])
}

fn update_layout() -> Operation {
    let path = "/v1/apps/{appid}/cloud_recording/resourceid/{resourceid}/sid/{sid}/mode/{mode}/updateLayout";
    let mut noted = example::task();
    noted["notes"] = json!(["a layout has no effect: video is not recorded"]);
    of_any_change(app_post(path, RECORDING, "updateLayout", "Change the layout"))
        .about(&format!(
            "Checked as the original does, and without effect, since video is not recorded; `notes` says so. {FOUND_BY_SID}"
        ))
        .body("LayoutRequest", [("best_fit", example::layout())])
        .answers(200, "Taken", "Updated", [("noted", noted)])
        .refuses(&[of_task(
            400,
            "no_layout",
            2,
            "mode is individual, which has no layout; updateLayout is for mode mix",
            &json!({}),
        )])
}

fn stop() -> Operation {
    let path = "/v1/apps/{appid}/cloud_recording/resourceid/{resourceid}/sid/{sid}/mode/{mode}/stop";
    let mut report = example::stopped();
    report["code"] = json!(435);
    report["reason"] = json!("no recorded data");
    of_any_change(app_post(path, RECORDING, "stop", "Stop a recording"))
        .about(&format!(
            "Waits up to eight seconds until everything is in the bucket; with `async_stop` it answers at once. What is not \
             uploaded by then goes on in the background. {FOUND_BY_SID}"
        ))
        .body("StopRequest", [("wait", example::stop(false)), ("at_once", example::stop(true))])
        .answers(200, "Stopped; `uploadingStatus` says whether everything is in the bucket", "Stopped", [(
            "uploaded",
            example::stopped(),
        )])
        .answers(206, "Stopped, but nothing was recorded (code 435), not everything is uploaded yet (65), or some of it is in the backup bucket \
             alone (no code)", "Stopped", [(
            "empty", report,
        )])
}

/// What any call on a task may get.
fn of_any_task(operation: Operation) -> Operation {
    let mut ended = example::knowledge("ended", "complete");
    ended["detail"] = json!("failed to find worker: no recording with this sid is running");
    ended["fault"] = json!("not_running");
    ended["retry"] = json!(false);
    ended["endedMs"] = json!(example::ENDED_MS);
    let detail =
        "resourceId exceeded time limit! resourceExpiredHour is over; acquire a new one and use it with the same sid";
    operation.refuses(&[
        of_task(
            400,
            "no_resource",
            1001,
            "resourceId can't be read; send the one that acquire answered, unchanged",
            &json!({}),
        ),
        of_task(
            400,
            "hours_over",
            433,
            "resourceId exceeded time limit!",
            &json!({ "detail": detail, "fault": "handle_expired", "retry": false }),
        ),
        of_task(
            500,
            "our_fault",
            500,
            "internal_error",
            &json!({ "detail": "the store failed", "fault": "store", "retry": true }),
        ),
        of_task(
            404,
            "not_started_yet",
            404,
            "Failed to find worker.",
            &json!({
                "detail": "failed to find worker: this resourceId was acquired, and nothing was started with it",
                "state": "never_started", "fault": "never_started", "retry": false,
            }),
        ),
        of_task(404, "ended", 404, "Failed to find worker.", &ended),
        of_task(
            404,
            "never_started",
            404,
            "Failed to find worker.",
            &json!({
                "detail": "failed to find worker: no recording with this sid is running",
                "state": "unknown", "fault": "not_running", "retry": false,
            }),
        ),
    ])
}

/// What any call that changes a task may get.
fn of_any_change(operation: Operation) -> Operation {
    of_any_task(operation).refuses(&[of_task(400, "stopping_already", 49, "invalid operation", &stopping())])
}

fn nothing_to_change() -> Refusal {
    let reason =
        "clientRequest.streamSubscribe is missing; send the lists that are to change, or storageConfig with fresh keys";
    of_task(400, "nothing_to_change", 2, reason, &json!({}))
}

fn stopping() -> Value {
    let mut body = example::knowledge("stopping", "complete");
    body["serverResponse"] =
        json!({ "fileListMode": "string", "fileList": example::playlist(), "uploadingStatus": "unknown" });
    body["detail"] = json!("the recording is already stopping");
    body["fault"] = json!("already_stopping");
    body["retry"] = json!(false);
    body
}
