//! The connection on which a member hears: we offer, the client answers. One offer is on its way at a time; what changes
//! meanwhile rides the next one.

mod sections;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use livekit_protocol::SessionDescription;
use livekit_protocol::signal_response::Message;
use rtc::data_channel::RTCDataChannelInit;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{RTCPeerConnectionState, RTCSessionDescription};
use webrtc::rtp_transceiver::RtpSender;

use self::sections::{SectionUse, Sections};
use super::forward::{Listener, PayloadTypes};
use super::{Carried, Connection, DataKind, PeerError, Publication, data};
use crate::ids::{MemberId, TrackSid};
use crate::limits::{CONNECT_TIMEOUT, MAX_DATA_QUEUE};
use crate::live::LiveRoom;
use crate::notices::LeftReason;
use crate::room::Label;
use crate::sdp;
use crate::udp_mux::UdpMux;
use channel_client::peer::{Codec, MIME_TYPE_RED};

/// What a member's hearing connection is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Hear a track.
    Add(Arc<Publication>),
    /// Hear it no longer.
    Remove(TrackSid),
    /// The client answers offer `id`; 0 from clients that don't count.
    Answer { id: u32, sdp: String },
    /// A candidate of the client, as JSON.
    Candidate(String),
    /// The client lost its socket: don't hold its silence against it.
    Detached,
    /// The client is back: offer anew, with an ICE restart.
    Restart,
}

/// A member's hearing connection, before it runs.
pub(crate) struct Subscriber {
    connection: Connection,
    state: watch::Receiver<RTCPeerConnectionState>,
    owner: MemberId,
    room: Weak<LiveRoom>,
    answer_within: std::time::Duration,
    tracks: HashMap<TrackSid, Heard>,
    sections: Sections,
    /// Whether the client doesn't report a track that returns to a section.
    remembers_sections: bool,
    /// How many offers were made; also the id of the last one.
    offers: u32,
    /// The id of the last offer that was answered.
    answered: u32,
    /// The codecs that the client takes, once it said so.
    takes: Option<HashSet<Codec>>,
    pending: Option<Pending>,
    dirty: bool,
    restarting: bool,
    attached: bool,
    connected: bool,
    _data: AbortOnDropHandle<()>,
}

struct Heard {
    publication: Arc<Publication>,
    listener: Arc<Listener>,
    sender: Arc<dyn RtpSender>,
    /// The offer that brings it; forwarded once that is answered.
    since: u32,
    flowing: bool,
}

/// An offer on its way.
struct Pending {
    id: u32,
    deadline: Instant,
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.publication.remove(&self.listener);
    }
}

impl Subscriber {
    /// Also answers with the queue of data packets for the member.
    pub(crate) async fn open(
        mux: &UdpMux,
        owner: MemberId,
        room: Weak<LiveRoom>,
        answer_within: std::time::Duration,
        remembers_sections: bool,
    ) -> Result<(Self, mpsc::Sender<Carried>), PeerError> {
        // Clients open nothing here; what they open anyway is dropped at once.
        let (arrivals, _) = mpsc::channel(1);
        let (connection, state) = Connection::open(mux, arrivals).await?;
        let unordered = || RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
        let reliable = RTCDataChannelInit { ordered: true, ..Default::default() };
        let reliable = connection.pc.create_data_channel(DataKind::Reliable.label(), Some(reliable)).await?;
        let lossy = connection.pc.create_data_channel(DataKind::Lossy.label(), Some(unordered())).await?;
        let (queue, queued) = mpsc::channel(MAX_DATA_QUEUE);
        let data = AbortOnDropHandle::new(tokio::spawn(data::send(queued, reliable, lossy)));
        let subscriber = Self {
            connection,
            state,
            owner,
            room,
            answer_within,
            tracks: HashMap::new(),
            sections: Sections::default(),
            remembers_sections,
            offers: 0,
            answered: 0,
            takes: None,
            pending: None,
            dirty: true,
            restarting: false,
            attached: true,
            connected: false,
            _data: data,
        };
        Ok((subscriber, queue))
    }

