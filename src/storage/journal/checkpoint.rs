//! Checkpoints in parts: a session's state may be longer than a frame (layout in [`super`]).

use bytes::Bytes;

use super::cursor::{Cursor, put_varint};
use super::frame::MAX_BODY_BYTES;

/// Longest state of a checkpoint in bytes: 64 MiB.
pub const MAX_CHECKPOINT_BYTES: usize = 64 << 20;

/// Most bytes of a state in one part: what the body of a frame has room for behind its kind and three numbers.
pub(super) const PART_BYTES: usize = MAX_BODY_BYTES - 1 - 3 * 10;

/// A piece of a state.
pub(super) struct Part<'a> {
    /// Where in the state its bytes begin.
    offset: usize,
    /// Length of the whole state.
    total: usize,
    bytes: &'a [u8],
}

/// Takes a state apart. An empty one has one empty part.
pub(super) fn parts(state: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let total = state.len();
    (0..total.max(1)).step_by(PART_BYTES).map(move |offset| {
        let bytes = &state[offset..total.min(offset + PART_BYTES)];
        Part { offset, total, bytes }
    })
}

impl<'a> Part<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.offset as u64);
        put_varint(out, self.total as u64);
        out.extend_from_slice(self.bytes);
    }

    pub(super) fn read(body: &mut Cursor<'a>) -> Result<Self, &'static str> {
        let mut number = || usize::try_from(body.varint()?).ok().filter(|number| *number <= MAX_CHECKPOINT_BYTES);
        let (Some(offset), Some(total)) = (number(), number()) else {
            return Err("a checkpoint of an impossible length");
        };
        let bytes = body.rest();
        if offset + bytes.len() > total {
            return Err("a part that is longer than its checkpoint");
        }
        Ok(Self { offset, total, bytes })
    }
}

/// How a part goes with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Its predecessor is missing; it is of no use.
    Stray,
    /// It follows, others are to come.
    More,
    /// It is the last: the state is whole.
    Whole,
}

/// How much of a session's checkpoint came so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    got: usize,
    total: usize,
}

impl Progress {
    /// The next part; the first of another checkpoint lets go of what came before it.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Fit {
        if part.offset == 0 {
            *self = Self { got: 0, total: part.total };
        } else if (part.offset, part.total) != (self.got, self.total) {
            *self = Self::default();
            return Fit::Stray;
        }
        self.got += part.bytes.len();
        if self.got < self.total {
            return Fit::More;
        }
        *self = Self::default();
        Fit::Whole
    }
}

/// Puts a session's checkpoints together again.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    progress: Progress,
    bytes: Vec<u8>,
}

impl Gathering {
    /// The next part; the whole state with the last.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Option<Bytes> {
        let fit = self.progress.take(part);
        if part.offset == 0 || fit == Fit::Stray {
            self.bytes = Vec::new();
        }
        if fit == Fit::Stray {
            return None;
        }
        self.bytes.extend_from_slice(part.bytes);
        (fit == Fit::Whole).then(|| std::mem::take(&mut self.bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(parts: &[Part<'_>]) -> Vec<Option<usize>> {
        let mut gathering = Gathering::default();
        parts.iter().map(|part| gathering.take(part).map(|state| state.len())).collect()
    }

    #[test]
    fn a_state_is_whole_with_its_last_part_and_only_in_order() {
        let state = vec![7; 3 * PART_BYTES];
        let all = || parts(&state).collect::<Vec<_>>();
        assert_eq!(gather(&all()), [None, None, Some(state.len())]);
        let mut missing = all();
        missing.remove(1);
        assert_eq!(gather(&missing), [None, None]);
        let mut begun_anew = all();
        begun_anew.truncate(2);
        begun_anew.extend(all());
        assert_eq!(gather(&begun_anew), [None, None, None, None, Some(state.len())]);
        assert_eq!(gather(&parts(&[]).collect::<Vec<_>>()), [Some(0)]);
    }

    #[test]
    fn impossible_parts_are_refused() {
        for (offset, total, bytes) in [(0, 1, 2), (5, 5, 1), (usize::MAX, 1, 0), (0, MAX_CHECKPOINT_BYTES + 1, 1)] {
            let mut body = Vec::new();
            Part { offset, total, bytes: &[1, 2][..bytes] }.write(&mut body);
            assert!(Part::read(&mut Cursor::new(&body)).is_err(), "{offset} of {total}");
        }
    }
}
