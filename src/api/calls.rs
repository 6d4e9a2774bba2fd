//! One function a call: request in, session's answer out.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::error::Failure;
use super::paging::page_limit;
use super::path::{Action, CallKind, Target};
use super::wire::fields::BadField;
use super::wire::{Claimed, acquire, answer, digest, start, task};
use super::{body, callbacks, health, once, recordings};
use crate::callback;
use crate::session::{Error, IdempotencyKey, Once, Report, ResourceId, Sessions, Stopped, TaskRef};
use crate::units::{AppId, Sid};

/// Answers a call that is allowed for `app`.
pub(crate) async fn answer(sessions: &Sessions, app: AppId, target: Target<'_>, head: &Parts, body: Body) -> Response {
    let (door, query) = (target.door(), head.uri.query());
    match target {
        Target::Acquire => plain(door, acquire(sessions, app, once::key(&head.headers), body).await),
        Target::Start { resource, mode } => {
            let key = once::key(&head.headers);
            plain(door, start(sessions, app, resource, mode, key, body).await)
        }
        Target::Task { resource, sid, mode, action } => {
            TaskCall { sessions, app, resource, sid, mode }.answer(action, body).await
        }
        Target::Recordings => plain(door, recordings::list(sessions, &app, query).await),
        Target::Recording { sid } => plain(door, recording(sessions, &app, sid).await),
        Target::Events { sid } => plain(door, events(sessions, &app, sid, query).await),
        Target::Callbacks => plain(door, callbacks::list(sessions, &app, query).await),
        Target::Redeliver => plain(door, redeliver(sessions, &app, body).await),
        Target::TestCallback => plain(door, test_callback(sessions, &app, body).await),
    }
}

/// What the header `Idempotency-Key` holds.
type Key = Result<Option<IdempotencyKey>, BadField>;

async fn acquire(sessions: &Sessions, app: AppId, key: Key, body: Body) -> Result<Value, Failure> {
    let body = body::json(body).await?;
    let acquire = acquire::parse(app, &body)?;
    let once = key?.map(|key| Once { key, request: digest(&body) });
    let (cname, uid) = (acquire.request.cname.clone(), acquire.request.uid.clone());
    let resource = sessions.acquire(acquire.request, once).await?;
    let mut answer = json!({ "cname": cname, "uid": uid, "resourceId": resource.as_str() });
    if !acquire.notes.is_empty() {
        answer["notes"] = json!(acquire.notes);
    }
    Ok(answer)
}

async fn start(
    sessions: &Sessions,
    app: AppId,
    resource: &str,
    mode: &str,
    key: Key,
    body: Body,
) -> Result<Value, Failure> {
    let body = body::json(body).await?;
    let resource = ResourceId::parse(resource)?;
    let request = start::parse(app, resource, mode, &body)?;
    let once = key?.map(|key| Once { key, request: request.identity });
    Ok(answer::started(&sessions.start(request, once).await?))
}

async fn recording(sessions: &Sessions, app: &AppId, sid: &str) -> Result<Value, Failure> {
    let sid = Sid::new(sid).map_err(|_| Error::Gone(None))?;
    Ok(answer::recording(&sessions.report(app, &sid).await?))
}

/// The log as callbacks have it, without the time of an attempt; `next` is the `after` of the following page.
async fn events(sessions: &Sessions, app: &AppId, sid: &str, query: Option<&str>) -> Result<Value, Failure> {
    let sid = Sid::new(sid).map_err(|_| Error::Gone(None))?;
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let after = match query.get("after").map_or("", |after| after) {
        "" => None,
        text => {
            let wrong = |_| BadField::new("after", "must be the sequence number of the last event that you have");
            Some(text.parse::<u64>().map_err(wrong)?)
        }
    };
    let limit = page_limit(query.get("limit").map(|limit| &**limit))?;
    let page = sessions.events(app, &sid, after, limit).await?;
    let next = page.last().map(|event| event.sequence);
    let lines = page.iter().map(|event| serde_json::from_str(&callback::log_line(event)).unwrap_or(Value::Null));
    Ok(json!({ "sid": sid, "events": lines.collect::<Vec<Value>>(), "next": next.or(after) }))
}

async fn redeliver(sessions: &Sessions, app: &AppId, body: Body) -> Result<Value, Failure> {
    callbacks::redeliver(sessions, app, &body::json(body).await?).await
}

async fn test_callback(sessions: &Sessions, app: &AppId, body: Body) -> Result<Value, Failure> {
    callbacks::test(sessions, app, &body::json(body).await?).await
}

/// A call on a started task: its sid finds it, the rest of the path is only compared.
struct TaskCall<'a> {
    sessions: &'a Sessions,
    app: AppId,
    resource: &'a str,
    sid: &'a str,
    mode: &'a str,
}

