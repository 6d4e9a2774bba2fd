//! Bytes in, bytes out: Opus, G.711, fragmented MP4, playlists, whole files (MP4, Ogg), file names. Pure: no I/O, no clock, no randomness.
//!
//! All times are [`crate::units::Ticks`]: samples at 48 kHz, which is also the timescale of every box written here.

pub mod aac;
pub mod container;
pub mod fmp4;
pub mod g711;
pub mod mp4;
pub mod names;
pub mod ogg;
pub mod opus;
pub mod playlist;
pub(crate) mod raw;
pub mod silent;
pub mod ts;
pub mod whole;
