//! A room that closed or was deleted, and nobody in it: how the bot waits for the next member.
//!
//! *Hold*: the bot joins again, which makes the room anew, and asks that it lasts as long as the recording waits. That is done once
//! between two members: where such a room closes too, the bot watches. *Watch*: the bot stays outside and looks once a second with the
//! server API. Who deletes a room does not want it back, so after that it watches. Rooms that close while it is looked on are not
//! touched for [`CLOSING`]: the server takes a join meanwhile into the room that it is about to forget.
//!
//! Nobody is there while it waits, so nothing is missing. Who came before the bot did is missing since then ([`ChannelUpdate::Unheard`]).

use std::time::Duration;

use livekit_protocol::{JoinResponse, ParticipantInfo};
use tokio::time::{Instant, sleep};

use super::recovery::Recovery;
use super::{Exit, Membership};
use crate::livekit::IdleRoom;
use crate::livekit::agents;
use crate::livekit::server_api::ServerApi;
use crate::livekit::signal::Socket;
use crate::livekit::tracks::Tracks;
use crate::{ChannelUpdate, EndReason, JoinError};
use recorder_core::recording::Input;
use recorder_core::units::Uid;

/// How far apart two looks are.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a server may take to forget a room that it has closed.
const CLOSING: Duration = Duration::from_secs(1);

/// How much longer than the recording waits a room is asked to last, so that the room's end is never the recording's.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a room lasts that a watching bot makes, because it was gone when the bot came.
const UNWANTED: Duration = Duration::from_secs(10);

/// How long looks may fail before the channel counts as out of reach for good.
const BLIND_LIMIT: Duration = super::REJOIN_LIMIT;

/// What a bot does about empty rooms, and what it knows of one.
#[derive(Debug)]
pub(in crate::livekit) struct Waiting {
    pub(super) policy: IdleRoom,
    pub(super) api: ServerApi,
    /// How long the recording waits for a member.
    pub(super) patience: Duration,
    /// Since when nobody is there.
    pub(super) empty: Option<Instant>,
    /// Since the last member a room was made to last.
    pub(super) held: bool,
    /// While the bot is not in the room: when it was seen last that nobody is there.
    pub(super) absent: Option<Instant>,
    /// Whose sound can't be heard yet though the bot is in the room, and since when.
    pub(super) unheard: Vec<(String, Instant)>,
    /// Agents were let into the present room.
    pub(super) agents_came: bool,
}

impl Waiting {
    pub(in crate::livekit) const fn new(policy: IdleRoom, api: ServerApi, patience: Duration) -> Self {
        Self { policy, api, patience, empty: None, held: false, absent: None, unheard: Vec::new(), agents_came: false }
    }

    /// How long a room that the bot's join makes now has to last without a member.
    pub(in crate::livekit) fn empty_timeout(&self) -> Duration {
        match self.policy {
            IdleRoom::Hold => {
                self.patience.saturating_sub(self.empty.map(|since| since.elapsed()).unwrap_or_default()) + MARGIN
            }
            IdleRoom::Watch => UNWANTED,
        }
    }

    /// Takes note of whether somebody is there.
    pub(super) fn follow(&mut self, nobody: bool) {
        if nobody {
            self.empty.get_or_insert_with(Instant::now);
        } else {
            (self.empty, self.held) = (None, false);
        }
    }
}

impl Membership {
    /// The room is closed: waits for the next member. Brings a socket of the room in which it is, or the end.
    pub(super) async fn wait(&mut self, deleted: bool) -> Result<Socket, Exit> {
        tracing::info!(room = self.room, deleted, "the room is closed; the bot waits for the next member");
        self.waiting.absent = Some(Instant::now());
        self.let_go();
        let gone = self.members.leave_all();
        self.follow(gone).await;
        let holds = self.waiting.policy == IdleRoom::Hold && !deleted && !self.waiting.held;
        if holds {
            self.waiting.held = true;
            self.pause(CLOSING).await?;
            return self.recover(Recovery::Rejoin).await;
        }
        self.send(ChannelUpdate::Outside { deleted }).await;
        self.pause(CLOSING).await?;
        self.watch().await
    }

