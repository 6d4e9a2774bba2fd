//! Packets of tracks that were never announced: a control record was lost, so nobody knows whose sound they are. They are counted, and
//! what they held is missing. All times in ticks of arrival.
//!
//! Not counted, since it is no loss that anybody speaks of: padding and what is not Opus, copies, packets of a track that was removed
//! less than [`REMOVED_FOR`] ago, packets in the [`REJOINING`] after the channel was lost or came back or the worker did, and packets of a
//! track that is announced within [`TIMEOUT`] of its first. While the end of the recording keeps a track from that time, it is counted
//! if records of the journal are known to be lost.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Cause, Gap, Packet, Unattributed};
use crate::codec::opus;
use crate::units::{Ssrc, Ticks, TrackId};

/// How long packets of a removed track may go on to come.
const REMOVED_FOR: i64 = Ticks::from_secs(10).0 as i64;

/// How long after a loss of the channel, a return of it, or a restart of the worker packets may come of tracks that are not announced.
const REJOINING: i64 = Ticks::from_secs(10).0 as i64;

/// How long a track's packets may come before it is announced.
const TIMEOUT: i64 = Ticks::from_secs(3).0 as i64;

/// Packets of a source that come closer to each other than this are one stretch.
const PAUSE: i64 = Ticks::from_secs(1).0 as i64;

/// Most tracks that are told apart; packets of further ones are counted at once.
const MAX_SOURCES: usize = 64;

/// Most removed tracks that are remembered.
const MAX_REMOVED: usize = 1_024;

/// Most stretches that are listed; past it they are counted and summed.
const MAX_STRETCHES: usize = 1_024;

/// Sound that came in a stretch of time; without packets: nobody heard then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Came {
    from: i64,
    to: i64,
    sound: i64,
    packets: u64,
}

/// A track that was never announced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Source {
    last: (Ssrc, u16),
    /// When its first packet came.
    since: i64,
    /// What it sent before it was clear that nobody announces it.
    waiting: Option<Came>,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UnknownTracks {
    sources: BTreeMap<TrackId, Source>,
    removed: VecDeque<(TrackId, i64)>,
    /// Until when nothing is counted.
    settling_until: i64,
    /// Records of the journal are lost.
    damaged: bool,
    came: Vec<Came>,
    sound: i64,
    packets: u64,
    omitted: u64,
}

impl UnknownTracks {
    /// A track was removed.
    pub(super) fn removed(&mut self, track: TrackId, at: i64) {
        self.sources.remove(&track);
        self.removed.retain(|(known, since)| *known != track && at - since < REMOVED_FOR);
        if self.removed.len() >= MAX_REMOVED {
            self.removed.pop_front();
        }
        self.removed.push_back((track, at));
    }

    /// A track is announced.
    pub(super) fn announced(&mut self, track: TrackId, at: i64) {
        self.removed.retain(|(known, _)| *known != track);
        if let Some(source) = self.sources.remove(&track).filter(|source| at - source.since >= TIMEOUT) {
            source.waiting.into_iter().for_each(|came| self.count(came));
        }
    }

    /// The channel is lost, or back, or the worker is.
    pub(super) fn rejoins(&mut self, at: i64) {
        self.sources.clear();
        self.settling_until = at + REJOINING;
    }

    /// Records of the journal are lost.
    pub(super) fn damaged(&mut self) {
        self.damaged = true;
    }

    /// A packet of a track that nobody announced.
    pub(super) fn packet(&mut self, packet: &Packet, at: i64) {
        let Ok(length) = opus::duration(&packet.payload) else {
            return;
        };
        let gone = self.removed.iter().any(|(track, since)| *track == packet.track && at - since < REMOVED_FOR);
        if gone || at < self.settling_until {
            return;
        }
        let length = length.0 as i64;
        let mut came = Came { from: (at - length).max(0), to: at, sound: length, packets: 1 };
        let this = (packet.ssrc, packet.sequence);
        let room = self.sources.len() < MAX_SOURCES;
        match self.sources.get_mut(&packet.track) {
            Some(source) if source.last == this => return,
            Some(source) => {
                source.last = this;
                if let Some(before) = source.waiting.take() {
                    came =
                        Came { from: before.from, to: at, sound: before.sound + length, packets: before.packets + 1 };
                }
                if at - source.since < TIMEOUT {
                    source.waiting = Some(came);
                    return;
                }
            }
            None if room => {
                let source = Source { last: this, since: at, waiting: Some(came) };
                self.sources.insert(packet.track, source);
                return;
            }
            None => {}
        }
        self.count(came);
    }

