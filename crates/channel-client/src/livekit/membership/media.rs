//! The media half of a membership: offers answered, candidates exchanged, the peer connection's state told.

use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{SessionDescription, SignalTarget, TrickleRequest};
use webrtc::peer_connection::RTCPeerConnectionState;

use super::recovery::Recovery;
use super::{Exit, Membership};
use crate::ChannelUpdate;
use crate::livekit::address::ResumeReason;
use crate::livekit::signal::Socket;
use crate::livekit::subscriber::{PeerEvent, Subscriber, brief};
use recorder_core::recording::Input;

impl Membership {
    pub(super) async fn offered(&mut self, socket: &mut Socket, offer: SessionDescription) -> Result<(), Exit> {
        let broken = |error| Exit::Lost {
            why: format!("an offer can't be answered: {}", brief(&error)),
            recovery: Recovery::Rejoin,
        };
        let subscriber = self.subscriber(socket).await.map_err(broken)?;
        let answer = subscriber.answer(offer).await.map_err(broken)?;
        Ok(socket.send(Request::Answer(answer)).await?)
    }

    pub(super) async fn candidate(&mut self, socket: &Socket, trickle: &TrickleRequest) {
        if trickle.target() != SignalTarget::Subscriber {
            return;
        }
        let Ok(candidate) = serde_json::from_str(&trickle.candidate_init) else {
            tracing::debug!(room = self.room, "the server sent a candidate that can't be read");
            return;
        };
        let added = match self.subscriber(socket).await {
            Ok(subscriber) => subscriber.add_candidate(candidate).await,
            Err(error) => Err(error),
        };
        if let Err(error) = added {
            tracing::debug!(room = self.room, error = brief(&error), "a candidate of the server is of no use");
        }
    }

    /// The peer connection, made when the server first speaks of it.
    async fn subscriber(&mut self, socket: &Socket) -> webrtc::error::Result<&mut Subscriber> {
        if self.subscriber.is_none() {
            self.timers.connecting();
            self.subscriber = Some(Subscriber::new(&self.ice_servers, socket.local_ip(), &self.media).await?);
        }
        Ok(self.subscriber.as_mut().expect("it was made a line ago"))
    }

    pub(super) async fn peer_event(&mut self, socket: Option<&mut Socket>, event: PeerEvent) -> Result<(), Exit> {
        match event {
            PeerEvent::Candidate(candidate) => {
                let candidate_init = serde_json::to_string(&candidate).expect("a struct of strings always serialises");
                let target = SignalTarget::Subscriber as i32;
                // Without a socket it is not needed: a resume restarts ICE and gathers anew.
                if let Some(socket) = socket {
                    socket
                        .send(Request::Trickle(TrickleRequest { candidate_init, target, ..Default::default() }))
                        .await?;
                }
            }
            PeerEvent::Track(track) => {
                let Some(subscriber) = &self.subscriber else { return Ok(()) };
                match subscriber.publication(&track).await {
                    Some(sid) => self.tracks.insert(sid, track),
                    None => tracing::warn!(room = self.room, "media of an unknown publication arrives"),
                }
                self.bind();
            }
            PeerEvent::State(state) => return self.peer_state(socket.is_some(), state).await,
        }
        Ok(())
    }

    async fn peer_state(&mut self, attached: bool, state: RTCPeerConnectionState) -> Result<(), Exit> {
        tracing::debug!(room = self.room, %state, "peer connection");
        match state {
            RTCPeerConnectionState::Connected => {
                self.timers.connected();
                self.hearing.connected();
                if attached {
                    self.send(ChannelUpdate::Input(Input::ChannelUp)).await;
                }
                self.hears().await;
            }
            RTCPeerConnectionState::Disconnected => {
                self.timers.connecting();
                self.down().await;
            }
            RTCPeerConnectionState::Failed => {
                self.timers.connecting();
                self.down().await;
                let recovery = Recovery::Resume(ResumeReason::SubscriberFailed);
                return Err(Exit::Lost { why: "no media can arrive".to_owned(), recovery });
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn bind(&mut self) {
        if let Some(subscriber) = &self.subscriber {
            self.tracks.bind(&self.members, subscriber.level(), &self.outbox);
        }
    }
}
