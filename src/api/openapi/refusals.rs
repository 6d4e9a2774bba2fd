//! What calls are refused with, and the headers of answers. Each refusal is an example of its status.

use serde_json::{Map, Value, json};

use super::shapes::{APP_REFUSAL, GATEWAY_REFUSAL, TASK_REFUSAL};
use super::word::named;

/// One way in which a call is refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The example's name.
    name: &'static str,
    shape: &'static str,
    body: Value,
}

/// By the gateway, with a message.
pub(super) fn gateway(status: u16, name: &'static str, message: &str) -> Refusal {
    Refusal { status, name, shape: GATEWAY_REFUSAL, body: json!({ "message": message }) }
}

/// With a code and a reason; `more` are further fields.
pub(super) fn coded(status: u16, name: &'static str, code: u16, reason: &str, more: &Value) -> Refusal {
    Refusal { status, name, shape: APP_REFUSAL, body: with_code(&json!({}), code, reason, more) }
}

/// The same for a call on a started task: it names the task.
pub(super) fn of_task(status: u16, name: &'static str, code: u16, reason: &str, more: &Value) -> Refusal {
    Refusal { status, name, shape: TASK_REFUSAL, body: with_code(&super::shapes::example::task(), code, reason, more) }
}

fn with_code(about: &Value, code: u16, reason: &str, more: &Value) -> Value {
    let mut body: Map<String, Value> = Map::new();
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    body.extend(fields(about));
    body.insert("code".into(), code.into());
    body.insert("reason".into(), reason.into());
    body.extend(fields(more));
    Value::Object(body)
}

impl Refusal {
    /// The response of its status with this refusal as one more example.
    pub(super) fn add_to(&self, response: Option<Value>) -> Value {
        let mut response = response.unwrap_or_else(|| {
            json!({
                "description": describe(self.status),
                "headers": on(self.status),
                "content": { "application/json": { "schema": named(self.shape), "examples": {} } },
            })
        });
        let content = &mut response["content"]["application/json"];
        content["examples"][self.name] = json!({ "value": self.body });
        let (own, known) = (named(self.shape), &content["schema"]);
        let shapes = known["anyOf"].as_array().cloned().unwrap_or_else(|| vec![known.clone()]);
        if !shapes.contains(&own) {
            let all = [shapes, vec![own]].concat();
            content["schema"] = json!({ "anyOf": all });
        }
        response
    }
}

/// What any call for an app may get.
pub(super) fn of_app_calls() -> Vec<Refusal> {
    vec![
        gateway(400, "another_apps_credentials", "appid is invalid"),
        gateway(401, "no_credentials", "Unauthorized"),
        gateway(401, "wrong_credentials", "Invalid authentication credentials"),
        gateway(404, "unknown_path", "no Route matched with those values"),
        coded(
            500,
            "our_fault",
            500,
            "internal_error",
            &json!({ "detail": "the store failed", "fault": "store", "retry": true }),
        ),
        too_often(),
        gateway(
            429,
            "too_many_strangers",
            "API rate limit exceeded: too many requests without valid credentials reach this worker; check yours, and wait as \
             Retry-After says",
        ),
        gateway(503, "busy", "too many calls of this app are under way on this worker; try again in a few seconds"),
    ]
}

/// For an app that calls more often than it may.
pub(super) fn too_often() -> Refusal {
    gateway(
        429,
        "too_often",
        "API rate limit exceeded: this app may send 200 requests a second; wait as Retry-After says, or have \
         apps.requests_per_second raised",
    )
}

/// What any call with a body may get on top.
pub(super) fn of_bodies() -> Vec<Refusal> {
    vec![
        coded(400, "no_json", 8, "body is not JSON: line 1, column 9: Syntax", &json!({})),
        gateway(400, "broken_off", "the request's body could not be read"),
        gateway(408, "too_slow", "the request's body did not arrive in time; send it again"),
        gateway(413, "too_long", "Request size limit exceeded"),
    ]
}

/// The headers of an answer with this status.
pub(super) fn on(status: u16) -> Value {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = json!({ "X-Request-Id": header("RequestId") });
    if status == 401 {
        headers["WWW-Authenticate"] = header("Authenticate");
    }
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = header("RetryAfter");
    }
    headers
}

/// The headers that answers name.
pub(super) fn headers() -> Value {
    let header = |about: &str, schema: Value| json!({ "description": about, "required": true, "schema": schema });
    json!({
        "RequestId": header(
            "Names the call, for logs and questions: what the request brought in this header, else a new UUID",
            json!({ "type": "string" }),
        ),
        "Authenticate": header("Asks for Basic authentication", json!({ "type": "string" })),
        "RetryAfter": header("Seconds until another try makes sense", json!({ "type": "integer", "minimum": 1 })),
    })
}

const fn describe(status: u16) -> &'static str {
    match status {
        201 => "Started already: with a different request, or as a recording that is over",
        206 => "Not complete",
        400 => "Refused: the request has to be another",
        401 => "The credentials are missing or wrong",
        403 => "Not allowed",
        404 => "Not there",
        408 => "The body did not arrive in time",
        413 => "The body is too long",
        415 => "The body is not said to be JSON",
        422 => "The same key was sent with another request",
        429 => "Too many calls; wait and send it again",
        500 | 504 => "Failed, by no fault of the request",
        503 => "Not now; send it again later",
        _ => "Refused",
    }
}
