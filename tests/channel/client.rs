//! The signalling half of a LiveKit client: enough to see and say everything that goes over the socket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{JoinResponse, LeaveRequest, ParticipantInfo, SignalRequest, SignalResponse};
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::test_server::{TestServer, token};

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) join: JoinResponse,
}

/// A socket whose first message has not been looked at.
pub(crate) async fn connect(test_server: &TestServer, query: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let url = format!("ws://{}/rtc?{query}", test_server.address);
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

pub(crate) async fn receive(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Option<Message> {
    loop {
        let frame = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("the server went silent")?;
        match frame.ok()? {
            Frame::Binary(bytes) => return SignalResponse::decode(bytes).unwrap().message,
            Frame::Close(_) => return None,
            _ => {}
        }
    }
}

impl Client {
    pub(crate) async fn join(test_server: &TestServer, identity: &str) -> Self {
        Self::with_token(test_server, &token(identity, &json!({}))).await
    }

    pub(crate) async fn with_token(test_server: &TestServer, token: &str) -> Self {
        let mut socket = connect(test_server, &format!("access_token={token}&auto_subscribe=1")).await;
        match receive(&mut socket).await {
            Some(Message::Join(join)) => Self { socket, join },
            other => panic!("the first message is {other:?}"),
        }
    }

    pub(crate) fn sid(&self) -> &str {
        &self.join.participant.as_ref().unwrap().sid
    }

    pub(crate) async fn send(&mut self, request: Request) {
        let bytes = SignalRequest { message: Some(request) }.encode_to_vec();
        self.send_frame(Frame::Binary(bytes.into())).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        self.socket.send(frame).await.unwrap();
    }

    /// The next message; `None` when the server closed the socket.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        receive(&mut self.socket).await
    }

    /// The first message that is `wanted`; those before it are passed over.
    pub(crate) async fn until<T>(&mut self, wanted: impl Fn(Message) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("the server closed the socket");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// The next update about somebody that is `wanted`.
    pub(crate) async fn until_update(&mut self, wanted: impl Fn(&ParticipantInfo) -> bool) -> ParticipantInfo {
        let found = |message| match message {
            Message::Update(update) => update.participants.into_iter().find(&wanted),
            _ => None,
        };
        self.until(found).await
    }

    pub(crate) async fn until_leave(&mut self) -> LeaveRequest {
        let leave = |message| if let Message::Leave(leave) = message { Some(leave) } else { None };
        self.until(leave).await
    }

    /// A question that every living connection answers; everything before the answer is passed over.
    pub(crate) async fn still_served(&mut self) {
        self.send(Request::Ping(1)).await;
        self.until(|message| matches!(message, Message::Pong(_)).then_some(())).await;
    }

    /// Waits until the server has done with everything sent so far, one way or the other.
    pub(crate) async fn served_or_dismissed(&mut self) {
        let ping = SignalRequest { message: Some(Request::Ping(1)) }.encode_to_vec();
        if self.socket.send(Frame::Binary(ping.into())).await.is_err() {
            return;
        }
        while let Some(message) = self.next().await {
            if matches!(message, Message::Pong(_)) {
                return;
            }
        }
    }

    /// Reads until the server closes the socket.
    pub(crate) async fn until_closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Ends the socket without a word.
    pub(crate) fn vanish(self) {
        drop(self.socket);
    }
}
