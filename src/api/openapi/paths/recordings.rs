//! What is known of a recording by its sid: additions.

use serde_json::json;

use super::{RECORDINGS, app_get};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, coded};
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::{between, count, text};

pub(super) fn all() -> Vec<Operation> {
    vec![recordings(), recording(), events()]
}

fn recordings() -> Operation {
    app_get("/v1/apps/{appid}/recordings", RECORDINGS, "recordings", "List recordings")
        .about(
            "Newest first, for who lost a sid. `next` is the `cursor` of the following page, null on the last; it names a place in \
             the list, so what begins or ends in between moves nothing. A page of some states may hold fewer entries than `limit`.",
        )
        .query("cname", text("Of this channel"), example::CNAME)
        .query("uid", text("Of this recorder uid"), "900001")
        .query(
            "state",
            text("In this state, or several with commas between: starting, recording, recovering, stopping, ended, failed"),
            "recording,recovering",
        )
        .query("limit", between(1, 200, "Entries on a page; 50 when left out"), 50)
        .query("cursor", text("The `next` of an earlier page"), format!("1700000000000-{}", example::SID))
        .answers(200, "A page of the list", "Recordings", [("one", example::recordings())])
        .refuses(&[
            coded(400, "bad_state", 2, "state must be starting, recording, recovering, stopping, ended or failed, or several of them with commas between", &json!({})),
            coded(400, "bad_cursor", 2, "cursor must be the next of an earlier page", &json!({})),
            coded(400, "unknown_parameter", 2, "channel is no parameter of this list; use cname, uid, state, limit and cursor", &json!({})),
        ])
}

fn recording() -> Operation {
    app_get("/v1/apps/{appid}/recordings/{sid}", RECORDINGS, "recording", "Look at a recording")
        .about(
            "Answers 200 while the recording runs and for `recording.remember_days` after its end: files, length, verdict, and \
             the ledger with every gap.",
        )
        .answers(200, "The recording", "Recording", [("ended", example::recording())])
        .refuses(&[unknown()])
}

fn events() -> Operation {
    app_get("/v1/apps/{appid}/recordings/{sid}/events", RECORDINGS, "events", "Read a recording's log")
        .about(
            "The numbered events as callbacks have them, in order; in `…_events.jsonl` in the bucket each line also has `prev`, the \
             SHA-256 of the line before it. `next` is the `after` of the following page; an empty page says that you have everything so far.",
        )
        .query("after", count("The sequence number of the last event that you have"), 11)
        .query("limit", between(1, 500, "Events on a page; 500 when left out"), 100)
        .answers(200, "A page of the log", "Events", [("page", example::events())])
        .refuses(&[
            unknown(),
            coded(400, "bad_limit", 2, "limit must be a number from 1 to 500", &json!({})),
            coded(
                400,
                "bad_after",
                2,
                "after must be the sequence number of the last event that you have",
                &json!({}),
            ),
        ])
}

fn unknown() -> Refusal {
    let detail = "failed to find worker: no recording with this sid is running";
    let more = json!({ "detail": detail, "state": "unknown", "fault": "not_running", "retry": false });
    coded(404, "unknown_sid", 404, "Failed to find worker.", &more)
}
