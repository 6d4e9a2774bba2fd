//! A customer's receiver that behaves as told, then well, and remembers every attempt.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// What the receiver does with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers with a redirect.
    Redirect(Url),
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes the connection.
    Drop,
    /// Reads the request and resets the connection.
    Reset,
    /// Begins an answer with 200 and goes on with its headers, a byte at a time, for ever.
    Trickle,
}

/// One attempt as it arrived.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub json: Value,
}

impl Attempt {
    pub fn sid(&self) -> &str {
        self.json["sid"].as_str().unwrap()
    }

    pub fn sequence(&self) -> u64 {
        self.json["payload"]["sequence"].as_u64().unwrap()
    }

    pub fn notice_id(&self) -> &str {
        self.json["noticeId"].as_str().unwrap()
    }
}

/// The receiver. It is gone when dropped.
#[derive(Debug)]
pub struct Receiver {
    pub url: Url,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    afterwards: Answer,
    attempts: Vec<Attempt>,
}

impl Receiver {
    /// Answers the first requests as the script says and all others with 200.
    pub async fn scripted(script: &[Answer]) -> Self {
        Self::bind(script, Answer::Status(200)).await
    }

    /// Answers every request the same way.
    pub async fn always(answer: Answer) -> Self {
        Self::bind(&[], answer).await
    }

    /// Every attempt so far, in the order of arrival.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state.lock().unwrap().attempts.clone()
    }

    /// The attempts for one session, without the repeated ones: what a receiver that looks at noticeIds keeps.
    pub fn heard(&self, sid: &str) -> Vec<Attempt> {
        let mut heard: Vec<Attempt> = Vec::new();
        for attempt in self.attempts() {
            if attempt.sid() == sid && heard.iter().all(|known| known.notice_id() != attempt.notice_id()) {
                heard.push(attempt);
            }
        }
        heard
    }

    /// Every sequence has one noticeId, and every noticeId one sequence, over all attempts for one session.
    pub fn assert_stable_notice_ids(&self) {
        let mut known: HashMap<(String, u64), String> = HashMap::new();
        for attempt in self.attempts() {
            let place = (attempt.sid().to_owned(), attempt.sequence());
            let first = known.entry(place).or_insert_with(|| attempt.notice_id().to_owned());
            assert_eq!(first, attempt.notice_id());
        }
        let mut ids: Vec<&String> = known.values().collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), known.len());
    }

    async fn bind(script: &[Answer], afterwards: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify?key=private", listener.local_addr().unwrap()).parse().unwrap();
        let state = State { script: script.iter().cloned().collect(), afterwards, attempts: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self { url, state, _tasks: tasks }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let stream = stream.into_std().unwrap();
            let wire = Arc::new(stream.try_clone().unwrap());
            let stream = TcpStream::from_std(stream).unwrap();
            let service = tower::service_fn(move |request: Request<_>| {
                answer(Arc::clone(&state), Arc::clone(&wire), request.map(Body::new))
            });
            // An error here is the script's: it closes the connection without an answer.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                .await;
        });
    }
}

/// `wire` is the same connection, for what no HTTP server would do.
async fn answer(
    state: Arc<Mutex<State>>,
    wire: Arc<std::net::TcpStream>,
    request: Request<Body>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 21).await.map_err(io::Error::other)?;
    let json = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let answer = {
        let mut state = state.lock().unwrap();
        state.attempts.push(Attempt { method: head.method, headers: head.headers, body, json });
        state.script.pop_front().unwrap_or_else(|| state.afterwards.clone())
    };
    match answer {
        Answer::Status(status) => Ok(Response::builder().status(status).body(Body::from("{}")).unwrap()),
        Answer::Redirect(to) => {
            Ok(Response::builder().status(307).header("Location", to.as_str()).body(Body::empty()).unwrap())
        }
        Answer::Hang => pending().await,
        Answer::Drop => Err(io::ErrorKind::ConnectionAborted.into()),
        Answer::Reset => {
            SockRef::from(&*wire).set_linger(Some(Duration::ZERO))?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Answer::Trickle => {
            let mut wire = TcpStream::from_std(wire.try_clone()?)?;
            wire.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await?;
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                wire.write_all(b"x").await?;
            }
        }
    }
}
