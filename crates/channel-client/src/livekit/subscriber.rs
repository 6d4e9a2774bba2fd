//! The subscriber's peer connection: the server offers, we answer (docs/protocol/livekit.md sections 3 and 5).
//!
//! It must be closed, not only dropped: its driver would run on. [`Subscriber`] sees to that when it is dropped.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use livekit_protocol::{IceServer, SessionDescription};
use tokio::sync::mpsc;
use webrtc::error::{Error, Result};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCIceCandidateInit, RTCIceServer, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription,
};

use super::media_socket;
use super::tracks::Level;
use crate::{MediaPath, peer};

/// How many events of a peer connection may wait for the bot; a room of several hundred talkers on arrival.
const MAX_WAITING_EVENTS: usize = 2_048;

/// How many remote candidates are kept until the first offer is there.
const MAX_EARLY_CANDIDATES: usize = 64;

/// What a peer connection tells.
pub(super) enum PeerEvent {
    /// Media of a publication arrives for the first time.
    Track(Arc<dyn TrackRemote>),
    /// The connection's state changed.
    State(RTCPeerConnectionState),
    /// An address of ours that the server should know.
    Candidate(RTCIceCandidateInit),
}

/// A peer connection that answers offers and receives.
pub(super) struct Subscriber {
    peer: Arc<dyn PeerConnection>,
    events: mpsc::Receiver<PeerEvent>,
    level: Arc<Level>,
    early_candidates: Vec<RTCIceCandidateInit>,
    last: Option<(SessionDescription, SessionDescription)>,
}

impl Subscriber {
    /// A peer connection on sockets of its own; `local` is the address that leads to the signalling server.
    pub(super) async fn new(ice_servers: &[IceServer], local: Option<IpAddr>, media: &Arc<MediaPath>) -> Result<Self> {
        let (sender, events) = mpsc::channel(MAX_WAITING_EVENTS);
        let peer = peer::builder_with_g711(relays(ice_servers))?
            .with_runtime(media_socket::runtime(media))
            .with_udp_addrs(addresses(local))
            .with_handler(Arc::new(Handler { events: sender }))
            .build()
            .await?;
        Ok(Self { peer: Arc::new(peer), events, level: Arc::default(), early_candidates: Vec::new(), last: None })
    }

    /// Applies the server's offer and gives the answer to send back.
    pub(super) async fn answer(&mut self, offer: SessionDescription) -> Result<SessionDescription> {
        self.peer.set_remote_description(RTCSessionDescription::offer(offer.sdp.clone())?).await?;
        for candidate in self.early_candidates.drain(..) {
            self.peer.add_ice_candidate(candidate).await?;
        }
        let answer = self.peer.create_answer(None).await?;
        self.peer.set_local_description(answer.clone()).await?;
        if let Some(id) = peer::audio_level_id(&answer.sdp) {
            self.level.negotiated(id);
        }
        let answer =
            SessionDescription { r#type: "answer".to_owned(), sdp: answer.sdp, id: offer.id, ..Default::default() };
        self.last = Some((offer, answer.clone()));
        Ok(answer)
    }

    /// Takes a candidate of the server's, which may come before its first offer.
    pub(super) async fn add_candidate(&mut self, candidate: RTCIceCandidateInit) -> Result<()> {
        if candidate.candidate.is_empty() {
            return Ok(());
        }
        if self.last.is_some() {
            return self.peer.add_ice_candidate(candidate).await;
        }
        if self.early_candidates.len() < MAX_EARLY_CANDIDATES {
            self.early_candidates.push(candidate);
        }
        Ok(())
    }

    /// The next event; pending for ever once the connection is closed. Cancel-safe.
    pub(super) async fn event(&mut self) -> PeerEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The last offer and our answer to it, for a resume.
    pub(super) fn last_exchange(&self) -> Option<&(SessionDescription, SessionDescription)> {
        self.last.as_ref()
    }

    /// Where the forwarders find the negotiated audio level.
    pub(super) fn level(&self) -> &Arc<Level> {
        &self.level
    }

    /// The publication, `TR_…`, that a track carries: its own id, else the one of its media section.
    pub(super) async fn publication(&self, track: &Arc<dyn TrackRemote>) -> Option<String> {
        let id = track.track_id().await;
        if id.starts_with("TR_") {
            return Some(id);
        }
        let mids: &HashMap<String, String> = &self.last.as_ref()?.0.mid_to_track_id;
        for transceiver in self.peer.get_transceivers().await {
            let Ok(Some(receiver)) = transceiver.receiver().await else { continue };
            if Arc::ptr_eq(receiver.track(), track) {
                return mids.get(&transceiver.mid().await.ok()??).cloned();
            }
        }
        None
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let peer = Arc::clone(&self.peer);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = peer.close().await {
                    tracing::debug!(%error, "closing a peer connection failed");
                }
            });
        }
    }
}