    /// Runs until the queue of commands ends, which closes the connection, or the client can't be kept.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let connect_by = Instant::now() + CONNECT_TIMEOUT;
        loop {
            if let Err(error) = self.offer_if_due().await {
                self.give_up(&error);
                return;
            }
            let answer_by = self.pending.as_ref().filter(|_| self.attached).map(|pending| pending.deadline);
            let deadline = answer_by.into_iter().chain((!self.connected).then_some(connect_by)).min();
            let outcome = tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(command) => self.obey(command).await,
                },
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.state_changed().await
                },
                () = sleep_until(deadline) => {
                    tracing::debug!(member = %self.owner, "no answer to our offer, or no connection");
                    self.with_room(|room| room.act(|room| room.remove(&self.owner, LeftReason::Unresponsive)));
                    return;
                }
            };
            if let Err(error) = outcome {
                self.give_up(&error);
                return;
            }
        }
    }

    async fn state_changed(&mut self) -> Result<(), PeerError> {
        if !self.connected && *self.state.borrow_and_update() == RTCPeerConnectionState::Connected {
            self.connected = true;
            self.with_room(|room| room.act(|room| room.connected(&self.owner)));
            self.let_flow().await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), PeerError> {
        match command {
            Command::Add(publication) => self.add(publication).await,
            Command::Remove(sid) => self.remove(&sid).await,
            Command::Answer { id, sdp } => self.answered(id, &sdp).await,
            Command::Candidate(json) => {
                self.connection.candidate(&json).await;
                Ok(())
            }
            Command::Detached => {
                self.attached = false;
                Ok(())
            }
            Command::Restart => {
                self.restart();
                Ok(())
            }
        }
    }

    async fn add(&mut self, publication: Arc<Publication>) -> Result<(), PeerError> {
        if self.tracks.contains_key(&publication.sid) || publication.over.is_cancelled() {
            return Ok(());
        }
        let codec = publication.codec();
        if self.takes.as_ref().is_some_and(|takes| !takes.contains(&codec)) {
            tracing::debug!(member = %self.owner, track = %publication.sid, ?codec, "a codec that the client does not take");
            return Ok(());
        }
        let (track, ssrc) = local_track(&publication.label, codec);
        let place = self.sections.take(&publication.sid, self.answered);
        if self.remembers_sections && matches!(place, SectionUse::Old { again: true, .. }) {
            return Err(PeerError::Sections);
        }
        let sender = self.send_on(place, Arc::clone(&track)).await?;
        let since = self.offers + 1;
        let listener = Listener::new(track, ssrc);
        let heard = Heard { publication: Arc::clone(&publication), listener, sender, since, flowing: false };
        self.tracks.insert(publication.sid.clone(), heard);
        self.dirty = true;
        Ok(())
    }

    /// The crate's `add_track` takes the first section that carries nothing: where that is not the place, the ones before it are held
    /// meanwhile. It would also offer a new section as one on which the client may send too.
    async fn send_on(
        &mut self,
        place: SectionUse,
        track: Arc<TrackLocalStaticRTP>,
    ) -> Result<Arc<dyn RtpSender>, PeerError> {
        let pc = &self.connection.pc;
        if let SectionUse::Old { empty_before, .. } = place {
            let mut held = Vec::new();
            for _ in 0..empty_before {
                let nothing = Label { stream: "held".to_owned(), track: "held".to_owned() };
                held.push(pc.add_track(local_track(&nothing, Codec::Opus).0).await?);
            }
            let sender = pc.add_track(track).await?;
            for sender in held {
                pc.remove_track(&sender).await?;
            }
            return Ok(sender);
        }
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: Vec::new(),
            send_encodings: Vec::new(),
        };
        let transceiver = pc.add_transceiver_from_track(track, Some(init)).await?;
        // All codecs in each section, so that it can carry any track later, and so that the client can say what it takes.
        transceiver.set_codec_preferences(Vec::new()).await?;
        let sender = transceiver.sender().await?;
        Ok(sender.ok_or(webrtc::error::Error::ErrRTPSenderNotExisted)?)
    }

    async fn remove(&mut self, sid: &TrackSid) -> Result<(), PeerError> {
        let heard = self.tracks.remove(sid);
        if let Some(heard) = &heard {
            self.connection.pc.remove_track(&heard.sender).await?;
            self.dirty = true;
            self.sections.leave(sid, self.offers + 1);
        }
        if heard.is_none_or(|heard| heard.publication.over.is_cancelled()) {
            self.sections.forget(sid);
        }
        Ok(())
    }

    async fn answered(&mut self, id: u32, sdp: &str) -> Result<(), PeerError> {
        let Some(pending) = self.pending.take_if(|pending| id == pending.id || id == 0) else { return Ok(()) };
        sdp::sections(sdp)?;
        let answer = RTCSessionDescription::answer(sdp::sanitized(sdp))?;
        self.connection.set_remote(answer).await?;
        self.answered = pending.id;
        if self.takes.is_none() {
            self.takes = Some(sdp::named(sdp)).filter(|takes| !takes.is_empty());
        }
        self.let_flow().await
    }

    /// The client may never have seen the offer that was on its way.
    fn restart(&mut self) {
        (self.attached, self.restarting, self.dirty) = (true, true, true);
        self.pending = None;
    }

    async fn offer_if_due(&mut self) -> Result<(), PeerError> {
        if !self.dirty || self.pending.is_some() || !self.attached {
            return Ok(());
        }
        self.dirty = false;
        if std::mem::take(&mut self.restarting) {
            self.connection.pc.restart_ice().await?;
        }
        let offer = self.connection.pc.create_offer(None).await?;
        let sdp = self.connection.describe(offer).await?;
        self.offers += 1;
        self.pending = Some(Pending { id: self.offers, deadline: Instant::now() + self.answer_within });
        let mid_to_track_id = self.mids(&sdp)?;
        let offer = SessionDescription { r#type: "offer".to_owned(), sdp, id: self.offers, mid_to_track_id };
        self.with_room(|room| room.send(&self.owner, Message::Offer(offer)));
        Ok(())
    }

    fn mids(&self, sdp: &str) -> Result<HashMap<String, String>, PeerError> {
        let known = |track: &str| self.tracks.keys().any(|sid| sid.as_str() == track);
        let sections = sdp::sections(sdp)?.into_iter();
        let pairs = sections.filter_map(|section| Some((section.mid, section.track?)));
        Ok(pairs.filter(|(_, track)| known(track)).collect())
    }

    /// Packets flow once the client knows the track and the connection is up; before that the crate drops them with a warning.
    async fn let_flow(&mut self) -> Result<(), PeerError> {
        if !self.connected {
            return Ok(());
        }
        for (sid, heard) in self.tracks.iter_mut().filter(|(_, heard)| !heard.flowing && heard.since <= self.answered) {
            let codecs = heard.sender.get_parameters().await?.rtp_parameters.codecs;
            let payload_type = |mime_type: &str| {
                let codec = codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(mime_type));
                codec.map(|codec| codec.payload_type)
            };
            heard.listener.set_payload_types(PayloadTypes {
                opus: payload_type(Codec::Opus.mime_type()),
                red: payload_type(MIME_TYPE_RED),
                pcmu: payload_type(Codec::Pcmu.mime_type()),
                pcma: payload_type(Codec::Pcma.mime_type()),
            });
            heard.publication.add(&heard.listener);
            heard.flowing = true;
            if let Some(room) = self.room.upgrade() {
                room.act(|room| room.heard(sid));
            }
        }
        Ok(())
    }

    fn give_up(&self, error: &PeerError) {
        tracing::debug!(member = %self.owner, %error, "hearing connection given up");
        // The second is told to join anew, and does so with new connections.
        let reason = if matches!(error, PeerError::Sections) { LeftReason::Unresponsive } else { LeftReason::Protocol };
        self.with_room(|room| room.act(|room| room.remove(&self.owner, reason)));
    }

    fn with_room(&self, act: impl FnOnce(&Arc<LiveRoom>)) {
        if let Some(room) = self.room.upgrade() {
            act(&room);
        }
    }
}

/// A track of ours to send, and its SSRC. The sender reports count in the codec's clock.
fn local_track(label: &Label, codec: Codec) -> (Arc<TrackLocalStaticRTP>, u32) {
    let ssrc = rand::random_range(1..=u32::MAX);
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec: codec.rtp(), ..Default::default() };
    let (stream, track) = (label.stream.clone(), label.track.clone());
    let track = MediaStreamTrack::new(stream, track.clone(), track, RtpCodecKind::Audio, vec![encoding]);
    (Arc::new(TrackLocalStaticRTP::new(track)), ssrc)
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
