//! One RTP stream (a track's SSRC): puts packets in order, drops copies, counts what is missing. Where a packet belongs is judged
//! in [`rtp_clock`].
//!
//! Invariants: packets are taken in the order of their sequence numbers, each at most once; at most [`MAX_QUEUED`] wait, and the few that
//! show that a sender counts anew.

mod clock;
mod copies;
mod resync;

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::clock::Clock;
use self::copies::Copies;
use self::resync::{Newest, SenderRestart, Weighed};
use super::Packet;
use super::baseline::Baseline;
use super::rtp_clock::{self, Head, Placement};
use super::unwrap::{Sequences, Times};
use crate::codec::opus::{self, PacketError};
use crate::codec::raw;
use crate::units::Ticks;

/// Most packets that wait in a stream: 10 s of 10 ms packets.
const MAX_QUEUED: usize = 1_024;

/// Most stretches of absent sequence numbers that are remembered. A packet of a stretch that is forgotten counts as a copy.
const MAX_ABSENT: usize = 256;

/// The furthest that a sequence number is taken to be ahead, less one; beyond it the sender counted anew (see [`Sequences`]).
const FURTHEST_AHEAD: i64 = (1 << 16) - 512 - 1;

/// A packet that comes within this time after one that was sent later may have been overtaken, whatever its RTP time says.
const LONGEST_OVERTAKING: i64 = Ticks::from_secs(1).0 as i64;

/// A packet that waits for its place to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    #[serde(with = "raw")]
    pub(super) payload: Bytes,
    /// How long it sounds; 0 when there is no sound to place.
    pub(super) duration: i64,
    /// Not Opus: its sound is lost.
    pub(super) malformed: bool,
    /// The RTP time as its clock is understood, as [`Clock::read`] said last.
    #[serde(skip)]
    pub(super) media: i64,
}

impl Queued {
    /// Arrival less media time.
    pub(super) fn lag(&self) -> i64 {
        self.arrival - self.media
    }

    /// Whether it holds sound that is not known to be silence.
    pub(super) fn sounds(&self) -> bool {
        self.duration > 0 && !opus::is_silent(&self.payload, self.level)
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

/// A packet taken from the stream, with how it follows the one taken before.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// The packet.
    pub(super) packet: Queued,
    /// How many of `lost` came and could not be placed.
    pub(super) malformed: i64,
    /// Packets that are missing before it.
    pub(super) lost: i64,
    /// Media time between the end of the sound before and this packet; `None` for the first.
    pub(super) pause: Option<i64>,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
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
    /// Of format 1; not used any more.
    old_run: (u16, u32),
    /// The first sequence number taken.
    #[serde(default)]
    first: Option<i64>,
    /// Sequence numbers that were passed over: the latest [`MAX_ABSENT`] stretches of them, the ends excluded.
    #[serde(default)]
    absent: VecDeque<(i64, i64)>,
    /// How many of `lost` came, and held no sound that can be placed.
    #[serde(default)]
    malformed: i64,
    /// Packets that found no room since the last sound taken.
    #[serde(default)]
    overflowed: i64,
    /// Packets that may be of a sender that counts anew.
    #[serde(default)]
    resync: SenderRestart,
    /// Arrival of the last sound taken.
    #[serde(default)]
    heard: Option<i64>,
    /// What its RTP times mean.
    #[serde(default)]
    clock: Clock,
    /// What was taken while its RTP times meant nothing.
    #[serde(default)]
    copies: Copies,
}

impl Stream {
    /// As [`Self::offer_as`] for Opus.
    #[cfg(test)]
    pub(super) fn offer(&mut self, packet: &Packet, arrival: i64) -> Offer {
        self.offer_as(packet, opus::duration(&packet.payload), arrival)
    }

