//! One uid, or a further source of it, alone: the sender's packets bit for bit (invariant 4), the fillers between them.

use serde::{Deserialize, Serialize};

use super::grid::FRAME;
use super::open_gap::Chunk;
use super::presence::Presence;
use super::segmenter::Segmenter;
use super::{Output, PlaylistId};
use crate::codec::{fmp4, opus};
use crate::units::Ticks;

/// The playlist of one track.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Individual {
    segmenter: Segmenter,
}

impl Individual {
    /// Begins at tick 0. Its init segment says two channels, since senders change between mono and stereo as they like.
    pub(super) fn new(playlist: PlaylistId, segment: Ticks, out: &mut impl Extend<Output>) -> Self {
        Self { segmenter: Segmenter::new(playlist, segment, fmp4::PASS_THROUGH_CHANNELS, out) }
    }

    /// Appends the next piece of the timeline of a uid with this presence.
    pub(super) fn write(&mut self, chunk: &Chunk, presence: &Presence, out: &mut impl Extend<Output>) {
        match chunk {
            Chunk::Sound { packet, duration, .. } => {
                self.segmenter.push(packet.clone(), Ticks(*duration as u64), out);
            }
            Chunk::Bridge { filler, frames, .. } => {
                for _ in 0..*frames {
                    self.segmenter.push(filler.bytes.clone(), filler.duration, out);
                }
            }
            Chunk::Recovered { length, filler: Some(filler), .. } => {
                for _ in 0..length / filler.duration.0 as i64 {
                    self.segmenter.push(filler.bytes.clone(), filler.duration, out);
                }
            }
            Chunk::Recovered { length, filler: None, .. } => {
                for filler in opus::silence(Ticks(*length as u64), true) {
                    self.segmenter.push(filler.bytes, filler.duration, out);
                }
            }
            Chunk::Silence { at, length, resumes } => {
                let (at, length, resumes) = (*at, *length, *resumes);
                // The short fillers come first, then whole frames: only a frame that lies in an absence as a whole is of it.
                let shorts = length % FRAME;
                let mut written = 0;
                presence.absences(at, at + length, |_, to, absent| {
                    let frames = (to - at - shorts).max(0);
                    let frames = if absent { frames / FRAME } else { (frames + FRAME - 1) / FRAME };
                    let end = if to == at + length { length } else { (shorts + frames * FRAME).min(length) };
                    if end > written {
                        let part = Ticks((end - written) as u64);
                        self.segmenter.silence(part, resumes && end == length, absent, out);
                        written = end;
                    }
                });
            }
        }
    }

    /// The position at or after which the open segment will close; none while nothing is to come that a segment would be made of.
    pub(super) fn next_cut(&self, presence: &Presence) -> Option<Ticks> {
        let idle = self.segmenter.is_at_border() && presence.is_absent_from(self.segmenter.cursor().0 as i64);
        (!idle).then(|| self.segmenter.next_cut())
    }

    /// Closes the playlist.
    pub(super) fn close(&mut self, out: &mut impl Extend<Output>) {
        self.segmenter.close(out);
    }
}
