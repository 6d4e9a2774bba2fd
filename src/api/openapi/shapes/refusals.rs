//! What refusals look like.

use serde_json::Value;

use super::report::knowledge;
use super::{Shape, about};
use crate::api::openapi::word::{Field, count, hex32, list, may, must, named, object, text, truth};

/// By the gateway.
pub(in crate::api::openapi) const GATEWAY_REFUSAL: &str = "GatewayRefusal";
/// With a code.
pub(in crate::api::openapi) const APP_REFUSAL: &str = "Refusal";
/// With a code, of a call on a task.
pub(in crate::api::openapi) const TASK_REFUSAL: &str = "TaskRefusal";

pub(super) fn all() -> Vec<Shape> {
    vec![(GATEWAY_REFUSAL, object([must("message", text("Why"))])), (APP_REFUSAL, refusal()), (TASK_REFUSAL, of_task())]
}

fn base() -> Vec<Field> {
    vec![
        must("code", count("The original's code")),
        must("reason", text("The original's words where it has fixed ones, else what is wrong and what to do")),
        may("detail", text("Addition: what is wrong and what to do, where `reason` does not say it")),
        may("fault", text("Addition: the same as a word for machines")),
        may("retry", truth("Addition: whether the same call may succeed later")),
    ]
}

fn refusal() -> Value {
    let more = [
        may("sid", hex32("Code 7: the recording that the resource was started as")),
        may("runningSid", hex32("Code 53: the recording that is in the way")),
        may("state", text("Code 404: unknown")),
    ];
    about(object(base().into_iter().chain(more)), "A refusal with a code")
}

/// After the end it has all that is known of the recording.
fn of_task() -> Value {
    let names = [
        may("cname", text("The channel")),
        may("uid", text("The recorder's uid")),
        may("resourceId", text("The resource")),
        may("sid", text("The recording's id")),
        may("serverResponse", named("ServerResponse")),
        may("ledger", named("LedgerTotals")),
        may("mismatched", list(text("A part of the call"), "Parts of the call that are others than the recording's")),
    ];
    let fields = names.into_iter().chain(base()).chain(knowledge(may));
    about(object(fields), "A refusal of a call on a task; with code 404 or 49 it tells what is known of the recording")
}
