//! The streams of one timeline: a voice is one SSRC of one track.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stream::Stream;
use super::{Coding, Source};
use crate::codec::opus::Transcoder;
use crate::units::{Ssrc, Ticks, TrackId};

/// Most voices a timeline has at a time; the oldest gives way.
pub(super) const MAX_RTP_SOURCES: usize = 8;

/// A voice that sent this recently is still speaking: longer than the longest DTX pause.
const STILL_SPEAKING: i64 = Ticks::from_ms(500).0 as i64;

/// A sender that stops for so long, and goes on without a loss, sends only while there is something to say.
pub(super) const LONG_PAUSE: i64 = Ticks::from_secs(1).0 as i64;

/// Numbers from here on up are no publication's: a track that is gone gets one, so that a later track may have its number. A worker
/// that is back after its death counts its tracks from one again, while what was heard before still waits.
const REMOVED_TRACKS_FROM: u32 = 1 << 31;

/// One SSRC of one track.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RtpSource {
    /// Grows with each new voice of the timeline: the newest is the greatest.
    pub(super) id: u64,
    /// Its packets.
    pub(super) stream: Stream,
    /// Where its last packet that was written ended; ticks.
    pub(super) active_until: i64,
    pub(super) track: TrackId,
    ssrc: Ssrc,
    gone: bool,
    /// It stopped sending for [`LONG_PAUSE`] and went on without a loss.
    #[serde(default)]
    pub(super) pauses: bool,
    /// Where its last packet that was written and was not known to be silent ended; ticks.
    #[serde(default = "never")]
    pub(super) sounded_until: i64,
    /// What its track is.
    #[serde(default)]
    pub(super) source: Source,
    /// How its packets are coded.
    #[serde(default)]
    pub(super) coding: Coding,
    /// Makes Opus of them, if they are something else, once the first is written.
    #[serde(default)]
    transcoder: Option<Transcoder>,
}

impl RtpSource {
    /// The Opus packets for a payload that is written next, if it is not Opus itself. `afresh`: silence is before it.
    pub(super) fn transcode(&mut self, payload: &[u8], afresh: bool) -> Option<Vec<(Bytes, Ticks)>> {
        const WORKS: &str = "libopus encodes finite samples unless memory is out";
        let law = self.coding.law()?;
        let transcoder = self.transcoder.get_or_insert_with(|| Transcoder::new().expect(WORKS));
        if afresh {
            transcoder.reset().expect(WORKS);
        }
        Some(transcoder.transcode(law, payload).expect(WORKS))
    }

    /// Whether its first packet came after the end of `older`'s track: both are never heard at once, whatever their places say.
    fn came_after(&self, older: &Self) -> bool {
        older.gone && older.track.0 >= REMOVED_TRACKS_FROM && self.id > u64::from(older.track.0 - REMOVED_TRACKS_FROM)
    }

    /// Whether it goes on at `at`: longer than the longest DTX pause it sent nothing otherwise.
    pub(super) fn goes_on(&self, at: i64) -> bool {
        self.active_until.saturating_add(STILL_SPEAKING) > at
    }
}

const fn never() -> i64 {
    i64::MIN
}

/// All voices of a timeline, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RtpSources {
    rtp_sources: Vec<RtpSource>,
    /// Of format 1 and before sources were told apart; not used any more.
    old_mutes: Vec<(TrackId, bool, i64)>,
    next_id: u64,
}

impl RtpSources {
    /// The voice of `ssrc` in `track`, made if it is new; and what was dropped to make room: packets with sound, and how
    /// much of it.
    pub(super) fn of(&mut self, track: TrackId, ssrc: Ssrc, source: Source) -> (&mut RtpSource, (u64, i64)) {
        let known = self
            .rtp_sources
            .iter()
            .position(|rtp_source| rtp_source.track == track && rtp_source.ssrc == ssrc && !rtp_source.gone);
        let mut dropped = (0, 0);
        let index = known.unwrap_or_else(|| {
            dropped = self.add(RtpSource {
                id: 0,
                stream: Stream::default(),
                active_until: never(),
                track,
                ssrc,
                gone: false,
                pauses: false,
                sounded_until: never(),
                source,
                coding: Coding::default(),
                transcoder: None,
            });
            self.rtp_sources.len() - 1
        });
        (&mut self.rtp_sources[index], dropped)
    }

    /// Takes in a voice as the newest; what was dropped to make room, as [`RtpSources::of`] says it.
    pub(super) fn add(&mut self, rtp_source: RtpSource) -> (u64, i64) {
        self.rtp_sources.retain(|rtp_source| !(rtp_source.gone && rtp_source.stream.is_empty()));
        let full = self.rtp_sources.len() >= MAX_RTP_SOURCES;
        let dropped = if full { self.rtp_sources.remove(0).stream.clear() } else { (0, 0) };
        self.rtp_sources.push(RtpSource { id: self.next_id, ..rtp_source });
        self.next_id += 1;
        dropped
    }

    /// Takes out the voices of a track, or all of them.
    pub(super) fn part(&mut self, track: Option<TrackId>) -> Vec<RtpSource> {
        self.rtp_sources.extract_if(.., |rtp_source| track.is_none_or(|track| rtp_source.track == track)).collect()
    }

