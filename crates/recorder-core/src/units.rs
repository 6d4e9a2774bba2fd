//! The words every room uses: identifiers and units as types of their own.
//!
//! Nothing here reads a clock or does I/O. A value that exists is valid: constructors parse, so no later code checks again.

mod address;
mod events;
mod ids;
mod secret_hash;
mod time;

pub use address::is_public;
pub use events::{CHANNEL_EVENTS, ChannelEventType, EventType, EventTypes, RECORDING_EVENTS};
pub use ids::{AppId, ChannelSid, Cname, InvalidId, Sid, Ssrc, TrackId, Uid};
pub use secret_hash::SecretHash;
pub use time::{BootTime, TICKS_PER_MS, TICKS_PER_SECOND, Ticks, WallMs};
