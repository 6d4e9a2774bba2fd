//! Tells a sender that counts anew from old packets: its sequence numbers jump back by less than the reordering that is put up with.
//!
//! An old packet has an RTP time from before the newest packet's end. One that has not is held until a run of them, each with a greater
//! number and time than the last, shows that the sender counts anew: [`AHEAD_RUN`] where their times go on from the newest, [`RESTART_RUN`]
//! where the clock began anew too, or is foreign. What turns out to stand alone has numbers that make no sense.

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
pub(super) struct Anew {
    run: Vec<Queued>,
    /// What stood alone: packets, and how much sound.
    strays: (u64, i64),
}

impl Anew {
    /// Weighs a packet with sound; `newest` are number and end of the newest before it. `foreign`: RTP times mean nothing.
    pub(super) fn weigh(&mut self, queued: Queued, newest: Option<(i64, i64)>, foreign: bool) -> Weighed {
        let Some((sequence, end)) = newest else {
            return Weighed::Known(queued);
        };
        let past = end - queued.time;
        let follows = self.run.last().is_some_and(|last| {
            let step = (queued.sequence as u16).wrapping_sub(last.sequence as u16);
            (1..=LONGEST_LOSS).contains(&step) && (foreign || queued.time > last.time)
        });
        if !follows && queued.sequence > sequence {
            self.give_up();
            return Weighed::Known(queued);
        }
        if !foreign && (1..=NEAR).contains(&past) {
            return Weighed::Known(queued);
        }
        if !follows {
            self.give_up();
        }
        let wanted = if !foreign && (-NEAR..=0).contains(&past) { AHEAD_RUN } else { RESTART_RUN };
        self.run.push(queued);
        if self.run.len() >= wanted { Weighed::Run(std::mem::take(&mut self.run)) } else { Weighed::Held }
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