    /// Offers a packet of so much sound that arrived at `arrival`, which never decreases.
    pub(super) fn offer_as(&mut self, packet: &Packet, sound: Result<Ticks, PacketError>, arrival: i64) -> Offer {
        let before = self.resync.of_before(packet.sequence, packet.timestamp, arrival);
        let before = before.filter(|_| !self.clock.is_foreign());
        let (sequence, time) = before
            .map(|before| (before.sequence, before.time))
            .unwrap_or_else(|| (self.sequences.unwrap(packet.sequence), self.times.unwrap(packet.timestamp)));
        let (duration, malformed) = match sound {
            Ok(duration) => (duration.0 as i64, None),
            Err(PacketError::Empty) => (0, None),
            Err(error) => (0, Some(error)),
        };
        let payload = if duration > 0 { packet.payload.clone() } else { Bytes::new() };
        let (level, malformed_packet) = (packet.level, malformed.is_some());
        let mut queued =
            Queued { sequence, time, arrival, level, payload, duration, malformed: malformed_packet, media: time };
        if duration > 0 {
            let last = self.queue.iter().rfind(|queued| queued.duration > 0);
            let newest = last
                .map(|last| Newest::of(last.sequence, last.time + last.duration, last.arrival))
                .or_else(|| Some(Newest::of(self.taken?, self.end?, self.heard.unwrap_or(arrival))));
            if self.is_copy(&queued) || self.copies.holds(sequence, &queued.payload) {
                return Offer::Duplicate;
            }
            let weighed = if before.is_some() || self.was_awaited(&queued) {
                Weighed::Known(queued)
            } else {
                let offset = self.clock.offset().zip(self.baseline.recent()).map(|(media, lag)| media + lag);
                self.resync.weigh(queued, newest, offset, self.clock.is_foreign())
            };
            match weighed {
                Weighed::Known(known) => queued = known,
                Weighed::Held => return Offer::Queued,
                Weighed::Run(run) => {
                    self.count_from_new(run);
                    return Offer::Queued;
                }
            }
        }
        if self.taken.is_some_and(|taken| sequence <= taken) {
            if duration == 0 || !self.was_absent(sequence) {
                return Offer::Duplicate;
            }
            let media = self.clock.late(sequence, time);
            let lag = self.baseline.floor(arrival).or_else(|| self.baseline.recent()).unwrap_or(arrival - media);
            let place = before.and_then(|before| before.place).unwrap_or(media + lag);
            return Offer::Late { place, duration };
        }
        let place = self.queue.iter().rposition(|queued| queued.sequence <= sequence).map_or(0, |before| before + 1);
        if place > 0 && self.queue[place - 1].sequence == sequence {
            return Offer::Duplicate;
        }
        if self.queue.len() >= MAX_QUEUED {
            self.overflowed += 1;
            return Offer::Overflow;
        }
        self.queue.insert(place, queued);
        malformed.map_or(Offer::Queued, Offer::Malformed)
    }

    /// Whether the same packet waits already.
    fn is_copy(&self, queued: &Queued) -> bool {
        let like = |other: &&Queued| other.sequence == queued.sequence && other.time as u32 == queued.time as u32;
        self.queue.iter().rev().find(like).is_some_and(|other| other.payload == queued.payload)
    }

    /// Whether a packet with this number was overtaken by others, and has not come yet. If RTP times mean nothing that is how an old packet
    /// is known.
    fn was_awaited(&self, queued: &Queued) -> bool {
        let is_next = |other: &&Queued| other.sequence >= queued.sequence;
        if self.taken.is_some_and(|taken| queued.sequence <= taken) {
            return self.clock.is_foreign() && self.absence(queued.sequence).is_some();
        }
        self.queue.iter().find(is_next).is_some_and(|next| {
            let is_recent = self.clock.is_foreign() || queued.arrival - next.arrival <= LONGEST_OVERTAKING;
            next.sequence > queued.sequence && is_recent
        })
    }

    /// What is to be done with the first packet, when everything that arrived before `now` has been offered. `last_word`: nothing
    /// will arrive any more.
    pub(super) fn head(&mut self, now: i64, last_word: bool) -> Head {
        self.clock.read(&mut self.queue, &self.baseline, self.taken, self.lost);
        rtp_clock::estimate(&self.queue, &self.baseline, self.heard, now, last_word)
    }

