//! Cuts one playlist's packets into segments. Segment n closes at the first packet boundary at or after (n + 1) segment lengths,
//! so that the cuts depend on positions alone.
//!
//! While nobody is there to be heard, silence is counted and nothing is given out. When that ends, the segments of the stretch
//! come as one [`Output::Segment`] without bytes, which the recorder gives out as a few objects ([`crate::codec::silent`]); what does not
//! fill a segment goes on as usual. The cuts are the same either way.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Output, PlaylistId, Segment};
use crate::codec::fmp4::{self, Sample};
use crate::codec::{opus, silent};
use crate::units::Ticks;

/// The packets that long silence is made of.
const FRAME: Ticks = Ticks::from_ms(20);

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Segmenter {
    playlist: PlaylistId,
    length: Ticks,
    index: u64,
    start: Ticks,
    cursor: Ticks,
    /// The open segment. Without any, `start..cursor` is silence that is held: whole frames.
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
        self.release(out);
        self.append(bytes, duration, out);
    }

    /// Appends [`opus::silence`] of this length. `absent`: nobody is there to be heard.
    pub(super) fn silence(&mut self, length: Ticks, resumes: bool, absent: bool, out: &mut impl Extend<Output>) {
        let mut left = length;
        loop {
            let plain = if resumes { left.0.saturating_sub(FRAME.0) } else { left.0 };
            if absent && self.samples.is_empty() && plain > 0 && left.0.is_multiple_of(FRAME.0) {
                let plain = Ticks(plain / FRAME.0 * FRAME.0);
                (self.cursor, left) = (self.cursor + plain, left - plain);
            }
            let Some(filler) = opus::silence(left, resumes).next() else { return };
            left = left - filler.duration;
            self.push(filler.bytes, filler.duration, out);
        }
    }

    /// Whether no packet waits for the open segment to close, and silence would be held.
    pub(super) fn is_at_border(&self) -> bool {
        self.samples.is_empty()
    }

    /// Where the packets end.
    pub(super) fn cursor(&self) -> Ticks {
        self.cursor
    }

    /// Gives out what is held: the segments that it fills, and the rest as samples.
    fn release(&mut self, out: &mut impl Extend<Output>) {
        let held = self.cursor - self.start;
        if !self.samples.is_empty() || held == Ticks::ZERO {
            return;
        }
        let (mut whole, mut count, mut border) = (Ticks::ZERO, 0, self.border());
        for segment in silent::segments(self.start, held, self.length) {
            if self.start + whole + segment < border {
                break;
            }
            (whole, count, border) = (whole + segment, count + 1, border + self.length);
        }
        if count > 0 {
            let (playlist, index, start) = (self.playlist.clone(), self.index, self.start);
            out.extend([Output::Segment(Segment { playlist, index, start, duration: whole, bytes: Bytes::new() })]);
        }
        (self.index, self.start) = (self.index + count, self.start + whole);
        self.cursor = self.start;
        for filler in opus::silence(held - whole, false) {
            self.append(filler.bytes, filler.duration, out);
        }
    }

    fn append(&mut self, bytes: Bytes, duration: Ticks, out: &mut impl Extend<Output>) {
        self.cursor += duration;
        self.samples.push(Sample { bytes, duration });
        if self.cursor >= self.border() {
            self.cut(out);
        }
    }

    /// The position at or after which the next segment may close; what is held before it is given out by then.
    pub(super) fn next_cut(&self) -> Ticks {
        Ticks((self.cursor.0 / self.length.0 + 1) * self.length.0)
    }

    /// The position at or after which the open segment will close.
    fn border(&self) -> Ticks {
        Ticks((self.index + 1) * self.length.0)
    }

    /// Closes the last segment and the playlist.
    pub(super) fn close(&mut self, out: &mut impl Extend<Output>) {
        self.release(out);
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

    /// Places of the segments that come out when silence of `length` follows a second of sound, in steps of `step`.
    fn silent(length: u64, step: u64, resumes: bool, absent: bool) -> Vec<(u64, u64, bool)> {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(PlaylistId::Mix, Ticks::from_secs(2), 2, &mut out);
        let packet = Bytes::from_static(&[0x1B, 0x82, 0, 0]);
        (0..17).for_each(|_| segmenter.push(packet.clone(), Ticks::from_ms(60), &mut out));
        let mut at = 0;
        while at < length {
            let part = step.min(length - at);
            at += part;
            segmenter.silence(Ticks::from_ms(part), resumes && at == length, absent, &mut out);
            assert_eq!(segmenter.cursor(), Ticks::from_ms(1_020 + at));
        }
        (0..17).for_each(|_| segmenter.push(packet.clone(), Ticks::from_ms(60), &mut out));
        segmenter.close(&mut out);
        let segments = out.iter().filter_map(|output| match output {
            Output::Segment(it) => Some((it.start.as_ms(), it.duration.as_ms(), it.bytes.is_empty())),
            _ => None,
        });
        segments.collect()
    }

    #[test]
    fn silence_of_somebody_absent_is_held_and_comes_as_one() {
        for (length, resumes) in [(60_000, false), (61_000, true), (61_980, true), (60_990, false)] {
            for step in [20, 100, 1_000, length] {
                let usual = silent(length, step, resumes, false);
                let held = silent(length, step, resumes, true);
                let long: Vec<_> = held.iter().filter(|it| it.2).collect();
                assert_eq!(long.len(), 1, "{held:?}");
                assert_eq!(held[0], usual[0], "the open segment closes in its time");
                // The same cuts: what came as one stands for the usual segments.
                let (start, end) = (long[0].0, long[0].0 + long[0].1);
                let within: Vec<_> = usual.iter().filter(|it| (start..end).contains(&it.0)).collect();
                assert!(within.len() >= 28 && within.last().is_some_and(|it| it.0 + it.1 == end), "{within:?}");
                let rest = |all: &[(u64, u64, bool)]| -> Vec<(u64, u64)> {
                    all.iter().filter(|it| !(start..end).contains(&it.0)).map(|it| (it.0, it.1)).collect()
                };
                assert_eq!(rest(&held), rest(&usual));
            }
        }
    }

    #[test]
    fn an_absence_within_a_segment_leaves_no_trace() {
        assert_eq!(silent(900, 100, true, true), silent(900, 100, true, false));
        assert!(silent(2_500, 100, true, true).iter().all(|it| !it.2));
    }

    #[test]
    fn an_empty_playlist_has_no_segment() {
        let mut out = Vec::new();
        Segmenter::new(PlaylistId::Mix, Ticks::from_secs(2), 1, &mut out).close(&mut out);
        assert_eq!(out.len(), 2);
    }
}
