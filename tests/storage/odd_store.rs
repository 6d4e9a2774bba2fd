//! A small S3 store in memory that answers as a script wants it, and keeps what it was asked. It checks no signature.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};

/// A request as the store sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// As it stands in the request's first line, without the query.
    pub(crate) path: String,
    /// Without the port.
    pub(crate) host: String,
    /// The region that it is signed for.
    pub(crate) region: String,
    pub(crate) headers: HeaderMap,
    /// How many of this method came until now, this one included.
    pub(crate) count: usize,
}

impl Asked {
    pub(crate) fn is(&self, method: &Method) -> bool {
        self.method == *method
    }

    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers.contains_key(header)
    }

    /// Method, host, path and region, in short.
    fn line(&self) -> String {
        let Self { method, host, path, region, .. } = self;
        let (folders, name) = path.rsplit_once('/').unwrap_or_default();
        // The name of a test object is random.
        let name = if name.starts_with("cloud-recorder-test-") { "test" } else { name };
        format!("{method} {host} {folders}/{name} {region}")
    }
}

/// The store's own answer to a request; none is what every store does.
type Script = Box<dyn FnMut(&Asked) -> Option<Response> + Send>;

/// The store; clones are one.
#[derive(Clone)]
pub(crate) struct OddStore {
    pub(crate) port: u16,
    state: Arc<Mutex<Held>>,
}

struct Held {
    script: Script,
    /// Under host and path.
    objects: BTreeMap<String, Bytes>,
    log: Vec<Asked>,
}

impl OddStore {
    pub(crate) async fn start(script: impl FnMut(&Asked) -> Option<Response> + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Held { script: Box::new(script), objects: BTreeMap::new(), log: Vec::new() };
        let store = Self { port, state: Arc::new(Mutex::new(held)) };
        let router = Router::new().fallback(handle).with_state(Arc::clone(&store.state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        store
    }

    /// Its URL by name, which a bucket's name can be put before.
    pub(crate) fn named(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Its URL by address.
    pub(crate) fn numbered(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked since the last call: method, host, path and region.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// The same, whole.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    /// What it holds under host and path.
    pub(crate) fn objects(&self) -> BTreeMap<String, Bytes> {
        self.state.lock().unwrap().objects.clone()
    }
}

async fn handle(State(state): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 24).await else { return StatusCode::BAD_REQUEST.into_response() };
    let text =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut held = state.lock().unwrap();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        host: text("host").rsplit_once(':').map_or_else(|| text("host"), |(host, _)| host.to_owned()),
        region: text("authorization").split('/').nth(2).unwrap_or_default().to_owned(),
        count: held.log.iter().filter(|before| before.method == parts.method).count() + 1,
        method: parts.method,
        headers: parts.headers,
    };
    held.log.push(asked.clone());
    if let Some(answer) = (held.script)(&asked) {
        // Some scripts take what they answer oddly to.
        if asked.is(&Method::PUT) && answer.status().is_success() {
            held.objects.insert(format!("{}{}", asked.host, asked.path), body);
        }
        return answer;
    }
    held.answer(&asked, body)
}

impl Held {
    fn answer(&mut self, asked: &Asked, body: Bytes) -> Response {
        let key = format!("{}{}", asked.host, asked.path);
        let there = self.objects.get(&key);
        match asked.method {
            Method::PUT if there.is_some() && asked.has("if-none-match") => {
                refusal(412, "PreconditionFailed", "it is there")
            }
            Method::PUT => {
                let etag = etag(&body);
                self.objects.insert(key, body);
                ([("etag", etag)], StatusCode::OK).into_response()
            }
            Method::HEAD => match there {
                Some(body) => {
                    ([("content-length", body.len().to_string()), ("etag", etag(body))], StatusCode::OK).into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            Method::GET => match there {
                Some(body) if asked.has("range") => {
                    let range = format!("bytes 0-0/{}", body.len());
                    let etag = etag(body);
                    (StatusCode::PARTIAL_CONTENT, [("content-range", range), ("etag", etag)], body.slice(..1))
                        .into_response()
                }
                Some(body) => ([("etag", etag(body))], body.clone()).into_response(),
                None => refusal(404, "NoSuchKey", "no"),
            },
            Method::DELETE => {
                self.objects.remove(&key);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => refusal(501, "NotImplemented", "no"),
        }
    }
}

fn etag(body: &[u8]) -> String {
    format!("\"{:x}\"", Md5::digest(body))
}

/// An error in S3's form; `message` may hold more elements.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Response {
    let (message, more) =
        message.split_once('<').map_or((message, String::new()), |(text, more)| (text, format!("<{more}")));
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>");
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// An answer without a body.
pub(crate) fn bare(status: u16, headers: &[(&'static str, &'static str)]) -> Response {
    let mut answer = StatusCode::from_u16(status).unwrap().into_response();
    for (name, value) in headers {
        answer.headers_mut().insert(*name, axum::http::HeaderValue::from_static(value));
    }
    answer
}
