//! Kicking rules: made, listed, prolonged, deleted.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::answer::Refusal;
use super::order::Body;
use crate::ChannelServer;
use crate::ids::uid_number;
use crate::rules::{Banned, Rule};
use recorder_core::units::AppId;
use recorder_edge::clock;

/// What a call does to rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create,
    Update,
    Delete,
}

pub(super) fn list(server: &ChannelServer, app: &AppId) -> Response {
    let rules: Vec<_> = server.rules(app, clock::now()).iter().map(listed).collect();
    Json(json!({ "status": "success", "rules": rules })).into_response()
}

pub(super) async fn change(
    server: &ChannelServer,
    app: &AppId,
    change: Change,
    body: &Body,
) -> Result<Response, Refusal> {
    let now = clock::now();
    let answer = match change {
        Change::Create => {
            let (target, banned, term) = (body.target()?, body.privileges()?, body.term()?);
            let id = server.add_rule(app, target, banned, term, now).await?;
            json!({ "status": "success", "id": id })
        }
        Change::Update => {
            let (id, term) = (body.id()?, body.term()?);
            let until = server.change_rule(app, id, term, now).await?;
            json!({ "status": "success", "result": { "id": id, "ts": until.to_string() } })
        }
        Change::Delete => {
            let id = body.id()?;
            server.delete_rule(app, id, now).await?;
            json!({ "status": "success", "id": id })
        }
    };
    Ok(Json(answer).into_response())
}

/// A rule as the vendor lists it. Fields that name nobody are 0 and empty, as they may be in a request; `opid` is the id, by
/// which our log can be searched. An account's own name stands beside its number.
fn listed(rule: &Rule) -> Value {
    let target = &rule.order.target;
    let uid = target.uid();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("id", json!(rule.id));
    put("appid", json!(rule.order.app));
    put("uid", json!(uid.map_or(0, uid_number)));
    put("opid", json!(rule.id));
    put("cname", json!(target.cname().map_or("", |cname| cname.as_str())));
    put("ip", json!(target.ip().map_or_else(String::new, |ip| ip.to_string())));
    put("ts", json!(rule.order.until.to_string()));
    put("privileges", json!(names(rule.order.banned)));
    put("createAt", json!(rule.order.created.to_string()));
    put("updateAt", json!(rule.updated.to_string()));
    if let Some(account) = uid.filter(|uid| uid_number(uid).to_string() != uid.as_str()) {
        put("account", json!(account));
    }
    Value::Object(fields)
}

fn names(banned: Banned) -> Vec<&'static str> {
    let all = [(banned.join, "join_channel"), (banned.audio, "publish_audio"), (banned.video, "publish_video")];
    all.into_iter().filter_map(|(banned, name)| banned.then_some(name)).collect()
}
