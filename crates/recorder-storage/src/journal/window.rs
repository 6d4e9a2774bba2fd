//! A source of bytes that is looked at before it is taken: a frame is read in place, and whether one begins at a byte costs the same
//! however long it claims to be.

use std::io::{self, Read};
use std::sync::LazyLock;

use super::frame::{FRAME_BYTES, Head};

/// Bytes read from the source in one go, and about the most that are held.
const READ_BYTES: usize = 256 << 10;

/// CRC-32/ISO-HDLC's polynomial, bits reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What one byte does to the state of a sum.
const STEPS: [u32; 256] = steps();

/// What `n` bytes that follow do to a state, as a factor: x to the power of 8n.
static FOLLOWED_BY: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let powers = std::iter::successors(Some(1 << 31), |power| Some(step(*power, 0)));
    powers.take(usize::from(u16::MAX) + 1).collect()
});

/// What is at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A whole frame with a body of this length.
    Whole(usize),
    /// A head of a body of this length; the sum is wrong.
    BadSum(usize),
    /// No head, or one whose body does not end before the source does.
    Nothing,
}

/// Bytes that were read and not yet taken.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    /// Bytes of `bytes` that are taken.
    taken: usize,
    ended: bool,
    sums: Sums,
}

/// States of a sum that runs over the window's bytes, so that the sum of any stretch of them is one multiplication. Each byte is summed
/// once at most, and only where damage was met.
#[derive(Debug, Default)]
struct Sums {
    /// Which of the window's bytes the first state is in front of.
    from: usize,
    states: Vec<u32>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, bytes: Vec::new(), taken: 0, ended: false, sums: Sums::default() }
    }

    /// The next `count` bytes, fewer where the source ends.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.bytes.len() - self.taken < count && !self.ended {
            self.fill(count)?;
        }
        Ok(self.ahead(0, count))
    }

    /// Takes bytes that were looked at.
    pub(super) fn take(&mut self, count: usize) {
        self.taken = self.bytes.len().min(self.taken + count);
    }

    /// Bytes that were looked at, as many as there are.
    pub(super) fn ahead(&self, at: usize, count: usize) -> &[u8] {
        let begin = self.bytes.len().min(self.taken + at);
        &self.bytes[begin..self.bytes.len().min(begin + count)]
    }

    /// What is `at` bytes ahead, on the way through a file that is whole so far.
    pub(super) fn look(&mut self, at: usize) -> io::Result<Look> {
        self.look_with(at, false)
    }

    /// The same where damage was met and many places are looked at.
    pub(super) fn look_again(&mut self, at: usize) -> io::Result<Look> {
        self.look_with(at, true)
    }

    fn look_with(&mut self, at: usize, again: bool) -> io::Result<Look> {
        let Some(head) = self.peek(at + FRAME_BYTES)?.get(at..).and_then(|head| head.first_chunk()) else {
            return Ok(Look::Nothing);
        };
        let head = Head::read(*head);
        let Some(length) = head.length() else { return Ok(Look::Nothing) };
        let begin = at + FRAME_BYTES;
        if self.peek(begin + length)?.len() < begin + length {
            return Ok(Look::Nothing);
        }
        let fits = if again || self.sums.cover(self.taken + begin, length) {
            let body = self.sums.of(&self.bytes, self.taken, self.taken + begin, length);
            head.fits_sum(|state| multiply(state, FOLLOWED_BY[length]) ^ body)
        } else {
            head.fits(self.ahead(begin, length))
        };
        Ok(if fits { Look::Whole(length) } else { Look::BadSum(length) })
    }

    fn fill(&mut self, count: usize) -> io::Result<()> {
        self.sums.forget(self.taken);
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let mut got = self.bytes.len();
        self.bytes.resize(count.max(READ_BYTES), 0);
        let result = loop {
            match self.source.read(&mut self.bytes[got..]) {
                Ok(0) => break Ok(()),
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => break Err(error),
            }
        };
        self.ended = result.is_ok() && got < self.bytes.len();
        self.bytes.truncate(got);
        result
    }
}

impl Sums {
    /// Whether the states around these bytes are known.
    fn cover(&self, begin: usize, length: usize) -> bool {
        self.from <= begin && begin + length < self.from + self.states.len()
    }

    /// What the bytes do to a state that is zero. Sums up to their end from `first`, which is not behind `begin`.
    fn of(&mut self, bytes: &[u8], first: usize, begin: usize, length: usize) -> u32 {
        if first < self.from || first >= self.from + self.states.len() {
            *self = Self { from: first, states: vec![0] };
        }
        let summed = self.from + self.states.len() - 1;
        let mut state = self.states[self.states.len() - 1];
        for byte in bytes.get(summed..begin + length).unwrap_or_default() {
            state = step(state, *byte);
            self.states.push(state);
        }
        let [begin, end] = [begin, begin + length].map(|at| self.states[at - self.from]);
        end ^ multiply(begin, FOLLOWED_BY[length])
    }

    /// The window's first bytes go.
    fn forget(&mut self, count: usize) {
        let gone = count.saturating_sub(self.from).min(self.states.len());
        self.states.drain(..gone);
        self.from = self.from.saturating_sub(count);
    }
}

const fn steps() -> [u32; 256] {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = shift(state);
            bit += 1;
        }
        steps[byte] = state;
        byte += 1;
    }
    steps
}

/// Times x.
const fn shift(state: u32) -> u32 {
    if state & 1 == 1 { (state >> 1) ^ POLYNOMIAL } else { state >> 1 }
}

const fn step(state: u32, byte: u8) -> u32 {
    (state >> 8) ^ STEPS[((state ^ byte as u32) & 0xff) as usize]
}

/// The product of two polynomials, modulo the sum's.
fn multiply(one: u32, mut other: u32) -> u32 {
    let mut product = 0;
    let mut rest = one;
    while rest != 0 {
        if rest & (1 << 31) != 0 {
            product ^= other;
        }
        rest <<= 1;
        other = shift(other);
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_there_once_and_in_order() {
        let bytes: Vec<u8> = (0..600_000u32).map(|number| (number % 251) as u8).collect();
        let mut window = Window::new(bytes.as_slice());
        let mut at = 0;
        for count in [1, 100_000, 7, 200_000, 65_542, 300_000] {
            let expected = &bytes[at..bytes.len().min(at + count)];
            assert_eq!(window.peek(count).unwrap(), expected);
            window.take(count / 2);
            at += count / 2;
        }
    }

    proptest! {
        #[test]
        fn a_sum_of_a_stretch_is_that_of_its_bytes(
            bytes in prop::collection::vec(any::<u8>(), 1..300),
            stretch in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            first in any::<prop::sample::Index>(),
        ) {
            let begin = stretch.0.index(bytes.len());
            let length = stretch.1.index(bytes.len() - begin + 1);
            let mut sums = Sums::default();
            let body = sums.of(&bytes, first.index(begin + 1), begin, length);
            let state = !(multiply(u32::MAX, FOLLOWED_BY[length]) ^ body);
            prop_assert_eq!(state, crc32fast::hash(&bytes[begin..begin + length]));
            prop_assert!(sums.cover(begin, length));
        }
    }
}
