//! A write-once bucket: a proxy in front of a store that lets no object be put over another, nor deleted. It knows the keys that came
//! through it, and asks nobody. For tests of several suites: it needs nothing of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;

/// Longest body, in bytes.
const MAX_BODY: usize = 64 << 20;

/// How the bucket says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// 403 for each PUT of a key that is there, whatever its condition.
    Denies,
    /// 412 for such a PUT with `If-None-Match: *`, 403 for one without.
    ConditionFirst,
    /// As before, and 403 for each PUT without the condition, of new keys too.
    RequiresCondition,
    /// No write-once bucket: it lets nobody read or list, and everything be put, with the condition that nothing is there if a PUT has it.
    WriteOnly,
}

/// The bucket. It is gone when the runtime is.
#[derive(Clone)]
pub struct WriteOnce {
    pub endpoint: String,
    store: String,
    policy: Policy,
    http: reqwest::Client,
    /// Bodies by path, as they were first put.
    held: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    refused: Arc<std::sync::Mutex<Vec<String>>>,
}

impl WriteOnce {
    /// In front of the store at this endpoint.
    pub async fn start(store: &str, policy: Policy) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            store: store.trim_end_matches('/').to_owned(),
            policy,
            http: reqwest::Client::new(),
            held: Arc::default(),
            refused: Arc::default(),
        };
        let router = Router::new().fallback(handle).with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        bucket
    }

    /// What was put through it, by path (`/bucket/key`).
    pub async fn held(&self) -> BTreeMap<String, Vec<u8>> {
        self.held.lock().await.clone()
    }

    /// Method and path of what it refused, in order.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    fn answer_to(&self, method: &Method, there: bool, condition: bool) -> Option<(u16, &'static str)> {
        match (method, self.policy) {
            (&Method::GET | &Method::HEAD, Policy::WriteOnly) => Some((403, "AccessDenied")),
            (&Method::PUT, Policy::WriteOnly) if there && condition => Some((412, "PreconditionFailed")),
            (_, Policy::WriteOnly) => None,
            (&Method::DELETE, _) if there => Some((403, "AccessDenied")),
            (&Method::PUT, Policy::Denies) if there => Some((403, "AccessDenied")),
            (&Method::PUT, Policy::RequiresCondition) if !condition => Some((403, "AccessDenied")),
            (&Method::PUT, _) if there && condition => Some((412, "PreconditionFailed")),
            (&Method::PUT, _) if there => Some((403, "AccessDenied")),
            _ => None,
        }
    }
}

async fn handle(State(bucket): State<WriteOnce>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::BAD_REQUEST.into_response() };
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let changes = matches!(parts.method, Method::PUT | Method::DELETE);
    // One change at a time: what is there is there.
    let mut held = if changes { Some(bucket.held.lock().await) } else { None };
    let there = held.as_ref().is_some_and(|held| held.contains_key(parts.uri.path()));
    if let Some((status, code)) = bucket.answer_to(&parts.method, there, parts.headers.contains_key("if-none-match")) {
        bucket.refused.lock().unwrap().push(format!("{} {path}", parts.method));
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
        return (StatusCode::from_u16(status).unwrap(), text).into_response();
    }
    let url = format!("{}{path}", bucket.store);
    let sent = bucket.http.request(parts.method.clone(), url).headers(parts.headers).body(body.clone()).send().await;
    let Ok(answer) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
    if let (Some(held), true, &Method::PUT) = (&mut held, answer.status().is_success(), &parts.method) {
        held.insert(parts.uri.path().to_owned(), body.to_vec());
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = Body::from(answer.bytes().await.unwrap_or_default());
    response
}
