//! Callbacks that were not delivered: additions.

use serde_json::json;

use super::{CALLBACKS, app_get, app_post};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::coded;
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::{between, one_of, text};

pub(super) fn all() -> Vec<Operation> {
    vec![list(), redeliver()]
}

fn list() -> Operation {
    app_get("/v1/apps/{appid}/callbacks", CALLBACKS, "callbacks", "List what the receiver lacks")
        .about(
            "Dead letters, given up after a day of trying, or events that still wait: recording by recording, in order within \
             each. `next` is the `after` of the following page, null on the last.",
        )
        .query("state", one_of(&["dead", "pending"], "Which events; `dead` when left out"), "dead")
        .query("after", text("The `next` of an earlier page"), format!("{}-11", example::SID))
        .query("limit", between(1, 500, "Events on a page; 500 when left out"), 100)
        .answers(200, "A page of the list", "Callbacks", [("dead", example::callbacks())])
        .refuses(&[
            coded(400, "bad_state", 2, "state must be dead or pending", &json!({})),
            coded(400, "bad_after", 2, "after must be the next of an earlier page", &json!({})),
            coded(400, "bad_limit", 2, "limit must be a number from 1 to 500", &json!({})),
        ])
}

fn redeliver() -> Operation {
    app_post("/v1/apps/{appid}/callbacks/redeliver", CALLBACKS, "redeliver", "Send dead letters again")
        .about("For another day of trying: all of the app's with `{}`, or those of one recording. `more` says that some are left.")
        .body("RedeliverRequest", [("all", json!({})), ("one_recording", json!({ "sid": example::SID }))])
        .answers(200, "How many were taken up", "Redelivered", [("two", json!({ "redelivered": 2, "more": false }))])
        .refuses(&[coded(400, "bad_sid", 2, "sid must be 32 hexadecimal digits", &json!({}))])
}
