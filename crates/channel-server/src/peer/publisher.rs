//! The connection on which a member publishes: the client offers, we answer.
//!
//! It is made when the client first has something to say on it: who only listens never does, and a peer connection takes 90 KB.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::RTCSessionDescription;

use super::{Arrival, Connection, MAX_ARRIVALS, PeerError, Publication, data};
use crate::ids::MemberId;
use crate::limits::{ANNOUNCE_TIMEOUT, MAX_DATA_CHANNELS, MAX_TRACK_ARRIVALS};
use crate::live::LiveRoom;
use crate::sdp::{self, Coded, Section};
use crate::speakers::{Meter, WINDOW};
use crate::udp_mux::UdpMux;
use channel_client::peer::{audio_level, audio_level_id};

/// A member's publishing connection.
pub(crate) struct Publisher {
    mux: Arc<UdpMux>,
    owner: MemberId,
    room: Weak<LiveRoom>,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    _inbound: AbortOnDropHandle<()>,
}

/// Our answer to a client's offer.
pub(crate) struct Answer {
    pub(crate) sdp: String,
    /// The sections of the client's offer.
    pub(crate) sections: Vec<Section>,
}

impl Publisher {
    pub(crate) const fn new(mux: Arc<UdpMux>, owner: MemberId, room: Weak<LiveRoom>) -> Self {
        Self { mux, owner, room, open: None }
    }

    async fn connection(&mut self) -> Result<&mut Connection, PeerError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let (arrivals, arriving) = mpsc::channel(MAX_ARRIVALS);
                let (connection, _) = Connection::open(&self.mux, arrivals).await?;
                let inbound = tokio::spawn(take_up(arriving, self.owner.clone(), Weak::clone(&self.room)));
                Open { connection, _inbound: AbortOnDropHandle::new(inbound) }
            }
        };
        Ok(&mut self.open.insert(open).connection)
    }

    pub(crate) async fn answer(&mut self, offer: &str) -> Result<Answer, PeerError> {
        let sections = sdp::sections(offer)?;
        let sending = sections.iter().filter(|section| section.sends_audio());
        let mids: HashMap<_, _> =
            sending.filter_map(|section| Some((section.track.clone()?, section.mid.clone()))).collect();
        let (level, asked) = (audio_level_id(offer), offer);
        let connection = self.connection().await?;
        let shown = sdp::completed(&sdp::sanitized(offer));
        connection.set_remote(RTCSessionDescription::offer(shown)?).await?;
        let answer = connection.pc.create_answer(None).await?;
        let sdp = sdp::settled(asked, &connection.describe(answer).await?);
        let wanted = |mid: &str| {
            let track = sections.iter().find(|section| section.mid == mid)?.track.as_deref()?;
            Some(self.room.upgrade()?.opus_parameters(&self.owner, track))
        };
        let sdp = sdp::with_opus(&sdp, |mid| wanted(mid).unwrap_or_default());
        if let Some(room) = self.room.upgrade() {
            let (red, coded) = (sdp::red_payload_type(&sdp), sdp::coded(&sdp));
            let refused = sdp::refused(asked, &sdp);
            room.negotiated(&self.owner, Negotiated { mids, level, red, coded, refused });
        }
        Ok(Answer { sdp, sections })
    }

    pub(crate) async fn candidate(&mut self, json: &str) {
        match self.connection().await {
            Ok(connection) => connection.candidate(json).await,
            Err(error) => tracing::debug!(member = %self.owner, %error, "no connection for a candidate"),
        }
    }
}

/// What the client's latest offer says about its tracks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Negotiated {
    /// Media ids by the client's track ids, of the sections that send.
    pub(crate) mids: HashMap<String, String>,
    /// The audio level's header extension.
    pub(crate) level: Option<u8>,
    /// The payload type of RED.
    pub(crate) red: Option<u8>,
    /// What the sections that send carry, by their media ids.
    pub(crate) coded: HashMap<String, Coded>,
    /// The media ids of sections that can't be taken: they hold no codec of ours.
    pub(crate) refused: HashSet<String>,
}