    /// Looks until somebody is there, then joins.
    pub(super) async fn watch(&mut self) -> Result<Socket, Exit> {
        let mut blind: Option<Instant> = None;
        loop {
            let looked = Instant::now();
            match self.look().await? {
                Ok(true) => return self.recover(Recovery::Rejoin).await,
                Ok(false) => {
                    self.waiting.absent = Some(looked);
                    if blind.take().is_some() {
                        self.send(ChannelUpdate::Input(Input::ChannelUp)).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(room = self.room, %error, "the bot can't see whether somebody is in its room");
                    if *blind.get_or_insert(looked) + BLIND_LIMIT <= Instant::now() {
                        return Err(Exit::Ended(EndReason::Unreachable));
                    }
                    self.send(ChannelUpdate::Down { since: looked }).await;
                }
            }
            self.pause(LOOK_EVERY).await?;
        }
    }

    /// Whether somebody is in the room.
    async fn look(&self) -> Result<Result<bool, JoinError>, Exit> {
        let token = self.passes.mint_for_api(&self.room, recorder_edge::clock::now());
        tokio::select! {
            () = self.outbox.closed() => Err(Exit::Left),
            seen = self.waiting.api.is_somebody_in(&self.room, &token) => Ok(seen),
        }
    }

    /// Whether a join after a wait came into the room that closed.
    pub(super) fn is_of_the_closed_room(&self, join: &JoinResponse) -> bool {
        let known = |sid: &str| !sid.is_empty() && sid == self.room_sid;
        self.waiting.absent.is_some() && join.room.as_ref().is_some_and(|room| known(&room.sid))
    }

    /// Lets the server's agents into the room of the first member, if a bot made it. The room goes on without waiting for it.
    pub(super) fn let_agents_in(&mut self) {
        if self.members.is_empty() || self.waiting.agents_came || !self.passes.keeps_agents_out() {
            return;
        }
        self.waiting.agents_came = true;
        let token = self.passes.mint_for_api(&self.room, recorder_edge::clock::now());
        tokio::spawn(agents::let_in(self.waiting.api.clone(), self.room.clone(), token));
    }

    async fn pause(&self, time: Duration) -> Result<(), Exit> {
        tokio::select! {
            () = self.outbox.closed() => Err(Exit::Left),
            () = sleep(time) => Ok(()),
        }
    }

    /// Lets go of everything that belongs to the present membership.
    pub(super) fn let_go(&mut self) {
        self.subscriber = None;
        self.tracks = Tracks::default();
        self.subscriptions.clear();
        self.snapshot_comes = false;
        self.waiting.unheard.clear();
        self.outbox.cut();
    }

    /// The bot is in the room again after a wait, and these were there before it: who of them speaks was not heard until now.
    pub(super) async fn is_back(&mut self, since: Instant, others: &[ParticipantInfo]) {
        self.send(ChannelUpdate::Inside).await;
        let (now, wall) = (Instant::now(), recorder_edge::clock::now().0);
        for info in others {
            let Some(uid) = self.members.speaker(&info.identity).cloned() else { continue };
            let joined = joined_ms(info).map_or(since, |joined| {
                now.checked_sub(Duration::from_millis(wall.saturating_sub(joined))).unwrap_or(since)
            });
            self.unheard(uid, joined.clamp(since.min(now), now)).await;
            self.waiting.unheard.push((info.identity.clone(), now));
        }
    }

    /// The peer connection is up: from here on everybody can be heard.
    pub(super) async fn hears(&mut self) {
        for (identity, since) in std::mem::take(&mut self.waiting.unheard) {
            if let Some(uid) = self.members.speaker(&identity).cloned() {
                self.unheard(uid, since).await;
            }
        }
    }

    async fn unheard(&self, uid: Uid, since: Instant) {
        self.send(ChannelUpdate::Unheard { uid, since }).await;
    }
}

/// When a participant joined, in the server's wall time.
fn joined_ms(info: &ParticipantInfo) -> Option<u64> {
    let ms = if info.joined_at_ms > 0 { info.joined_at_ms } else { info.joined_at.saturating_mul(1000) };
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}
