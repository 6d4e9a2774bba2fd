//! An S3 store that takes everything while the caller's session token is the one that it wants, and refuses otherwise, with
//! the caller's secrets in its words: some stores do. Also a channel server that refuses everybody in the same manner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// The store. It is gone when the runtime is.
#[derive(Clone)]
pub(crate) struct EchoingBucket {
    pub(crate) endpoint: String,
    state: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    objects: BTreeMap<String, Vec<u8>>,
    wanted: String,
    /// Access keys and their secrets.
    pairs: Vec<(String, String)>,
    refusals: usize,
    bearers: Vec<String>,
}

impl EchoingBucket {
    /// Knows these access keys and their secrets.
    pub(crate) async fn open(pairs: &[(&str, &str)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let pairs = pairs.iter().map(|(key, secret)| ((*key).to_owned(), (*secret).to_owned())).collect();
        let state = Arc::new(Mutex::new(Held { pairs, ..Held::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, state }
    }

    /// From here on this session token is the right one.
    pub(crate) fn want(&self, token: &str) {
        token.clone_into(&mut self.state.lock().unwrap().wanted);
    }

    /// How many requests it refused.
    pub(crate) fn refusals(&self) -> usize {
        self.state.lock().unwrap().refusals
    }

    /// The bearer tokens that it was sent.
    pub(crate) fn bearers(&self) -> Vec<String> {
        self.state.lock().unwrap().bearers.clone()
    }

    /// What it holds.
    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().unwrap().objects.clone()
    }
}

async fn answer(State(state): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    let mut held = state.lock().unwrap();
    let (token, authorization) = (text(&head.headers, "x-amz-security-token"), text(&head.headers, "authorization"));
    if let Some(bearer) = authorization.strip_prefix("Bearer ") {
        held.bearers.push(bearer.to_owned());
        return (StatusCode::UNAUTHORIZED, format!("{bearer} is no good")).into_response();
    }
    if token != held.wanted {
        held.refusals += 1;
        let pair = held.pairs.iter().find(|(key, _)| authorization.contains(key));
        let (key, secret) = pair.map(|(key, secret)| (key.as_str(), secret.as_str())).unwrap_or_default();
        return refuse(held.refusals, &format!("{key} with {secret} and {token} is no good"));
    }
    let name = head.uri.path().to_owned();
    match head.method {
        Method::PUT => {
            held.objects.insert(name, bytes.to_vec());
            let checksum = text(&head.headers, "x-amz-checksum-sha256");
            ([("x-amz-checksum-sha256", checksum)], Body::empty()).into_response()
        }
        Method::DELETE => {
            held.objects.remove(&name);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

/// The ways to refuse take turns.
fn refuse(turn: usize, echo: &str) -> Response {
    let xml = |status: StatusCode, code: &str| {
        let words = escape(echo);
        let id = ("x-amz-request-id", "tx0001");
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{words}</Message></Error>");
        (status, [("content-type", "application/xml"), id], body).into_response()
    };
    match turn % 6 {
        0 => xml(StatusCode::BAD_REQUEST, "Strange"),
        1 => xml(StatusCode::BAD_REQUEST, &escape(echo)),
        2 => xml(StatusCode::FORBIDDEN, "AccessDenied"),
        3 => xml(StatusCode::SERVICE_UNAVAILABLE, &escape(echo)),
        4 => (StatusCode::IM_A_TEAPOT, echo.to_owned()).into_response(),
        _ => (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")], echo.to_owned()).into_response(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
