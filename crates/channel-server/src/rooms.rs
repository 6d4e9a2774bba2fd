//! All open rooms, by app and name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::broadcast;

use super::ids;
use super::limits::{Limits, MAX_ROOM_NOTICES};
use super::live::{JoinRejection, LiveRoom, MemberLink};
use super::notices::{LeftReason, RoomNotice, RoomSummary};
use super::quotas::{AppFull, Kind, QuotaPermit, Quotas};
use super::room::Client;
use super::rules::{Bans, RuleTable, Subject, Target};
use super::token::VerifiedToken;
use super::udp_mux::UdpMux;
use recorder_core::units::{AppId, Cname, Uid};
use recorder_edge::clock;

/// The open rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    mux: Arc<UdpMux>,
    table: RuleTable,
    limits: Limits,
    quotas: Quotas,
    notices: broadcast::Sender<RoomNotice>,
    sequence: AtomicU64,
    open: Mutex<HashMap<(AppId, Cname), Arc<LiveRoom>>>,
}

impl Rooms {
    pub(super) fn new(mux: UdpMux, table: RuleTable, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            mux: Arc::new(mux),
            table,
            limits,
            quotas: Quotas::new(limits),
            notices: broadcast::Sender::new(MAX_ROOM_NOTICES),
            sequence: AtomicU64::new(0),
            open: Mutex::default(),
        })
    }

    /// Whether there is a place for a room of this name. Rooms that only recorders hold take no place of the others; there may be
    /// as many of them.
    pub(super) fn admits(&self, verified: &VerifiedToken) -> Result<(), JoinRejection> {
        let open = self.open();
        let own = open.get(&(verified.app.clone(), verified.cname.clone())).cloned();
        let known = own.as_ref().is_some_and(|room| verified.grants.recorder || room.is_open());
        if !known {
            let alike = || open.iter().filter(|(_, room)| room.is_open() != verified.grants.recorder);
            if alike().filter(|((app, _), _)| *app == verified.app).count() >= self.limits.rooms_per_app {
                return Err(AppFull::Rooms.into());
            }
            if alike().count() >= self.limits.rooms {
                return Err(JoinRejection::Rooms);
            }
        }
        drop(open);
        own.map_or(Ok(()), |room| room.admits(verified))
    }

    /// A seat in the room of the pass, which is opened if need be. A room that closes meanwhile is opened anew.
    pub(super) async fn join(
        self: &Arc<Self>,
        verified: VerifiedToken,
        client: Client,
    ) -> Result<MemberLink, JoinRejection> {
        let uid = verified.identity.clone().unwrap_or_else(assigned_uid);
        let kind = if verified.grants.recorder { Kind::Recorders } else { Kind::Members };
        loop {
            let room = self.room(&verified);
            let place = if room.holds(&uid) {
                Ok(self.quotas.replace(&verified.app, kind))
            } else {
                self.quotas.take(&verified.app, kind)
            };
            let link = match place {
                Ok(place) => room.join(&self.mux, uid.clone(), verified.clone(), client.clone(), place).await,
                Err(full) => Err(full.into()),
            };
            room.settle();
            match link {
                Err(JoinRejection::Closed) => self.forget(&verified.app, &verified.cname, &room),
                link => return link,
            }
        }
    }

    /// The seat of a member that lost its socket.
    pub(super) fn resume(&self, verified: &VerifiedToken, member: &str) -> Result<MemberLink, JoinRejection> {
        let room = self.find(&verified.app, &verified.cname).ok_or(JoinRejection::Unknown)?;
        room.resume(member, verified).ok_or(JoinRejection::Unknown)
    }

    pub(super) fn find(&self, app: &AppId, cname: &Cname) -> Option<Arc<LiveRoom>> {
        self.open().get(&(app.clone(), cname.clone())).cloned()
    }

    pub(super) fn summaries(&self) -> Vec<RoomSummary> {
        let rooms: Vec<_> = self.open().values().cloned().collect();
        rooms.iter().filter_map(|room| room.summary()).collect()
    }

    /// A place for a signalling socket; one that goes on for another is never refused.
    pub(super) fn socket(&self, app: &AppId, resumes: bool) -> Result<QuotaPermit, AppFull> {
        if resumes { Ok(self.quotas.replace(app, Kind::Sockets)) } else { self.quotas.take(app, Kind::Sockets) }
    }

    /// A place for a track.
    pub(super) fn track(&self, app: &AppId) -> Result<QuotaPermit, AppFull> {
        self.quotas.take(app, Kind::Tracks)
    }

    /// What the rules ban for the bearer of a pass; nothing for recorders.
    pub(super) fn bans(&self, verified: &VerifiedToken, uid: Option<&Uid>, ip: Option<IpAddr>) -> Bans {
        if verified.grants.recorder {
            return Bans::default();
        }
        self.table.bans(&Subject { app: &verified.app, cname: &verified.cname, uid, ip }, clock::now())
    }

    /// Removes or silences members as the app's rules are now, and gives back what no rule bans any more.
    pub(super) fn enforce(&self, app: &AppId) {
        self.of(app).iter().for_each(|room| room.enforce());
    }

    /// Removes whom a rule applies to.
    pub(super) fn remove(&self, app: &AppId, target: &Target) {
        self.of(app).iter().for_each(|room| room.remove(target));
    }

    pub(super) const fn table(&self) -> &RuleTable {
        &self.table
    }

    pub(super) fn close(&self, reason: LeftReason) {
        let rooms: Vec<_> = self.open().drain().map(|(_, room)| room).collect();
        rooms.iter().for_each(|room| room.close(reason));
    }

    pub(super) fn forget(&self, app: &AppId, cname: &Cname, room: &Arc<LiveRoom>) {
        let mut open = self.open();
        let key = (app.clone(), cname.clone());
        if open.get(&key).is_some_and(|known| Arc::ptr_eq(known, room)) {
            open.remove(&key);
        }
    }

    /// The clock's milliseconds, or one more than the last time: so that it rises across restarts.
    pub(super) fn next_sequence(&self) -> u64 {
        let now = clock::now().0;
        let next = |last: u64| now.max(last.saturating_add(1));
        match self.sequence.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
            Ok(last) | Err(last) => next(last),
        }
    }

    pub(super) fn announce(&self, notices: RoomNotice) {
        // Nobody may be listening.
        let _ = self.notices.send(notices);
    }

    pub(super) fn notices(&self) -> broadcast::Receiver<RoomNotice> {
        self.notices.subscribe()
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn mux(&self) -> &UdpMux {
        &self.mux
    }

    fn of(&self, app: &AppId) -> Vec<Arc<LiveRoom>> {
        self.open().iter().filter(|((owner, _), _)| owner == app).map(|(_, room)| Arc::clone(room)).collect()
    }

    fn room(self: &Arc<Self>, verified: &VerifiedToken) -> Arc<LiveRoom> {
        let (app, cname) = (verified.app.clone(), verified.cname.clone());
        let mut open = self.open();
        if let Some(room) = open.get(&(app.clone(), cname.clone())) {
            return Arc::clone(room);
        }
        let room = LiveRoom::new(app.clone(), cname.clone(), self.limits, Arc::downgrade(self));
        open.insert((app, cname), Arc::clone(&room));
        room
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(AppId, Cname), Arc<LiveRoom>>> {
        self.open.lock().expect("nothing panics while it holds the rooms")
    }
}

fn assigned_uid() -> Uid {
    Uid::new(&ids::uid().to_string()).expect("a decimal number is a uid")
}