    /// Takes the first packet with sound, which belongs at `place`.
    pub(super) fn take(&mut self, place: Placement) -> Option<Taken> {
        while self.queue.front()?.duration == 0 {
            self.skip();
        }
        let packet = self.queue.pop_front()?;
        self.pass(packet.sequence);
        if place.resync {
            self.baseline.restart();
        }
        // The first packet may be late itself, after a change of clock, a long pause, or ever: the lag that placed it is the one to go
        // on from.
        let known = !place.resync && self.baseline.floor(packet.arrival).is_some();
        self.baseline.add(packet.arrival, if known { packet.lag() } else { packet.lag().min(place.at - packet.media) });
        let pause = self.clock.end().or(self.end).map(|end| packet.media - end);
        self.clock.take(&packet);
        if self.clock.is_foreign() {
            self.copies.add(packet.sequence, &packet.payload);
        } else {
            self.copies.clear();
        }
        self.end = Some(packet.time + packet.duration);
        self.heard = Some(packet.arrival);
        let overflowed = std::mem::take(&mut self.overflowed);
        let lost = (std::mem::take(&mut self.lost) - overflowed).max(0);
        let malformed = std::mem::take(&mut self.malformed).min(lost);
        Some(Taken { packet, lost, malformed, pause })
    }

    /// Drops the first packet, after [`Head::Skip`]; how much sound it had.
    pub(super) fn skip(&mut self) -> i64 {
        let Some(packet) = self.queue.pop_front() else {
            return 0;
        };
        self.pass(packet.sequence);
        let malformed = i64::from(packet.malformed || packet.duration > 0);
        self.lost += malformed;
        self.malformed += malformed;
        packet.duration
    }

    /// Goes on to a sequence number; those before it are absent.
    fn pass(&mut self, sequence: i64) {
        if let Some(taken) = self.taken.filter(|taken| between(*taken, sequence) > 0) {
            self.lost += between(taken, sequence);
            self.absent.push_back((taken + 1, sequence));
            if self.absent.len() > MAX_ABSENT {
                self.absent.pop_front();
            }
        }
        self.first.get_or_insert(sequence);
        self.taken = Some(sequence);
    }

    /// Which stretch of absent numbers has it; one past them all for a number from before the first.
    fn absence(&self, sequence: i64) -> Option<usize> {
        if self.first.is_some_and(|first| sequence < first) {
            return Some(self.absent.len());
        }
        self.absent.iter().position(|(from, to)| (*from..*to).contains(&sequence))
    }

    /// Whether a sequence number was passed over, which it is not any more.
    fn was_absent(&mut self, sequence: i64) -> bool {
        let Some(index) = self.absence(sequence) else {
            return false;
        };
        let Some((from, to)) = self.absent.get(index).copied() else {
            return true;
        };
        self.absent[index] = (from, sequence);
        self.absent.insert(index + 1, (sequence + 1, to));
        self.absent.retain(|(from, to)| from < to);
        true
    }

    /// How many packets are missing before the first with sound.
    pub(super) fn lost_before_head(&self) -> i64 {
        let (mut lost, mut taken) = (self.lost, self.taken);
        for queued in &self.queue {
            lost += taken.map_or(0, |taken| between(taken, queued.sequence)) + i64::from(queued.malformed);
            taken = Some(queued.sequence);
            if queued.duration > 0 {
                break;
            }
        }
        lost
    }

    /// The first packet with sound or silence to place.
    pub(super) fn peek(&self) -> Option<&Queued> {
        self.queue.iter().find(|queued| queued.duration > 0)
    }

    /// How long the longest of the packets that wait is: what was lost before them may have been as long.
    pub(super) fn longest(&self) -> i64 {
        self.queue.iter().map(|queued| queued.duration).max().unwrap_or_default()
    }

    /// Whether sound waits that is not known to be silence.
    pub(super) fn sounds(&self) -> bool {
        self.queue.iter().any(Queued::sounds)
    }

    /// What waits goes to another timeline: how many packets are missing before it, which the one that it leaves has to account for.
    pub(super) fn part(&mut self) -> i64 {
        let mut lost = std::mem::take(&mut self.lost);
        (self.malformed, self.overflowed) = (0, 0);
        if let (Some(taken), Some(head)) = (self.taken, self.queue.front()) {
            let head = head.sequence;
            lost += between(taken, head);
            if between(taken, head) > 0 {
                self.absent.push_back((taken + 1, head));
                if self.absent.len() > MAX_ABSENT {
                    self.absent.pop_front();
                }
            }
            self.taken = Some(head - 1);
        }
        lost
    }

    /// Whether nothing was taken from it yet.
    pub(super) fn is_new(&self) -> bool {
        self.taken.is_none()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.resync.held().0 == 0
    }

