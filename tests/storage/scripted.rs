//! A small S3 store in memory that does what a script says: which conditions it honours, what it tells about its objects, what it
//! refuses. It checks no signature.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use sha2::Sha256;

/// What it makes of `If-None-Match: *`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Honoured,
    Ignored,
    /// This status for each PUT that carries it.
    Refused(u16),
    /// So many conditional PUTs end in 409; then it is honoured.
    Conflict(u32),
}

/// What it tells about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Its SHA-256.
    Checksum,
    /// Its MD5 as ETag.
    Md5,
    /// An ETag that says nothing.
    Length,
    /// 403 for each HEAD; the answer to a PUT has the checksum.
    Nothing,
}

/// Whether an object can be put over another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overwriting {
    Allowed,
    /// 403 for a PUT of a key that is there, whatever its condition.
    Denied,
    /// 403 for each PUT without the condition.
    NeedsCondition,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) condition: Condition,
    pub(crate) tells: Tells,
    pub(crate) overwriting: Overwriting,
}

/// The store; clones are one.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) endpoint: String,
    state: Arc<Mutex<Held>>,
}

struct Held {
    script: Script,
    objects: BTreeMap<String, Bytes>,
    /// Method, key, and `*` behind a conditional one.
    log: Vec<String>,
}

impl Scripted {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let held = Held { script, objects: BTreeMap::new(), log: Vec::new() };
        let store =
            Self { endpoint: format!("http://{}", listener.local_addr().unwrap()), state: Arc::new(Mutex::new(held)) };
        let router = Router::new().fallback(handle).with_state(Arc::clone(&store.state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        store
    }

    /// Lays an object there, past the script.
    pub(crate) fn lay(&self, key: &str, bytes: &'static [u8]) {
        self.state.lock().unwrap().objects.insert(key.to_owned(), Bytes::from_static(bytes));
    }

    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        self.state.lock().unwrap().objects.get(key).cloned()
    }

    /// The requests until now; the next call says those after it.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

async fn handle(State(state): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 24).await else { return StatusCode::BAD_REQUEST.into_response() };
    let key = parts.uri.path().trim_start_matches('/').split_once('/').map_or("", |(_, key)| key).to_owned();
    let mut held = state.lock().unwrap();
    let mark = if parts.headers.contains_key("if-none-match") { "*" } else { "" };
    held.log.push(format!("{} {}{mark}", parts.method, key.rsplit('/').next().unwrap_or_default()));
    match parts.method {
        Method::PUT => held.put(key, &body, &parts.headers),
        Method::HEAD => held.head(&key),
        Method::DELETE if held.script.overwriting == Overwriting::Allowed => {
            held.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::DELETE => refusal(403, "AccessDenied"),
        _ => refusal(501, "NotImplemented"),
    }
}

impl Held {
    fn put(&mut self, key: String, body: &Bytes, headers: &HeaderMap) -> Response {
        let (there, condition) = (self.objects.contains_key(&key), headers.contains_key("if-none-match"));
        match self.script.overwriting {
            Overwriting::Denied if there => return refusal(403, "AccessDenied"),
            Overwriting::NeedsCondition if !condition => return refusal(403, "AccessDenied"),
            _ => {}
        }
        match &mut self.script.condition {
            Condition::Refused(status) if condition => return refusal(*status, "NotImplemented"),
            Condition::Conflict(left @ 1..) if condition => {
                *left -= 1;
                return refusal(409, "ConditionalRequestConflict");
            }
            Condition::Honoured | Condition::Conflict(_) if condition && there => {
                return refusal(412, "PreconditionFailed");
            }
            _ => {}
        }
        let etag = self.etag(body);
        self.objects.insert(key, body.clone());
        match self.script.tells {
            Tells::Checksum | Tells::Nothing => {
                ([("x-amz-checksum-sha256", checksum(body)), ("etag", etag)], StatusCode::OK).into_response()
            }
            Tells::Md5 | Tells::Length => ([("etag", etag)], StatusCode::OK).into_response(),
        }
    }

    fn head(&self, key: &str) -> Response {
        if self.script.tells == Tells::Nothing {
            return StatusCode::FORBIDDEN.into_response();
        }
        let Some(body) = self.objects.get(key) else { return StatusCode::NOT_FOUND.into_response() };
        let (length, etag) = (("content-length", body.len().to_string()), ("etag", self.etag(body)));
        match self.script.tells {
            Tells::Checksum => {
                ([length, etag, ("x-amz-checksum-sha256", checksum(body))], StatusCode::OK).into_response()
            }
            _ => ([length, etag], StatusCode::OK).into_response(),
        }
    }

    fn etag(&self, body: &[u8]) -> String {
        match self.script.tells {
            Tells::Length => "\"opaque\"".to_owned(),
            _ => format!("\"{:x}\"", Md5::digest(body)),
        }
    }
}

fn checksum(body: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(body))
}

fn refusal(status: u16, code: &str) -> Response {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}
