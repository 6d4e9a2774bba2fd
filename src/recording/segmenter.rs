//! Cuts one playlist's packets into segments. Segment n closes at the first packet boundary at or after (n + 1) segment lengths,
//! so that the cuts depend on positions alone.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Output, PlaylistId, Segment};
use crate::codec::fmp4::{self, Sample};
use crate::units::Ticks;

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Segmenter {
    playlist: PlaylistId,
    length: Ticks,
    index: u64,
    start: Ticks,
    cursor: Ticks,
    samples: Vec<Sample>,
}

impl Segmenter {
    /// A playlist that begins at tick 0; `channels` is what its init segment says.
    pub(super) fn new(playlist: PlaylistId, length: Ticks, channels: u8, out: &mut impl Extend<Output>) -> Self {
        let bytes = fmp4::init_segment(channels);
        out.extend([Output::Init { playlist: playlist.clone(), bytes }]);
        Self { playlist, length, index: 0, start: Ticks::ZERO, cursor: Ticks::ZERO, samples: Vec::new() }
    }

    /// Appends a packet.
    pub(super) fn push(&mut self, bytes: Bytes, duration: Ticks, out: &mut impl Extend<Output>) {
        self.cursor += duration;
        self.samples.push(Sample { bytes, duration });
        if self.cursor >= self.next_cut() {
            self.cut(out);
        }
    }

    /// The position at or after which the open segment will close.
    pub(super) fn next_cut(&self) -> Ticks {
        Ticks((self.index + 1) * self.length.0)
    }

    /// Closes the last segment and the playlist.
    pub(super) fn close(&mut self, out: &mut impl Extend<Output>) {
        if !self.samples.is_empty() {
            self.cut(out);
        }
        out.extend([Output::Closed { playlist: self.playlist.clone(), end: self.cursor }]);
    }

    fn cut(&mut self, out: &mut impl Extend<Output>) {
        out.extend([Output::Segment(Segment::of(self.playlist.clone(), self.index, self.start, &self.samples))]);
        self.samples.clear();
        self.start = self.cursor;
        self.index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_close_at_the_first_boundary_on_or_after_the_grid() {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(PlaylistId::Mix, Ticks::from_secs(2), 2, &mut out);
        let packet = Bytes::from_static(&[0x1B, 0x82, 0, 0]);
        for _ in 0..100 {
            segmenter.push(packet.clone(), Ticks::from_ms(60), &mut out);
        }
        segmenter.close(&mut out);
        let segments: Vec<(u64, u64)> = out
            .iter()
            .filter_map(|output| match output {
                Output::Segment(segment) => Some((segment.start.as_ms(), segment.duration.as_ms())),
                _ => None,
            })
            .collect();
        assert_eq!(segments, [(0, 2_040), (2_040, 1_980), (4_020, 1_980)]);
        assert_eq!(out.last(), Some(&Output::Closed { playlist: PlaylistId::Mix, end: Ticks::from_secs(6) }));
    }

    #[test]
    fn an_empty_playlist_has_no_segment() {
        let mut out = Vec::new();
        Segmenter::new(PlaylistId::Mix, Ticks::from_secs(2), 1, &mut out).close(&mut out);
        assert_eq!(out.len(), 2);
    }
}
