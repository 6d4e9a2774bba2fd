//! A silent object: a long stretch of digital silence in one file, as the segments that the playlist would have had there. The
//! playlist lists each of them by its byte range, so that no segment is longer than the target duration (RFC 8216 section 4.3.3.1).
//!
//! Invariant: the bytes depend on the number of the first segment, the place and the segment length alone, and their sizes on place
//! and segment length alone. Whoever knows an object's place knows its byte ranges: neither journal nor checkpoint holds them. So
//! the layout may never change: another one needs names of its own.

use bytes::Bytes;

use super::fmp4::{Fragment, Sample, media_segment, uniform_segment};
use super::opus;
use crate::units::{TICKS_PER_SECOND, Ticks};

/// The longest silent object: 10 minutes, about 100 kB with segments of 6 s.
pub const MAX_LENGTH: Ticks = Ticks::from_secs(600);

/// The packets that silence is made of.
const FRAME: Ticks = Ticks::from_ms(20);

/// No segment that was cut at the first packet behind its border is longer than its nominal length and this.
const LONGEST_OVERRUN: Ticks = Ticks(TICKS_PER_SECOND);

/// Whether an object of this `duration` is a silent object: it is longer than any one segment of the nominal `length`.
pub fn is_silent_object(duration: Ticks, length: Ticks) -> bool {
    duration > length + LONGEST_OVERRUN
}

/// How long the segments are that fill `start..start + duration`: each ends at the first packet boundary on or after the next
/// multiple of `length`, the last one where the stretch ends. A rest below 2.5 ms is left out, as [`opus::silence`] does.
pub fn segments(start: Ticks, duration: Ticks, length: Ticks) -> impl Iterator<Item = Ticks> {
    let length = length.0.max(FRAME.0);
    let (mut at, mut left) = (start.0, duration.0 - opus::silence(duration, false).carried().0);
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let shorts = left % FRAME.0;
        let border = (at / length + 1) * length - at;
        let end = shorts + border.saturating_sub(shorts).next_multiple_of(FRAME.0);
        let segment = end.min(left);
        (at, left) = (at + segment, left - segment);
        Some(Ticks(segment))
    })
}

/// How much of a stretch that begins at `start` one object holds: whole segments, at most [`MAX_LENGTH`] of them, or one that is no
/// silent object.
pub fn first_object(start: Ticks, duration: Ticks, length: Ticks) -> Ticks {
    let (mut whole, mut first) = (Ticks::ZERO, Ticks::ZERO);
    for segment in segments(start, duration, length) {
        if whole > Ticks::ZERO && whole + segment > MAX_LENGTH {
            break;
        }
        whole += segment;
        first = if first == Ticks::ZERO { segment } else { first };
    }
    if is_silent_object(whole, length) { whole } else { first }
}

/// The byte ranges of a silent object, one after the other.
pub fn fragments(start: Ticks, duration: Ticks, length: Ticks) -> Vec<Fragment> {
    let mut before = None::<Fragment>;
    let each = segments(start, duration, length).map(|duration| {
        let known = before.filter(|before| before.duration == duration);
        let fragment = known.unwrap_or_else(|| Fragment { duration, bytes: segment(1, start, duration).len() as u64 });
        *before.insert(fragment)
    });
    each.collect()
}

/// The bytes of a silent object; `number` is the sequence number of its first segment.
pub fn object(number: u32, start: Ticks, duration: Ticks, length: Ticks) -> Bytes {
    let (mut at, mut number, mut file) = (start, number, Vec::new());
    for duration in segments(start, duration, length) {
        file.extend_from_slice(&segment(number, at, duration));
        (at, number) = (at + duration, number.saturating_add(1));
    }
    file.into()
}

fn segment(number: u32, start: Ticks, duration: Ticks) -> Bytes {
    let packet = opus::silence(FRAME, false).next().filter(|_| duration.0.is_multiple_of(FRAME.0));
    match packet {
        Some(packet) => uniform_segment(number, start, &packet, (duration.0 / FRAME.0) as u32),
        None => media_segment(number, start, &opus::silence(duration, false).collect::<Vec<Sample>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fmp4::read_segment;
    use super::*;

    const SIX: Ticks = Ticks::from_secs(6);

    #[test]
    fn segments_end_on_the_grid_or_a_packet_behind_it() {
        let ms = |start, duration| -> Vec<u64> {
            segments(Ticks::from_ms(start), Ticks::from_ms(duration), SIX).map(Ticks::as_ms).collect()
        };
        assert_eq!(ms(0, 15_000), [6_000, 6_000, 3_000]);
        assert_eq!(ms(6_005, 12_000), [6_000, 6_000]);
        assert_eq!(ms(6_045, 18_000), [5_960, 6_000, 6_000, 40]);
        assert_eq!(ms(0, 0), [0; 0]);
        assert_eq!(segments(Ticks(0), Ticks(288_000 + 130), SIX).map(|it| it.0).collect::<Vec<_>>(), [288_120]);
    }

    #[test]
    fn an_object_is_its_segments_one_after_the_other() {
        for (start, duration) in [(0, 28_800_000), (288_240, 5 * 288_000), (288_240, 3 * 288_000 + 600)] {
            let (start, duration) = (Ticks(start), Ticks(duration));
            let read = read_segment(&object(4, start, duration, SIX)).unwrap();
            assert_eq!((read.sequence_number, read.base, read.duration()), (4, start, duration));
            assert_eq!(read.fragments, fragments(start, duration, SIX));
            assert!(read.fragments.iter().all(|fragment| fragment.duration <= SIX + FRAME));
            assert!(is_silent_object(duration, SIX));
        }
        assert!(!is_silent_object(SIX + Ticks::from_ms(120), SIX));
        assert!(
            is_silent_object(Ticks::from_secs(4) - Ticks::from_ms(120), Ticks::from_secs(2)),
            "two of the shortest"
        );
    }

    #[test]
    fn an_object_is_no_longer_than_ten_minutes() {
        for length in [2, 6, 7, 15] {
            let (length, mut at, mut count) = (Ticks::from_secs(length), Ticks(960 * 7 + 240), 0);
            let end = at + Ticks::from_secs(8 * 3_600);
            while at < end {
                let first = first_object(at, end - at, length);
                assert!(first > Ticks::ZERO && first <= MAX_LENGTH);
                (at, count) = (at + first, count + 1);
            }
            assert!((48..=50).contains(&count), "{length:?}: {count}");
        }
    }

    #[test]
    fn two_short_segments_are_no_object() {
        let at = Ticks::from_secs;
        assert_eq!(
            first_object(at(3), at(7), SIX),
            at(3),
            "seven seconds in one would be longer than the target duration"
        );
        assert_eq!(first_object(at(3), at(8), SIX), at(8));
        assert_eq!(first_object(at(3), at(2), SIX), at(2));
    }

    /// If this fails, recordings of earlier versions are listed with wrong byte ranges: see the module's documentation.
    #[test]
    fn the_layout_never_changes() {
        let file = object(2, Ticks(288_000), MAX_LENGTH, SIX);
        assert_eq!((file.len(), crc32fast::hash(&file)), (100_800, 3_255_726_751));
        let odd = object(2, Ticks(288_120), SIX + SIX + Ticks(840), SIX);
        assert_eq!((odd.len(), crc32fast::hash(&odd)), (4_545, 2_094_149_571));
    }
}
