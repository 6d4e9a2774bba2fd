//! The queue of updates towards the session.
//!
//! * Bounded. Packets never wait: when the queue is full they are dropped and counted, and `Overloaded` is told of their track
//!   until one passes again. Everything else waits for room, and has [`RESERVE`] places that no packet takes.
//! * Times never decrease: they are read under the lock that orders the queue.
//! * Packets of a track pass only between its `TrackAdded` and its end.
//! * `Down` and `ChannelUp` alternate, and no packet comes between them: one that arrives shows that the channel is up.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ChannelUpdate;
use recorder_core::recording::{Input, Packet};
use recorder_core::units::{TrackId, Uid};

/// How many updates may wait for the session: two and a half minutes of one talker, five seconds of thirty.
pub(super) const CAPACITY: usize = 8_192;

/// How many of these places are kept free of packets.
pub(super) const RESERVE: usize = 1_024;

/// The session is gone; the bot should leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// The life of one peer connection; see [`Outbox::cut`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era(u64);

/// The sending side of [`crate::ChannelHandle::updates`], shared by everything that sends updates.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<(Instant, ChannelUpdate)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The open tracks and whose they are.
    open: HashMap<TrackId, Uid>,
    /// Counts peer connections: late packets of an earlier one are not passed on.
    era: Era,
    /// Whether `Down` was told and `ChannelUp` was not.
    down: bool,
    dropped: u64,
    /// Tracks of which the last packet was dropped, and that was told.
    overloaded: HashSet<TrackId>,
    last_packet: Option<Instant>,
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<(Instant, ChannelUpdate)>) {
        let (queue, updates) = mpsc::channel(CAPACITY);
        (Self { queue, state: Mutex::default() }, updates)
    }

    /// Tells something that must not be lost; waits while the queue is full. What is known already (the channel is down, or
    /// up) is not told again.
    pub(super) async fn send(&self, updates: ChannelUpdate) -> Result<(), Closed> {
        let permit = self.queue.reserve().await.map_err(|_| Closed)?;
        let mut state = self.lock();
        match &updates {
            ChannelUpdate::Input(Input::TrackAdded { track, uid, .. }) => {
                state.open.insert(*track, uid.clone());
            }
            ChannelUpdate::Input(Input::TrackRemoved { track }) => {
                state.open.remove(track);
                state.overloaded.remove(track);
            }
            ChannelUpdate::Input(Input::Left { uid }) => {
                let State { open, overloaded, .. } = &mut *state;
                open.retain(|_, owner| owner != uid);
                overloaded.retain(|track| open.contains_key(track));
            }
            ChannelUpdate::Down { .. } if std::mem::replace(&mut state.down, true) => return Ok(()),
            ChannelUpdate::Input(Input::ChannelUp) if !std::mem::replace(&mut state.down, false) => return Ok(()),
            _ => {}
        }
        permit.send((Instant::now(), updates));
        Ok(())
    }

    /// Passes on a packet that just arrived, or drops it if the session does not keep up. False when its track or its peer
    /// connection has ended.
    pub(super) fn packet(&self, era: Era, packet: Packet) -> bool {
        let mut state = self.lock();
        if state.era != era || !state.open.contains_key(&packet.track) {
            return false;
        }
        let (now, track) = (Instant::now(), packet.track);
        state.last_packet = Some(now);
        if self.is_full() {
            self.overloaded(&mut state, now, track);
        } else if state.overloaded.remove(&track) {
            let _ = self.queue.try_send((now, ChannelUpdate::Input(Input::Overloaded { track, overloaded: false })));
        }
        self.pass(&mut state, now, Input::Packet(packet));
        true
    }

    /// Passes on a sender report; a bonus, so it is dropped like a packet.
    pub(super) fn sender_report(&self, era: Era, track: TrackId, ntp: u64, rtp: u32) {
        let mut state = self.lock();
        if state.era == era && !state.down && state.open.contains_key(&track) {
            self.pass(&mut state, Instant::now(), Input::SenderReport { track, ntp, rtp });
        }
    }

    /// The present era, for those who bring packets.
    pub(super) fn era(&self) -> Era {
        self.lock().era
    }

    /// Ends the era: nothing of the present peer connection passes any more.
    pub(super) fn cut(&self) {
        self.lock().era.0 += 1;
    }

    /// Whether the channel was told to be down.
    pub(super) fn is_down(&self) -> bool {
        self.lock().down
    }

    /// When the last packet arrived.
    pub(super) fn last_packet(&self) -> Option<Instant> {
        self.lock().last_packet
    }

    /// Resolves when nobody listens any more.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Puts it into the queue if there is room. A send can then only fail because nobody listens, which [`Self::closed`] tells.
    fn pass(&self, state: &mut State, now: Instant, input: Input) {
        if self.is_full() {
            state.dropped += 1;
            return;
        }
        if std::mem::replace(&mut state.down, false) {
            let _ = self.queue.try_send((now, ChannelUpdate::Input(Input::ChannelUp)));
        }
        if state.dropped > 0 && self.queue.try_send((now, ChannelUpdate::Dropped(state.dropped))).is_ok() {
            state.dropped = 0;
        }
        let _ = self.queue.try_send((now, ChannelUpdate::Input(input)));
    }

    /// Whether there is no room for packets.
    fn is_full(&self) -> bool {
        self.queue.capacity() <= RESERVE
    }

    /// Tells once that packets of a track are dropped. That takes up to half of the reserve.
    fn overloaded(&self, state: &mut State, now: Instant, track: TrackId) {
        let updates = ChannelUpdate::Input(Input::Overloaded { track, overloaded: true });
        if self.queue.capacity() > RESERVE / 2
            && !state.overloaded.contains(&track)
            && self.queue.try_send((now, updates)).is_ok()
        {
            state.overloaded.insert(track);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use recorder_core::recording::TrackKind;
    use recorder_core::units::Ssrc;

    fn packet(track: u32, sequence: u16) -> Packet {
        let payload = Bytes::from_static(&[0xfc]);
        Packet { track: TrackId(track), ssrc: Ssrc(1), sequence, timestamp: 0, marker: false, level: None, payload }
    }

    fn added(track: u32) -> ChannelUpdate {
        ChannelUpdate::Input(Input::TrackAdded {
            track: TrackId(track),
            uid: Uid::new("ann").unwrap(),
            muted: false,
            kind: TrackKind::default(),
        })
    }

    #[tokio::test]
    async fn packets_pass_only_while_their_track_is_open() {
        let (outbox, mut updates) = Outbox::new();
        assert!(!outbox.packet(outbox.era(), packet(1, 0)));
        outbox.send(added(1)).await.unwrap();
        assert!(outbox.packet(outbox.era(), packet(1, 1)));
        outbox.send(ChannelUpdate::Input(Input::TrackRemoved { track: TrackId(1) })).await.unwrap();
        assert!(!outbox.packet(outbox.era(), packet(1, 2)));
        outbox.send(added(2)).await.unwrap();
        outbox.send(ChannelUpdate::Input(Input::Left { uid: Uid::new("ann").unwrap() })).await.unwrap();
        assert!(!outbox.packet(outbox.era(), packet(2, 3)));
        drop(outbox);
        let mut packets = Vec::new();
        while let Some((_, said)) = updates.recv().await {
            if let ChannelUpdate::Input(Input::Packet(packet)) = said {
                packets.push(packet.sequence);
            }
        }
        assert_eq!(packets, [1]);
    }

    #[tokio::test]
    async fn a_full_queue_drops_packets_counts_them_and_keeps_room_for_the_rest() {
        let (outbox, mut updates) = Outbox::new();
        outbox.send(added(1)).await.unwrap();
        for sequence in 0..10_000 {
            assert!(outbox.packet(outbox.era(), packet(1, sequence)));
        }
        for _ in 1..RESERVE {
            outbox.send(added(1)).await.unwrap();
        }
        let overloaded = |overloaded| ChannelUpdate::Input(Input::Overloaded { track: TrackId(1), overloaded });
        let queued: Vec<ChannelUpdate> =
            std::iter::from_fn(|| updates.try_recv().ok()).map(|(_, updates)| updates).collect();
        let told = queued.iter().position(|updates| *updates == overloaded(true)).unwrap();
        assert_eq!(told, CAPACITY - RESERVE, "right after the last packet that found room, once");
        assert!(!queued[told + 1..].contains(&overloaded(true)));
        outbox.packet(outbox.era(), packet(1, 1));
        let dropped = (10_000 - (CAPACITY - RESERVE - 1)) as u64;
        assert_eq!(updates.try_recv().unwrap().1, overloaded(false));
        assert_eq!(updates.try_recv().unwrap().1, ChannelUpdate::Dropped(dropped));
        assert_eq!(updates.try_recv().unwrap().1, ChannelUpdate::Input(Input::Packet(packet(1, 1))));
    }

    #[tokio::test]
    async fn a_packet_ends_an_outage_and_none_comes_within() {
        let (outbox, mut updates) = Outbox::new();
        outbox.send(added(1)).await.unwrap();
        let era = outbox.era();
        let down = ChannelUpdate::Down { since: Instant::now() };
        for updates in
            [ChannelUpdate::Input(Input::ChannelUp), down.clone(), ChannelUpdate::Down { since: Instant::now() }]
        {
            outbox.send(updates).await.unwrap();
        }
        outbox.packet(era, packet(1, 1));
        outbox.send(ChannelUpdate::Input(Input::ChannelUp)).await.unwrap();
        outbox.cut();
        outbox.send(down.clone()).await.unwrap();
        assert!(!outbox.packet(era, packet(1, 2)), "a late packet of a lost peer connection");
        drop(outbox);
        let mut told = Vec::new();
        while let Some((_, said)) = updates.recv().await {
            told.push(said);
        }
        let [up, packet] = [Input::ChannelUp, Input::Packet(packet(1, 1))].map(ChannelUpdate::Input);
        let expected = [down.clone(), up, packet, down];
        assert_eq!(told[1..], expected);
    }

    #[tokio::test]
    async fn without_a_listener_nothing_can_be_told() {
        let (outbox, updates) = Outbox::new();
        drop(updates);
        outbox.closed().await;
        assert_eq!(outbox.send(added(1)).await, Err(Closed));
    }
}
