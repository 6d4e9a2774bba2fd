//! Checkpoints in parts: a session's state may be longer than a frame (layout in [`super`]). Short ones are written twice, so that one
//! damaged frame does not cost them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::cursor::{Cursor, put_varint};
use super::frame::MAX_BODY_BYTES;
use super::kind;

/// Longest state of a checkpoint in bytes: 64 MiB.
pub const MAX_CHECKPOINT_BYTES: usize = 64 << 20;

/// Longest state that is written twice, in bytes: 8 MiB, a day of ten talkers; both copies are as long as what else may wait for the disk.
pub(super) const MAX_DOUBLED_BYTES: usize = 8 << 20;

/// Most bytes of a state in one part: what the body of a frame has room for behind its kind and five numbers.
pub(super) const PART_BYTES: usize = MAX_BODY_BYTES - 1 - 3 * 10 - 1 - 4;

/// A piece of a state.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    of: Whole,
    /// Whether it is of the second copy.
    again: bool,
    /// Where in the state its bytes begin.
    offset: usize,
    bytes: &'a [u8],
}

/// Which state a part is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Whole {
    total: usize,
    /// The state's CRC-32. `None`: the part is of an older program, which wrote each state once.
    sum: Option<u32>,
    /// Tells it from others of the session that are alike.
    number: u8,
}

/// Takes a state apart, into two copies one after the other if it is short. An empty one has one empty part a copy.
/// `number` counts the session's checkpoints in this file; its lower 7 bits are kept.
pub(super) fn parts(state: &[u8], number: u8) -> impl Iterator<Item = Part<'_>> {
    let of = Whole { total: state.len(), sum: Some(crc32fast::hash(state)), number: number & 0x7f };
    let copies: &[bool] = if of.total > MAX_DOUBLED_BYTES { &[false] } else { &[false, true] };
    copies.iter().flat_map(move |again| {
        (0..of.total.max(1)).step_by(PART_BYTES).map(move |offset| {
            let bytes = &state[offset..of.total.min(offset + PART_BYTES)];
            Part { of, again: *again, offset, bytes }
        })
    })
}

impl<'a> Part<'a> {
    /// Of the kind [`kind::CHECKPOINT_COPY`].
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.of.number << 1 | u8::from(self.again));
        out.extend_from_slice(&self.of.sum.unwrap_or_default().to_le_bytes());
        put_varint(out, self.offset as u64);
        put_varint(out, self.of.total as u64);
        out.extend_from_slice(self.bytes);
    }

    /// Of either kind of checkpoint.
    pub(super) fn read(kind: u8, body: &mut Cursor<'a>) -> Result<Self, &'static str> {
        let (mut copy, mut sum) = (0, None);
        if kind == kind::CHECKPOINT_COPY {
            copy = body.u8().ok_or("a short checkpoint")?;
            sum = Some(body.u32().ok_or("a short checkpoint")?);
        }
        let mut number = || usize::try_from(body.varint()?).ok().filter(|number| *number <= MAX_CHECKPOINT_BYTES);
        let (Some(offset), Some(total)) = (number(), number()) else {
            return Err("a checkpoint of an impossible length");
        };
        let bytes = body.rest();
        if offset + bytes.len() > total {
            return Err("a part that is longer than its checkpoint");
        }
        let of = Whole { total, sum, number: copy >> 1 };
        Ok(Self { of, again: copy & 1 == 1, offset, bytes })
    }
}

/// How much of a session's checkpoint came so far; `T` is what is kept of each part.
#[derive(Debug)]
pub(super) struct Parts<T> {
    of: Whole,
    /// Length and content of the parts that came, by their offset.
    came: BTreeMap<usize, (usize, T)>,
    /// Bytes from the state's start that came without a hole.
    reached: usize,
    /// Whether nothing more of it is wanted.
    done: bool,
}

/// Whether a session's checkpoints are whole.
pub(super) type Progress = Parts<()>;

/// Puts a session's checkpoints together again.
pub(super) type Gathering = Parts<Vec<u8>>;

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { of: Whole::default(), came: BTreeMap::new(), reached: 0, done: true }
    }
}

impl Progress {
    /// The next part; whether it made the state whole.
    pub(super) fn take(&mut self, part: &Part<'_>) -> bool {
        self.add(part, ())
    }
}

impl Gathering {
    /// The next part; the whole state with the one that was missing last.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Option<Bytes> {
        if !self.add(part, part.bytes.to_vec()) {
            return None;
        }
        let (mut state, came) = (Vec::with_capacity(self.of.total), std::mem::take(&mut self.came));
        for (offset, (_, bytes)) in came {
            // Parts of a hostile file may overlap.
            state.truncate(offset);
            state.extend_from_slice(&bytes);
        }
        let right = self.of.sum.is_none_or(|sum| crc32fast::hash(&state) == sum);
        right.then(|| state.into())
    }
}

