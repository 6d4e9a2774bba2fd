//! The life of a membership: one task a bot, from the join response to the last update.
//!
//! While a socket is open it answers offers, follows members and selection, and pings. A lost socket goes to [`recovery`],
//! which brings a new one or the end. Packets don't pass through this task (see [`super::tracks`]).
//!
//! [`ChannelUpdate::Down`] is told when media really stopped: the peer connection is broken, or the socket is lost and no packet has
//! come for a second, or the server has forgotten us, or the bot is deaf (see [`hearing`]). It is dated from the last sign of
//! life on the way of the media. A resumed socket beside flowing packets is no outage. A room that is closed is none either: see
//! [`outside`].

mod hearing;
mod media;
mod outside;
mod recovery;
mod timers;

use std::sync::Arc;

use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{
    DisconnectReason, IceServer, JoinResponse, LeaveRequest, ParticipantUpdate, Ping, RoomMovedResponse,
    SubscriptionResponse,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(super) use outside::Waiting;
pub use recovery::REJOIN_LIMIT;

use self::hearing::{Deafness, Hearing};
use self::recovery::{Recovery, Trouble};
use self::timers::{Due, Timers};
use super::address::{Address, ResumeReason};
use super::leave::{Verdict, verdict};
use super::members::{Members, Snapshot};
use super::outbox::Outbox;
use super::signal::{Lost, Socket};
use super::subscriber::{PeerEvent, Subscriber};
use super::subscriptions::Subscriptions;
use super::token::TokenSource;
use super::tracks::Tracks;
use crate::{ChannelUpdate, EndReason, MediaPath};
use recorder_core::recording::{Input, Selection};

/// Why the loop over an open socket ended.
#[derive(Debug, PartialEq, Eq)]
enum Exit {
    /// The session does not listen any more.
    Left,
    /// Over for good.
    Ended(EndReason),
    /// The room is closed.
    Closed { deleted: bool },
    /// The socket, or what is behind it, has to be replaced.
    Lost { why: String, recovery: Recovery },
}

impl From<Lost> for Exit {
    fn from(Lost(why): Lost) -> Self {
        Self::Lost { why, recovery: Recovery::Resume(ResumeReason::SignalDisconnected) }
    }
}

/// A bot in a channel.
pub(super) struct Membership {
    address: Address,
    passes: TokenSource,
    room: String,
    /// The present room, `RM_…`.
    room_sid: String,
    /// Our own `PA_…`; a resume names it.
    sid: String,
    ice_servers: Vec<IceServer>,
    outbox: Arc<Outbox>,
    media: Arc<MediaPath>,
    selection: watch::Receiver<Selection>,
    members: Members,
    subscriptions: Subscriptions,
    subscriber: Option<Subscriber>,
    tracks: Tracks,
    timers: Timers,
    hearing: Hearing,
    /// When the present membership began.
    entered: Instant,
    /// The next update is a complete list.
    snapshot_comes: bool,
    trouble: Option<Trouble>,
    waiting: Waiting,
}

/// How a membership begins.
pub(super) enum Entrance {
    /// In the room.
    Inside(Box<Socket>, Box<JoinResponse>),
    /// Nobody is in the room.
    Outside,
}

impl Membership {
    pub(super) fn new(
        address: Address,
        passes: TokenSource,
        room: String,
        outbox: Outbox,
        selection: watch::Receiver<Selection>,
        media: Arc<MediaPath>,
        waiting: Waiting,
    ) -> Self {
        let members = Members::new(passes.identity().to_owned());
        Self {
            address,
            passes,
            room,
            room_sid: String::new(),
            sid: String::new(),
            ice_servers: Vec::new(),
            outbox: Arc::new(outbox),
            media,
            selection,
            members,
            subscriptions: Subscriptions::default(),
            subscriber: None,
            tracks: Tracks::default(),
            timers: Timers::default(),
            hearing: Hearing::default(),
            entered: Instant::now(),
            snapshot_comes: false,
            trouble: None,
            waiting,
        }
    }

    /// Lives until the session stops listening or the channel ends.
    pub(super) async fn run(mut self, entrance: Entrance) {
        let mut entered = match entrance {
            Entrance::Inside(socket, join) => {
                self.enter(*join).await;
                Ok(*socket)
            }
            Entrance::Outside => {
                self.waiting.absent = Some(Instant::now());
                self.waiting.follow(true);
                self.send(ChannelUpdate::Outside { deleted: false }).await;
                self.watch().await
            }
        };
        loop {
            let exit = match entered {
                Ok(socket) => self.attend_and_close(socket).await,
                Err(exit) => exit,
            };
            entered = match exit {
                Exit::Left => return,
                Exit::Ended(reason) => return self.send(ChannelUpdate::Ended(reason)).await,
                Exit::Closed { deleted } => self.wait(deleted).await,
                Exit::Lost { why, recovery } => {
                    tracing::info!(room = self.room, why, ?recovery, "the signalling socket is lost");
                    self.recover(recovery).await
                }
            };
        }
    }

    /// Works on an open socket until something ends it, and ends it in good order where it is not lost.
    async fn attend_and_close(&mut self, mut socket: Socket) -> Exit {
        let exit = self.attend(&mut socket).await;
        if exit == Exit::Left {
            // Courtesy: the server would notice by itself, later.
            let _ = socket.send(Request::Leave(goodbye())).await;
        }
        if !matches!(exit, Exit::Lost { .. }) {
            socket.close().await;
        }
        exit
    }

    /// Begins a membership: the first one, or one that replaces another.
    async fn enter(&mut self, join: JoinResponse) {
        let room_sid = join.room.map(|room| room.sid).unwrap_or_default();
        self.waiting.agents_came &= room_sid == self.room_sid;
        self.room_sid = room_sid;
        self.sid = join.participant.map(|participant| participant.sid).unwrap_or_default();
        self.ice_servers = join.ice_servers;
        self.timers.joined(join.ping_interval, join.ping_timeout);
        self.entered = Instant::now();
        self.hearing.begin();
        self.send(ChannelUpdate::Input(Input::ChannelUp)).await;
        let updates = self.members.snapshot(&join.other_participants, Snapshot::Rejoined);
        self.follow(updates).await;
        self.timers.settle(Snapshot::Rejoined, self.members.unsettled());
        if let Some(since) = self.waiting.absent.take() {
            self.is_back(since, &join.other_participants).await;
        }
    }

    /// Works on an open socket until something ends it.
    async fn attend(&mut self, socket: &mut Socket) -> Exit {
        self.timers.attached();
        if let Err(lost) = self.subscribe(socket).await {
            return lost.into();
        }
        loop {
            let deaf = self.hearing.deadline().filter(|_| !self.timers.is_connecting());
            // In this order: after a stall of this worker, what waits in the socket comes before what the clock says.
            let step = tokio::select! {
                biased;
                () = self.outbox.closed() => return Exit::Left,
                message = socket.next() => match message {
                    Ok(message) => self.answer(socket, message).await,
                    Err(lost) => Err(lost.into()),
                },
                event = peer_event(&mut self.subscriber) => self.peer_event(Some(socket), event).await,
                Ok(()) = self.selection.changed() => self.subscribe(socket).await.map_err(Exit::from),
                () = sleep_until(deaf.unwrap_or(self.entered)), if deaf.is_some() => self.listen(socket).await,
                due = self.timers.next() => self.due(socket, due).await,
            };
            if let Err(exit) = step {
                return exit;
            }
        }
    }

    /// Does what a message of the server asks for.
    async fn answer(&mut self, socket: &mut Socket, message: Response) -> Result<(), Exit> {
        self.timers.heard();
        match message {
            Response::Offer(offer) => self.offered(socket, offer).await?,
            Response::Trickle(trickle) => self.candidate(socket, &trickle).await,
            Response::Update(update) => self.updated(socket, update).await?,
            Response::Leave(leave) => return Err(self.removed(&leave)),
            Response::RefreshToken(token) => self.passes.refresh(token),
            Response::RoomMoved(moved) => self.moved(socket, moved).await?,
            Response::SpeakersChanged(changed) => {
                let changes = self.hearing.report(&changed.speakers);
                self.review();
                for (sid, speaking) in changes {
                    if let Some(uid) = self.members.uid(&sid).cloned() {
                        self.send(ChannelUpdate::Input(Input::Speaking { uid, speaking })).await;
                    }
                }
            }
            Response::SubscriptionResponse(SubscriptionResponse { track_sid, err }) => {
                tracing::warn!(room = self.room, track_sid, err, "the server can't send us a track");
            }
            _ => {}
        }
        Ok(())
    }

    async fn updated(&mut self, socket: &mut Socket, update: ParticipantUpdate) -> Result<(), Exit> {
        let updates = if std::mem::take(&mut self.snapshot_comes) {
            let updates = self.members.snapshot(&update.participants, Snapshot::Resumed);
            self.timers.settle(Snapshot::Resumed, self.members.unsettled());
            updates
        } else {
            self.members.update(&update.participants)
        };
        self.follow(updates).await;
        Ok(self.subscribe(socket).await?)
    }

    fn removed(&self, leave: &LeaveRequest) -> Exit {
        let why = format!("the server sent us away: {}", leave.reason().as_str_name());
        match verdict(leave) {
            Verdict::End(reason) => Exit::Ended(reason),
            Verdict::Wait { deleted } => Exit::Closed { deleted },
            Verdict::Resume => Exit::from(Lost(why)),
            Verdict::Rejoin => Exit::Lost { why, recovery: Recovery::Rejoin },
        }
    }

    /// An administrator moved us to another room; everybody else is new.
    async fn moved(&mut self, socket: &mut Socket, moved: RoomMovedResponse) -> Result<(), Exit> {
        if let Some(room) = moved.room {
            (self.room, self.room_sid) = (room.name, room.sid);
        }
        if let Some(participant) = moved.participant {
            self.sid = participant.sid;
        }
        self.passes.refresh(moved.token);
        self.subscriptions.clear();
        let mut updates = self.members.snapshot(&moved.other_participants, Snapshot::Rejoined);
        updates.extend(self.members.settle());
        self.follow(updates).await;
        Ok(self.subscribe(socket).await?)
    }

    /// Asks for what is selected and not yet subscribed, and for the end of what is no longer selected.
    async fn subscribe(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        let requests = self.subscriptions.follow(self.members.published(), &self.selection.borrow_and_update());
        for request in requests {
            socket.send(Request::Subscription(request)).await?;
        }
        self.review();
        Ok(())
    }

    /// Takes stock of who speaks and should be heard.
    fn review(&mut self) {
        let Self { members, subscriptions, hearing, outbox, .. } = self;
        hearing.review(|sid| members.is_audible(sid, |track| subscriptions.holds(track)), outbox.last_packet());
    }

    /// The server has reported speakers for a while: has anything been heard of them?
    async fn listen(&mut self, socket: &mut Socket) -> Result<(), Exit> {
        let deafness = self.hearing.deafness(self.outbox.last_packet());
        let (Deafness::Tell(since) | Deafness::Rejoin(since)) = deafness else { return Ok(()) };
        tracing::warn!(room = self.room, ?deafness, "the server reports speakers and no packet arrives");
        self.send(ChannelUpdate::Down { since }).await;
        if matches!(deafness, Deafness::Tell(_)) {
            return Ok(());
        }
        // Courtesy: the server would notice by itself, when the new membership begins.
        let _ = socket.send(Request::Leave(goodbye())).await;
        Err(Exit::Lost { why: "the bot is deaf".to_owned(), recovery: Recovery::Rejoin })
    }

    async fn due(&mut self, socket: &mut Socket, due: Due) -> Result<(), Exit> {
        match due {
            Due::Ping => {
                let timestamp = i64::try_from(recorder_edge::clock::now().0).unwrap_or(i64::MAX);
                socket.send(Request::PingReq(Ping { timestamp, rtt: 0 })).await?;
            }
            Due::Silence => return Err(Lost("nothing was heard for the ping timeout".to_owned()).into()),
            Due::Settle => {
                let updates = self.members.settle();
                self.follow(updates).await;
            }
            Due::Unconnected => {
                let why = "the peer connection does not connect; is the server's UDP port reachable?".to_owned();
                return Err(Exit::Lost { why, recovery: Recovery::Rejoin });
            }
            Due::Stable => self.trouble = None,
        }
        Ok(())
    }

    /// Tells changes of the members, and lets packets of new tracks through.
    async fn follow(&mut self, updates: Vec<Input>) {
        for input in updates {
            self.send(ChannelUpdate::Input(input)).await;
        }
        self.waiting.follow(self.members.is_empty());
        self.let_agents_in();
        self.bind();
    }

    /// Lets go of everything that belongs to the present membership, which is lost. A bot that waited outside loses nothing.
    async fn detach(&mut self) {
        let since = self.last_sign_of_life();
        self.let_go();
        if self.waiting.absent.is_none() {
            self.send(ChannelUpdate::Down { since }).await;
        }
    }

    /// Tells that no media can arrive.
    async fn down(&self) {
        self.send(ChannelUpdate::Down { since: self.last_sign_of_life() }).await;
    }

    /// When something last came over the way of the media. A peer connection that never came up has had no sign of life in this
    /// membership; where none was needed yet, the server's last word counts.
    fn last_sign_of_life(&self) -> Instant {
        let media = self.media.newest().max(self.outbox.last_packet());
        let other = if self.subscriber.is_some() { self.entered } else { self.timers.last_heard() };
        media.filter(|sign| *sign >= self.entered).unwrap_or(other)
    }

    async fn send(&self, updates: ChannelUpdate) {
        // Nobody listens: the loop notices by itself and leaves.
        let _ = self.outbox.send(updates).await;
    }
}

fn goodbye() -> LeaveRequest {
    LeaveRequest { reason: DisconnectReason::ClientInitiated as i32, ..Default::default() }
}

/// When the last packet arrived, or `since` if none has come after it.
fn last_sign_of_media(outbox: &Outbox, since: Instant) -> Instant {
    outbox.last_packet().map_or(since, |last| last.max(since))
}

async fn peer_event(subscriber: &mut Option<Subscriber>) -> PeerEvent {
    match subscriber {
        Some(subscriber) => subscriber.event().await,
        None => std::future::pending().await,
    }
}
