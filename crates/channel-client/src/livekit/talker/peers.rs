//! The two peer connections of a talker: one that sends, one that answers what the server offers.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use livekit_protocol::SessionDescription;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp::Packet;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::watch;
use webrtc::error::Result;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCIceCandidateInit, RTCIceGatheringState, RTCPeerConnectionState,
    RTCSessionDescription,
};
use webrtc::runtime::{Runtime, TokioRuntime};

use crate::JoinError;
use crate::peer::{self, Codec};

/// A peer connection with what its callbacks have said so far.
struct Peer {
    connection: Arc<dyn PeerConnection>,
    gathered: watch::Receiver<bool>,
    state: watch::Receiver<RTCPeerConnectionState>,
}

struct PeerWatcher {
    gathered: watch::Sender<bool>,
    state: watch::Sender<RTCPeerConnectionState>,
}

#[async_trait]
impl PeerConnectionEventHandler for PeerWatcher {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }
}

impl Peer {
    async fn new(sockets: Arc<dyn Runtime>) -> Result<Self> {
        let (gathered, gathered_rx) = watch::channel(false);
        let (state, state_rx) = watch::channel(RTCPeerConnectionState::New);
        let connection = peer::builder_with_g711(Vec::new())?
            .with_handler(Arc::new(PeerWatcher { gathered, state }))
            .with_runtime(sockets)
            .with_udp_addrs(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
            .build()
            .await?;
        Ok(Self { connection: Arc::new(connection), gathered: gathered_rx, state: state_rx })
    }

    /// Sets the description and waits for its candidates, so that none has to follow.
    async fn describe(&self, description: RTCSessionDescription) -> Result<String> {
        self.connection.set_local_description(description).await?;
        let mut gathered = self.gathered.clone();
        // The watcher lives as long as the connection: the wait can only end with the state it waits for.
        let _ = gathered.wait_for(|done| *done).await;
        Ok(self.connection.local_description().await.map(|description| description.sdp).unwrap_or_default())
    }
}

/// The sending side.
pub(super) struct Publisher {
    peer: Peer,
    track: Arc<TrackLocalStaticRTP>,
    track_id: String,
    ssrc: u32,
    codec: Codec,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("track_id", &self.track_id).finish_non_exhaustive()
    }
}

impl Publisher {
    pub(super) async fn new(sockets: Arc<dyn Runtime>, codec: Codec) -> Result<Self> {
        let peer = Peer::new(sockets).await?;
        let ssrc = rand::random();
        let track_id = uuid::Uuid::new_v4().to_string();
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec: codec.rtp(),
            ..Default::default()
        };
        let media = MediaStreamTrack::new(
            "talker".to_owned(),
            track_id.clone(),
            "microphone".to_owned(),
            RtpCodecKind::Audio,
            vec![encoding],
        );
        let track = Arc::new(TrackLocalStaticRTP::new(media));
        let send_only = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Sendonly, ..Default::default() };
        peer.connection.add_transceiver_from_track(track.clone(), Some(send_only)).await?;
        Ok(Self { peer, track, track_id, ssrc, codec })
    }

    /// The track's id in the offer: what names it in the request to publish.
    pub(super) fn track_id(&self) -> &str {
        &self.track_id
    }

    /// The offer, candidates included.
    pub(super) async fn offer(&self) -> Result<SessionDescription> {
        let offer = self.peer.connection.create_offer(None).await?;
        let sdp = self.peer.describe(offer).await?;
        Ok(SessionDescription { r#type: "offer".to_owned(), sdp, id: 1, ..Default::default() })
    }

    pub(super) async fn answered(&self, sdp: String) -> Result<()> {
        self.peer.connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await
    }

    pub(super) async fn candidate(&self, candidate: RTCIceCandidateInit) -> Result<()> {
        self.peer.connection.add_ice_candidate(candidate).await
    }

    /// Waits for the connection.
    pub(super) async fn connected(&self) -> std::result::Result<(), JoinError> {
        let mut state = self.peer.state.clone();
        let end = state
            .wait_for(|state| {
                matches!(
                    state,
                    RTCPeerConnectionState::Connected | RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed
                )
            })
            .await;
        match end.map(|state| *state) {
            Ok(RTCPeerConnectionState::Connected) => Ok(()),
            _ => Err(JoinError::Unreachable("no media connection to the channel server".to_owned())),
        }
    }

    pub(super) async fn send(&self, payload: Bytes, sequence: u16, timestamp: u32, marker: bool) -> Result<()> {
        let mut packet = Packet { payload, ..Default::default() };
        packet.header.version = 2;
        packet.header.marker = marker;
        packet.header.payload_type = self.codec.payload_type();
        packet.header.sequence_number = sequence;
        packet.header.timestamp = timestamp;
        packet.header.ssrc = self.ssrc;
        self.track.write_rtp(packet).await
    }

    pub(super) async fn close(&self) {
        if let Err(error) = self.peer.connection.close().await {
            tracing::debug!(%error, "the talker's connection did not close cleanly");
        }
    }
}

/// The receiving side: takes every offer, asks for nothing.
pub(super) struct Subscriber(Peer);

impl Subscriber {
    pub(super) async fn new() -> Result<Self> {
        Ok(Self(Peer::new(Arc::new(TokioRuntime)).await?))
    }

    pub(super) async fn answer(&self, offer: SessionDescription) -> Result<SessionDescription> {
        self.0.connection.set_remote_description(RTCSessionDescription::offer(offer.sdp)?).await?;
        let answer = self.0.connection.create_answer(None).await?;
        let sdp = self.0.describe(answer).await?;
        Ok(SessionDescription { r#type: "answer".to_owned(), sdp, id: offer.id, ..Default::default() })
    }

    pub(super) async fn candidate(&self, candidate: RTCIceCandidateInit) -> Result<()> {
        self.0.connection.add_ice_candidate(candidate).await
    }

    pub(super) async fn close(&self) {
        if let Err(error) = self.0.connection.close().await {
            tracing::debug!(%error, "the talker's receiving connection did not close cleanly");
        }
    }
}
