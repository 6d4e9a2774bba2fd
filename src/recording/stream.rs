//! One RTP stream (a track's SSRC): puts packets in order, drops copies, and says where on the wall timeline each belongs.
//!
//! Place = RTP time + the [`Baseline`], the smallest lag. Three things can change the lag, and the packets that follow within
//! [`WINDOW`] tell them apart, which is why a packet is judged that long after it arrived (at the latest):
//! * The sender's RTP clock stood still or jumped back: the lag of *all* packets that follow is larger. The stream is anchored
//!   anew at the smallest lag within the window, and the hole shows.
//! * The network held packets back (outage and burst, congestion): *some* packet within the window, or within ten seconds when
//!   the delay swelled slowly, is back at the old lag. Nothing moves.
//! * The RTP clock jumped ahead, or the baseline had only ever seen a congested path: the lag is smaller than the network could
//!   make it. Anchored anew at once, unless it is a stray: one of the next [`WITNESSES`] packets is back at the old lag.
//!
//! Steps of less than [`STEP`] are left to the baseline's slow way.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Packet;
use super::baseline::Baseline;
use super::unwrap::{Sequences, Times};
use crate::codec::opus::{self, PacketError};
use crate::units::Ticks;

/// How long after its arrival a packet's place may stay undecided.
pub(super) const WINDOW: i64 = Ticks::from_ms(1_500).0 as i64;

/// A change of lag that is a change of clock and not jitter.
const STEP: i64 = Ticks::from_ms(100).0 as i64;

/// A change of lag that is a change of clock even if it came slowly.
const FAR: i64 = Ticks::from_ms(500).0 as i64;

/// Longest delay of a packet that is taken for the network's doing.
const LONGEST_DELAY: i64 = Ticks::from_secs(3).0 as i64;

/// How many packets after one from the future must be there too for it to be believed.
const WITNESSES: usize = 3;

/// Most packets that wait in a stream: 10 s of 10 ms packets.
const MAX_QUEUED: usize = 1_024;

/// So many old sequence numbers in a row, each one more than the last, are a sender that counts anew.
const RESTART_RUN: u32 = 16;

/// A packet that waits for its place to come.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    /// Full sequence number.
    pub(super) sequence: i64,
    /// Full RTP time.
    pub(super) time: i64,
    /// When it arrived.
    pub(super) arrival: i64,
    /// RFC 6464 level, 0 to 127 in -dBov.
    pub(super) level: Option<u8>,
    /// The Opus packet; empty when there is no sound to place (padding, garbage).
    pub(super) payload: Bytes,
    /// How long it sounds; 0 when there is no sound to place.
    pub(super) duration: i64,
    /// Not Opus: its sound is lost.
    pub(super) malformed: bool,
}

impl Queued {
    fn lag(&self) -> i64 {
        self.arrival - self.time
    }
}

/// What became of a packet that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It waits for its place.
    Queued,
    /// It is there already.
    Duplicate,
    /// Its forerunners have been placed without it; it would have sounded at `place`.
    Late {
        /// Where it belongs.
        place: i64,
        /// How long it sounds.
        duration: i64,
    },
    /// Not Opus: takes its sequence number, gives no sound.
    Malformed(PacketError),
    /// [`MAX_QUEUED`] packets wait already.
    Overflow,
}

/// The first packet with sound that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// None waits.
    Empty,
    /// More has to be known. It will not be placed before `earliest`.
    Undecided {
        /// Lower bound of its place.
        earliest: i64,
    },
    /// What waits gives no sound, or has a time that is a stray: [`Stream::skip`] it and go on.
    Skip,
    /// It belongs here.
    Ready(Place),
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The tick of its first sample.
    pub(super) at: i64,
    /// The sender's clock did not run on from the packet before (or there is none).
    pub(super) anew: bool,
}

/// A packet taken from the stream, with how it follows the one taken before.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// The packet.
    pub(super) packet: Queued,
    /// Packets that are missing before it.
    pub(super) lost: i64,
    /// RTP time between the end of the sound before and this packet; `None` for the first.
    pub(super) pause: Option<i64>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Stream {
    sequences: Sequences,
    times: Times,
    queue: VecDeque<Queued>,
    baseline: Baseline,
    /// The last sequence number taken.
    taken: Option<i64>,
    /// RTP time at the end of the last sound taken.
    end: Option<i64>,
    /// Packets missing since the last sound taken.
    lost: i64,
    /// The last old sequence number offered, and how many came in a row.
    old_run: (u16, u32),
}

impl Stream {
    /// Offers a packet that arrived at `arrival`, which never decreases.
    pub(super) fn offer(&mut self, packet: &Packet, arrival: i64) -> Offer {
        let mut sequence = self.sequences.unwrap(packet.sequence);
        let time = self.times.unwrap(packet.timestamp);
        let (duration, malformed) = match opus::duration(&packet.payload) {
            Ok(duration) => (duration.0 as i64, None),
            Err(PacketError::Empty) => (0, None),
            Err(error) => (0, Some(error)),
        };
        if self.taken.is_some_and(|taken| sequence <= taken) {
            if !self.counts_anew(packet.sequence) {
                let lag = self.baseline.floor(arrival).or_else(|| self.baseline.recent()).unwrap_or(arrival - time);
                return if duration > 0 { Offer::Late { place: time + lag, duration } } else { Offer::Duplicate };
            }
            sequence = self.sequences.restart(packet.sequence);
        }
        let place = self.queue.iter().rposition(|queued| queued.sequence <= sequence).map_or(0, |before| before + 1);
        if place > 0 && self.queue[place - 1].sequence == sequence {
            return Offer::Duplicate;
        }
        if self.queue.len() >= MAX_QUEUED {
            return Offer::Overflow;
        }
        let payload = if duration > 0 { packet.payload.clone() } else { Bytes::new() };
        let (level, malformed_packet) = (packet.level, malformed.is_some());
        self.queue
            .insert(place, Queued { sequence, time, arrival, level, payload, duration, malformed: malformed_packet });
        malformed.map_or(Offer::Queued, Offer::Malformed)
    }

