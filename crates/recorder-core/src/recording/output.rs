//! What the core gives out, in order: bytes for the bucket and states for the event log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{AudioProfile, SourceId, TrackKind};
use crate::codec::fmp4::{self, Sample};
use crate::codec::names::Stem;
use crate::codec::{opus, raw, silent};
use crate::units::{Cname, Sid, Ticks, Uid};

/// Which playlist something belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaylistId {
    /// Everybody mixed.
    Mix,
    /// One uid alone: its microphone, else what it published first.
    Individual(Uid),
    /// A further source of a uid that is heard beside that.
    Source {
        /// Whose.
        uid: Uid,
        /// Which.
        source: SourceId,
    },
}

impl PlaylistId {
    /// The playlist of a uid's own sound (`None`), or of a further source of it.
    pub fn of(uid: &Uid, source: Option<SourceId>) -> Self {
        match source {
            None => Self::Individual(uid.clone()),
            Some(source) => Self::Source { uid: uid.clone(), source },
        }
    }

    /// What its files' names begin with.
    pub fn stem(&self, sid: &Sid, cname: &Cname) -> Stem {
        match self {
            Self::Mix => Stem::mix(sid, cname),
            Self::Individual(uid) => Stem::individual(sid, cname, uid),
            Self::Source { uid, source } => Stem::source(sid, cname, uid, &source.to_string()),
        }
    }

    /// How many channels its init segment says.
    pub const fn channels(&self, profile: AudioProfile) -> u8 {
        match self {
            Self::Mix => profile.channels(),
            Self::Individual(_) | Self::Source { .. } => fmp4::PASS_THROUGH_CHANNELS,
        }
    }

    /// Whose it is; `None`: everybody's.
    pub const fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Mix => None,
            Self::Individual(uid) | Self::Source { uid, .. } => Some(uid),
        }
    }

    /// Which further source of a uid it holds.
    pub const fn source(&self) -> Option<SourceId> {
        match self {
            Self::Mix | Self::Individual(_) => None,
            Self::Source { source, .. } => Some(*source),
        }
    }

    /// The bytes of its [`Output::Init`]: they depend on the profile alone, so that they can be made again.
    pub fn init_segment(&self, profile: AudioProfile) -> Bytes {
        fmp4::init_segment(self.channels(profile))
    }
}

/// One result of the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// A playlist begins: its initialisation segment (`ftyp` + `moov`), before its first [`Output::Segment`].
    Init {
        /// Which playlist.
        playlist: PlaylistId,
        /// The file's bytes.
        #[serde(with = "raw")]
        bytes: Bytes,
    },
    /// A closed media segment. Segments of a playlist come in order and leave no hole: each starts where its forerunner ended,
    /// the first one at tick 0.
    Segment(Segment),
    /// The first packet of a uid's silence-free run arrived, or the run ended (callback 43).
    StreamState {
        /// Whose audio.
        uid: Uid,
        /// Whether packets arrive.
        receiving: bool,
        /// Since when, on the timeline.
        at: Ticks,
    },
    /// No more segments will come for this playlist.
    Closed {
        /// Which playlist.
        playlist: PlaylistId,
        /// Its length.
        end: Ticks,
    },
    /// A uid that is to be recorded publishes a track that can't be read (callback 2): once a track.
    Unreadable {
        /// Whose track.
        uid: Uid,
        /// What it is.
        kind: TrackKind,
        /// How many tracks of this kind the uid has published in this recording, this one included.
        number: u64,
        /// Since when, on the timeline.
        at: Ticks,
    },
}

/// One media segment: `moof` + `mdat`; or a stretch of silence of at most 10 minutes, as several of them in one file
/// ([`crate::codec::silent`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Which playlist.
    pub playlist: PlaylistId,
    /// Counts from 0 within the playlist; `mfhd.sequence_number` is this plus one. Each segment of a silent object counts.
    pub index: u64,
    /// Position of its first sample: its `tfdt`.
    pub start: Ticks,
    /// Sum of its packets' durations; never zero.
    pub duration: Ticks,
    /// The file's bytes.
    #[serde(with = "raw")]
    pub bytes: Bytes,
}

impl Segment {
    /// Segment number `index` of a playlist: `samples` from `start` on; at least one.
    pub(super) fn of(playlist: PlaylistId, index: u64, start: Ticks, samples: &[Sample]) -> Self {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let duration = Ticks(samples.iter().map(|sample| sample.duration.0).sum());
        Self { playlist, index, start, duration, bytes: fmp4::media_segment(number, start, samples) }
    }

    /// Silence in a place of a playlist whose segments are `length` long: a silent object where one segment is too short for it. Its
    /// first segment has number `index`.
    pub(super) fn silent(playlist: PlaylistId, index: u64, start: Ticks, duration: Ticks, length: Ticks) -> Self {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let bytes = if silent::is_silent_object(duration, length) {
            silent::object(number, start, duration, length)
        } else {
            let packets: Vec<Sample> = opus::silence(duration, false).collect();
            fmp4::media_segment(number, start, &packets)
        };
        Self { playlist, index, start, duration, bytes }
    }

    /// Of a stretch of silence that has no bytes yet the first object, and the rest; any other segment as it is.
    pub(super) fn first_object(self, length: Ticks) -> (Self, Option<Self>) {
        if !self.bytes.is_empty() {
            return (self, None);
        }
        let Self { playlist, index, start, duration, bytes } = self;
        let first = silent::first_object(start, duration, length);
        let rest = (first < duration).then(|| Self {
            playlist: playlist.clone(),
            index: index + silent::segments(start, first, length).count() as u64,
            start: start + first,
            duration: duration - first,
            bytes,
        });
        (Self::silent(playlist, index, start, first, length), rest)
    }

    /// Digital silence in this segment's place: the same playlist, index, start and duration, to the tick. For a segment whose own
    /// bytes could not be kept, so that its playlist has no hole; about 2 kB. A silent object is that already. It fits every init segment of this recorder, and
    /// what follows it sounds as after any silence. The ledger is told by [`super::Recorder::lose`].
    pub fn silenced(&self) -> Self {
        if fmp4::read_segment(&self.bytes).is_ok_and(|read| read.fragments.len() > 1) {
            return self.clone();
        }
        let silence: Vec<Sample> = opus::silence(self.duration, true).collect();
        Self::of(self.playlist.clone(), self.index, self.start, &silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silenced_segment_has_the_place_and_length_of_the_lost_one() {
        for packets in [1, 7, 300] {
            let packet = Sample { bytes: Bytes::from_static(&[0xE0, 1, 2, 3]), duration: Ticks(120) };
            let segment = Segment::of(PlaylistId::Mix, 4, Ticks::from_secs(30), &vec![packet; packets]);
            let silenced = segment.silenced();
            assert_eq!(Segment { bytes: segment.bytes.clone(), ..silenced.clone() }, segment);
            let read = fmp4::read_segment(&silenced.bytes).unwrap();
            assert_eq!((read.sequence_number, read.base, read.duration()), (5, segment.start, segment.duration));
            let mut decoder = opus::Decoder::new(2).unwrap();
            let mut sound = Vec::new();
            for sample in read.samples {
                decoder.decode(&silenced.bytes[sample.range], &mut sound).unwrap();
            }
            assert_eq!(sound.len() as u64, 2 * segment.duration.0);
            assert!(sound.iter().all(|sample| sample.abs() <= 1.0 / 32_768.0));
        }
    }
}
