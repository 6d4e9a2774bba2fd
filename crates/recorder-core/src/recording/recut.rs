//! Parts of a segment, and where a segment sounds. For recordings that are made again around segments that the bucket already holds.
//!
//! Positions are ticks on the timeline. Borders of segments of this recorder lie on multiples of 2.5 ms, the shortest Opus frame, so a
//! part has exactly the length asked for; any other border is met to less than that.

use super::open_gap::LONGEST_CONCEALED;
use super::{PlaylistId, Segment};
use crate::codec::fmp4::{self, Fmp4Error, Sample};
use crate::codec::{opus, silent};
use crate::units::Ticks;

/// A part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recut {
    /// Its samples, with silence in the place of packets that the part's borders cut through.
    pub segment: Segment,
    /// Where such packets lay within the part, `from..to`; at most one at each border.
    pub lost: Vec<(Ticks, Ticks)>,
}

impl Segment {
    /// Silence that fills `from..to` of a playlist whose segments are `length` long, in few objects; a rest below 2.5 ms is left out.
    pub fn silence(playlist: PlaylistId, from: Ticks, to: Ticks, length: Ticks) -> impl Iterator<Item = Self> {
        let mut at = from;
        std::iter::from_fn(move || {
            let left = silent::first_object(at, Ticks(to.0.saturating_sub(at.0)), length);
            let segment = (left > Ticks::ZERO).then(|| Self::silence_at(&playlist, at, left, length));
            at += left;
            segment
        })
    }

    /// One segment, or silent object, of silence in a place.
    pub fn silence_at(playlist: &PlaylistId, start: Ticks, duration: Ticks, length: Ticks) -> Self {
        Self::silent(playlist.clone(), start.0 / length.0.max(1), start, duration, length)
    }

    /// The part of this segment in `from..to`, in a playlist whose segments are `length` long. `None` when no frame fits in it.
    pub fn part(&self, from: Ticks, to: Ticks, length: Ticks) -> Result<Option<Recut>, Fmp4Error> {
        let (from, to) = (from.max(self.start), to.min(self.start + self.duration));
        if (from, to) == (self.start, self.start + self.duration) {
            return Ok(Some(Recut { segment: self.clone(), lost: Vec::new() }));
        }
        if from >= to {
            return Ok(None);
        }
        if silent::is_silent_object(self.duration, length) {
            let duration = (to - from) - opus::silence(to - from, false).carried();
            let silence = || Self::silence_at(&self.playlist, from, duration, length);
            return Ok((duration > Ticks::ZERO).then(|| Recut { segment: silence(), lost: Vec::new() }));
        }
        let read = fmp4::read_segment(&self.bytes)?;
        let (mut samples, mut lost) = (Vec::new(), Vec::new());
        let mut at = self.start;
        for sample in read.samples {
            let (start, end) = (at, at + sample.duration);
            at = end;
            if end <= from || start >= to {
                continue;
            }
            if start >= from && end <= to {
                samples.push(Sample { bytes: self.bytes.slice(sample.range), duration: sample.duration });
                continue;
            }
            let (start, end) = (start.max(from), end.min(to));
            samples.extend(opus::silence(end - start, true));
            lost.push((start, end));
        }
        if samples.is_empty() {
            return Ok(None);
        }
        let segment = Self::of(self.playlist.clone(), self.index, from, &samples);
        Ok(Some(Recut { segment, lost }))
    }
}

/// Where the bytes of a segment hold packets of sound, `from..to` in order: no fillers, no pauses of a sender.
pub fn sounding(bytes: &[u8]) -> Result<Vec<(Ticks, Ticks)>, Fmp4Error> {
    let read = fmp4::read_segment(bytes)?;
    let (mut at, mut spans) = (read.base, Vec::<(Ticks, Ticks)>::new());
    for sample in read.samples {
        let (start, end) = (at, at + sample.duration);
        at = end;
        if opus::is_filler(&bytes[sample.range]) {
            continue;
        }
        match spans.last_mut().filter(|span| span.1 == start) {
            Some(span) => span.1 = end,
            None => spans.push((start, end)),
        }
    }
    Ok(spans)
}

/// What the samples of a uid's own playlist tell of its sender's pauses (DTX), segment by segment in order.
///
/// Packets of two bytes are a sender's word that nothing is said. Those of one byte are a sender's word too, or stand for a loss
/// (`opus::concealment`); a row of them that is longer than any loss is bridged by them stands for a pause. Digital silence is no evidence:
/// muted, gone, or lost look alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// The row that the last sample belongs to, `from..to`.
    row: (Ticks, Ticks),
    /// It is known to be a pause.
    proven: bool,
}

