//! Bodies of the channel management API.

use serde_json::{Value, json};

use super::Shape;
use crate::api::openapi::word::{Field, count, list, may, must, object, one_of, text, truth};

pub(super) fn all() -> Vec<Shape> {
    vec![
        ("Channels", channels()),
        ("Users", users()),
        ("UserProperty", property()),
        ("NewKickingRule", new_rule()),
        ("KickingRuleChange", rule_change()),
        ("KickingRuleName", object(rule_name())),
        ("KickingRules", rules()),
        ("KickingRuleMade", object([success(), must("id", count("The rule's number"))])),
        (
            "KickingRuleChanged",
            object([
                success(),
                must("result", object([must("id", count("The rule's number")), must("ts", text("Its end, ISO 8601"))])),
            ]),
        ),
        ("Projects", projects()),
    ]
}

fn success() -> Field {
    must("status", one_of(&["success"], "Always success"))
}

fn data(data: Value) -> Value {
    object([must("success", truth("True")), must("data", data)])
}

fn channels() -> Value {
    let channel = object([
        must("channel_name", text("Its name")),
        must("user_count", count("Users in it, recorders not counted")),
    ]);
    data(object([must("channels", list(channel, "By name")), must("total_size", count("Channels on all pages"))]))
}

fn users() -> Value {
    let numbers = |about: &str| list(json!({ "type": "integer" }), about);
    let accounts = json!({
        "type": "object",
        "description": "Addition: the names of users whose uid is no number, by the number that stands for them",
        "additionalProperties": { "type": "string" },
    });
    data(object([
        must("channel_exist", truth("Whether anybody is there")),
        may("mode", one_of(&[1, 2], "1 communication, 2 live")),
        may("total", count("Users of a communication channel")),
        may("users", numbers("Users of a communication channel")),
        may("broadcasters", numbers("Hosts of a live channel")),
        may("audience", numbers("Audience of a live channel, the first 10000")),
        may("audience_total", count("Audience of a live channel")),
        may("accounts", accounts),
    ]))
}

fn property() -> Value {
    data(object([
        must("in_channel", truth("Whether it is there")),
        may("uid", count("Its number")),
        may("join", count("When it joined, in seconds since 1970")),
        may("role", one_of(&[0, 1, 2, 3], "0 unknown, 1 communication user, 2 host, 3 audience")),
        may("platform", count("1 Android, 2 iOS, 5 Windows, 6 Linux, 7 Web, 8 macOS, 0 other")),
    ]))
}

/// A number, which may come as text.
fn number(about: &str) -> Value {
    json!({ "type": ["number", "string"], "description": about })
}

fn term() -> [Field; 2] {
    [
        may("time", number("Minutes, brought into 1 to 1440; 0 puts out once; 60 when left out")),
        may("time_in_seconds", number("Seconds, brought into 10 to 86430, instead of `time`; 0 puts out once")),
    ]
}

fn new_rule() -> Value {
    let banned = one_of(&["join_channel", "publish_audio", "publish_video"], "A privilege");
    let [time, seconds] = term();
    object([
        must("appid", text("The app")),
        may("cname", text("The channel; all when left out")),
        may("uid", number("The user's number or account; everybody when left out")),
        may("ip", text("The address; all when left out")),
        time,
        seconds,
        may("privileges", list(banned, "What is banned; joining when left out")),
    ])
}

fn rule_change() -> Value {
    let [app, id] = rule_name();
    let [time, seconds] = term();
    object([app, id, time, seconds])
}

fn rule_name() -> [Field; 2] {
    [must("appid", text("The app")), must("id", number("The rule's number"))]
}

fn rules() -> Value {
    let rule = object([
        must("id", count("Its number")),
        must("appid", text("The app")),
        must("uid", count("The user's number; 0 for everybody")),
        must("opid", count("As `id`")),
        must("cname", text("The channel; empty for all")),
        must("ip", text("The address; empty for all")),
        must("ts", text("Its end, ISO 8601")),
        must("privileges", list(text("A privilege"), "What is banned")),
        must("createAt", text("When it was made, ISO 8601")),
        must("updateAt", text("When its end was last set, ISO 8601")),
        may("account", text("Addition: the user's name, where it is no number")),
    ]);
    object([success(), must("rules", list(rule, "In force"))])
}

fn projects() -> Value {
    let project = object([
        must("id", text("The app")),
        must("name", text("The app")),
        must("vendor_key", text("The app")),
        must("sign_key", text("Always empty: who has REST credentials shall not make tokens")),
        must("recording_server", json!({ "type": "null" })),
        must("status", count("1, enabled")),
        must("created", count("0: configured apps have no date")),
    ]);
    object([must("projects", list(project, "Apps of the credentials"))])
}
