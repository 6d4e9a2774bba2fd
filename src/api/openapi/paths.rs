//! The paths, a file for each part of the API. To add one: an [`Operation`] in its part's list, and its bodies in `shapes`.

mod callbacks;
mod channels;
mod kicking;
mod operation;
mod projects;
mod recording;
mod recordings;
mod task;

use serde_json::{Value, json};

use super::operation::Operation;
use super::refusals;
use super::shapes::example;

/// The tags.
pub(super) const RECORDING: &str = "Recording";
pub(super) const RECORDINGS: &str = "Recordings";
pub(super) const CALLBACKS: &str = "Callbacks";
pub(super) const CHANNELS: &str = "Channels";
pub(super) const OPERATION: &str = "Operation";

/// Every operation.
pub(super) fn all() -> Vec<Operation> {
    [
        recording::all(),
        task::all(),
        recordings::all(),
        callbacks::all(),
        channels::all(),
        kicking::all(),
        projects::all(),
        operation::all(),
    ]
    .concat()
}

/// The parameters that paths name.
pub(super) fn parameters() -> Value {
    let path = |name: &str, about: &str, schema: Value, example: &str| json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema, "example": example });
    let text = || json!({ "type": "string", "minLength": 1 });
    json!({
        "appid": path(
            "appid",
            "The app, 32 hexadecimal digits. `%s`, which a released client sends, is read as the one app of the credentials",
            text(),
            example::APP,
        ),
        "resourceid": path("resourceid", "What acquire answered, unchanged", text(), example::RESOURCE),
        "sid": path("sid", "The recording's id, as start answered: 32 lower-case hexadecimal digits", text(), example::SID),
        "mode": path(
            "mode",
            "What is recorded: `mix`, everybody in one playlist, or `individual`, a playlist for each member",
            json!({ "type": "string", "enum": ["mix", "individual"] }),
            "mix",
        ),
        "channelName": path("channelName", "The channel", text(), example::CNAME),
        "uid": path("uid", "The member's number, or an account's name", text(), "527"),
    })
}

/// A call for an app, without a body.
fn app_get(path: &'static str, tag: &str, id: &str, title: &str) -> Operation {
    Operation::new("get", path, tag, id, title).refuses(&refusals::of_app_calls())
}

/// A call for an app, with a body.
fn app_post(path: &'static str, tag: &str, id: &str, title: &str) -> Operation {
    Operation::new("post", path, tag, id, title).refuses(&refusals::of_app_calls()).refuses(&refusals::of_bodies())
}
