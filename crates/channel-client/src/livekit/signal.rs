//! The signalling socket: one protobuf message a binary frame (docs/protocol/livekit.md section 1).

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{SignalRequest, SignalResponse, signal_request, signal_response};
use prost::Message as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::{Response, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;

use crate::JoinError;

/// The largest message that is read, in bytes: a list of some ten thousand members.
const MAX_MESSAGE_LEN: usize = 8 * 1024 * 1024;

/// What the socket reads at once, in bytes: it keeps a buffer of this size. Longer messages take several reads.
const READ_BYTES: usize = 8 * 1024;

/// How long a message may take to leave; a socket that is stuck for longer is dead.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of a refusal's body is quoted, in characters.
const MAX_REASON_LEN: usize = 300;

/// The socket is dead, with what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost(pub(super) String);

/// An open signalling socket.
#[derive(Debug)]
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens the socket and reads the server's first message.
    pub(super) async fn open(url: Url, token: SecretString) -> Result<(Self, signal_response::Message), JoinError> {
        let mut request =
            url.as_str().into_client_request().map_err(|error| JoinError::Unreachable(error.to_string()))?;
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = header::HeaderValue::from_str(&bearer)
            .map_err(|_| JoinError::Protocol("the server sent a token that is no header value".to_owned()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        if url.scheme() == "wss" {
            // Fails only where the process has chosen its provider already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_LEN))
            .max_frame_size(Some(MAX_MESSAGE_LEN))
            .read_buffer_size(READ_BYTES);
        let (stream, _) = connect_async_with_config(request, Some(config), true).await.map_err(failure)?;
        let mut socket = Self(stream);
        let first = socket.next().await.map_err(|Lost(why)| JoinError::Protocol(why))?;
        Ok((socket, first))
    }

    /// The local address that leads to the server.
    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        let stream = match self.0.get_ref() {
            MaybeTlsStream::Plain(stream) => stream,
            MaybeTlsStream::Rustls(stream) => stream.get_ref().0,
            _ => return None,
        };
        stream.local_addr().ok().map(|address| address.ip())
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, message: signal_request::Message) -> Result<(), Lost> {
        let frame = SignalRequest { message: Some(message) }.encode_to_vec();
        self.send_frame(Frame::Binary(frame.into())).await
    }

    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<signal_response::Message, Lost> {
        loop {
            match self.0.next().await {
                Some(Ok(Frame::Binary(frame))) => match SignalResponse::decode(frame) {
                    Ok(SignalResponse { message: Some(message) }) => return Ok(message),
                    // A kind of message that is newer than we are.
                    Ok(SignalResponse { message: None }) => {}
                    Err(error) => return Err(Lost(format!("a message can't be read: {error}"))),
                },
                // A close frame is an ordinary message; nothing comes after it.
                Some(Ok(Frame::Close(_))) | None => return Err(Lost("the server closed the socket".to_owned())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Lost(error.to_string())),
            }
        }
    }

    /// Closes the socket in good order, as far as the other side plays along.
    pub(super) async fn close(mut self) {
        let _ = self.send_frame(Frame::Close(None)).await;
    }

    async fn send_frame(&mut self, frame: Frame) -> Result<(), Lost> {
        match tokio::time::timeout(SEND_TIMEOUT, self.0.send(frame)).await {
            Ok(sent) => sent.map_err(|error| Lost(error.to_string())),
            Err(_) => Err(Lost("the socket is stuck".to_owned())),
        }
    }
}

/// Why the socket did not open, in the words of the server where there are any.
fn failure(error: SocketError) -> JoinError {
    match error {
        SocketError::Http(response) => refusal(&response),
        SocketError::Io(error) => JoinError::Unreachable(error.to_string()),
        SocketError::Tls(error) => JoinError::Unreachable(error.to_string()),
        SocketError::Url(error) => JoinError::Unreachable(error.to_string()),
        SocketError::Protocol(
            error @ (ProtocolError::HandshakeIncomplete | ProtocolError::ResetWithoutClosingHandshake),
        ) => JoinError::Unreachable(error.to_string()),
        other => JoinError::Protocol(other.to_string()),
    }
}

fn refusal(response: &Response<Option<Vec<u8>>>) -> JoinError {
    let status = response.status();
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    let body = quotable(&body);
    let reason = if body.is_empty() { status.to_string() } else { format!("{}: {body}", status.as_u16()) };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => JoinError::Refused(reason),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => JoinError::Unreachable(reason),
        status if status.is_server_error() => JoinError::Unreachable(reason),
        _ => JoinError::Protocol(reason),
    }
}

/// One short line without tokens: the real server quotes the token that it refuses.
fn quotable(body: &str) -> String {
    let words: Vec<&str> = body
        .split_whitespace()
        // Every JWT begins with an encoded `{"`.
        .map(|word| if word.contains("eyJ") { "(the token)" } else { word })
        .collect();
    words.join(" ").chars().take(MAX_REASON_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> JoinError {
        refusal(&Response::builder().status(status).body(Some(body.as_bytes().to_vec())).unwrap())
    }

    #[test]
    fn refusals_keep_the_servers_words_but_no_token() {
        let answer_401 = answer(401, "invalid token: eyJhbGci.eyJp.c2ln, error: wrong\nsignature\n");
        let JoinError::Refused(reason) = answer_401 else { panic!("a 401 is a refusal") };
        assert_eq!(reason, "401: invalid token: (the token) error: wrong signature");
        assert!(matches!(answer(403, ""), JoinError::Refused(reason) if reason == "403 Forbidden"));
    }

    #[test]
    fn a_busy_server_may_be_asked_again_and_a_wrong_address_not() {
        assert!(matches!(answer(503, "limits"), JoinError::Unreachable(reason) if reason == "503: limits"));
        assert!(matches!(answer(429, ""), JoinError::Unreachable(_)));
        assert!(matches!(answer(404, "not here"), JoinError::Protocol(reason) if reason == "404: not here"));
        assert!(matches!(answer(404, &"x".repeat(1000)), JoinError::Protocol(reason) if reason.len() == 305));
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_with_and_without_tls() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for scheme in ["ws", "wss"] {
            let url = Url::parse(&format!("{scheme}://127.0.0.1:{port}/rtc")).unwrap();
            let error = Socket::open(url, "token".to_owned().into()).await.unwrap_err();
            assert!(matches!(error, JoinError::Unreachable(_)), "{error}");
        }
    }
}
