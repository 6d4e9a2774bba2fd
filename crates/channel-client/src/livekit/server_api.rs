//! The server API of a LiveKit server, as far as a bot needs it: is somebody there? (Twirp with protobuf bodies;
//! docs/protocol/livekit.md section 2.)

use std::time::Duration;

use livekit_protocol::{ListParticipantsRequest, ListParticipantsResponse, ParticipantInfo, participant_info};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::JoinError;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: a list of some ten thousand participants.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Twirp's word for what does not exist; a server that answers 404 without it has no such API.
const NOT_FOUND: &[u8] = b"not_found";

/// A way to ask. Clones share connections.
#[derive(Clone, Debug)]
pub(super) struct ServerApi {
    http: Client,
    base: Url,
}

impl ServerApi {
    /// `base` is where its services are.
    pub(super) fn new(base: Url) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .timeout(CALL_TIMEOUT)
                .pool_max_idle_per_host(1)
                .user_agent(concat!("cloud-recorder/", env!("CARGO_PKG_VERSION")))
        };
        // Without TLS no certificates have to be looked for.
        let encrypted = base.scheme() == "https";
        let http = if encrypted { builder().build()? } else { builder().tls_certs_only([]).build()? };
        Ok(Self { http, base })
    }

    /// Whether somebody is in the room who keeps it open and is seen by its members. There is nobody in a room that does not exist.
    pub(super) async fn is_somebody_in(&self, room: &str, token: &SecretString) -> Result<bool, JoinError> {
        let request = ListParticipantsRequest { room: room.to_owned() };
        let list: Option<ListParticipantsResponse> = self.call("RoomService/ListParticipants", &request, token).await?;
        Ok(list.is_some_and(|list| list.participants.iter().any(counts)))
    }

    /// The answer to a call, `Service/Name`; `None` where what it is about does not exist.
    pub(super) async fn call<Q: Message, A: Message + Default>(
        &self,
        name: &str,
        question: &Q,
        token: &SecretString,
    ) -> Result<Option<A>, JoinError> {
        let url = self.base.join(&format!("livekit.{name}")).map_err(|error| JoinError::Protocol(error.to_string()))?;
        let request = self.http.post(url).bearer_auth(token.expose_secret()).body(question.encode_to_vec());
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/protobuf"));
        let unreachable = |error: reqwest::Error| JoinError::Unreachable(error.without_url().to_string());
        let mut answer = request.send().await.map_err(unreachable)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(JoinError::Protocol("its server API says too much".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if bytes.windows(NOT_FOUND.len()).any(|part| part == NOT_FOUND) => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(JoinError::Refused("its server API refuses the app's key".to_owned()));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(JoinError::Unreachable(format!("its server API answers {status}")));
            }
            status => return Err(JoinError::Protocol(format!("its server API answers {status}"))),
        }
        let answer = A::decode(bytes.as_slice());
        answer.map(Some).map_err(|error| JoinError::Protocol(format!("its server API can't be read: {error}")))
    }
}

/// Agents and recorders come to others and leave with them.
fn counts(info: &ParticipantInfo) -> bool {
    use participant_info::{Kind, State};
    let permission = info.permission.as_ref();
    #[allow(deprecated, reason = "the server API tells it so")]
    let recorder = permission.is_some_and(|permission| permission.recorder || permission.hidden);
    let gone = info.state() == State::Disconnected;
    !recorder && !gone && !matches!(info.kind(), Kind::Agent | Kind::Egress)
}

#[cfg(test)]
mod tests {
    use livekit_protocol::ParticipantPermission;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a server that answers this makes of a look.
    async fn look(status: &str, body: &[u8]) -> Result<bool, JoinError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/api/", listener.local_addr().unwrap())).unwrap();
        let answer = [format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(&answer).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let seen = ServerApi::new(url).unwrap().is_somebody_in("room", &"token".to_owned().into()).await;
        let asked = server.await.unwrap();
        assert!(
            asked.starts_with("POST /api/livekit.RoomService/ListParticipants ")
                && asked.contains("authorization: Bearer token"),
            "{asked}"
        );
        seen
    }

    #[tokio::test]
    async fn who_only_serves_others_is_nobody() {
        let list = |participants| ListParticipantsResponse { participants }.encode_to_vec();
        let kind = |kind| ParticipantInfo { kind, ..Default::default() };
        let hidden = ParticipantPermission { hidden: true, ..Default::default() };
        let hidden = ParticipantInfo { permission: Some(hidden), ..Default::default() };
        let gone = ParticipantInfo { state: participant_info::State::Disconnected.into(), ..Default::default() };
        let servants = vec![kind(participant_info::Kind::Agent.into()), hidden, gone];
        assert!(!look("200 OK", &list(Vec::new())).await.unwrap());
        assert!(!look("200 OK", &list(servants.clone())).await.unwrap());
        let with_caller = [servants, vec![kind(participant_info::Kind::Sip.into())]].concat();
        assert!(look("200 OK", &list(with_caller)).await.unwrap());
    }

    #[tokio::test]
    async fn a_room_that_is_not_there_is_empty_and_an_api_that_is_not_there_is_an_error() {
        let missing = br#"{"code":"not_found","msg":"requested room does not exist"}"#;
        assert!(!look("404 Not Found", missing).await.unwrap());
        assert!(matches!(look("404 Not Found", b"404 page not found").await, Err(JoinError::Protocol(_))));
        assert!(matches!(look("401 Unauthorized", b"").await, Err(JoinError::Refused(_))));
        assert!(matches!(look("503 Service Unavailable", b"").await, Err(JoinError::Unreachable(_))));
        assert!(matches!(look("200 OK", b"<html>").await, Err(JoinError::Protocol(_))));
    }
}
