//! A publisher: joins a channel like any SDK, publishes one microphone track of ready-made packets, leaves.
//!
//! For demonstrations and scenario tests: whoever wants to hear a channel needs somebody who talks. Signalling version 0,
//! two peer connections as every SDK has them; what others publish is not subscribed.

mod peers;
mod signalling;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use livekit_protocol::{
    AddTrackRequest, LeaveRequest, MuteTrackRequest, TrackSource, TrackType, signal_request::Message as Request,
    signal_response::Message as Response,
};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use webrtc::runtime::{Runtime, TokioRuntime};

use super::address::Address;
use super::signal::Socket;
use crate::JoinError;
use crate::peer::Codec;
use peers::Publisher;

/// How long joining and publishing may take together.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Requests that may wait for the socket.
const REQUEST_QUEUE: usize = 64;

/// Somebody who talks. Dropping it closes the connections without a goodbye; [`Talker::leave`] says one.
#[derive(Debug)]
pub struct Talker {
    publisher: Arc<Publisher>,
    requests: mpsc::Sender<Request>,
    track_sid: String,
    subscribed: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Talker {
    /// Joins the room that `token` opens at `url` (`ws://host:port`) and publishes a microphone track; answers when packets
    /// can be sent.
    pub async fn join(url: &str, token: &SecretString) -> Result<Self, JoinError> {
        Self::join_over(url, token, Arc::new(TokioRuntime)).await
    }

    /// As [`Self::join`], with packets of `codec` instead of Opus.
    pub async fn join_with(url: &str, token: &SecretString, codec: Codec) -> Result<Self, JoinError> {
        Self::join_in_time(url, token, Arc::new(TokioRuntime), codec).await
    }

    /// As [`Self::join`], with sockets that `sockets` makes: for tests that watch or disturb what goes over them.
    pub async fn join_over(url: &str, token: &SecretString, sockets: Arc<dyn Runtime>) -> Result<Self, JoinError> {
        Self::join_in_time(url, token, sockets, Codec::Opus).await
    }

    async fn join_in_time(
        url: &str,
        token: &SecretString,
        sockets: Arc<dyn Runtime>,
        codec: Codec,
    ) -> Result<Self, JoinError> {
        timeout(TIMEOUT, Self::join_without_limit(url, token, sockets, codec))
            .await
            .map_err(|_| JoinError::Unreachable("no microphone track within 15 s".to_owned()))?
    }

    async fn join_without_limit(
        url: &str,
        token: &SecretString,
        sockets: Arc<dyn Runtime>,
        codec: Codec,
    ) -> Result<Self, JoinError> {
        let address = Address::parse(url).map_err(protocol)?;
        let (socket, first) = Socket::open(address.join(), token.clone()).await?;
        if !matches!(first, Response::Join(_)) {
            return Err(JoinError::Protocol("the first message is no join answer".to_owned()));
        }
        let publisher = Arc::new(Publisher::new(sockets, codec).await.map_err(protocol)?);
        let (requests, queue) = mpsc::channel(REQUEST_QUEUE);
        let (published, track_sid) = oneshot::channel();
        let (heard, subscribed) = watch::channel(false);
        let answers = signalling::Answers { publisher: publisher.clone(), published: Some(published), heard };
        let task = tokio::spawn(signalling::run(socket, queue, answers));
        let gone = || JoinError::Unreachable("the signalling socket closed during the join".to_owned());
        let request = AddTrackRequest {
            cid: publisher.track_id().to_owned(),
            name: "microphone".to_owned(),
            r#type: TrackType::Audio as i32,
            source: TrackSource::Microphone as i32,
            disable_red: true,
            ..Default::default()
        };
        requests.send(Request::AddTrack(request)).await.map_err(|_| gone())?;
        let offer = publisher.offer().await.map_err(protocol)?;
        requests.send(Request::Offer(offer)).await.map_err(|_| gone())?;
        let track_sid = track_sid.await.map_err(|_| gone())?;
        publisher.connected().await?;
        Ok(Self { publisher, requests, track_sid, subscribed, task })
    }

    /// Waits until somebody receives the track: packets sent before that are heard by nobody.
    pub async fn heard(&mut self) {
        // The sender lives as long as the signalling task; when that ends there is nothing to wait for.
        let _ = self.subscribed.wait_for(|heard| *heard).await;
    }

    /// Sends one packet; `timestamp` counts samples (of Opus at 48 kHz, of G.711 at 8 kHz) and wraps, `sequence` counts packets and wraps.
    pub async fn send(&self, packet: Bytes, sequence: u16, timestamp: u32, marker: bool) -> Result<(), JoinError> {
        self.publisher.send(packet, sequence, timestamp, marker).await.map_err(protocol)
    }

    /// Tells the room that the microphone is muted or open again.
    pub async fn mute(&self, muted: bool) {
        let request = MuteTrackRequest { sid: self.track_sid.clone(), muted };
        // A closed socket ends the talker anyway; there is nobody left to tell.
        let _ = self.requests.send(Request::Mute(request)).await;
    }

    /// Says goodbye and closes both connections.
    pub async fn leave(self) {
        let goodbye =
            LeaveRequest { reason: livekit_protocol::DisconnectReason::ClientInitiated as i32, ..Default::default() };
        let _ = self.requests.send(Request::Leave(goodbye)).await;
        drop(self.requests);
        let _ = self.task.await;
        self.publisher.close().await;
    }
}

fn protocol(error: impl std::fmt::Display) -> JoinError {
    JoinError::Protocol(error.to_string())
}
