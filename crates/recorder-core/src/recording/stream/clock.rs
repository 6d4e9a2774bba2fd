//! The media time of a stream's packets: what their RTP time would be if the sender's RTP clock ran at 48 kHz and never jumped. Where
//! it does, which is nearly always, the two are the same but for an offset. All times in ticks.
//!
//! From one packet to the next a sound clock runs on by the packet's length, or further where the sender paused and the arrivals show
//! that it did. What it does otherwise is judged with the packets that wait (about two seconds):
//! * The **clock is foreign** when, of the packets that follow each other within [`WINDOW`], more disagree with the lengths than agree:
//!   another rate than 48 kHz (by more than [`DRIFT`]), or times that repeat or are made up. Then media time is the sum of the
//!   lengths, those of lost packets among them; after a DTX packet it may also jump ahead, by what all that follows arrived later.
//!   Pauses after anything else are left to [`rtp_clock`](super::super::regime), as those of a clock that stood still are.
//! * **Single times** that run back into the packet before, or ahead without a pause in the arrivals, are passed over in the same way:
//!   a clock that jumps now and then, a packet whose time is zero.
//!
//! A sequence number that jumped further than packets can have been lost says nothing about lengths. The RTP time stands then, if the
//! clock is not foreign.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::baseline::Baseline;
use super::super::rtp_clock::{LATEST_FIRST, LONGEST_DELAY, SETTLED, STEP, WINDOW};
use super::{Queued, between};
use crate::codec::opus;

/// A clock that is wrong by no more than one part in so many drifts.
const DRIFT: i64 = 1_000;

/// The sum of rounded times may be off by so much: 0.5 ms.
const ROUNDING: i64 = 24;

/// A single time that is off by no more than this is not worth correcting: 2.5 ms.
const NEAR: i64 = 120;

/// So many packets make a clock foreign, at the least.
const FEWEST: usize = 3;

/// The last packet that was taken.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Before {
    sequence: i64,
    time: i64,
    media: i64,
    arrival: i64,
    duration: i64,
    is_dtx: bool,
    /// Media time less RTP time of the last packet whose RTP time stood.
    offset: i64,
}

impl Before {
    fn of(queued: &Queued, offset: i64) -> Self {
        let Queued { sequence, time, media, arrival, duration, .. } = *queued;
        Self { sequence, time, media, arrival, duration, is_dtx: opus::is_dtx(&queued.payload), offset }
    }
}

/// From one packet with sound to the next.
#[derive(Debug)]
struct Link {
    /// Of the next packet in the queue.
    index: usize,
    arrival: i64,
    /// Length of the packet before.
    duration: i64,
    /// How far the RTP time went on.
    time: i64,
    /// How far it should have, without a pause.
    length: i64,
    /// Packets lost in between.
    lost: i64,
    /// That many can have been lost.
    plausible: bool,
    /// The packet before is one of DTX.
    after_dtx: bool,
    /// The smallest lag of the next packet and all that follow, if nobody paused from the last packet taken on.
    least: i64,
}

impl Link {
    /// What the RTP time went on further than it should have.
    fn excess(&self) -> i64 {
        self.time - self.length
    }

    /// Not worth correcting.
    fn is_near(&self) -> bool {
        self.excess().abs() <= self.near()
    }

    fn near(&self) -> i64 {
        NEAR.min(self.duration / 2)
    }

    /// As a clock of 48 kHz does, or one that drifts.
    fn is_exact(&self) -> bool {
        self.excess().abs() <= (self.duration / DRIFT).max(1)
    }
}

/// Smallest lags, to compare those of the packets that follow with.
#[derive(Clone, Copy)]
struct Floor {
    /// Of ten seconds.
    all: Option<i64>,
    /// Of the present run of packets, which nothing interrupts that is longer than [`STEP`].
    run: Option<i64>,
    /// When that run began, if it did among those that wait.
    since: Option<i64>,
    /// It has gone on for [`SETTLED`].
    is_settled: bool,
    /// No packet was taken yet.
    is_fresh: bool,
}

impl Floor {
    fn new(all: Option<i64>, run: Option<i64>) -> Self {
        Self { all, run, since: None, is_settled: false, is_fresh: all.is_none() }
    }

    fn meets(&mut self, arrival: i64, lag: i64) {
        let least = |floor: Option<i64>| Some(floor.map_or(lag, |floor| floor.min(lag)));
        (self.all, self.run) = (least(self.all), least(self.run));
        self.is_settled |= self.since.is_some_and(|since| arrival - since >= SETTLED);
    }

    /// A run begins at `arrival`.
    fn restarts(&mut self, arrival: i64) {
        (self.run, self.since, self.is_settled) = (None, Some(arrival), false);
    }

