//! Over real sockets: strangers who open every connection there is, callers whose bodies never come, readers who take nothing. An app
//! starts, queries and stops meanwhile, and probes are answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_recorder::serving::{self, BodyTime, Limits};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::talker::Talker;
use crate::world::{APP, OTHER_APP, World};

/// For what has to happen at some time; no result depends on it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// More than the port takes.
const ATTACKERS: usize = 150;

struct Port {
    world: World,
    address: SocketAddr,
    http: reqwest::Client,
    _serving: AbortOnDropHandle<()>,
}

/// Few places, and time limits that end nothing within a test.
fn few() -> Limits {
    let long = Duration::from_secs(3600);
    let (connections, per_address) = (64, 32);
    Limits {
        connections,
        per_address,
        head: long,
        idle: long,
        body: BodyTime::Whole(long),
        answer: long,
        ..Limits::default()
    }
}

impl Port {
    async fn open(limits: Limits) -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = world.router().route("/large", axum::routing::get(async || vec![0_u8; 32 << 20]));
        let serving = tokio::spawn(serving::serve(listener, router, limits, CancellationToken::new()));
        let http = http();
        Self { world, address, http, _serving: AbortOnDropHandle::new(serving) }
    }

    async fn attack(&self, text: &str) -> Vec<TcpStream> {
        attack(self.address, ATTACKERS, text).await
    }

    /// Everything that an app needs: somebody talks for three seconds, and it is in the bucket.
    async fn serves(&self) {
        let app = App { http: &self.http, base: format!("http://{}", self.address), id: OTHER_APP, key: "other" };
        let task = app.start(self.world.client()).await;
        let sid = task.split('/').rev().nth(2).unwrap().to_owned();
        let scripted_channel = self.world.channel.scripted_channel(&sid);
        scripted_channel.enter(0, "9", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 3000).await;
        let (status, stopped) = app.stop(&task).await;
        assert_eq!(status, StatusCode::OK, "{stopped}");
        assert_eq!(stopped["serverResponse"]["uploadingStatus"], "uploaded");
    }
}

/// An app's server.
struct App<'a> {
    http: &'a reqwest::Client,
    base: String,
    id: &'a str,
    key: &'a str,
}

impl App<'_> {
    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).basic_auth(self.key, Some("secret"));
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Probes, acquires, starts and queries; the task's path.
    async fn start(&self, client: Value) -> String {
        let app = format!("/v1/apps/{}/cloud_recording", self.id);
        let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
        assert_eq!(self.call(get.clone(), "/livez", None).await.0, StatusCode::OK);
        assert_eq!(self.call(get.clone(), "/readyz", None).await.0, StatusCode::OK);
        let body = |client: Value| Some(json!({ "cname": "room", "uid": "1", "clientRequest": client }));
        let (status, acquired) = self.call(post.clone(), &format!("{app}/acquire"), body(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{acquired}");
        let task = format!("{app}/resourceid/{}", acquired["resourceId"].as_str().unwrap());
        let (status, started) = self.call(post, &format!("{task}/mode/mix/start"), body(client)).await;
        assert_eq!(status, StatusCode::OK, "{started}");
        let task = format!("{task}/sid/{}/mode/mix", started["sid"].as_str().unwrap());
        assert_eq!(self.call(get, &format!("{task}/query"), None).await.0, StatusCode::OK);
        task
    }

    async fn stop(&self, task: &str) -> (StatusCode, Value) {
        let body = json!({ "cname": "room", "uid": "1", "clientRequest": {} });
        self.call(reqwest::Method::POST, &format!("{task}/stop"), Some(body)).await
    }
}

/// Connections from several addresses that send this and nothing more.
pub(crate) async fn attack(port: SocketAddr, connections: usize, text: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for attacker in 0..connections {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{}:0", 2 + attacker % 5).parse().unwrap()).unwrap();
        let mut stream = socket.connect(port).await.unwrap();
        // Who came before may have been closed for the ones after it.
        let _ = stream.write_all(text.as_bytes()).await;
        streams.push(stream);
    }
    streams
}

/// A new connection for each call: none is kept.
fn http() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).timeout(TIMEOUT).build().unwrap()
}

fn acquire(content_length: usize) -> String {
    let credentials = STANDARD.encode("key:secret");
    format!(
        "POST /v1/apps/{APP}/cloud_recording/acquire HTTP/1.1\r\nhost: x\r\nauthorization: Basic {credentials}\r\n\
         content-type: application/json\r\ncontent-length: {content_length}\r\n\r\n"
    )
}

async fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("it is closed in time");
    // A connection that is closed with something unread is reset.
    let _ = end;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end() {
    let port = Port::open(few()).await;
    let _held = port.attack("GET /livez HTTP/1.1\r\nX").await;
    port.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing() {
    let port = Port::open(few()).await;
    let _held = port.attack("").await;
    port.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come() {
    let port = Port::open(few()).await;
    let _held = port.attack(&format!("{} ", acquire(100))).await;
    port.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes() {
    let port = Port::open(few()).await;
    let _held = port.attack("GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    port.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_has_its_time() {
    let short = Duration::from_millis(300);
    let port = Port::open(Limits { head: short, ..few() }).await;
    let mut slow = TcpStream::connect(port.address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nX").await.unwrap();
    assert_eq!(rest_of(slow).await, "", "a head that does not end");
    assert_eq!(rest_of(TcpStream::connect(port.address).await.unwrap()).await, "", "nothing at all");

    let port = Port::open(Limits { body: BodyTime::Whole(short), ..few() }).await;
    let mut slow = TcpStream::connect(port.address).await.unwrap();
    slow.write_all(format!("{} ", acquire(100)).as_bytes()).await.unwrap();
    let answer = rest_of(slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("did not arrive in time"), "{answer}");

    let port = Port::open(Limits { idle: short, ..few() }).await;
    let mut idle = TcpStream::connect(port.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = rest_of(idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"alive\":true}"), "{answer}");

    let port = Port::open(Limits { answer: short, ..few() }).await;
    let mut deaf = TcpStream::connect(port.address).await.unwrap();
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Takes nothing for longer than it may, and then finds what its own kernel holds.
    tokio::time::sleep(4 * short).await;
    assert!(rest_of(deaf).await.len() < 32 << 20, "an answer that nobody took is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_each_client_has_its_share() {
    let proxy = "127.0.0.1".parse().unwrap();
    let limits = Limits { per_address: 3, trusted_proxies: Arc::new([proxy]), ..few() };
    let port = Port::open(limits).await;
    let mut held = Vec::new();
    let call = |client: &str| acquire(100).replacen("host: x", &format!("host: x\r\nx-forwarded-for: {client}"), 1);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(call("192.0.2.1").as_bytes()).await.unwrap();
        held.push(stream);
    }
    // The three are under way once one more is refused.
    let refused = async |client: &str| {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        let text = format!("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: {client}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        rest_of(stream).await.starts_with("HTTP/1.1 503 ")
    };
    let all = async {
        while !refused("192.0.2.1").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, all).await.expect("the address has its bound");
    assert!(!refused("192.0.2.2").await, "another client of the same proxy is served");
}
