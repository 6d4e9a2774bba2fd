//! The two peer connections of a member: the one on which it publishes, and the one on which it hears.

mod data;
mod forward;
mod publisher;
mod red;
mod subscriber;

use std::net::SocketAddr;
use std::sync::Arc;

use rtc::peer_connection::transport::RTCIceCandidateInit;
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCPeerConnectionState, RTCSessionDescription,
};

pub(super) use data::{Carried, DataKind, accept};
pub(super) use forward::Publication;
pub(super) use publisher::{Negotiated, Publisher, Sent};
pub(super) use subscriber::{Command, Subscriber};

use super::limits::{MAX_CANDIDATE_BYTES, MAX_CANDIDATES, MAX_DATA_IN_FLIGHT, MAX_PENDING_CANDIDATES};
use super::sdp::{self, SdpError};
use super::udp_mux::{Endpoint, UdpMux};
use channel_client::peer;
use recorder_core::error_class::{Classify, ErrorClass};

/// Tracks and data channels that wait to be taken up; a member that opens more at once loses them.
const MAX_ARRIVALS: usize = 32;

/// Why a peer connection can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// The client's description is refused before it gets near the WebRTC crate.
    #[error(transparent)]
    Description(#[from] SdpError),
    /// A track came back so often that the client would miss it.
    #[error("no media section is left in which the track never was")]
    Sections,
    /// The WebRTC crate refuses it, or failed.
    #[error("the peer connection failed: {0}")]
    WebRtc(#[from] webrtc::error::Error),
}

impl Classify for PeerError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Description(_) => ErrorClass::caller("bad_description"),
            Self::Sections => ErrorClass::caller("media_sections"),
            Self::WebRtc(_) => ErrorClass::caller("peer_connection_failed"),
        }
    }
}

/// What a client opens on a connection.
pub(super) enum Arrival {
    Track(Arc<dyn TrackRemote>),
    Channel(Arc<dyn DataChannel>),
}

/// A peer connection on the shared port. Dropping it closes it.
struct Connection {
    pc: Arc<dyn PeerConnection>,
    endpoint: Arc<Endpoint>,
    candidates: Vec<SocketAddr>,
    /// Candidates that came before the description they belong to.
    early: Vec<RTCIceCandidateInit>,
    described: bool,
    taken: usize,
}

impl Connection {
    async fn open(
        mux: &UdpMux,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<(Self, watch::Receiver<RTCPeerConnectionState>), PeerError> {
        let endpoint = mux.endpoint();
        let (state, watched) = watch::channel(RTCPeerConnectionState::New);
        let pc = peer::builder_with_all_codecs(Vec::new())?
            .with_data_channel_send_buffer_limit(MAX_DATA_IN_FLIGHT)
            .with_handler(Arc::new(Handler { state, arrivals }))
            .with_runtime(endpoint.runtime())
            .with_udp_addrs(vec![endpoint.bind_address()])
            .build()
            .await?;
        let candidates = mux.candidates().to_vec();
        let pc: Arc<dyn PeerConnection> = Arc::new(pc);
        Ok((Self { pc, endpoint, candidates, early: Vec::new(), described: false, taken: 0 }, watched))
    }

    /// Takes a local description into force and answers with the text to send.
    async fn describe(&self, description: RTCSessionDescription) -> Result<String, PeerError> {
        for credentials in sdp::ice_credentials(&description.sdp) {
            self.endpoint.listen_for(credentials);
        }
        let text = sdp::with_candidates(&description.sdp, &self.candidates);
        self.pc.set_local_description(description).await?;
        Ok(text)
    }

    async fn set_remote(&mut self, description: RTCSessionDescription) -> Result<(), PeerError> {
        self.pc.set_remote_description(description).await?;
        (self.described, self.taken) = (true, 0);
        for candidate in std::mem::take(&mut self.early) {
            self.take(candidate).await;
        }
        Ok(())
    }

    /// A candidate of the client, as the JSON of an `RTCIceCandidateInit`. One that can't be used is passed over: browsers hide
    /// theirs behind mDNS names, and their requests tell us the address anyway. An empty one says that no more follow.
    async fn candidate(&mut self, json: &str) {
        if json.len() > MAX_CANDIDATE_BYTES {
            return;
        }
        let Ok(candidate) = serde_json::from_str::<RTCIceCandidateInit>(json) else { return };
        if !sdp::usable(&candidate.candidate) {
            return;
        }
        if self.described {
            self.take(candidate).await;
        } else if self.early.len() < MAX_PENDING_CANDIDATES {
            self.early.push(candidate);
        }
    }

    async fn take(&mut self, candidate: RTCIceCandidateInit) {
        self.taken += 1;
        if self.taken <= MAX_CANDIDATES
            && let Err(error) = self.pc.add_ice_candidate(candidate).await
        {
            tracing::trace!(%error, "candidate passed over");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let pc = Arc::clone(&self.pc);
        // Without a runtime the process is ending, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = pc.close().await {
                    tracing::debug!(%error, "closing a peer connection");
                }
            });
        }
    }
}

/// Runs on the connection's driver, so it only hands over. Holds no connection: that would be a cycle.
struct Handler {
    state: watch::Sender<RTCPeerConnectionState>,
    arrivals: mpsc::Sender<Arrival>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.arrivals.try_send(Arrival::Track(track));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.arrivals.try_send(Arrival::Channel(channel));
    }
}