impl Pauses {
    /// The pauses that the next segment proves, in order and apart; the first may begin in the segment before.
    pub fn of(&mut self, bytes: &[u8]) -> Result<Vec<(Ticks, Ticks)>, Fmp4Error> {
        let read = fmp4::read_segment(bytes)?;
        let (mut at, mut found) = (read.base, Vec::<(Ticks, Ticks)>::new());
        for sample in read.samples {
            let (start, end) = (at, at + sample.duration);
            at = end;
            let length = sample.range.len();
            if !matches!(length, 1 | 2) {
                *self = Self::default();
                continue;
            }
            if self.row.1 != start {
                *self = Self { row: (start, start), proven: false };
            }
            self.row.1 = end;
            self.proven |= length == 2 || (end - self.row.0).0 as i64 > LONGEST_CONCEALED;
            if self.proven {
                match found.last_mut().filter(|last| last.1 == start) {
                    Some(last) => last.1 = end,
                    None => found.push(self.row),
                }
            }
        }
        Ok(found)
    }
}

/// What of `spans` is not in `others`; both in order and apart.
pub fn without(spans: &[(Ticks, Ticks)], others: &[(Ticks, Ticks)]) -> Vec<(Ticks, Ticks)> {
    let mut left = Vec::new();
    for (from, to) in spans {
        let mut at = *from;
        for (start, end) in others.iter().filter(|(start, end)| end > from && start < to) {
            if *start > at {
                left.push((at, *start));
            }
            at = at.max(*end);
        }
        if at < *to {
            left.push((at, *to));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const SIX: Ticks = Ticks::from_secs(6);

    fn packet(ticks: u64) -> Sample {
        Sample { bytes: Bytes::from_static(&[0x78, 1, 2, 3]), duration: Ticks(ticks) }
    }

    fn segment(samples: &[Sample]) -> Segment {
        Segment::of(PlaylistId::Mix, 3, Ticks::from_secs(18), samples)
    }

    #[test]
    fn a_whole_segment_is_its_own_part_byte_for_byte() {
        let whole = segment(&vec![packet(960); 300]);
        let part = whole.part(Ticks::ZERO, Ticks::from_secs(100), SIX).unwrap().unwrap();
        assert_eq!((part.segment, part.lost), (whole, vec![]));
    }

    #[test]
    fn a_border_through_a_packet_is_met_exactly_and_the_packet_is_told() {
        let whole = segment(&vec![packet(960); 10]);
        let start = whole.start;
        let part = whole.part(start + Ticks(1_200), start + Ticks(5_040), SIX).unwrap().unwrap();
        assert_eq!((part.segment.start, part.segment.duration), (start + Ticks(1_200), Ticks(3_840)));
        assert_eq!(
            part.lost,
            [(start + Ticks(1_200), start + Ticks(1_920)), (start + Ticks(4_800), start + Ticks(5_040))]
        );
        assert_eq!(sounding(&part.segment.bytes).unwrap(), [(start + Ticks(1_920), start + Ticks(4_800))]);
        assert_eq!(whole.part(start + Ticks(960), start + Ticks(960), SIX).unwrap(), None);
    }

    #[test]
    fn silence_fills_a_stretch_on_the_grid() {
        let at = Ticks::from_ms;
        let places = |from, to| -> Vec<_> {
            let segments = Segment::silence(PlaylistId::Mix, at(from), at(to), at(2_000));
            let each = segments.map(|segment| {
                assert!(sounding(&segment.bytes).unwrap().is_empty());
                (segment.index, segment.start.as_ms(), segment.duration.as_ms())
            });
            each.collect()
        };
        assert_eq!(
            places(1_500, 4_000),
            [(0, 1_500, 500), (1, 2_000, 2_000)],
            "none is longer than the target duration"
        );
        assert_eq!(places(1_500, 5_000), [(0, 1_500, 3_500)], "one object of three segments");
        assert_eq!(places(0, 1_201_000), [(0, 0, 600_000), (300, 600_000, 600_000), (600, 1_200_000, 1_000)]);
        assert_eq!(places(7, 7), []);
    }

    #[test]
    fn parts_of_a_silent_object_are_silence_with_the_same_cuts() {
        let at = Ticks::from_secs;
        let whole = Segment::silent(PlaylistId::Mix, 2, at(12), at(600), SIX);
        let segment = whole.part(at(18), at(24), SIX).unwrap().unwrap().segment;
        let usual: Vec<Sample> = opus::silence(SIX, false).collect();
        assert_eq!(segment, Segment::of(PlaylistId::Mix, 3, at(18), &usual), "as if it had been made alone");
        let part = whole.part(at(20) + Ticks(120), at(100), SIX).unwrap().unwrap();
        let read = fmp4::read_segment(&part.segment.bytes).unwrap();
        assert_eq!((read.sequence_number, read.base, read.duration()), (4, at(20) + Ticks(120), at(80) - Ticks(120)));
        assert_eq!((read.fragments.len(), part.lost), (14, vec![]));
        assert_eq!(whole.part(at(20), at(20) + Ticks(100), SIX).unwrap(), None);
        assert_eq!(whole.silenced(), whole);
    }

    #[test]
    fn fillers_do_not_sound() {
        let mut samples = vec![packet(960), packet(960)];
        samples.extend(opus::silence(Ticks::from_ms(45), true));
        samples.push(opus::concealment(&[0x78, 1]).unwrap());
        samples.push(packet(960));
        let whole = segment(&samples);
        let (start, end) = (whole.start, whole.start + whole.duration);
        assert_eq!(sounding(&whole.bytes).unwrap(), [(start, start + Ticks(1_920)), (end - Ticks(960), end)]);
        assert_eq!(sounding(&whole.silenced().bytes).unwrap(), []);
    }

    #[test]
    fn a_row_of_words_of_dtx_is_a_pause_and_what_may_be_a_loss_is_none() {
        let word = |bytes: &'static [u8]| Sample { bytes: Bytes::from_static(bytes), duration: Ticks(960) };
        let concealed = |count| vec![opus::concealment(&[0x78, 1]).unwrap(); count];
        let at = |frames: u64| Ticks::from_secs(18) + Ticks(960 * frames);
        let pauses = |parts: &[Vec<Sample>]| Pauses::default().of(&segment(&parts.concat()).bytes).unwrap();
        let (sound, silence) = (vec![packet(960); 2], opus::silence(Ticks(4_800), true).collect::<Vec<_>>());
        assert_eq!(pauses(&[sound.clone(), concealed(5), silence.clone(), sound.clone()]), [], "it may be a loss");
        assert_eq!(pauses(&[sound.clone(), concealed(6), silence, sound.clone()]), [(at(2), at(8))]);
        assert_eq!(pauses(&[sound.clone(), vec![word(&[0x78, 0])], concealed(3), sound.clone()]), [(at(2), at(6))]);
        // The row goes on in the next segment, and what it was becomes clear there.
        let mut both = Pauses::default();
        assert_eq!(both.of(&segment(&[sound.clone(), concealed(4)].concat()).bytes).unwrap(), []);
        let next = Segment::of(PlaylistId::Mix, 4, at(6), &[concealed(3), sound].concat());
        assert_eq!(both.of(&next.bytes).unwrap(), [(at(2), at(9))]);
        assert_eq!(Pauses::default().of(&next.bytes).unwrap(), []);
    }

    #[test]
    fn what_is_left_of_spans_lies_in_no_other() {
        let at = |spans: &[(u64, u64)]| spans.iter().map(|(from, to)| (Ticks(*from), Ticks(*to))).collect::<Vec<_>>();
        let left = without(&at(&[(0, 10), (20, 30)]), &at(&[(2, 4), (8, 25), (29, 40)]));
        assert_eq!(left, at(&[(0, 2), (4, 8), (25, 29)]));
    }

    proptest! {
        #[test]
        fn parts_between_any_borders_fill_the_whole(
            lengths in proptest::collection::vec(prop_oneof![Just(120_u64), Just(480), Just(960), Just(2880)], 1..40),
            borders in proptest::collection::btree_set(1_u64..400, 0..6),
        ) {
            let whole = segment(&lengths.into_iter().map(packet).collect::<Vec<_>>());
            let end = whole.start + whole.duration;
            let borders = borders.into_iter().map(|border| whole.start + Ticks(border * 120)).filter(|at| *at < end);
            let mut at = whole.start;
            for border in borders.chain([end]) {
                let part = whole.part(at, border, SIX).unwrap().unwrap();
                prop_assert_eq!((part.segment.start, part.segment.duration), (at, border - at));
                prop_assert!(part.lost.len() <= 2);
                at = border;
            }
        }
    }
}
