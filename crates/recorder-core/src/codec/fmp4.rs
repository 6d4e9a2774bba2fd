//! Opus in fragmented MP4: one init segment a playlist, then `moof` + `mdat` a segment, or several of
//! them in one file that a playlist lists one by one (docs/protocol/media.md section 1; ISO/IEC 14496-12; "Encapsulation of Opus in ISO
//! Base Media File Format").
//!
//! Invariants: one track, timescale 48000; `tfdt` is the position on the recording's timeline and never restarts; no `styp`
//! (nothing needs it, some readers refuse it); no segment is empty (hls.js refuses it).

mod reader;
mod writer;

pub(super) use reader::track_of;
pub use reader::{Fmp4Error, Fragment, Init, Segment, SegmentSample, read_init, read_segment};
pub(super) use writer::{MDAT_HEADER, TRACK, encode, encoded_len, track, uniform_segment};
pub use writer::{PASS_THROUGH_CHANNELS, Sample, init_segment, media_segment};
