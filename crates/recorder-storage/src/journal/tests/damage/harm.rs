//! What is done to a file, what of it is whole then, and what a frame says.

use crate::journal::clock::ClockRecord;
use crate::journal::tests::{Frame, Laid};
use crate::journal::{HEADER_BYTES, decode, kind};
use recorder_core::units::{Ssrc, TrackId};

/// What was done to a file.
#[derive(Clone, Debug)]
pub(super) enum Harm {
    Flip(usize, u8),
    Zero(usize, usize),
    Cut(usize, usize),
}

impl Harm {
    /// The harmed file, and which frames are whole in it.
    pub(super) fn to(&self, laid: &Laid) -> (Vec<u8>, Vec<bool>) {
        let mut bytes = laid.bytes.clone();
        match *self {
            Self::Flip(at, bit) => bytes[at] ^= 1 << bit,
            Self::Zero(from, to) => bytes[from..to].fill(0),
            Self::Cut(from, to) => {
                drop(bytes.drain(from..to));
                // Frame by frame: any of the cuts that leave the same bytes may leave it whole.
                let (first, last) = Self::same_cuts(laid, from, to);
                let whole = |frame: &Frame| frame.end <= last || frame.start >= first + to - from;
                let mut good: Vec<_> = laid.frames.iter().map(whole).collect();
                let first_bad = laid.frames.iter().find(|frame| !whole(frame));
                // The reader believes a head with a good check if a frame begins where it says: then frames before that are lost.
                if let Some(behind) = first_bad.and_then(|frame| believed(&bytes, frame.start)).map(|at| at + to - from)
                    && laid.frames.iter().any(|frame| frame.start == behind)
                {
                    let lost = |frame: &Frame| frame.start >= to && frame.end <= behind;
                    good.iter_mut().zip(&laid.frames).for_each(|(good, frame)| *good &= !lost(frame));
                }
                return (bytes, good);
            }
        }
        let same = |frame: &Frame| bytes[frame.start..frame.end] == laid.bytes[frame.start..frame.end];
        let same = laid.frames.iter().map(same).collect();
        (bytes, same)
    }

    /// Whether whole frames are gone and nothing is left of them.
    pub(super) fn is_without_trace(&self, laid: &Laid) -> bool {
        let border = |at: usize| at == HEADER_BYTES || laid.frames.iter().any(|frame| frame.end == at);
        let Self::Cut(from, to) = *self else { return false };
        let (first, last) = Self::same_cuts(laid, from, to);
        (first..=last).any(|begin| border(begin) && border(begin + to - from))
    }

    /// Where the first and the last cut of this length begin that leave the same bytes: frames are alike.
    fn same_cuts(laid: &Laid, from: usize, to: usize) -> (usize, usize) {
        let bytes = &laid.bytes;
        let left = (1..=from).take_while(|by| bytes[from - by] == bytes[to - by]).count();
        let right = (0..bytes.len() - to).take_while(|by| bytes[from + by] == bytes[to + by]).count();
        (from - left, from + right)
    }
}

/// Where the frame ends that the head at this byte promises.
fn believed(bytes: &[u8], at: usize) -> Option<usize> {
    let head = bytes.get(at..at + 7)?;
    let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
    (head[0] ^ head[1] ^ 0xa5 == head[2]).then_some(at + 7 + length)
}

/// What a frame says beside its record.
pub(super) struct Said {
    pub(super) index: u64,
    pub(super) clock: bool,
    /// Of a packet: its track, and whether its SSRC is said, and again.
    pub(super) source: Option<(TrackId, Option<(Ssrc, bool)>)>,
}

pub(super) fn said(bytes: &[u8]) -> Said {
    let (kind, index, mut body) = decode::open(bytes).unwrap();
    let clock = kind == kind::CLOCK && ClockRecord::read(&mut body).is_ok();
    let source = decode::is_packet(kind).then(|| {
        body.zigzag().unwrap();
        let (track, ssrc) = decode::source(kind, &mut body).unwrap();
        (track, ssrc.map(|ssrc| (ssrc, kind & kind::REPEATED != 0)))
    });
    Said { index, clock, source }
}