    /// Takes in what left another timeline; what was dropped to make room, as [`RtpSources::of`] says it. Nobody knows whether what comes was
    /// heard before or after the end of a track that is gone here, so all those are called anew: `renamed` is told before and after.
    pub(super) fn take_in(&mut self, mut parted: Vec<RtpSource>, renamed: impl FnMut(TrackId, TrackId)) -> (u64, i64) {
        renumber_removed(&mut parted, &mut self.next_id, |_, _| {});
        let dropped = parted.into_iter().map(|rtp_source| self.add(rtp_source));
        let dropped = dropped.fold((0, 0), |sum, (packets, sound)| (sum.0 + packets, sum.1 + sound));
        renumber_removed(&mut self.rtp_sources, &mut self.next_id, renamed);
        dropped
    }

    /// The track is gone: what waits of it is still written. What it is called from now on.
    pub(super) fn remove(&mut self, track: TrackId) -> TrackId {
        let gone = number_removed(&mut self.next_id);
        for rtp_source in self.rtp_sources.iter_mut().filter(|rtp_source| rtp_source.track == track) {
            (rtp_source.gone, rtp_source.track) = (true, gone);
        }
        self.rtp_sources.retain(|rtp_source| !(rtp_source.gone && rtp_source.stream.is_empty()));
        gone
    }

    /// Whether the packet of a voice at `at` gives way to a newer voice of the same track, or one that came after the track's end: its
    /// sender began anew.
    pub(super) fn is_superseded(&self, rtp_source: &RtpSource, at: i64) -> bool {
        let newer = |other: &&RtpSource| {
            other.id > rtp_source.id && (other.track == rtp_source.track || other.came_after(rtp_source))
        };
        self.rtp_sources.iter().filter(newer).any(|other| other.goes_on(at))
    }

    /// Those of other tracks that may be heard at the same time as `rtp_source`.
    pub(super) fn beside(&self, rtp_source: &RtpSource) -> impl Iterator<Item = &RtpSource> {
        let in_turn = |other: &RtpSource| rtp_source.came_after(other) || other.came_after(rtp_source);
        self.rtp_sources.iter().filter(move |other| other.track != rtp_source.track && !in_turn(other))
    }

    /// Those of `track`.
    pub(super) fn of_track(&self, track: TrackId) -> impl Iterator<Item = &RtpSource> {
        self.rtp_sources.iter().filter(move |rtp_source| rtp_source.track == track)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rtp_sources.len()
    }

    /// Whether voice `id` may go on beside one of `track`.
    pub(super) fn lives_beside(&self, id: u64, track: TrackId) -> bool {
        self.rtp_sources.iter().any(|rtp_source| rtp_source.id == id && !rtp_source.gone && rtp_source.track != track)
    }

    /// The voice at `index`.
    pub(super) fn get(&self, index: usize) -> Option<&RtpSource> {
        self.rtp_sources.get(index)
    }

    /// The voice at `index`.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut RtpSource> {
        self.rtp_sources.get_mut(index)
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.rtp_sources
            .iter_mut()
            .filter_map(|rtp_source| rtp_source.transcoder.as_mut())
            .for_each(Transcoder::restart);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RtpSource> {
        self.rtp_sources.iter()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut RtpSource> {
        self.rtp_sources.iter_mut()
    }
}

/// The name of a track that is gone: the voices so far have smaller ids than it says, all later ones have greater ids.
fn number_removed(next_id: &mut u64) -> TrackId {
    let gone = TrackId(REMOVED_TRACKS_FROM | (*next_id as u32 & (REMOVED_TRACKS_FROM - 1)));
    *next_id += 1;
    gone
}

/// Gives the tracks that are gone new names.
fn renumber_removed(rtp_sources: &mut [RtpSource], next_id: &mut u64, mut renamed: impl FnMut(TrackId, TrackId)) {
    let mut names: Vec<(TrackId, TrackId)> = Vec::new();
    for rtp_source in rtp_sources.iter_mut().filter(|rtp_source| rtp_source.gone) {
        let known = names.iter().find(|(before, _)| *before == rtp_source.track).map(|(_, now)| *now);
        let now = known.unwrap_or_else(|| number_removed(next_id));
        if known.is_none() {
            names.push((rtp_source.track, now));
        }
        rtp_source.track = now;
    }
    names.into_iter().for_each(|(before, now)| renamed(before, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_voice_of_a_track_wins() {
        let mut rtp_sources = RtpSources::default();
        for (track, ssrc) in [(1, 7), (1, 8), (2, 9)] {
            rtp_sources.of(TrackId(track), Ssrc(ssrc), Source::default()).0.active_until = 1_000;
        }
        let superseded = |index, at| rtp_sources.is_superseded(rtp_sources.get(index).unwrap(), at);
        assert!(superseded(0, 0) && !superseded(1, 0), "other tracks do not matter");
        assert!(!superseded(0, 1_000 + STILL_SPEAKING), "a newer voice that stopped sending does not win");
    }

    #[test]
    fn a_new_ssrc_is_a_new_voice_and_their_number_is_bounded() {
        let mut rtp_sources = RtpSources::default();
        for ssrc in 0..100 {
            rtp_sources.of(TrackId(1), Ssrc(ssrc), Source::default());
        }
        assert_eq!(rtp_sources.rtp_sources.len(), MAX_RTP_SOURCES);
        assert_eq!(rtp_sources.of(TrackId(1), Ssrc(99), Source::default()).0.id, 99);
        rtp_sources.remove(TrackId(1));
        assert!(rtp_sources.rtp_sources.is_empty());
    }
}