impl<T> Parts<T> {
    fn add(&mut self, part: &Part<'_>, kept: T) -> bool {
        let ordered = part.of.sum.is_some() || part.offset == self.reached;
        if (!part.again && part.offset == 0) || part.of != self.of && part.of.sum.is_some() {
            *self = Self { of: part.of, done: false, ..Self::default() };
        } else if part.of != self.of || !ordered {
            *self = Self::default();
        }
        if self.done || self.came.contains_key(&part.offset) {
            return false;
        }
        self.came.insert(part.offset, (part.bytes.len(), kept));
        while let Some((length @ 1.., _)) = self.came.get(&self.reached) {
            self.reached += length;
        }
        self.done = self.reached == self.of.total;
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Vec<Option<usize>> {
        let mut gathering = Gathering::default();
        let mut progress = Progress::default();
        let take = |part: Part<'_>| {
            let state = gathering.take(&part);
            assert_eq!(progress.take(&part), state.is_some());
            state.map(|state| state.len())
        };
        parts.into_iter().map(take).collect()
    }

    /// Parts as the program wrote them that wrote each state once.
    fn once(state: &[u8]) -> Vec<Part<'_>> {
        let first = parts(state, 0).filter(|part| !part.again);
        first.map(|part| Part { of: Whole { sum: None, ..part.of }, ..part }).collect()
    }

    #[test]
    fn a_state_is_whole_once_and_with_any_of_its_copies() {
        let state: Vec<u8> = (0..3 * PART_BYTES).map(|number| (number % 253) as u8).collect();
        let all: Vec<_> = parts(&state, 7).collect();
        let whole = Some(state.len());
        assert_eq!(gather(all.iter().copied()), [None, None, whole, None, None, None]);
        for missing in 0..6 {
            for other in missing..6 {
                let left = all.iter().enumerate().filter(|(at, _)| *at != missing && *at != other);
                let came = gather(left.map(|(_, part)| *part));
                let expected = usize::from(other != missing + 3);
                assert_eq!(came.iter().flatten().count(), expected, "without {missing} and {other}");
            }
        }
        let twice = gather(all.iter().chain(&all).copied());
        assert_eq!(twice.iter().flatten().count(), 2, "another checkpoint with the same state");
        let copies: Vec<_> = all.iter().copied().chain(parts(&state, 8).skip(3)).collect();
        assert_eq!(gather(copies).iter().flatten().count(), 2, "and one whose first copy is damaged");
        assert_eq!(gather(parts(&[], 0)), [Some(0), None]);
    }

    #[test]
    fn parts_of_two_states_are_never_mixed() {
        let (one, other) = (vec![1; 2 * PART_BYTES], vec![2; 2 * PART_BYTES]);
        let mixed = [parts(&one, 0).next().unwrap(), parts(&other, 0).nth(1).unwrap(), parts(&one, 0).nth(1).unwrap()];
        assert_eq!(gather(mixed), [None, None, None]);
    }

    #[test]
    fn a_long_state_is_written_once() {
        let state = vec![7; MAX_DOUBLED_BYTES + 1];
        assert_eq!(parts(&state, 0).count(), state.len().div_ceil(PART_BYTES));
        assert_eq!(gather(parts(&state, 0)).last(), Some(&Some(state.len())));
    }

    #[test]
    fn what_was_written_once_is_whole_with_its_last_part_and_only_in_order() {
        let state = vec![7; 3 * PART_BYTES];
        let all = || once(&state);
        assert_eq!(gather(all()), [None, None, Some(state.len())]);
        let mut missing = all();
        missing.remove(1);
        assert_eq!(gather(missing), [None, None]);
        let mut begun_anew = all();
        begun_anew.truncate(2);
        begun_anew.extend(all());
        assert_eq!(gather(begun_anew), [None, None, None, None, Some(state.len())]);
        assert_eq!(gather(once(&[])), [Some(0)]);
    }

    #[test]
    fn impossible_parts_are_refused() {
        for (offset, total, bytes) in [(0, 1, 2), (5, 5, 1), (usize::MAX, 1, 0), (0, MAX_CHECKPOINT_BYTES + 1, 1)] {
            let of = Whole { total, sum: Some(7), number: 3 };
            let mut body = Vec::new();
            Part { of, again: true, offset, bytes: &[1, 2][..bytes] }.write(&mut body);
            let read = Part::read(kind::CHECKPOINT_COPY, &mut Cursor::new(&body));
            assert!(read.is_err(), "{offset} of {total}");
            assert!(Part::read(kind::CHECKPOINT, &mut Cursor::new(&body[5..])).is_err(), "{offset} of {total}");
        }
    }
}
