//! Tells a sender that counts anew from old packets: its sequence numbers jump back by less than the reordering that is put up with.
//!
//! An old packet has an RTP time from before the newest packet's end. One that has not is held until a run of them, each with a greater
//! number and time than the last, shows that the sender counts anew: [`AHEAD_RUN`] where their times go on from the newest, [`RESTART_RUN`]
//! where the clock began anew too, or is foreign. What turns out to stand alone has numbers that make no sense.
//!
//! Where times went back, or far ahead, or numbers did, the packets from before are no older than the newest by its clock. They are known by
//! the clock and the numbers that were left ([`Left`]), for a while ([`REMEMBERED`]).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Queued;
use crate::units::Ticks;

/// So many in a row whose times go on.
const AHEAD_RUN: usize = 2;

/// So many in a row whose times are of another clock.
const RESTART_RUN: usize = 16;

/// Packets of a run may be missing, up to so many at a time.
const LONGEST_LOSS: u16 = 16;

/// An RTP time this far before the newest may be that of an old packet, and one this far after it goes on from it: ten minutes.
const NEAR: i64 = Ticks::from_secs(600).0 as i64;

/// So many changes of the clock or the numbers are remembered.
const MAX_LEFT: usize = 4;

/// How long after the last packet of before one of before may come. Shorter than numbers of 2.5 ms packets take to come round again.
const REMEMBERED: i64 = Ticks::from_secs(120).0 as i64;

/// Times that go ahead by no more than this, beyond the pause in arrivals, may be the network's doing.
const UNNOTICED: i64 = Ticks::from_secs(1).0 as i64;

/// How far before the last packet of before, in numbers and in RTP time: as many packets as may be overtaken, of 60 ms.
const FURTHEST: (u16, i64) = (512, Ticks::from_secs(30).0 as i64);

/// A clock, or a way of counting, that a sender left.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Left {
    /// Of the last packet, in full.
    sequence: i64,
    /// RTP time at its end, in full.
    end: i64,
    /// Where its packets belong, less their RTP time; none where none was placed yet.
    offset: Option<i64>,
    /// When the first packet behind it came.
    since: i64,
}

/// The newest packet with sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    sequence: i64,
    /// RTP time at its end.
    end: i64,
    arrival: i64,
}

impl Newest {
    /// By its number, the RTP time at its end, and when it arrived.
    pub(super) const fn of(sequence: i64, end: i64, arrival: i64) -> Self {
        Self { sequence, end, arrival }
    }
}

/// A packet from before a sender's clock or numbers changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfBefore {
    /// Its number, in full.
    pub(super) sequence: i64,
    /// Its RTP time, in full.
    pub(super) time: i64,
    /// Where it belongs, if others of its time were placed.
    pub(super) place: Option<i64>,
}

impl Left {
    /// The packet as it counts, if it is of before.
    fn reads(&self, sequence: u16, timestamp: u32) -> Option<OfBefore> {
        let older = (self.sequence as u16).wrapping_sub(sequence);
        let past = i64::from((self.end as u32).wrapping_sub(timestamp));
        let is_of_before = older < FURTHEST.0 && (1..=FURTHEST.1).contains(&past);
        let (sequence, time) = (self.sequence - i64::from(older), self.end - past);
        is_of_before.then(|| OfBefore { sequence, time, place: self.offset.map(|offset| time + offset) })
    }
}

/// What a packet turns out to be.
#[derive(Debug)]
pub(super) enum Weighed {
    /// One of the stream as it counts.
    Known(Queued),
    /// It is held.
    Held,
    /// With those that were held: the sender counts anew from the first of them on.
    Run(Vec<Queued>),
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SenderRestart {
    run: Vec<Queued>,
    /// What stood alone: packets, and how much sound.
    strays: (u64, i64),
    /// What was left, the latest last.
    #[serde(default)]
    left: VecDeque<Left>,
}

impl SenderRestart {
    /// A packet that arrives at `arrival` as it counts, if it is from before the sender's clock or numbers changed.
    pub(super) fn of_before(&self, sequence: u16, timestamp: u32, arrival: i64) -> Option<OfBefore> {
        let mut recent = self.left.iter().rev().filter(|left| arrival - left.since <= REMEMBERED);
        recent.find_map(|left| left.reads(sequence, timestamp))
    }

    /// The sender leaves the clock or the numbers of the `newest` packet, as is seen at `arrival`.
    fn leaves(&mut self, newest: Newest, offset: Option<i64>, arrival: i64) {
        let Newest { sequence, end, .. } = newest;
        if self.left.len() >= MAX_LEFT {
            self.left.pop_front();
        }
        self.left.push_back(Left { sequence, end, offset, since: arrival });
    }

    /// Weighs a packet with sound; `newest` is the newest before it, `offset` is where packets belong at present, less
    /// their RTP time. `foreign`: RTP times mean nothing.
    pub(super) fn weigh(
        &mut self,
        queued: Queued,
        newest: Option<Newest>,
        offset: Option<i64>,
        foreign: bool,
    ) -> Weighed {
        let Some(newest) = newest else {
            return Weighed::Known(queued);
        };
        let Newest { sequence, end, arrival } = newest;
        let past = end - queued.time;
        let follows = self.run.last().is_some_and(|last| {
            let step = (queued.sequence as u16).wrapping_sub(last.sequence as u16);
            (1..=LONGEST_LOSS).contains(&step) && (foreign || queued.time > last.time)
        });
        if !follows && queued.sequence > sequence {
            self.give_up();
            let paused = (queued.arrival - arrival).max(0);
            if !foreign && !(-paused - UNNOTICED..=0).contains(&past) {
                self.leaves(newest, offset, queued.arrival);
            }
            return Weighed::Known(queued);
        }
        if !foreign && (1..=NEAR).contains(&past) {
            return Weighed::Known(queued);
        }
        if !follows {
            self.give_up();
        }
        let wanted = if !foreign && (-NEAR..=0).contains(&past) { AHEAD_RUN } else { RESTART_RUN };
        let arrival = queued.arrival;
        self.run.push(queued);
        if self.run.len() < wanted {
            return Weighed::Held;
        }
        self.leaves(newest, offset, arrival);
        Weighed::Run(std::mem::take(&mut self.run))
    }

    /// What is held: how many packets, and how much sound.
    pub(super) fn held(&self) -> (u64, i64) {
        (self.run.len() as u64, self.run.iter().map(|queued| queued.duration).sum())
    }

    /// What stood alone since it was asked last.
    pub(super) fn strays(&mut self) -> (u64, i64) {
        std::mem::take(&mut self.strays)
    }

    /// Forgets what is held.
    pub(super) fn clear(&mut self) {
        self.run.clear();
    }

    fn give_up(&mut self) {
        let (packets, sound) = self.held();
        self.strays = (self.strays.0 + packets, self.strays.1 + sound);
        self.run.clear();
    }
}