    /// What the network can do: after a clock that stood still, what it did since.
    fn long(&self) -> Option<i64> {
        if self.is_settled { self.run } else { self.all }
    }
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Clock {
    is_foreign: bool,
    last: Option<Before>,
    /// Whether it is foreign as far as the packets that wait tell.
    #[serde(skip)]
    looks_foreign: bool,
    /// Whether the RTP time of the first packet that waits stands.
    #[serde(skip)]
    head_stands: bool,
    #[serde(skip)]
    links: Vec<Link>,
}

impl Clock {
    /// Gives the packets that wait their media time. `baseline`: lags of those taken; `taken`: the last number
    /// taken, with sound or without; `lost`: packets lost since the last sound.
    pub(super) fn read(&mut self, queue: &mut VecDeque<Queued>, baseline: &Baseline, taken: Option<i64>, lost: i64) {
        let Some(first) = queue.iter().position(|queued| queued.duration > 0) else {
            return;
        };
        let head = &mut queue[first];
        let (arrival, offset) = (head.arrival, self.last.map_or(0, |last| last.media - last.time));
        head.media = head.time + offset;
        let start = self.last.unwrap_or_else(|| Before::of(head, offset));
        self.head_stands = true;
        let is_plain = self.link(queue, taken, lost);
        self.looks_foreign = self.is_foreign;
        if is_plain && !self.is_foreign {
            self.links.iter().for_each(|link| queue[link.index].media = queue[link.index].time + offset);
            return;
        }
        self.look_back(start.media);
        let floor = Floor::new(baseline.floor(arrival).or_else(|| baseline.recent()), baseline.recent());
        let (agree, disagree) = self.walk(queue, start, floor, false);
        let judged = if self.is_foreign { disagree >= agree } else { disagree > agree && disagree >= FEWEST };
        self.looks_foreign = judged;
        if judged {
            self.walk(queue, start, floor, true);
        }
    }

    /// A packet was taken, as it was read last.
    pub(super) fn take(&mut self, taken: &Queued) {
        self.is_foreign = self.looks_foreign;
        let stands = taken.media - taken.time;
        let offset = self.last.filter(|_| !self.head_stands).map_or(stands, |last| last.offset);
        self.last = Some(Before::of(taken, offset));
    }

    /// Whether RTP times mean nothing.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Media time at the end of the last packet taken.
    pub(super) fn end(&self) -> Option<i64> {
        self.last.map(|last| last.media + last.duration)
    }

    /// Media time less RTP time of the last packet taken.
    pub(super) fn offset(&self) -> Option<i64> {
        self.last.map(|last| last.media - last.time)
    }

    /// The media time of a packet whose successors were taken.
    pub(super) fn late(&self, sequence: i64, time: i64) -> i64 {
        match self.last {
            Some(last) if self.is_foreign => last.media - (last.sequence - sequence) * last.duration,
            Some(last) => time + last.media - last.time,
            None => time,
        }
    }

    /// Finds the links of the packets that wait. Whether the RTP times of all go on by their lengths.
    fn link(&mut self, queue: &VecDeque<Queued>, mut sequence: Option<i64>, mut lost: i64) -> bool {
        self.links.clear();
        let mut before = self.last;
        let (mut is_plain, mut excess, mut length) = (true, 0, 0);
        for (index, queued) in queue.iter().enumerate() {
            lost += sequence.map_or(0, |sequence| between(sequence, queued.sequence));
            sequence = Some(queued.sequence);
            if queued.duration == 0 {
                lost += i64::from(queued.malformed);
                continue;
            }
            if let Some(before) = before {
                let link = Link::between(&before, queued, index, lost);
                is_plain &= link.is_near() && link.lost == 0;
                (excess, length) = (excess + link.excess(), length + link.length);
                self.links.push(link);
            }
            (before, lost) = (Some(Before::of(queued, 0)), 0);
        }
        is_plain && is_drift(excess, length)
    }

    /// Finds the smallest lags of what follows, from media time `at` on.
    fn look_back(&mut self, at: i64) {
        let mut media = at + self.links.iter().map(|link| link.length).sum::<i64>();
        let mut least = i64::MAX;
        for link in self.links.iter_mut().rev() {
            least = least.min(link.arrival - media);
            link.least = least;
            media -= link.length;
        }
    }

