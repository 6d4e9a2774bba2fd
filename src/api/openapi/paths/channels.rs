//! Who is in which channel.

use serde_json::json;

use super::CHANNELS;
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, gateway, too_often};
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::{between, count, ignored};

pub(super) fn all() -> Vec<Operation> {
    vec![channels(), users(), hosts(), property()]
}

fn channels() -> Operation {
    let page = json!({
        "success": true,
        "data": { "channels": [{ "channel_name": example::CNAME, "user_count": 3 }], "total_size": 1 },
    });
    of_channels("/dev/v1/channel/{appid}", "channels", "List channels")
        .about("By name. Recorders are in no list and counted nowhere.")
        .query("page_no", count("Which page, from 0"), 0)
        .query("page_size", between(1, 500, "Channels on a page; 100 when left out"), 100)
        .answers(200, "A page of channels", "Channels", [("one", page)])
        .refuses(&[gateway(400, "bad_page_size", "invalid page_size: must be 1 to 500")])
}

fn users() -> Operation {
    let data = |data| json!({ "success": true, "data": data });
    of_channels("/dev/v1/channel/user/{appid}/{channelName}", "users", "List the users of a channel")
        .about("`total` and `users` in a communication channel (mode 1); `broadcasters` and `audience` in a live one (mode 2).")
        .query("hosts_only", ignored("Present with any value: as the path with `/hosts_only`"), "true")
        .answers(200, "The users, or that there is no such channel", "Users", [
            ("communication", data(json!({ "channel_exist": true, "mode": 1, "total": 2, "users": [527, 528] }))),
            (
                "live",
                data(json!({
                    "channel_exist": true, "mode": 2, "broadcasters": [527], "audience": [3_034_559_022_u32],
                    "audience_total": 1, "accounts": { "3034559022": "alice" },
                })),
            ),
            ("no_channel", data(json!({ "channel_exist": false }))),
        ])
        .refuses(&[bad_name()])
}

fn hosts() -> Operation {
    let live = json!({ "success": true, "data": { "channel_exist": true, "mode": 2, "broadcasters": [527] } });
    of_channels("/dev/v1/channel/user/{appid}/{channelName}/hosts_only", "hosts", "List the hosts of a live channel")
        .answers(200, "The hosts, or that there is no such channel", "Users", [("live", live)])
        .refuses(&[bad_name()])
}

fn property() -> Operation {
    let there = json!({
        "success": true,
        "data": { "in_channel": true, "uid": 527, "join": 1_700_000_000, "role": 2, "platform": 7 },
    });
    of_channels("/dev/v1/channel/user/property/{appid}/{uid}/{channelName}", "userProperty", "Look at one user")
        .answers(
            200,
            "The user, or that it is not there",
            "UserProperty",
            [("there", there), ("not_there", json!({ "success": true, "data": { "in_channel": false } }))],
        )
        .refuses(&[bad_name()])
}

/// A GET about an app's channels.
fn of_channels(path: &'static str, id: &str, title: &str) -> Operation {
    Operation::new("get", path, CHANNELS, id, title).refuses(&of_any()).refuses(&[elsewhere()])
}

/// What any call of the channel management API may get.
pub(super) fn of_any() -> [Refusal; 5] {
    [
        gateway(400, "another_apps_credentials", "appid is invalid"),
        gateway(401, "no_credentials", "Unauthorized"),
        gateway(401, "wrong_credentials", "Invalid authentication credentials"),
        gateway(404, "unknown_path", "no Route matched with those values"),
        too_often(),
    ]
}

/// For apps whose channels are in a LiveKit server.
pub(super) fn elsewhere() -> Refusal {
    gateway(
        404,
        "channels_elsewhere",
        "this worker does not host the app's channels: they are in the LiveKit server that its configuration names; ask that server",
    )
}

fn bad_name() -> Refusal {
    gateway(400, "bad_name", "invalid channelName: cname must be at most 64 bytes long")
}
