//! All open rooms, by app and name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::broadcast;

use super::ids;
use super::limits::{Limits, MAX_ROOM_NEWS};
use super::live::{LiveRoom, NoSeat, Seat};
use super::news::{LeftReason, RoomNews, RoomSummary};
use super::places::{AppFull, Kind, Place, Places};
use super::room::Client;
use super::rules::{Bans, Book, Subject, Target};
use super::token::Pass;
use super::udp_mux::UdpMux;
use crate::clock;
use crate::units::{AppId, Cname, Uid};

/// The open rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    mux: Arc<UdpMux>,
    book: Book,
    limits: Limits,
    places: Places,
    news: broadcast::Sender<RoomNews>,
    sequence: AtomicU64,
    open: Mutex<HashMap<(AppId, Cname), Arc<LiveRoom>>>,
}

impl Rooms {
    pub(super) fn new(mux: UdpMux, book: Book, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            mux: Arc::new(mux),
            book,
            limits,
            places: Places::new(limits),
            news: broadcast::Sender::new(MAX_ROOM_NEWS),
            sequence: AtomicU64::new(0),
            open: Mutex::default(),
        })
    }

    /// Whether there is a place for a room of this name. Rooms that only recorders hold take no place of the others; there may be
    /// as many of them.
    pub(super) fn admits(&self, pass: &Pass) -> Result<(), NoSeat> {
        let open = self.open();
        let own = open.get(&(pass.app.clone(), pass.cname.clone())).cloned();
        let known = own.as_ref().is_some_and(|room| pass.grants.recorder || room.is_open());
        if !known {
            let alike = || open.iter().filter(|(_, room)| room.is_open() != pass.grants.recorder);
            if alike().filter(|((app, _), _)| *app == pass.app).count() >= self.limits.rooms_per_app {
                return Err(AppFull::Rooms.into());
            }
            if alike().count() >= self.limits.rooms {
                return Err(NoSeat::Rooms);
            }
        }
        drop(open);
        own.map_or(Ok(()), |room| room.admits(pass))
    }

    /// A seat in the room of the pass, which is opened if need be. A room that closes meanwhile is opened anew.
    pub(super) async fn join(self: &Arc<Self>, pass: Pass, client: Client) -> Result<Seat, NoSeat> {
        let uid = pass.identity.clone().unwrap_or_else(assigned_uid);
        let kind = if pass.grants.recorder { Kind::Recorders } else { Kind::Members };
        loop {
            let room = self.room(&pass);
            let place = if room.holds(&uid) {
                Ok(self.places.replace(&pass.app, kind))
            } else {
                self.places.take(&pass.app, kind)
            };
            let seat = match place {
                Ok(place) => room.join(&self.mux, uid.clone(), pass.clone(), client.clone(), place).await,
                Err(full) => Err(full.into()),
            };
            room.settle();
            match seat {
                Err(NoSeat::Closed) => self.forget(&pass.app, &pass.cname, &room),
                seat => return seat,
            }
        }
    }

    /// The seat of a member that lost its socket.
    pub(super) fn resume(&self, pass: &Pass, member: &str) -> Result<Seat, NoSeat> {
        let room = self.find(&pass.app, &pass.cname).ok_or(NoSeat::Unknown)?;
        room.resume(member, pass).ok_or(NoSeat::Unknown)
    }

    pub(super) fn find(&self, app: &AppId, cname: &Cname) -> Option<Arc<LiveRoom>> {
        self.open().get(&(app.clone(), cname.clone())).cloned()
    }

    pub(super) fn summaries(&self) -> Vec<RoomSummary> {
        let rooms: Vec<_> = self.open().values().cloned().collect();
        rooms.iter().filter_map(|room| room.summary()).collect()
    }

    /// A place for a signalling socket; one that goes on for another is never refused.
    pub(super) fn socket(&self, app: &AppId, resumes: bool) -> Result<Place, AppFull> {
        if resumes { Ok(self.places.replace(app, Kind::Sockets)) } else { self.places.take(app, Kind::Sockets) }
    }

    /// A place for a track.
    pub(super) fn track(&self, app: &AppId) -> Result<Place, AppFull> {
        self.places.take(app, Kind::Tracks)
    }

    /// What the rules ban for the bearer of a pass; nothing for recorders.
    pub(super) fn bans(&self, pass: &Pass, uid: Option<&Uid>, ip: Option<IpAddr>) -> Bans {
        if pass.grants.recorder {
            return Bans::default();
        }
        self.book.bans(&Subject { app: &pass.app, cname: &pass.cname, uid, ip }, clock::now())
    }

    /// Removes or silences members as the app's rules are now, and gives back what no rule bans any more.
    pub(super) fn enforce(&self, app: &AppId) {
        self.of(app).iter().for_each(|room| room.enforce());
    }

    /// Removes whom a rule applies to.
    pub(super) fn oust(&self, app: &AppId, target: &Target) {
        self.of(app).iter().for_each(|room| room.oust(target));
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
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

    pub(super) fn announce(&self, news: RoomNews) {
        // Nobody may be listening.
        let _ = self.news.send(news);
    }

    pub(super) fn news(&self) -> broadcast::Receiver<RoomNews> {
        self.news.subscribe()
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

    fn room(self: &Arc<Self>, pass: &Pass) -> Arc<LiveRoom> {
        let (app, cname) = (pass.app.clone(), pass.cname.clone());
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
