//! A reverse proxy in front of a store that fails as stores do: by a script, or at random by a seed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use cloud_recorder::clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::BUCKET;

/// What happens to requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorClass {
    None,
    /// So many of a hundred fail, each in its own way.
    Some(u32),
    /// This answer, without reaching the store.
    Answer(u16, &'static str),
    /// It reaches the store, but this is the answer.
    TakenBut(u16, &'static str),
    /// It reaches the store, and the connection breaks without an answer.
    AnswerLost,
    /// The connection breaks before the store sees it.
    Cut,
    /// The connection breaks in the middle of the store's answer.
    CutAfter,
    /// No answer, and the store never sees it.
    Silent,
    /// No answer, and a playlist reaches the store after this time; everything else passes.
    LatePlaylists(Duration),
    /// The store's checksum arrives wrong.
    WrongChecksum,
    /// The store keeps half of a segment; its answers say which checksum that has, or know no checksums.
    Halved {
        checksums: bool,
    },
    /// Temporary credentials are expired, all but this session token's.
    Expired(&'static str),
    /// The store's clock is ahead by this many seconds.
    Ahead(i64),
}

/// The proxy's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) faults: HashMap<ErrorClass, usize>,
    /// Segments that a playlist named while the store did not hold them, when the playlist came by.
    pub(crate) ahead: Vec<String>,
    /// Playlists that reached the store shorter than they were there.
    pub(crate) shrunk: Vec<String>,
    /// Requests that belong to multipart uploads.
    pub(crate) multipart: usize,
    lengths: HashMap<String, usize>,
}

/// A proxy; clones are one.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    store: String,
    /// The store itself, past every fault.
    client: aws_sdk_s3::Client,
    http: reqwest::Client,
    random: Arc<Mutex<StdRng>>,
    error_class: Arc<Mutex<ErrorClass>>,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// Starts a proxy for the store at `store`; `client` reaches the store too.
    pub(crate) async fn start(store: String, client: aws_sdk_s3::Client, seed: u64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            store,
            client,
            http: reqwest::Client::new(),
            random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
            error_class: Arc::new(Mutex::new(ErrorClass::None)),
            seen: Arc::default(),
        };
        let router = Router::new().fallback(handle).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    pub(crate) fn set(&self, error_class: ErrorClass) {
        *self.error_class.lock().unwrap() = error_class;
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Playlists that were laid over longer ones until now.
    pub(crate) fn shrunk(&self) -> Vec<String> {
        self.seen.lock().unwrap().shrunk.clone()
    }

    fn error_class(&self) -> ErrorClass {
        let error_class = self.error_class.lock().unwrap().clone();
        let ErrorClass::Some(percent) = error_class else { return error_class };
        let mut random = self.random.lock().unwrap();
        if random.random_range(0..100) >= percent {
            return ErrorClass::None;
        }
        let faults = [
            ErrorClass::Answer(503, "SlowDown"),
            ErrorClass::TakenBut(500, "InternalError"),
            ErrorClass::Cut,
            ErrorClass::CutAfter,
        ];
        faults[random.random_range(0..faults.len())].clone()
    }

    /// Invariant 1, asked where it matters: what does this playlist name that the store does not hold now?
    async fn ahead_of_store(&self, path: &str, playlist: &Bytes) -> Vec<String> {
        let mut ahead = Vec::new();
        let folder = &path[..=path.rfind('/').unwrap()];
        for name in std::str::from_utf8(playlist).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let held = self.client.head_object().bucket(BUCKET).key(key(&format!("{folder}{name}")));
            if held.send().await.is_err() {
                ahead.push(format!("{path} names {name}"));
            }
        }
        ahead
    }

    /// Hands a request on to the store.
    async fn forward(&self, parts: Parts, path: &str, body: Bytes) -> Option<Response> {
        let playlist = (parts.method == Method::PUT && path.contains(".m3u8")).then(|| body.len());
        let ahead = match playlist {
            Some(_) => self.ahead_of_store(parts.uri.path(), &body).await,
            None => Vec::new(),
        };
        let sent = self.http.request(parts.method, format!("{}{path}", self.store)).headers(parts.headers).body(body);
        let answer = sent.send().await.ok()?;
        if let Some(length) = playlist.filter(|_| answer.status().is_success()) {
            let mut seen = self.seen.lock().unwrap();
            seen.ahead.extend(ahead);
            let before = seen.lengths.insert(path.to_owned(), length);
            if before.is_some_and(|before| before > length) {
                seen.shrunk.push(path.to_owned());
            }
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = Body::from(answer.bytes().await.ok()?);
        Some(response)
    }

    /// A store that keeps the first half.
    async fn put_half(&self, path: &str, body: &Bytes) -> Response {
        let half = body.slice(..body.len() / 2);
        let put = self.client.put_object().bucket(BUCKET).key(key(path));
        let put = put.checksum_algorithm(ChecksumAlgorithm::Sha256).body(half.into());
        let sum = put.send().await.unwrap().checksum_sha256().unwrap().to_owned();
        ([("x-amz-checksum-sha256", sum)], StatusCode::OK).into_response()
    }

    /// A store whose clock is ahead: it refuses what was signed by ours, and of the rest takes every PUT and answers every HEAD.
    async fn ahead(&self, seconds: i64, parts: Parts, body: Bytes) -> Response {
        let clock = DateTime::from_timestamp_millis(clock::now().0 as i64).unwrap() + TimeDelta::seconds(seconds);
        let signed = parts.headers["x-amz-date"].to_str().unwrap();
        let signed = NaiveDateTime::parse_from_str(signed, "%Y%m%dT%H%M%SZ").unwrap().and_utc();
        let mut response = if (signed - clock).abs() > TimeDelta::minutes(5) {
            refusal(403, "RequestTimeTooSkewed")
        } else if parts.method == Method::HEAD {
            let head = self.client.head_object().bucket(BUCKET).key(key(parts.uri.path()));
            match head.checksum_mode(ChecksumMode::Enabled).send().await {
                Ok(head) => {
                    let length = ("content-length", head.content_length().unwrap().to_string());
                    let sum = ("x-amz-checksum-sha256", head.checksum_sha256().unwrap().to_owned());
                    ([length, sum], StatusCode::OK).into_response()
                }
                Err(_) => StatusCode::NOT_FOUND.into_response(),
            }
        } else {
            let sum = parts.headers["x-amz-checksum-sha256"].to_str().unwrap();
            let put = self.client.put_object().bucket(BUCKET).key(key(parts.uri.path())).checksum_sha256(sum);
            let kind = parts.headers["content-type"].to_str().unwrap();
            put.content_type(kind).body(body.into()).send().await.unwrap();
            let sum = HeaderValue::from_str(sum).unwrap();
            ([("x-amz-checksum-sha256", sum)], StatusCode::OK).into_response()
        };
        let date = http_date(clock);
        response.headers_mut().insert("date", HeaderValue::from_str(&date).unwrap());
        response
    }
}

async fn handle(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Who stopped in the middle waits for no answer.
    let Ok(body) = to_bytes(body, 1 << 20).await else { hang_up() };
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let playlist = parts.method == Method::PUT && path.contains(".m3u8");
    let error_class = proxy.error_class();
    {
        let mut seen = proxy.seen.lock().unwrap();
        seen.multipart += usize::from(parts.uri.query().is_some_and(|query| query.contains("upload")));
        *seen.faults.entry(error_class.clone()).or_default() += 1;
    }
    match error_class {
        ErrorClass::None | ErrorClass::Some(_) => proxy.forward(parts, &path, body).await.unwrap_or_else(|| hang_up()),
        ErrorClass::Answer(status, code) => refusal(status, code),
        ErrorClass::TakenBut(status, code) => {
            proxy.forward(parts, &path, body).await;
            refusal(status, code)
        }
        ErrorClass::AnswerLost => {
            proxy.forward(parts, &path, body).await;
            hang_up()
        }
        ErrorClass::Cut => broken(StatusCode::OK),
        ErrorClass::CutAfter => match proxy.forward(parts, &path, body).await {
            Some(answer) => broken(answer.status()),
            None => hang_up(),
        },
        ErrorClass::Silent => std::future::pending().await,
        ErrorClass::LatePlaylists(after) if playlist => {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                proxy.forward(parts, &path, body).await;
            });
            std::future::pending().await
        }
        ErrorClass::LatePlaylists(_) => proxy.forward(parts, &path, body).await.unwrap_or_else(|| hang_up()),
        ErrorClass::WrongChecksum => {
            let mut answer = proxy.forward(parts, &path, body).await.unwrap_or_else(|| hang_up());
            let wrong = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            answer.headers_mut().insert("x-amz-checksum-sha256", wrong);
            answer
        }
        ErrorClass::Halved { checksums } => {
            let segment = parts.method == Method::PUT && path.contains(".m4s");
            let mut answer = if segment {
                proxy.put_half(parts.uri.path(), &body).await
            } else {
                proxy.forward(parts, &path, body).await.unwrap_or_else(|| hang_up())
            };
            if !checksums {
                answer.headers_mut().remove("x-amz-checksum-sha256");
            }
            answer
        }
        ErrorClass::Expired(fresh) => match parts.headers.get("x-amz-security-token") {
            Some(token) if token.as_bytes() == fresh.as_bytes() => {
                proxy.forward(parts, &path, body).await.unwrap_or_else(|| hang_up())
            }
            _ => refusal(400, "ExpiredToken"),
        },
        ErrorClass::Ahead(seconds) => proxy.ahead(seconds, parts, body).await,
    }
}

/// The key in a path that names the bucket first.
fn key(path: &str) -> &str {
    path.trim_start_matches('/').split_once('/').unwrap().1
}

fn refusal(status: u16, code: &str) -> Response {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// An answer whose body breaks off, and with it the connection.
fn broken(status: StatusCode) -> Response {
    let body = futures_util::stream::iter([Ok(Bytes::from_static(b"<")), Err(std::io::Error::other("cut"))]);
    (status, Body::from_stream(body)).into_response()
}

/// Ends the connection without an answer: its task is gone.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("the line is cut"))
}

fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
