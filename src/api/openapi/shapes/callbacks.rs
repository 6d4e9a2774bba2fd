//! Events, and callbacks that were not delivered.

use serde_json::{Value, json};

use super::Shape;
use super::report::details;
use crate::api::openapi::word::{count, hex32, list, must, named, object, one_of, or_null, text, truth};

pub(super) fn all() -> Vec<Shape> {
    vec![
        ("Event", event()),
        ("Events", events()),
        ("Callback", callback()),
        ("Callbacks", callbacks()),
        ("Redelivered", redelivered()),
        ("Attempt", attempt()),
        ("Tested", tested()),
    ]
}

fn event() -> Value {
    let payload = object([
        must("cname", text("The channel")),
        must("uid", text("The recorder's uid")),
        must("sid", hex32("The recording")),
        must("sequence", count("Its number in the recording, from 0")),
        must("sendts", count("When it happened")),
        must("serviceType", one_of(&[0, 1, 2], "0 platform, 1 recorder, 2 uploader")),
        must("serviceScene", one_of(&["mix_record", "rtc_record"], "Mix or individual tracks")),
        must("details", details()),
    ]);
    object([
        must("noticeId", text("The same on every attempt to deliver it")),
        must("productId", one_of(&[3], "3, cloud recording")),
        must("eventType", count("Which event: docs/events.md tells them")),
        must("sid", hex32("The recording")),
        must("payload", payload),
    ])
}

fn events() -> Value {
    object([
        must("sid", hex32("The recording")),
        must("events", list(named("Event"), "In order")),
        must("next", or_null(count("The `after` of the following page; null before the first event"))),
    ])
}

fn callback() -> Value {
    object([
        must("productId", one_of(&[1, 3], "3: of a recording, 1: of a channel")),
        must("sid", text("The recording, or the channel's session")),
        must("sequence", count("The event's number in it")),
        must("noticeId", text("The event's id")),
        must("eventType", count("Which event")),
        must("attempts", count("How often it was sent")),
        must("lastError", or_null(text("What became of the last attempt"))),
        must(
            "state",
            one_of(
                &["dead", "due", "waiting", "delivered", "filtered"],
                "Given up, to be sent at `nextAttempt`, behind an earlier one, there, or not to be posted",
            ),
        ),
        must("since", count("When it was given up, or since when it is to be delivered")),
        must("nextAttempt", or_null(count("When it is sent next"))),
        must("log", list(named("Attempt"), "The latest attempts")),
    ])
}

fn callbacks() -> Value {
    let next =
        json!({ "type": ["string", "null"], "description": "The `after` of the following page; null on the last" });
    object([
        must("receiver", truth("Whether the app has a receiver at all")),
        must("callbacks", list(named("Callback"), "Recording by recording, in order within each")),
        must("next", next),
    ])
}

fn redelivered() -> Value {
    object([
        must("redelivered", count("How many were taken up")),
        must("more", truth("Whether some are left: ask again")),
    ])
}

fn attempt() -> Value {
    object([
        must("at", count("When it was sent")),
        must("tookMs", count("Until the answer, or until it was given up")),
        must("status", or_null(count("The HTTP status that was answered"))),
        must("error", or_null(text("What was wrong; null when it was delivered"))),
    ])
}

fn tested() -> Value {
    object([
        must("delivered", truth("Whether the receiver answered 200 in time")),
        must("eventType", count("Which event")),
        must("noticeId", text("Its id")),
        must("status", or_null(count("The HTTP status that was answered"))),
        must("tookMs", count("Until the answer")),
        must("error", or_null(text("What was wrong, and what to do"))),
        must("body", text("What was sent")),
    ])
}