/// Hands events to the bot without ever waiting: it is called on the connection's driver. Holds no peer connection.
struct Handler {
    events: mpsc::Sender<PeerEvent>,
}

impl Handler {
    fn send(&self, event: PeerEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            tracing::error!("an event of a peer connection is lost: more than {MAX_WAITING_EVENTS} are waiting");
        }
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => self.send(PeerEvent::Candidate(candidate)),
            Err(error) => tracing::debug!(%error, "a candidate of ours can't be written"),
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.send(PeerEvent::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.send(PeerEvent::Track(track));
    }
}

/// The relays among a server's ICE servers. Its STUN servers are of no use to us: the server is reachable, and learns our
/// address from our checks.
fn relays(servers: &[IceServer]) -> Vec<RTCIceServer> {
    let is_relay = |url: &&String| url.starts_with("turn:") || url.starts_with("turns:");
    servers
        .iter()
        .filter(|server| !server.username.is_empty() && !server.credential.is_empty())
        .map(|server| RTCIceServer {
            urls: server.urls.iter().filter(is_relay).cloned().collect(),
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
        .filter(|server| !server.urls.is_empty())
        .collect()
}

/// Every interface's IPv4 address, and the way to the signalling server where that is not among them.
fn addresses(local: Option<IpAddr>) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
    match local {
        Some(local) if local.is_loopback() => addresses.push((local, 0).into()),
        Some(IpAddr::V6(_)) => addresses.push((Ipv6Addr::UNSPECIFIED, 0).into()),
        _ => {}
    }
    addresses
}

/// What went wrong, shortened for a log line.
pub(super) fn brief(error: &Error) -> String {
    error.to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn g711_is_taken_where_it_is_offered_and_red_is_not() {
        let opus: String = include_str!("../../../../tests/channel/offer.sdp").into();
        let begin = opus.find("a=rtpmap:111").unwrap();
        let end = opus.find("a=ssrc:1001 cname").unwrap();
        let g711 = |number: &str, name: &str| {
            let other = format!("{}a=rtpmap:{number} {name}/8000\r\n{}", &opus[..begin], &opus[end..]);
            other.replace("SAVPF 111 63", &format!("SAVPF {number}"))
        };
        for (sdp, taken) in [
            (opus.clone(), "a=rtpmap:111 opus/48000/2"),
            (g711("0", "PCMU"), "a=rtpmap:0 PCMU/8000"),
            (g711("8", "PCMA"), "a=rtpmap:8 PCMA/8000"),
        ] {
            let mut subscriber = Subscriber::new(&[], None, &Arc::default()).await.unwrap();
            let offer = SessionDescription { r#type: "offer".to_owned(), sdp, ..Default::default() };
            let answer = subscriber.answer(offer).await.unwrap().sdp;
            let maps: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=rtpmap:")).collect();
            assert_eq!(maps, [taken], "{answer}");
            assert!(answer.contains("m=audio 9 "), "not refused: {answer}");
        }
    }

    #[test]
    fn only_relays_with_credentials_are_used() {
        let server = |urls: &[&str], user: &str| IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: user.to_owned(),
            credential: user.to_owned(),
        };
        let relays = relays(&[
            server(&["stun:a:1"], ""),
            server(&["turn:b:1"], ""),
            server(&["stun:c:1", "turn:c:2?transport=udp"], "u"),
            server(&["stun:d:1"], "u"),
        ]);
        assert_eq!(relays.len(), 1);
        assert_eq!(relays[0].urls, ["turn:c:2?transport=udp"]);
    }

    #[test]
    fn the_loopback_is_only_used_where_it_leads_to_the_server() {
        let of = |local: Option<&str>| {
            let addresses = addresses(local.map(|ip| ip.parse().unwrap()));
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["0.0.0.0:0"]);
        assert_eq!(of(Some("192.0.2.1")), ["0.0.0.0:0"]);
        assert_eq!(of(Some("127.0.0.1")), ["0.0.0.0:0", "127.0.0.1:0"]);
        assert_eq!(of(Some("::1")), ["0.0.0.0:0", "[::1]:0"]);
        assert_eq!(of(Some("2001:db8::1")), ["0.0.0.0:0", "[::]:0"]);
    }
}
