//! Kicking rules.

use serde_json::json;

use super::CHANNELS;
use super::channels::{elsewhere, of_any};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, gateway};
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::text;

const PATH: &str = "/dev/v1/kicking-rule";

pub(super) fn all() -> Vec<Operation> {
    vec![list(), create(), update(), delete()]
}

fn list() -> Operation {
    Operation::new("get", PATH, CHANNELS, "kickingRules", "List kicking rules")
        .about("The app's rules that are in force.")
        .query("appid", text("The app; may be left out where the credentials are one app's"), example::APP)
        .answers(200, "The rules", "KickingRules", [("one", example::rules())])
        .refuses(&of_any())
        .refuses(&[elsewhere()])
}

fn create() -> Operation {
    of_change("post", "createKickingRule", "Ban somebody")
        .about(
            "Users who match all the parts that are named (channel, uid, address) are put out or may not publish, now and until \
             the rule ends. With a time of 0 they are put out once. Recorders are exempt.",
        )
        .body("NewKickingRule", [
            ("out_of_one_channel", json!({ "appid": example::APP, "cname": example::CNAME, "uid": 527, "time": 60, "privileges": ["join_channel"] })),
            ("silenced_everywhere", json!({ "appid": example::APP, "uid": "527", "time_in_seconds": 30, "privileges": ["publish_audio"] })),
        ])
        .answers(200, "The rule is in force", "KickingRuleMade", [("made", json!({ "status": "success", "id": 7 }))])
        .refuses(&[
            gateway(400, "nobody_named", "one of cname, uid and ip is required"),
            gateway(403, "too_many_rules", "the app has 10000 rules already; delete some"),
        ])
}

fn update() -> Operation {
    let changed = json!({ "status": "success", "result": { "id": 7, "ts": "2026-01-02T03:04:05.678Z" } });
    of_change("put", "updateKickingRule", "Give a rule a new end")
        .body("KickingRuleChange", [("ten_minutes", json!({ "appid": example::APP, "id": 7, "time": 10 }))])
        .answers(200, "The rule has a new end", "KickingRuleChanged", [("changed", changed)])
        .refuses(&[unknown()])
}

fn delete() -> Operation {
    of_change("delete", "deleteKickingRule", "Delete a rule")
        .body("KickingRuleName", [("rule", json!({ "appid": example::APP, "id": 7 }))])
        .answers(200, "The rule is gone", "KickingRuleMade", [("deleted", json!({ "status": "success", "id": 7 }))])
        .refuses(&[unknown()])
}

fn of_change(method: &'static str, id: &str, title: &str) -> Operation {
    Operation::new(method, PATH, CHANNELS, id, title).refuses(&of_any()).refuses(&[
        gateway(400, "no_object", "the body must be a JSON object"),
        elsewhere(),
        gateway(413, "too_long", "Request size limit exceeded"),
        gateway(415, "not_json", "set the header Content-Type to application/json"),
        gateway(500, "not_kept", "the rule could not be kept; try again"),
    ])
}

fn unknown() -> Refusal {
    gateway(404, "unknown_rule", "there is no rule with this id")
}
