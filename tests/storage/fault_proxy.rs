//! A reverse proxy in front of a store that fails as stores and networks do, by a seed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Passed,
    /// 503 without reaching the store.
    Busy,
    /// It reached the store, but the answer is a 500.
    AnswerLost,
    /// The connection breaks before the store sees it.
    Cut,
    /// The connection breaks in the middle of the store's answer.
    CutAfter,
}

/// The proxy's record.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) fates: HashMap<Fate, usize>,
    /// Segments that a playlist named while the store did not hold them, when the playlist came by.
    pub(crate) ahead: Vec<String>,
}

#[derive(Clone)]
struct Proxy {
    store: String,
    http: reqwest::Client,
    random: Arc<Mutex<StdRng>>,
    /// Of a hundred requests, how many fail.
    faults: u32,
    seen: Arc<Mutex<Seen>>,
}

/// Starts a proxy for the store at `store`; its endpoint and its record.
pub(crate) async fn start(store: String, seed: u64, faults: u32) -> (String, Arc<Mutex<Seen>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::<Mutex<Seen>>::default();
    let proxy = Proxy {
        store,
        http: reqwest::Client::new(),
        random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
        faults,
        seen: Arc::clone(&seen),
    };
    let router = Router::new().fallback(handle).with_state(proxy);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, seen)
}

async fn handle(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    if parts.method == Method::PUT && path.contains(".m3u8") {
        proxy.check_playlist(&path, &body).await;
    }
    let fate = proxy.fate();
    *proxy.seen.lock().unwrap().fates.entry(fate).or_default() += 1;
    if fate == Fate::Busy {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if fate == Fate::Cut {
        return broken(StatusCode::OK);
    }
    let sent = proxy.http.request(parts.method, format!("{}{path}", proxy.store)).headers(parts.headers).body(body);
    let answer = sent.send().await.unwrap();
    match fate {
        Fate::AnswerLost => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fate::CutAfter => broken(answer.status()),
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = Body::from(answer.bytes().await.unwrap());
            response
        }
    }
}

/// An answer whose body breaks off, and with it the connection.
fn broken(status: StatusCode) -> Response {
    let body = futures_util::stream::iter([Ok(Bytes::from_static(b"<")), Err(std::io::Error::other("cut"))]);
    (status, Body::from_stream(body)).into_response()
}

impl Proxy {
    fn fate(&self) -> Fate {
        let mut random = self.random.lock().unwrap();
        if random.random_range(0..100) >= self.faults {
            return Fate::Passed;
        }
        [Fate::Busy, Fate::AnswerLost, Fate::Cut, Fate::CutAfter][random.random_range(0..4)]
    }

    /// Law 1, asked where it matters: does the store hold, now, all that this playlist names?
    async fn check_playlist(&self, path: &str, playlist: &Bytes) {
        let folder = &path[..=path.rfind('/').unwrap()];
        for name in std::str::from_utf8(playlist).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let held = self.http.head(format!("{}{folder}{name}", self.store)).send().await.unwrap();
            if !held.status().is_success() {
                self.seen.lock().unwrap().ahead.push(format!("{path} names {name}"));
            }
        }
    }
}
