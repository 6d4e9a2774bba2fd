//! Opus (RFC 6716): what a packet says about itself, what fills a hole, and the coder.
//!
//! Everything runs at 48 kHz; lengths are [`crate::units::Ticks`] per channel.

mod coder;
mod filler;
mod packet;
mod quiet;
mod resumable;
mod transcoder;

pub use coder::{CoderError, Decoder, Encoder, LOOKAHEAD};
pub use filler::{RESET_FRAME, Silence, concealment, is_filler, silence};
pub use packet::{Coding, MAX_PACKET, PacketError, Toc, duration, fec, is_dtx};
pub use quiet::is_silent;
pub use resumable::{ResumableDecoder, ResumableEncoder};
pub use transcoder::Transcoder;
