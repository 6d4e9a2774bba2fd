//! The recording core: from what arrives on a channel, with its times, to segments, playlists and a ledger.
//!
//! It is pure. It has no clock, no input or output, no tasks and no randomness: time comes in as an argument, and the same inputs
//! give the same bytes (invariants 6 and 7). That its manifest names no crate for any of these keeps it so.
//!
//! [`units`]: identifiers and times. [`error_class`]: what every error can say. [`codec`]: Opus, fMP4, MPEG-TS, Ogg and HLS.
//! [`recording`]: reorder, place on wall time, mix or pass through, cut into segments, account for what is missing.

#![forbid(unsafe_code)]

pub mod codec;
pub mod error_class;
pub mod recording;
pub mod units;
