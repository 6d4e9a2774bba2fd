//! A room with its connections: takes what happens to [`Room`] and does what it says.
//!
//! Everything is done under one lock and without waiting, so that all members see one order of things: a member hears of a
//! track before the offer that brings it. Queues that are full lose their owner, never the room.

mod link;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, ReconnectResponse};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

pub(super) use link::MemberLink;
use link::{Link, Socket};

use super::ids::{MemberId, TrackSid};
use super::limits::{Limits, MAX_SUBSCRIBER_COMMANDS};
use super::notices::{LeftReason, RoomEvent, RoomNotice, RoomSummary};
use super::peer::{
    Carried, Command, DataKind, Negotiated, PeerError, Publication, Publisher, Sent, Subscriber, accept,
};
use super::quotas::{AppFull, QuotaPermit};
use super::room::{Client, Effect, Effects, Full, Room, Sending, Started, server_info};
use super::rooms::Rooms;
use super::rules::{Subject, Target};
use super::sdp::OpusParameters;
use super::token::VerifiedToken;
use super::udp_mux::UdpMux;
use recorder_core::units::{AppId, ChannelSid, Cname, Uid, WallMs};
use recorder_edge::clock;

/// A room that members are connected to.
#[derive(Debug)]
pub(super) struct LiveRoom {
    app: AppId,
    cname: Cname,
    limits: Limits,
    rooms: Weak<Rooms>,
    /// Whether it is open, for who does not have its lock.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// From its opening to its closing.
    session: ChannelSid,
    room: Room,
    links: HashMap<MemberId, Link>,
    publications: HashMap<TrackSid, Arc<Publication>>,
    /// Nobody joins any more; the next one to come opens a new room.
    closed: bool,
    /// Whether the time until closing runs.
    closing: Option<AbortOnDropHandle<()>>,
    /// When the next right of a member ends, and who waits for it.
    ending: Option<(WallMs, AbortOnDropHandle<()>)>,
}