impl Negotiated {
    /// What the client's track of this id is, as far as the offer says.
    pub(crate) fn track(&self, cid: &str) -> Sent {
        let mid = self.mids.get(cid);
        let coded = mid.and_then(|mid| self.coded.get(mid)).copied();
        let taken = mid.is_none_or(|mid| !self.refused.contains(mid));
        Sent { mid: mid.cloned(), coded, red: self.red.is_some(), taken }
    }
}

/// How a client sends a track.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The media id of its section.
    pub(crate) mid: Option<String>,
    /// `None` where its section is not known, or refused.
    pub(crate) coded: Option<Coded>,
    /// Whether Opus may come as RED.
    pub(crate) red: bool,
    /// Whether the answer takes it.
    pub(crate) taken: bool,
}

async fn take_up(mut arriving: mpsc::Receiver<Arrival>, owner: MemberId, room: Weak<LiveRoom>) {
    let mut tasks = JoinSet::new();
    let (mut channels, mut tracks) = (0, 0);
    loop {
        let arrival = tokio::select! {
            arrival = arriving.recv() => arrival,
            Some(_) = tasks.join_next() => continue,
        };
        let (owner, room) = (owner.clone(), Weak::clone(&room));
        match arrival {
            None => break,
            Some(Arrival::Channel(channel)) if channels < MAX_DATA_CHANNELS => {
                channels += 1;
                tasks.spawn(data::receive(channel, move |data_kind, bytes| {
                    if let Some(room) = room.upgrade() {
                        room.carry(&owner, data_kind, bytes);
                    }
                }));
            }
            Some(Arrival::Track(track)) if tracks < MAX_TRACK_ARRIVALS => {
                tracks += 1;
                tasks.spawn(publish(track, owner, room));
            }
            Some(Arrival::Channel(_) | Arrival::Track(_)) => {
                tracing::debug!(member = %owner, "opens more than it may; passed over");
            }
        }
    }
}

/// Media of a track has arrived: finds out which track it is, and forwards it until it is over.
async fn publish(track: Arc<dyn TrackRemote>, owner: MemberId, room: Weak<LiveRoom>) {
    let cid = track.track_id().await;
    let deadline = Instant::now() + ANNOUNCE_TIMEOUT;
    let publication = loop {
        let Some(live) = room.upgrade() else { return };
        let Some(announced) = live.announcements(&owner) else { return };
        let next = announced.notified();
        tokio::pin!(next);
        next.as_mut().enable();
        if let Some(publication) = live.media(&owner, &cid) {
            break publication;
        }
        drop(live);
        if timeout_at(deadline, next).await.is_err() {
            tracing::debug!(member = %owner, cid, "media of a track that was never announced");
            return;
        }
    };
    forward(&*track, &publication, &room).await;
}

async fn forward(track: &dyn TrackRemote, publication: &Publication, room: &Weak<LiveRoom>) {
    let (level, red) = room.upgrade().map(|room| room.extras(&publication.owner)).unwrap_or_default();
    let mut meter = Meter::default();
    let mut window = Instant::now() + WINDOW;
    loop {
        // A voice that stops sending altogether is silent too; a silent track needs no timer.
        let patience = if meter.speaking() { WINDOW } else { FOREVER };
        let event = tokio::select! {
            () = publication.over.cancelled() => return,
            event = timeout(patience, track.poll()) => event,
        };
        match event {
            Ok(None | Some(TrackRemoteEvent::OnEnded)) => return,
            Ok(Some(TrackRemoteEvent::OnRtpPacket(packet))) => {
                publication.forward(&packet, red);
                if let Some(level) = level.and_then(|id| audio_level(&packet, id)) {
                    meter.packet(level);
                }
            }
            Ok(Some(_)) | Err(_) => {}
        }
        let now = Instant::now();
        if now >= window {
            window = now + WINDOW;
            if let (Some(level), Some(room)) = (meter.window(), room.upgrade()) {
                room.act(|room| room.speaks(&publication.owner, &publication.sid, level));
            }
        }
    }
}

/// Longer than any connection lives.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);