    /// Goes from packet to packet and gives each its media time. How many agree with the lengths before them, and how many do not.
    fn walk(&mut self, queue: &mut VecDeque<Queued>, start: Before, mut floor: Floor, foreign: bool) -> (usize, usize) {
        let Before { mut media, mut arrival, mut offset, .. } = start;
        let (mut paused, mut near, mut exact, mut disagree, mut excess, mut length) = (0, 0, 0, 0, 0, 0);
        let (mut until, first) = (None, arrival - media);
        if self.last.is_none() {
            floor.meets(arrival, arrival - media);
        }
        for (count, link) in self.links.iter().enumerate() {
            let room = |floor: Option<i64>| floor.map_or(0, |floor| link.least - paused - floor);
            let stands = |time: &i64| !foreign && link.stands(*time, room(floor.long()), floor.is_fresh);
            // Behind DTX of a stream that begins the pause may have stood in a queue, up to the lateness that is put up with.
            let fresh =
                (!foreign && floor.is_fresh && link.after_dtx).then_some(link.least - paused - first + LATEST_FIRST);
            let queued = |time: &i64| fresh.is_some_and(|fresh| (0..=fresh).contains(&(time - link.length)));
            // Off the pause that the arrivals tell, be it of the sender alone or behind a clock that stood still.
            let off = |time: &i64, floor: Option<i64>| (time - link.length - room(floor).max(0)).abs();
            let misses = |time: &i64| off(time, floor.long()).min(off(time, floor.run.or_else(|| floor.long())));
            // A clock that was off for a moment goes on from where it was, one that jumped goes on from there.
            let by_line = |index: usize| queue[index].time + offset - media;
            let own = [by_line(link.index), link.time]
                .into_iter()
                .filter(|time| stands(time) || queued(time))
                .min_by_key(misses);
            // A time that stands alone is that of the next packet, less the length.
            let after = self.links.get(count + 1).filter(|after| after.lost == 0);
            let others = after.map(|after| by_line(after.index) - after.duration).filter(stands).filter(|time| {
                own.is_none_or(|own| {
                    own - link.length > NEAR && (time - own).abs() > STEP && misses(time) < misses(&own)
                })
            });
            let time = others.or(own);
            let is_own = others.is_none() && own.is_some();
            let next = &mut queue[link.index];
            if link.lost == 0 && next.arrival <= *until.get_or_insert(next.arrival + WINDOW) {
                if link.is_near() {
                    (near, exact) = (near + 1, exact + usize::from(link.is_exact()));
                    (excess, length) = (excess + link.excess(), length + link.length);
                } else if time.is_none() || (0..link.duration / 2).contains(&link.excess()) {
                    disagree += 1;
                }
            }
            let step = time.unwrap_or_else(|| link.length + link.pause(room(floor.run)));
            (media, paused) = (media + step, paused + step - link.length);
            next.media = media;
            if is_own {
                offset = media - next.time;
            }
            if count == 0 && self.last.is_some() {
                self.head_stands = is_own;
            }
            if next.arrival - arrival - step > STEP {
                floor.restarts(next.arrival);
            }
            arrival = next.arrival;
            floor.meets(arrival, arrival - media);
        }
        if is_drift(excess, length) { (exact, disagree) } else { (0, disagree + near) }
    }
}

impl Link {
    fn between(before: &Before, next: &Queued, index: usize, lost: i64) -> Self {
        let arrived_later = next.arrival - before.arrival;
        let lost_length = lost * before.duration.max(next.duration);
        let plausible = lost_length <= arrived_later.max(0) + LONGEST_DELAY;
        let length = before.duration + if plausible { lost_length } else { (arrived_later - before.duration).max(0) };
        Self {
            index,
            arrival: next.arrival,
            duration: before.duration,
            time: next.time - before.time,
            length,
            lost,
            plausible,
            after_dtx: before.is_dtx,
            least: i64::MAX,
        }
    }

    /// Whether the media clock may have gone on by `time`, if the sender paused for no longer than `room`. `is_fresh`: a queue before the first packet
    /// may have hidden a pause.
    fn stands(&self, time: i64, room: i64, is_fresh: bool) -> bool {
        let excess = time - self.length;
        if excess.abs() <= self.near() || !self.plausible {
            return true;
        }
        if excess < 0 {
            // What is lost may have been shorter, or nothing but padding.
            return self.lost > 0 && time >= self.duration - NEAR && room <= excess / 2;
        }
        let slack = if self.after_dtx { STEP } else { STEP.min(excess / 2) };
        excess <= room + slack || (is_fresh && room < -STEP && excess <= LATEST_FIRST)
    }

    /// How long the sender paused, by the arrivals alone: all that follows arrived so much later than its length says.
    fn pause(&self, room: i64) -> i64 {
        if self.after_dtx && room >= self.duration / 2 { room } else { 0 }
    }
}

/// Whether a clock that is off by `excess` in `length` drifts, at the most.
fn is_drift(excess: i64, length: i64) -> bool {
    excess.abs() <= length / DRIFT + ROUNDING
}