    /// What is to be done with the first packet, when everything that arrived before `now` has been offered. `last_word`: nothing
    /// will arrive any more.
    pub(super) fn head(&self, now: i64, last_word: bool) -> Head {
        let Some(head) = self.queue.iter().find(|queued| queued.duration > 0) else {
            let stale = self.queue.front().is_some_and(|queued| last_word || now >= queued.arrival + LONGEST_DELAY);
            return if stale { Head::Skip } else { Head::Empty };
        };
        let known = last_word || now >= head.arrival + WINDOW;
        let lag = head.lag();
        let Some(usual) = self.baseline.floor(head.arrival).or_else(|| self.baseline.recent()) else {
            let smallest = self.smallest(head, lag - LONGEST_DELAY);
            return if known { anew(head, smallest) } else { Head::Undecided { earliest: head.time + smallest } };
        };
        if lag < usual - STEP {
            return self.head_from_the_future(head, usual, known);
        }
        let smallest = self.smallest(head, usual - STEP);
        let recent = self.baseline.recent().unwrap_or(usual);
        let stepped = smallest - usual > STEP && (smallest - recent > STEP || smallest - usual > FAR);
        if !stepped {
            let lag = self.baseline.floor(head.arrival).map_or(smallest, |floor| floor.min(smallest));
            Head::Ready(Place { at: head.time + lag, anew: false })
        } else if known {
            anew(head, smallest)
        } else {
            Head::Undecided { earliest: head.time + usual }
        }
    }

    /// Takes the first packet with sound; `anew` as [`Place::anew`] said.
    pub(super) fn take(&mut self, anew: bool) -> Option<Taken> {
        while self.queue.front()?.duration == 0 {
            self.skip();
        }
        let packet = self.queue.pop_front()?;
        self.lost += self.taken.map_or(0, |taken| packet.sequence - taken - 1);
        self.taken = Some(packet.sequence);
        if anew {
            self.baseline.restart();
        }
        self.baseline.add(packet.arrival, packet.lag());
        let pause = self.end.map(|end| packet.time - end);
        self.end = Some(packet.time + packet.duration);
        let lost = std::mem::take(&mut self.lost);
        Some(Taken { packet, lost, pause })
    }

    /// Drops the first packet, after [`Head::Skip`]; whether it had sound.
    pub(super) fn skip(&mut self) -> bool {
        let Some(packet) = self.queue.pop_front() else {
            return false;
        };
        let stray = packet.duration > 0;
        self.lost += self.taken.map_or(0, |taken| packet.sequence - taken - 1) + i64::from(packet.malformed || stray);
        self.taken = Some(packet.sequence);
        stray
    }

    /// How many packets are missing before the first with sound.
    pub(super) fn lost_before_head(&self) -> i64 {
        let (mut lost, mut taken) = (self.lost, self.taken);
        for queued in &self.queue {
            lost += taken.map_or(0, |taken| queued.sequence - taken - 1) + i64::from(queued.malformed);
            taken = Some(queued.sequence);
            if queued.duration > 0 {
                break;
            }
        }
        lost
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Drops all that waits; how many packets.
    pub(super) fn clear(&mut self) -> u64 {
        let dropped = self.queue.len() as u64;
        self.queue.clear();
        dropped
    }

    /// A packet that arrived earlier than the network can make it, against the `usual` lag.
    fn head_from_the_future(&self, head: &Queued, usual: i64, known: bool) -> Head {
        let mut witnesses = 0;
        for next in self.queue.iter().filter(|next| next.duration > 0).skip(1).take(WITNESSES) {
            if next.lag() >= usual - STEP {
                return Head::Skip;
            }
            witnesses += 1;
        }
        if known || witnesses == WITNESSES {
            anew(head, self.smallest(head, head.lag() - LONGEST_DELAY))
        } else {
            Head::Undecided { earliest: head.time + head.lag().min(usual) }
        }
    }

    /// The smallest lag among the packets from `head` on that arrived within its window, up to the first below `limit`.
    fn smallest(&self, head: &Queued, limit: i64) -> i64 {
        let until = head.arrival + WINDOW;
        self.queue
            .iter()
            .filter(|queued| queued.duration > 0 && queued.arrival <= until)
            .map(Queued::lag)
            .take_while(|lag| *lag >= limit)
            .min()
            .unwrap_or_else(|| head.lag())
    }

    fn counts_anew(&mut self, sequence: u16) -> bool {
        let (last, run) = self.old_run;
        let run = if sequence == last.wrapping_add(1) { run + 1 } else { 1 };
        self.old_run = (sequence, run);
        run >= RESTART_RUN
    }
}

fn anew(head: &Queued, lag: i64) -> Head {
    Head::Ready(Place { at: head.time + lag, anew: true })
}