    /// Nothing will be announced any more.
    pub(super) fn finish(&mut self) {
        if self.damaged {
            for source in std::mem::take(&mut self.sources).into_values() {
                source.waiting.into_iter().for_each(|came| self.count(came));
            }
        }
    }

    /// Nobody heard in `from..to`, and nobody knows whom there was to hear.
    pub(super) fn unheard(&mut self, from: i64, to: i64) {
        let next = self.came.partition_point(|known| known.from < from);
        let from = next.checked_sub(1).map_or(from, |before| from.max(self.came[before].to));
        let to = self.came.get(next).map_or(to, |known| to.min(known.from));
        if from >= to {
            return;
        }
        self.sound += to - from;
        if self.came.len() >= MAX_STRETCHES {
            self.omitted += 1;
        } else {
            self.came.insert(next, Came { from, to, sound: to - from, packets: 0 });
        }
    }

    /// The entry in the ledger; in the stretches of `adopted`, in order and apart from each other, the bucket's sound was kept.
    pub(super) fn entry(&self, adopted: &[(i64, i64)]) -> Option<Unattributed> {
        if self.sound == 0 {
            return None;
        }
        let (mut gaps, mut missing): (Vec<Gap>, i64) = (Vec::new(), self.sound);
        let mut list =
            |from: i64, to: i64, cause| gaps.push(Gap { from: Ticks(from as u64), to: Ticks(to as u64), cause });
        for came in &self.came {
            let cause = if came.packets == 0 { Cause::WorkerRestart } else { Cause::UnknownSource };
            let mut at = came.from;
            for (from, to) in adopted {
                let (from, to) = ((*from).max(at), (*to).min(came.to));
                if from >= to {
                    continue;
                }
                if at < from {
                    list(at, from, cause);
                }
                list(from, to, Cause::Adopted);
                // As much of the sound as of the time.
                missing -= (i128::from(came.sound) * i128::from(to - from) / i128::from(came.to - came.from)) as i64;
                at = to;
            }
            if at < came.to {
                list(at, came.to, cause);
            }
        }
        let missing_ms = Ticks(missing.max(0) as u64).as_ms();
        Some(Unattributed { packets: self.packets, missing_ms, gaps, gaps_omitted: self.omitted })
    }

