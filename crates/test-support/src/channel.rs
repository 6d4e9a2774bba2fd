//! A channel that plays what the test writes: the port's double.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloud_recorder::channel::{Channel, ChannelHandle, ChannelUpdate, EndReason, JoinError, JoinRequest, TokenError};
use cloud_recorder::recording::{Input, Selection, TrackKind};
use cloud_recorder::units::{Cname, Sid, TrackId, Uid, WallMs};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::talker::Talker;

/// Updates that may wait in a scripted channel.
const QUEUE: usize = 65_536;

/// What happens when a bot comes.
#[derive(Clone, Debug)]
pub enum JoinAnswer {
    /// It is let in after this long.
    Slow(Duration),
    /// It is let in when the test says so.
    Held(Arc<Notify>),
    /// Its token is refused.
    Refuses,
    /// Its token is refused after this long.
    SlowlyRefuses(Duration),
    /// Nobody answers.
    Dead,
}

/// All channels of an app; every bot gets a stage of its own.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    doors: VecDeque<JoinAnswer>,
    stages: BTreeMap<Sid, ScriptedChannel>,
}

/// One bot's place, from the other side.
#[derive(Clone, Debug)]
pub struct ScriptedChannel {
    updates: mpsc::Sender<(Instant, ChannelUpdate)>,
    pub selection: watch::Receiver<Selection>,
    /// When the bot came in.
    pub origin: Instant,
}

impl Script {
    /// The next bot finds this door; later ones an open one.
    pub fn next_door(&self, door: JoinAnswer) {
        self.0.lock().unwrap().doors.push_back(door);
    }

    /// The stage of a recording whose bot is in.
    pub fn scripted_channel(&self, sid: &str) -> ScriptedChannel {
        self.find(sid).expect("the bot is in the channel")
    }

    /// The same, if it is in.
    pub fn find(&self, sid: &str) -> Option<ScriptedChannel> {
        self.0.lock().unwrap().stages.get(&Sid::new(sid).unwrap()).cloned()
    }

    /// How many bots came in.
    pub fn joins(&self) -> usize {
        self.0.lock().unwrap().stages.len()
    }
}

#[async_trait]
impl Channel for Script {
    async fn join(&self, request: JoinRequest) -> Result<ChannelHandle, JoinError> {
        let door = self.0.lock().unwrap().doors.pop_front();
        match door {
            None => {}
            Some(JoinAnswer::Slow(pause)) => tokio::time::sleep(pause).await,
            Some(JoinAnswer::Held(open)) => open.notified().await,
            Some(JoinAnswer::SlowlyRefuses(pause)) => {
                tokio::time::sleep(pause).await;
                return Err(JoinError::Refused("invalid token".into()));
            }
            Some(JoinAnswer::Refuses) => return Err(JoinError::Refused("invalid token".into())),
            Some(JoinAnswer::Dead) => return Err(JoinError::Unreachable("connection refused".into())),
        }
        let (updates, heard) = mpsc::channel(QUEUE);
        let (selection, selected) = watch::channel(request.selection);
        let scripted_channel = ScriptedChannel { updates, selection: selected, origin: Instant::now() };
        self.0.lock().unwrap().stages.insert(request.sid, scripted_channel);
        Ok(ChannelHandle { updates: heard, selection, media: Arc::default() })
    }

    /// `until <ms>` is good until then, `wrong` never, everything else for ever.
    fn admits(&self, token: &SecretString, _: &Cname, _: &Uid, now: WallMs) -> Result<Option<WallMs>, TokenError> {
        match token.expose_secret().split_once(' ').unwrap_or_else(|| (token.expose_secret(), "")) {
            ("until", end) => match WallMs(end.parse().unwrap()) {
                end if end <= now => Err(TokenError::Expired("dynamic key expired".into())),
                end => Ok(Some(end)),
            },
            ("wrong", _) => Err(TokenError::Invalid("invalid token, authorized failed".into())),
            _ => Ok(None),
        }
    }
}

impl ScriptedChannel {
    /// Something happens, this long after the bot came in. It may be told before its time: sessions go by the time told.
    pub async fn at(&self, ms: u64, input: Input) {
        let arrival = self.origin + Duration::from_millis(ms);
        self.updates.send((arrival, ChannelUpdate::Input(input))).await.unwrap();
    }

    /// The adapter tells something, this long after the bot came in.
    pub async fn tell(&self, ms: u64, updates: ChannelUpdate) {
        self.updates.send((self.instant(ms), updates)).await.unwrap();
    }

    /// Whether the recording has taken all that was told.
    pub fn is_taken(&self) -> bool {
        self.updates.capacity() == self.updates.max_capacity()
    }

    /// This long after the bot came in.
    pub fn instant(&self, ms: u64) -> Instant {
        self.origin + Duration::from_millis(ms)
    }

    /// The way to the channel breaks; the last sign of life was earlier.
    pub async fn down(&self, ms: u64, since_ms: u64) {
        let at = |ms: u64| self.origin + Duration::from_millis(ms);
        self.updates.send((at(ms), ChannelUpdate::Down { since: at(since_ms) })).await.unwrap();
    }

    /// A member joins and publishes.
    pub async fn enter(&self, ms: u64, uid: &str, track: u32) {
        let uid = Uid::new(uid).unwrap();
        self.at(ms, Input::Joined { uid: uid.clone() }).await;
        self.at(ms, Input::TrackAdded { track: TrackId(track), uid, muted: false, kind: TrackKind::default() }).await;
    }

    /// A member leaves.
    pub async fn leave(&self, ms: u64, uid: &str) {
        self.at(ms, Input::Left { uid: Uid::new(uid).unwrap() }).await;
    }

    /// Some members talk, all from `from_ms` to `to_ms`.
    pub async fn talk(&self, talkers: &mut [Talker], from_ms: u64, to_ms: u64) {
        for ms in (from_ms..to_ms).step_by(20) {
            for talker in talkers.iter_mut() {
                let packet = talker.next_packet(ms);
                self.at(ms, Input::Packet(packet)).await;
            }
        }
    }

    /// The membership is over.
    pub async fn end(&self, reason: EndReason) {
        self.updates.send((Instant::now(), ChannelUpdate::Ended(reason))).await.unwrap();
    }

    /// The bot is gone.
    pub async fn left(&self) {
        self.updates.closed().await;
    }
}
