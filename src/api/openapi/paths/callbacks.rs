//! Callbacks that were not delivered: additions.

use serde_json::json;

use super::{CALLBACKS, app_get, app_post};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::coded;
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::{between, one_of, text};

pub(super) fn all() -> Vec<Operation> {
    vec![list(), redeliver(), test()]
}

fn list() -> Operation {
    app_get("/v1/apps/{appid}/callbacks", CALLBACKS, "callbacks", "List what the receiver has and lacks")
        .about(
            "Dead letters, given up after a day of trying, or events that still wait, were delivered, or are not posted because of the \
             app's filter; each with its attempts. Recording by recording, then channel by channel, in order within \
             each. `next` is the `after` of the following page, null on the last.",
        )
        .query("state", one_of(&["dead", "pending", "delivered", "filtered", "all"], "Which events; `dead` when left out"), "dead")
        .query("productId", one_of(&[1, 3], "3: of recordings, 1: of channels; both when left out"), 3)
        .query("sid", text("Of this recording, or of this channel session"), example::SID)
        .query("after", text("The `next` of an earlier page"), format!("{}-11", example::SID))
        .query("limit", between(1, 500, "Events on a page; 500 when left out"), 100)
        .answers(200, "A page of the list", "Callbacks", [("dead", example::callbacks())])
        .refuses(&[
            coded(400, "bad_state", 2, "state must be dead, pending, delivered, filtered or all", &json!({})),
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

fn test() -> Operation {
    let got = json!({
        "delivered": true, "eventType": 40, "noticeId": "3f2a1b0c9d8e7f60514233241506f7e8", "status": 200, "tookMs": 12,
        "error": null, "body": "{\"noticeId\":\"3f2a1b0c9d8e7f60514233241506f7e8\",\"productId\":3}",
    });
    app_post("/v1/apps/{appid}/callbacks/test", CALLBACKS, "testCallback", "Send the receiver a test event")
        .about("One event, signed like any other and in no log; the answer says what the receiver made of it.")
        .body("TestRequest", [("any", json!({})), ("of_this_type", json!({ "eventType": 31 }))])
        .answers(200, "What the receiver answered", "Tested", [("delivered", got)])
        .refuses(&[
            coded(400, "bad_event_type", 2, "eventType must be a number", &json!({})),
            coded(
                400,
                "no_receiver",
                2,
                "the app has no callback_url",
                &json!({ "fault": "invalid_request", "retry": false }),
            ),
        ])
}