/// Why somebody can't have a seat.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinRejection {
    #[error("the channel is closing; join again")]
    Closed,
    #[error("no such membership; join anew")]
    Unknown,
    /// By a kicking rule that was made a moment ago, in the vendor's word.
    #[error("{0}")]
    Banned(&'static str),
    /// No further room can be opened.
    #[error("this server has as many channels as it can take")]
    Rooms,
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    App(#[from] AppFull),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

impl LiveRoom {
    pub(super) fn new(app: AppId, cname: Cname, limits: Limits, rooms: Weak<Rooms>) -> Arc<Self> {
        let room = Room::new(cname.clone(), limits, clock::now());
        let links = HashMap::new();
        let session = ChannelSid::from_random(rand::random());
        let publications = HashMap::new();
        let state = State { session, room, links, publications, closed: false, closing: None, ending: None };
        Arc::new(Self { app, cname, limits, rooms, open: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// Whether there is a place for the bearer of a pass.
    pub(super) fn admits(&self, verified: &VerifiedToken) -> Result<(), JoinRejection> {
        Ok(self.state().room.admits(verified.identity.as_ref(), verified.grants.recorder)?)
    }

    /// Whether a member of this name is in it.
    pub(super) fn holds(&self, uid: &Uid) -> bool {
        self.state().room.find(uid).is_some()
    }

    /// A new member.
    pub(super) async fn join(
        self: &Arc<Self>,
        mux: &Arc<UdpMux>,
        uid: Uid,
        verified: VerifiedToken,
        client: Client,
        place: QuotaPermit,
    ) -> Result<MemberLink, JoinRejection> {
        let member = MemberId::new();
        let publisher = Publisher::new(Arc::clone(mux), member.clone(), Arc::downgrade(self));
        let publisher = Arc::new(tokio::sync::Mutex::new(publisher));
        let (subscriber, data) =
            Subscriber::open(mux, member.clone(), Arc::downgrade(self), self.limits.answer_within, client.rust_core)
                .await?;
        let (commands, obeyed) = mpsc::channel(MAX_SUBSCRIBER_COMMANDS);
        let (socket, messages) = Socket::new();
        let lost = socket.lost.clone();

        let mut state = self.state();
        if state.closed {
            return Err(JoinRejection::Closed);
        }
        // Under the room's lock, so that a rule which is made now either is seen here or finds the member in the room.
        let bans = self.rooms.upgrade().map(|rooms| rooms.bans(&verified, Some(&uid), client.ip)).unwrap_or_default();
        if let Some(word) = bans.join {
            return Err(JoinRejection::Banned(word));
        }
        let (response, effects) = state.room.join(&member, uid, verified, client, bans.audio, clock::now())?;
        socket.send(Message::Join(*response));
        let link = Link {
            socket: Some(socket),
            epoch: 0,
            commands,
            data,
            publisher: Arc::clone(&publisher),
            negotiated: Negotiated::default(),
            announced: Arc::default(),
            _place: place,
        };
        state.links.insert(member.clone(), link);
        self.apply(&mut state, effects);
        drop(state);
        tokio::spawn(subscriber.run(obeyed));
        Ok(MemberLink { room: Arc::clone(self), member, publisher, messages, lost, epoch: 0 })
    }

    /// A member that lost its socket, or is about to notice it, on a new one. A newer pass renews its rights.
    pub(super) fn resume(self: &Arc<Self>, member: &str, verified: &VerifiedToken) -> Option<MemberLink> {
        let member = MemberId::from(member);
        let mut state = self.state();
        // A token for any uid whose bearer was assigned one names nobody; the membership's id, which only it was told, must do.
        let known = state.room.uid(&member)?;
        if verified.identity.as_ref().is_some_and(|uid| uid != known) {
            return None;
        }
        let link = state.links.get_mut(&member)?;
        let (socket, messages) = Socket::new();
        let lost = socket.lost.clone();
        socket.send(Message::Reconnect(ReconnectResponse { server_info: Some(server_info()), ..Default::default() }));
        if let Some(old) = link.socket.replace(socket) {
            old.lost.cancel();
        }
        link.epoch += 1;
        let (epoch, publisher) = (link.epoch, Arc::clone(&link.publisher));
        let mut effects = state.room.resume(&member);
        effects.extend(state.room.renew(&member, verified));
        effects.extend(state.command(&member, Command::Restart));
        self.apply(&mut state, effects);
        drop(state);
        Some(MemberLink { room: Arc::clone(self), member, publisher, messages, lost, epoch })
    }

    /// Does something to the room, and what follows from it.
    pub(super) fn act(self: &Arc<Self>, act: impl FnOnce(&mut Room) -> Effects) {
        let mut state = self.state();
        let effects = act(&mut state.room);
        self.apply(&mut state, effects);
    }

    /// Removes a member by its uid; says whether it was there.
    pub(super) fn kick(self: &Arc<Self>, uid: &Uid) -> bool {
        let mut state = self.state();
        let Some(member) = state.room.find(uid).cloned() else { return false };
        let effects = state.room.remove(&member, LeftReason::Kicked);
        self.apply(&mut state, effects);
        true
    }

    /// Removes and silences as the rules are now.
    pub(super) fn enforce(self: &Arc<Self>) {
        let Some(rooms) = self.rooms.upgrade() else { return };
        self.act(|room| room.enforce(|verified, uid, ip| rooms.bans(verified, Some(uid), ip)));
    }

    /// Removes whom a rule applies to.
    pub(super) fn remove(self: &Arc<Self>, target: &Target) {
        let (app, cname) = (&self.app, &self.cname);
        self.act(|room| room.enforce_once(|uid, ip| target.covers(&Subject { app, cname, uid: Some(uid), ip })));
    }

    pub(super) fn close(self: &Arc<Self>, reason: LeftReason) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.closed, true) {
            let effects = state.room.close(reason);
            self.apply(&mut state, effects);
        }
    }

    /// What others than its recorders see of it, if there is anything.
    pub(super) fn summary(&self) -> Option<RoomSummary> {
        let (opened, profile, members) = self.state().room.summary()?;
        Some(RoomSummary { app: self.app.clone(), cname: self.cname.clone(), opened, profile, members })
    }

    /// Whether it is more than a place where recorders wait.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Sends a message to a member, if it has a socket.
    pub(super) fn send(&self, member: &MemberId, message: Message) {
        self.state().send(member, message);
    }

    /// The client answers the offer of its hearing connection.
    pub(super) fn answered(self: &Arc<Self>, member: &MemberId, id: u32, sdp: String) {
        let mut state = self.state();
        let effects = state.command(member, Command::Answer { id, sdp });
        self.apply(&mut state, effects);
    }

    /// A candidate of the client for its hearing connection; one too many is passed over.
    pub(super) fn candidate(&self, member: &MemberId, json: String) {
        if let Some(link) = self.state().links.get(member) {
            let _ = link.commands.try_send(Command::Candidate(json));
        }
    }

    /// A client announces a track.
    pub(super) fn add_track(self: &Arc<Self>, member: &MemberId, request: AddTrackRequest) {
        let cid = request.cid.clone();
        let mut state = self.state();
        let place = self.rooms.upgrade().map_or_else(|| Ok(QuotaPermit::default()), |rooms| rooms.track(&self.app));
        let effects = state.room.add_track(member, request, place);
        self.apply(&mut state, effects);
        self.start_negotiated(&mut state, member, &cid);
        if let Some(link) = state.links.get(member) {
            link.announced.notify_waiters();
        }
    }

    /// Rings when the member announces a track.
    pub(super) fn announcements(&self, member: &MemberId) -> Option<Arc<Notify>> {
        self.state().links.get(member).map(|link| Arc::clone(&link.announced))
    }

    /// The track that the media belongs to which the client calls `cid`.
    pub(super) fn media(self: &Arc<Self>, member: &MemberId, cid: &str) -> Option<Arc<Publication>> {
        let mut state = self.state();
        let sent = state.links.get(member)?.negotiated.track(cid);
        let sid = match state.room.media(member, cid, &sent)? {
            Ok(sid) => sid,
            Err(started) => self.start(&mut state, member, started, &sent),
        };
        state.publications.get(&sid).cloned()
    }

    /// What the client's latest offer says about its tracks.
    pub(super) fn negotiated(self: &Arc<Self>, member: &MemberId, negotiated: Negotiated) {
        if let Some(link) = self.state().links.get_mut(member) {
            link.negotiated = negotiated;
        }
    }

    /// The client's latest offer is answered: what it sends is published, what it no longer sends is over.
    pub(super) fn sends(self: &Arc<Self>, member: &MemberId, sending: &[Sending<'_>]) {
        let mut state = self.state();
        let effects = state.room.still_sends(member, sending);
        self.apply(&mut state, effects);
        sending.iter().for_each(|section| self.start_negotiated(&mut state, member, section.cid));
    }

    /// Starts the track that the client calls `cid`, if it is announced and the client's description sends it; one that is live goes on as
    /// the description says.
    fn start_negotiated(self: &Arc<Self>, state: &mut State, member: &MemberId, cid: &str) {
        let Some(sent) = state.links.get(member).map(|link| link.negotiated.track(cid)) else { return };
        if let Some(started) = state.room.start_track(member, cid, &sent) {
            self.start(state, member, started, &sent);
            return;
        }
        let Some((sid, effects)) = state.room.recode(member, cid, &sent) else { return };
        if let (Some(publication), Some(coded)) = (state.publications.get(&sid), sent.coded) {
            publication.set_coded(coded);
        }
        self.apply(state, effects);
    }

    fn start(self: &Arc<Self>, state: &mut State, member: &MemberId, started: Started, sent: &Sent) -> TrackSid {
        let Started { sid, label, effects } = started;
        let publication = Publication::new(sid.clone(), member.clone(), label, sent.coded);
        state.publications.insert(sid.clone(), Arc::new(publication));
        self.apply(state, effects);
        sid
    }

    /// The header extension of a publisher's audio level, and its payload type of RED.
    pub(super) fn extras(&self, member: &MemberId) -> (Option<u8>, Option<u8>) {
        let state = self.state();
        let negotiated = state.links.get(member).map(|link| &link.negotiated);
        (negotiated.and_then(|known| known.level), negotiated.and_then(|known| known.red))
    }

    pub(super) fn opus_parameters(&self, member: &MemberId, cid: &str) -> OpusParameters {
        self.state().room.opus_parameters(member, cid)
    }

    /// A data packet of a member, for whom it may concern.
    pub(super) fn carry(&self, sender: &MemberId, data_kind: DataKind, bytes: &[u8]) {
        let Some(uid) = self.state().room.data_sender(sender).cloned() else { return };
        let Some((bytes, to)) = accept(bytes, sender, &uid) else { return };
        let state = self.state();
        for receiver in state.room.receivers(sender, &to) {
            if let Some(link) = state.links.get(receiver)
                && link.data.try_send(Carried { data_kind, bytes: bytes.clone() }).is_err()
            {
                tracing::debug!(member = %receiver, "behind with data; a packet is dropped");
            }
        }
    }

    /// Does what follows, in order, and what follows from that.
    fn apply(self: &Arc<Self>, state: &mut State, effects: Effects) {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            match effect {
                Effect::Tell(member, message) => state.send(&member, *message),
                Effect::Hear { listener, track } => {
                    if let Some(publication) = state.publications.get(&track).cloned() {
                        waiting.extend(state.command(&listener, Command::Add(publication)));
                    }
                }
                Effect::Unhear { listener, track } => waiting.extend(state.command(&listener, Command::Remove(track))),
                Effect::End(track) => waiting.extend(state.end(&track)),
                Effect::Dismiss(member) => _ = state.links.remove(&member),
                Effect::News(event) => self.announce(state, event),
            }
        }
        self.open.store(state.room.is_open() && !state.closed, Ordering::Relaxed);
        self.settle_locked(state);
    }

    fn announce(&self, state: &mut State, event: RoomEvent) {
        let closes = matches!(event, RoomEvent::Closed { .. });
        if let Some(rooms) = self.rooms.upgrade() {
            let (app, cname, session) = (self.app.clone(), self.cname.clone(), state.session.clone());
            let (at, sequence) = (clock::now(), rooms.next_sequence());
            rooms.announce(RoomNotice { app, cname, session, sequence, at, event });
        }
        if closes {
            state.session = ChannelSid::from_random(rand::random());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds a room")
    }
}

impl State {
    fn send(&mut self, member: &MemberId, message: Message) {
        if let Some(socket) = self.links.get(member).and_then(|link| link.socket.as_ref()) {
            socket.send(message);
        }
    }

    /// A hearing connection that is so far behind, or has failed, is given up, and its member with it: what it missed can't be
    /// made good.
    fn command(&mut self, member: &MemberId, command: Command) -> Effects {
        match self.links.get(member).map(|link| link.commands.try_send(command)) {
            Some(Err(error)) => {
                tracing::debug!(%member, %error, "hearing connection given up");
                self.room.remove(member, LeftReason::Unresponsive)
            }
            Some(Ok(())) | None => Effects::new(),
        }
    }

    fn end(&mut self, track: &TrackSid) -> Effects {
        let Some(publication) = self.publications.remove(track) else { return Effects::new() };
        publication.over.cancel();
        let members: Vec<_> = self.links.keys().cloned().collect();
        members.iter().flat_map(|member| self.command(member, Command::Remove(track.clone()))).collect()
    }
}