impl TaskCall<'_> {
    async fn answer(self, action: Action, body: Body) -> Response {
        let mut claimed = Claimed::default();
        match self.run(action, body, &mut claimed).await {
            Ok((status, body)) => (status, Json(Value::Object(body))).into_response(),
            Err(failure) => {
                let resource = ResourceId::parse(self.resource).ok();
                let sid = Sid::new(self.sid).ok();
                failure.into_response(
                    CallKind::Task(action),
                    answer::asked(resource.as_ref(), sid.as_ref().map(Sid::as_str), &claimed),
                )
            }
        }
    }

    async fn run(
        &self,
        action: Action,
        body: Body,
        claimed: &mut Claimed,
    ) -> Result<(StatusCode, Map<String, Value>), Failure> {
        // A query means nothing by its body, and one client sends `null` with each.
        let body = if action == Action::Query { Value::Null } else { body::json(body).await? };
        *claimed = Claimed::of(&body);
        let Ok(sid) = Sid::new(self.sid) else {
            let resource = ResourceId::parse(self.resource).ok();
            return Err(self.sessions.nothing(&self.app, resource.as_ref()).await.into());
        };
        let resource = if self.resource.is_empty() { None } else { Some(ResourceId::parse(self.resource)?) };
        let task = TaskRef { app: self.app.clone(), sid, resource };
        let (status, report, mut answer) = match action {
            Action::Query => {
                let report = self.sessions.query(&task).await?;
                let mut answer = answer::query(&report);
                let obstacles = self.sessions.obstacles().await;
                if !obstacles.is_empty() {
                    answer.insert("worker".into(), json!({ "ready": false, "reasons": health::reasons(&obstacles) }));
                }
                (StatusCode::OK, report, answer)
            }
            Action::Update | Action::UpdateLayout => {
                let update = match action {
                    Action::UpdateLayout => task::update_layout(&body)?,
                    _ => task::update(&body)?,
                };
                if action == Action::UpdateLayout && update.layout {
                    self.refuse_layout(&task).await?;
                }
                let mut report = match &update.storage {
                    Some(storage) => self.sessions.update_credentials(&task, storage).await?,
                    None => self.sessions.query(&task).await?,
                };
                if let Some(selection) = update.selection {
                    report = self.sessions.select(&task, selection).await?;
                }
                let mut answer = answer::task(&report);
                let video = [
                    (update.layout, "a layout has no effect: video is not recorded"),
                    (update.video, "a list of video subscriptions has no effect: video is not recorded"),
                ];
                let notes: Vec<&str> =
                    video.into_iter().filter_map(|(with_headers, note)| with_headers.then_some(note)).collect();
                if !notes.is_empty() {
                    answer.insert("notes".into(), json!(notes));
                }
                (StatusCode::OK, report, answer)
            }
            Action::Stop => {
                let stop = task::stop(&body)?;
                let stopped = self.sessions.stop(&task, stop.at_once).await?;
                stop_answer(stopped, stop.at_once)
            }
        };
        answer::insert_mismatches(&mut answer, &report, &task, self.mode, claimed);
        Ok((status, answer))
    }

    /// Only a mix has a layout, whatever mode the path says.
    async fn refuse_layout(&self, task: &TaskRef) -> Result<(), Failure> {
        if self.sessions.query(task).await?.mode.mixes() {
            return Ok(());
        }
        Err(BadField::new("mode", "is individual, which has no layout; updateLayout is for mode mix").into())
    }
}

/// 200, or 206 without a code where some of it is in the backup bucket alone, or 206 with code 435 where nothing was recorded, or 206
/// with code 65 where a waiting caller has to hear that it is not done yet.
fn stop_answer(stopped: Stopped, at_once: bool) -> (StatusCode, Report, Map<String, Value>) {
    let (status, report, code) = match stopped {
        Stopped::Uploaded(report) => (StatusCode::OK, report, None),
        Stopped::Backuped(report) => (StatusCode::PARTIAL_CONTENT, report, None),
        Stopped::Underway(report) if at_once => (StatusCode::OK, report, None),
        Stopped::Underway(report) => (StatusCode::PARTIAL_CONTENT, report, Some((65, "request not completed"))),
        Stopped::Empty(report) => (StatusCode::PARTIAL_CONTENT, report, Some((435, "no recorded data"))),
    };
    let mut answer = answer::stopped(&report);
    if let Some((code, reason)) = code {
        answer.insert("code".into(), json!(code));
        answer.insert("reason".into(), json!(reason));
    }
    (status, report, answer)
}

fn plain(door: CallKind, result: Result<Value, Failure>) -> Response {
    match result {
        Ok(body) => Json(body).into_response(),
        Err(failure) => failure.into_response(door, Map::new()),
    }
}
