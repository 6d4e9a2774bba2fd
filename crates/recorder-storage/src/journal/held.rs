//! Records that wait, because something in front of them was damaged: for their time, for their SSRC, or for their session's name.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::StoredObject;
use recorder_core::recording::{Input, TimedInput};
use recorder_core::units::{Ssrc, Ticks, TrackId};

/// Most records of a file that wait; two seconds of a thousand talkers are 100,000. Past it all are given out as they are.
pub(super) const MAX_HELD_RECORDS: usize = 1 << 17;

/// Most bytes of theirs: 96 MiB, one longest checkpoint and as much of inputs as the writer holds, twice.
pub(super) const MAX_HELD_BYTES: usize = 96 << 20;

/// A record without its session.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) what: What,
    /// Where in the file it ends.
    pub(super) end: u64,
    /// The track whose SSRC was not said where it is certain.
    pub(super) unsaid: Option<TrackId>,
}

#[derive(Debug)]
pub(super) enum What {
    /// Records may be lost here.
    Damage,
    Input(TimedInput),
    Finished(Ticks),
    Stored(StoredObject),
    Checkpoint(Bytes),
}

/// The records of one session that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    items: VecDeque<Item>,
    bytes: usize,
    /// Items that were given out before the first one here: the first one's number.
    first: u64,
    /// Number of the first item whose time is not known.
    untimed: u64,
    unsaid: HashMap<TrackId, Vec<u64>>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many records wait, and their bytes.
    pub(super) fn weight(&self) -> (usize, usize) {
        (self.items.len(), self.bytes)
    }

    /// Where in the file the first of them ends.
    pub(super) fn begins(&self) -> Option<u64> {
        self.items.front().map(|item| item.end)
    }

    /// Adds one; `timed`: whether its time is known.
    pub(super) fn push(&mut self, item: Item, timed: bool) {
        let number = self.first + self.items.len() as u64;
        if timed && self.untimed == number {
            self.untimed += 1;
        }
        if let Some(track) = item.unsaid {
            self.unsaid.entry(track).or_default().push(number);
        }
        self.bytes += item.bytes();
        self.items.push_back(item);
    }

    /// The first, if it waits for nothing.
    pub(super) fn pop(&mut self) -> Option<Item> {
        if self.first >= self.untimed || self.items.front()?.unsaid.is_some() {
            return None;
        }
        let item = self.items.pop_front()?;
        self.first += 1;
        self.bytes -= item.bytes();
        Some(item)
    }

    /// The time is known: those that wait for theirs are this much later, modulo 2^64.
    pub(super) fn shift(&mut self, by: u64) {
        self.time(|at| Ticks(at.0.wrapping_add(by)));
    }

    /// The time will never be known: they keep what is known of it.
    pub(super) fn assume_times(&mut self) {
        // Before the session's start there is nothing.
        self.time(|at| if at.0 > i64::MAX as u64 { Ticks::ZERO } else { at });
    }

    fn time(&mut self, right: impl Fn(Ticks) -> Ticks) {
        let waiting = self.untimed.saturating_sub(self.first) as usize;
        for item in self.items.iter_mut().skip(waiting) {
            match &mut item.what {
                What::Input(TimedInput { at, input }) => {
                    *at = right(*at);
                    if let Some(earlier) = earlier(input) {
                        *earlier = right(*earlier).min(*at);
                    }
                }
                What::Finished(at) => *at = right(*at),
                What::Damage | What::Stored(_) | What::Checkpoint(_) => (),
            }
        }
        self.untimed = self.first + self.items.len() as u64;
    }

    /// The track's SSRC is said to be this; `None`: it will never be, and they keep what is known of it.
    pub(super) fn report(&mut self, track: TrackId, said: Option<Ssrc>) {
        for number in self.unsaid.remove(&track).unwrap_or_default() {
            self.resolve(number, said);
        }
    }

    /// No SSRC will ever be said.
    pub(super) fn assume_sources(&mut self) {
        for number in std::mem::take(&mut self.unsaid).into_values().flatten() {
            self.resolve(number, None);
        }
    }

    fn resolve(&mut self, number: u64, said: Option<Ssrc>) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(item) = at.and_then(|at| self.items.get_mut(at)) else { return };
        item.unsaid = None;
        if let (Some(ssrc), What::Input(TimedInput { input: Input::Packet(packet), .. })) = (said, &mut item.what) {
            packet.ssrc = ssrc;
        }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match &self.what {
            What::Input(TimedInput { input: Input::Packet(packet), .. }) => packet.payload.len(),
            What::Checkpoint(state) => state.len(),
            What::Stored(object) => object.name.len(),
            What::Damage | What::Input(_) | What::Finished(_) => 0,
        }
    }
}

/// The time beside its own that an input names.
fn earlier(input: &mut Input) -> Option<&mut Ticks> {
    match input {
        Input::Stalled { from, .. }
        | Input::ChannelLost { since: from }
        | Input::Unheard { since: from, .. }
        | Input::InputsLost { from } => Some(from),
        _ => None,
    }
}
