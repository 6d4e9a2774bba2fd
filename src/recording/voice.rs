//! The streams of one timeline: a voice is one SSRC of one track.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stream::Stream;
use super::{Coding, Source};
use crate::codec::opus::Transcoder;
use crate::units::{Ssrc, Ticks, TrackId};

/// Most voices a timeline has at a time; the oldest gives way.
pub(super) const MAX_VOICES: usize = 8;

/// A voice that sent this recently is still speaking: longer than the longest DTX pause.
const STILL_SPEAKING: i64 = Ticks::from_ms(500).0 as i64;

/// A sender that stops for so long, and goes on without a loss, sends only while there is something to say.
pub(super) const LONG_PAUSE: i64 = Ticks::from_secs(1).0 as i64;

/// One SSRC of one track.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Voice {
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

impl Voice {
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
pub(super) struct Voices {
    voices: Vec<Voice>,
    /// Of format 1 and before sources were told apart; not used any more.
    old_mutes: Vec<(TrackId, bool, i64)>,
    next_id: u64,
}

impl Voices {
    /// The voice of `ssrc` in `track`, made if it is new; and what was dropped to make room: packets with sound, and how
    /// much of it.
    pub(super) fn of(&mut self, track: TrackId, ssrc: Ssrc, source: Source) -> (&mut Voice, (u64, i64)) {
        let known = self.voices.iter().position(|voice| voice.track == track && voice.ssrc == ssrc && !voice.gone);
        let mut dropped = (0, 0);
        let index = known.unwrap_or_else(|| {
            dropped = self.add(Voice {
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
            self.voices.len() - 1
        });
        (&mut self.voices[index], dropped)
    }

    /// Takes in a voice as the newest; what was dropped to make room, as [`Voices::of`] says it.
    pub(super) fn add(&mut self, voice: Voice) -> (u64, i64) {
        self.voices.retain(|voice| !(voice.gone && voice.stream.is_empty()));
        let full = self.voices.len() >= MAX_VOICES;
        let dropped = if full { self.voices.remove(0).stream.clear() } else { (0, 0) };
        self.voices.push(Voice { id: self.next_id, ..voice });
        self.next_id += 1;
        dropped
    }

    /// Takes out the voices of a track, or all of them.
    pub(super) fn part(&mut self, track: Option<TrackId>) -> Vec<Voice> {
        self.voices.extract_if(.., |voice| track.is_none_or(|track| voice.track == track)).collect()
    }

    /// The track is gone.
    pub(super) fn remove(&mut self, track: TrackId) {
        for voice in self.voices.iter_mut().filter(|voice| voice.track == track) {
            voice.gone = true;
        }
        self.voices.retain(|voice| !(voice.gone && voice.stream.is_empty()));
    }

    /// Whether the packet of a voice at `at` gives way to a newer voice of the same track: its sender began anew.
    pub(super) fn is_superseded(&self, voice: &Voice, at: i64) -> bool {
        let newer = |other: &&Voice| other.track == voice.track && other.id > voice.id;
        self.voices.iter().filter(newer).any(|other| other.goes_on(at))
    }

    /// Those of other tracks than `track`.
    pub(super) fn others(&self, track: TrackId) -> impl Iterator<Item = &Voice> {
        self.voices.iter().filter(move |voice| voice.track != track)
    }

    /// Those of `track`.
    pub(super) fn of_track(&self, track: TrackId) -> impl Iterator<Item = &Voice> {
        self.voices.iter().filter(move |voice| voice.track == track)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.voices.len()
    }

    /// Whether voice `id` may go on beside one of `track`.
    pub(super) fn lives_beside(&self, id: u64, track: TrackId) -> bool {
        self.voices.iter().any(|voice| voice.id == id && !voice.gone && voice.track != track)
    }

    /// The voice at `index`.
    pub(super) fn get(&self, index: usize) -> Option<&Voice> {
        self.voices.get(index)
    }

    /// The voice at `index`.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Voice> {
        self.voices.get_mut(index)
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.voices.iter_mut().filter_map(|voice| voice.transcoder.as_mut()).for_each(Transcoder::restart);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Voice> {
        self.voices.iter()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.voices.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_voice_of_a_track_wins() {
        let mut voices = Voices::default();
        for (track, ssrc) in [(1, 7), (1, 8), (2, 9)] {
            voices.of(TrackId(track), Ssrc(ssrc), Source::default()).0.active_until = 1_000;
        }
        let superseded = |index, at| voices.is_superseded(voices.get(index).unwrap(), at);
        assert!(superseded(0, 0) && !superseded(1, 0), "other tracks do not matter");
        assert!(!superseded(0, 1_000 + STILL_SPEAKING), "a newer voice that stopped sending does not win");
    }

    #[test]
    fn a_new_ssrc_is_a_new_voice_and_their_number_is_bounded() {
        let mut voices = Voices::default();
        for ssrc in 0..100 {
            voices.of(TrackId(1), Ssrc(ssrc), Source::default());
        }
        assert_eq!(voices.voices.len(), MAX_VOICES);
        assert_eq!(voices.of(TrackId(1), Ssrc(99), Source::default()).0.id, 99);
        voices.remove(TrackId(1));
        assert!(voices.voices.is_empty());
    }
}
