//! The streams of one uid: a voice is one SSRC of one track. Which of several wins is decided here.

use serde::{Deserialize, Serialize};

use super::stream::Stream;
use crate::units::{Ssrc, Ticks, TrackId};

/// Most voices a uid has at a time; the oldest gives way.
const MAX_VOICES: usize = 8;

/// A voice that sent this recently is still speaking: longer than the longest DTX pause.
const STILL_SPEAKING: i64 = Ticks::from_ms(500).0 as i64;

/// A sender that stops for so long, and goes on without a loss, sends only while there is something to say.
pub(super) const LONG_PAUSE: i64 = Ticks::from_secs(1).0 as i64;

/// One SSRC of one track.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Voice {
    /// Grows with each new voice of the uid: the newest is the greatest.
    pub(super) id: u64,
    /// Its packets.
    pub(super) stream: Stream,
    /// Where its last sound ended, whether or not it won; ticks.
    pub(super) active_until: i64,
    pub(super) track: TrackId,
    ssrc: Ssrc,
    gone: bool,
    /// It stopped sending for [`LONG_PAUSE`] and went on without a loss.
    #[serde(default)]
    pub(super) pauses: bool,
}

/// A mute that is on since a tick, or was off since one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Mute {
    track: TrackId,
    muted: bool,
    since: i64,
}

/// All voices of a uid, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Voices {
    voices: Vec<Voice>,
    mutes: Vec<Mute>,
    next_id: u64,
}

impl Voices {
    /// The voice of `ssrc` in `track`, made if it is new; and what was dropped to make room: packets with sound, and how
    /// much of it.
    pub(super) fn of(&mut self, track: TrackId, ssrc: Ssrc) -> (&mut Voice, (u64, i64)) {
        let known = self.voices.iter().position(|voice| voice.track == track && voice.ssrc == ssrc && !voice.gone);
        let mut dropped = (0, 0);
        let index = known.unwrap_or_else(|| {
            self.voices.retain(|voice| !(voice.gone && voice.stream.is_empty()));
            if self.voices.len() >= MAX_VOICES {
                dropped = self.voices.remove(0).stream.clear();
            }
            let id = self.next_id;
            self.next_id += 1;
            self.voices.push(Voice {
                id,
                stream: Stream::default(),
                active_until: i64::MIN,
                track,
                ssrc,
                gone: false,
                pauses: false,
            });
            self.voices.len() - 1
        });
        (&mut self.voices[index], dropped)
    }

    /// The track was muted or unmuted at `since`.
    pub(super) fn mute(&mut self, track: TrackId, muted: bool, since: i64) {
        self.mutes.retain(|mute| mute.track != track);
        if self.mutes.len() >= MAX_VOICES {
            self.mutes.remove(0);
        }
        self.mutes.push(Mute { track, muted, since });
    }

    /// The track is gone.
    pub(super) fn remove(&mut self, track: TrackId) {
        for voice in self.voices.iter_mut().filter(|voice| voice.track == track) {
            voice.gone = true;
        }
        self.mutes.retain(|mute| mute.track != track);
        self.voices.retain(|voice| !(voice.gone && voice.stream.is_empty()));
    }

    /// Whether the packet of voice `index` at `at` gives way to a voice that goes before it: one that is not muted before one
    /// that is, then the newer.
    pub(super) fn superseded(&self, index: usize, at: i64) -> bool {
        let rank = |voice: &Voice| (!self.is_muted(voice.track, at), voice.id);
        let Some(voice) = self.voices.get(index) else {
            return false;
        };
        let speaks = |other: &&Voice| other.active_until.saturating_add(STILL_SPEAKING) > at;
        self.voices.len() > 1 && self.voices.iter().filter(speaks).any(|other| rank(other) > rank(voice))
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

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.voices.iter_mut()
    }

    fn is_muted(&self, track: TrackId, at: i64) -> bool {
        self.mutes.iter().any(|mute| mute.track == track && mute.muted == (at >= mute.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voices(count: u32) -> Voices {
        let mut voices = Voices::default();
        for track in 0..count {
            voices.of(TrackId(track), Ssrc(7)).0.active_until = 1_000;
        }
        voices
    }

    #[test]
    fn the_newest_voice_that_is_not_muted_wins() {
        let mut voices = voices(2);
        assert!(voices.superseded(0, 0));
        assert!(!voices.superseded(1, 0));
        voices.mute(TrackId(1), true, 500);
        assert!(voices.superseded(0, 499), "not muted yet at that place");
        assert!(!voices.superseded(0, 500));
        assert!(voices.superseded(1, 500));
        assert!(!voices.superseded(0, 1_000 + STILL_SPEAKING), "a newer voice that stopped sending does not win");
    }

    #[test]
    fn a_new_ssrc_is_a_new_voice_and_their_number_is_bounded() {
        let mut voices = Voices::default();
        for ssrc in 0..100 {
            voices.of(TrackId(1), Ssrc(ssrc));
        }
        assert_eq!(voices.voices.len(), MAX_VOICES);
        assert_eq!(voices.of(TrackId(1), Ssrc(99)).0.id, 99);
        voices.remove(TrackId(1));
        assert!(voices.voices.is_empty());
    }
}