    /// Packets whose numbers made no sense, since it was asked last: how many, and how much sound.
    pub(super) fn strays(&mut self) -> (u64, i64) {
        self.resync.strays()
    }

    /// Drops all that waits: how many packets with sound, and how much of it.
    pub(super) fn clear(&mut self) -> (u64, i64) {
        let dropped = self.waiting();
        self.queue.clear();
        self.resync.clear();
        dropped
    }

    /// What waits: how many packets with sound, and how much of it.
    pub(super) fn waiting(&self) -> (u64, i64) {
        let sounds = self.queue.iter().filter(|queued| queued.duration > 0);
        sounds.fold(self.resync.held(), |(packets, sound), queued| (packets + 1, sound + queued.duration))
    }

    /// The sender counts anew from the first of these on.
    fn count_from_new(&mut self, run: Vec<Queued>) {
        for (index, mut queued) in run.into_iter().enumerate() {
            let number = queued.sequence as u16;
            queued.sequence = if index == 0 { self.sequences.restart(number) } else { self.sequences.unwrap(number) };
            self.queue.push_back(queued);
        }
    }
}

/// How many packets are missing between two that follow each other; none where the sender counted anew.
fn between(before: i64, next: i64) -> i64 {
    let missing = next - before - 1;
    if missing >= FURTHEST_AHEAD { 0 } else { missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Ssrc, TrackId};

    fn packet(sequence: u16, payload: &'static [u8]) -> Packet {
        Packet {
            track: TrackId(1),
            ssrc: Ssrc(1),
            sequence,
            timestamp: u32::from(sequence).wrapping_mul(960),
            marker: false,
            level: None,
            payload: Bytes::from_static(payload),
        }
    }

    const SOUND: &[u8] = &[0x78, 1, 2];

    fn take_all(stream: &mut Stream) -> Vec<(i64, i64)> {
        let place = Placement { at: 0, resync: false };
        std::iter::from_fn(|| stream.take(place)).map(|taken| (taken.packet.sequence, taken.lost)).collect()
    }

    #[test]
    fn packets_come_out_in_order_once_with_their_losses_counted() {
        let mut stream = Stream::default();
        let offers: Vec<Offer> =
            [10, 12, 11, 12, 15, 10].map(|sequence| stream.offer(&packet(sequence, SOUND), 0)).into();
        assert_eq!(offers[3], Offer::Duplicate);
        assert_eq!(offers[5], Offer::Duplicate);
        assert_eq!(take_all(&mut stream), [(10, 0), (11, 0), (12, 0), (15, 2)]);
        assert!(matches!(stream.offer(&packet(13, SOUND), 0), Offer::Late { duration: 960, .. }));
    }

    #[test]
    fn padding_is_no_loss_and_garbage_is() {
        let mut stream = Stream::default();
        for (sequence, payload) in [(1, SOUND), (2, &[]), (3, SOUND), (4, &[0xFB, 0]), (5, SOUND)] {
            stream.offer(&packet(sequence, payload), 0);
        }
        assert_eq!(stream.lost_before_head(), 0);
        assert_eq!(take_all(&mut stream), [(1, 0), (3, 0), (5, 1)]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut stream = Stream::default();
        for sequence in 0..MAX_QUEUED as u16 {
            assert_eq!(stream.offer(&packet(sequence, SOUND), 0), Offer::Queued);
        }
        assert_eq!(stream.offer(&packet(MAX_QUEUED as u16, SOUND), 0), Offer::Overflow);
        assert_eq!(stream.clear(), (MAX_QUEUED as u64, MAX_QUEUED as i64 * 960));
        assert!(stream.is_empty());
    }

    #[test]
    fn a_sender_that_counts_anew_is_heard_again() {
        let mut stream = Stream::default();
        stream.offer(&packet(1_000, SOUND), 0);
        take_all(&mut stream);
        let again = |sequence| Packet { timestamp: 77_777_777 + u32::from(sequence) * 960, ..packet(sequence, SOUND) };
        let offers: Vec<Offer> = (600..650).map(|sequence| stream.offer(&again(sequence), 0)).collect();
        assert!(offers.iter().all(|offer| *offer == Offer::Queued));
        let taken = take_all(&mut stream);
        assert_eq!((taken.len(), taken[0].1), (50, 0), "none of them is missing, and nothing was lost");
    }
}