    fn count(&mut self, came: Came) {
        self.sound += came.sound;
        self.packets += came.packets;
        let near = self.came.partition_point(|known| known.to + PAUSE < came.from);
        // Stretches in which nobody heard stay as they are.
        let unheard = |known: &&Came| known.packets == 0 && known.from <= came.from;
        let first = near + self.came[near..].iter().take_while(unheard).count();
        let near = |known: &&Came| known.packets > 0 && known.from <= came.to + PAUSE;
        let touched = self.came[first..].iter().take_while(near).count();
        let joined = self.came.drain(first..first + touched).fold(came, |sum, known| Came {
            from: sum.from.min(known.from),
            to: sum.to.max(known.to),
            sound: sum.sound + known.sound,
            packets: sum.packets + known.packets,
        });
        if touched == 0 && self.came.len() >= MAX_STRETCHES {
            self.omitted += 1;
        } else {
            self.came.insert(first, joined);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SECOND: i64 = 48_000;

    fn packet(track: u32, number: i64) -> Packet {
        Packet {
            track: TrackId(track),
            ssrc: Ssrc(track),
            sequence: number as u16,
            timestamp: number as u32,
            marker: false,
            level: None,
            payload: Bytes::from_static(&[0x78, 1, 2, 3]),
        }
    }

    fn hear(unknown_tracks: &mut UnknownTracks, track: u32, from: i64, to: i64) {
        (from..to).step_by(960).for_each(|at| unknown_tracks.packet(&packet(track, at / 960), at + 960));
    }

    #[test]
    fn a_track_that_nobody_announces_is_counted_from_its_first_packet_on() {
        let mut unknown_tracks = UnknownTracks::default();
        hear(&mut unknown_tracks, 1, SECOND, 2 * SECOND);
        unknown_tracks.packet(&packet(1, (2 * SECOND - 960) / 960), 2 * SECOND);
        assert_eq!(unknown_tracks.entry(&[]), None, "it may be announced still");
        hear(&mut unknown_tracks, 1, 2 * SECOND, 6 * SECOND);
        hear(&mut unknown_tracks, 1, 8 * SECOND, 9 * SECOND);
        let entry = unknown_tracks.entry(&[]).unwrap();
        assert_eq!((entry.packets, entry.missing_ms), (300, 6_000));
        let gaps: Vec<_> = entry.gaps.iter().map(|gap| (gap.from.as_ms(), gap.to.as_ms())).collect();
        assert_eq!(gaps, [(1_000, 6_000), (8_000, 9_000)]);
        let entry = unknown_tracks.entry(&[(0, 3 * SECOND), (8 * SECOND, 10 * SECOND)]).unwrap();
        assert_eq!(entry.missing_ms, 3_000);
        let causes: Vec<_> = entry.gaps.iter().map(|gap| gap.cause).collect();
        assert_eq!(causes, [Cause::Adopted, Cause::UnknownSource, Cause::Adopted]);
    }

    #[test]
    fn what_is_announced_soon_was_removed_just_now_or_comes_in_a_rejoin_is_not() {
        let mut unknown_tracks = UnknownTracks::default();
        hear(&mut unknown_tracks, 1, SECOND, 2 * SECOND);
        unknown_tracks.announced(TrackId(1), 2 * SECOND);
        unknown_tracks.removed(TrackId(1), 5 * SECOND);
        hear(&mut unknown_tracks, 1, 5 * SECOND, 14 * SECOND);
        unknown_tracks.rejoins(20 * SECOND);
        hear(&mut unknown_tracks, 2, 20 * SECOND, 29 * SECOND);
        unknown_tracks.finish();
        assert_eq!(unknown_tracks.entry(&[]), None);
        let (mut whole, mut damaged) = (UnknownTracks::default(), UnknownTracks::default());
        damaged.damaged();
        for unknown_tracks in [&mut whole, &mut damaged] {
            hear(unknown_tracks, 1, SECOND, 2 * SECOND);
            unknown_tracks.finish();
        }
        assert_eq!((whole.entry(&[]), damaged.entry(&[]).map(|entry| entry.packets)), (None, Some(50)));
    }

    #[test]
    fn a_stretch_in_which_nobody_heard_is_missing_as_a_whole() {
        let mut unknown_tracks = UnknownTracks::default();
        unknown_tracks.unheard(10 * SECOND, 20 * SECOND);
        unknown_tracks.unheard(15 * SECOND, 21 * SECOND);
        assert_eq!(unknown_tracks.entry(&[]).map(|entry| (entry.packets, entry.missing_ms)), Some((0, 11_000)));
        hear(&mut unknown_tracks, 1, 21 * SECOND, 25 * SECOND);
        let entry = unknown_tracks.entry(&[(0, 12 * SECOND)]).unwrap();
        assert_eq!((entry.packets, entry.missing_ms), (200, 9_000 + 4_000));
        let gaps: Vec<_> = entry.gaps.iter().map(|gap| (gap.from.as_ms(), gap.to.as_ms(), gap.cause)).collect();
        assert_eq!(
            gaps,
            [
                (10_000, 12_000, Cause::Adopted),
                (12_000, 20_000, Cause::WorkerRestart),
                (20_000, 21_000, Cause::WorkerRestart),
                (21_000, 25_000, Cause::UnknownSource),
            ]
        );
    }

    #[test]
    fn everything_is_bounded() {
        let mut unknown_tracks = UnknownTracks::default();
        for track in 0..10_000 {
            unknown_tracks.packet(&packet(track, 0), i64::from(track) * 3 * SECOND);
            unknown_tracks.removed(TrackId(100_000 + track), i64::from(track));
        }
        assert!(unknown_tracks.sources.len() <= MAX_SOURCES && unknown_tracks.removed.len() <= MAX_REMOVED);
        assert!(unknown_tracks.came.len() <= MAX_STRETCHES && unknown_tracks.omitted > 0);
        assert_eq!(unknown_tracks.packets, 10_000 - MAX_SOURCES as u64);
    }
}
