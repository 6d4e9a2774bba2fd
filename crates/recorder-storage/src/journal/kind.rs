//! The first byte of each body (table in [`super`]).

pub(super) const STARTED: u8 = 0x01;
pub(super) const CONTINUED: u8 = 0x02;
pub(super) const FINISHED: u8 = 0x03;
pub(super) const CHECKPOINT: u8 = 0x04;
pub(super) const STORED: u8 = 0x05;
pub(super) const CLOCK: u8 = 0x06;
pub(super) const CHECKPOINT_COPY: u8 = 0x07;
pub(super) const JOINED: u8 = 0x10;
pub(super) const LEFT: u8 = 0x11;
pub(super) const TRACK_ADDED: u8 = 0x12;
pub(super) const TRACK_REMOVED: u8 = 0x13;
pub(super) const MUTED: u8 = 0x14;
pub(super) const SENDER_REPORT: u8 = 0x15;
pub(super) const CHANNEL_DOWN: u8 = 0x16;
pub(super) const CHANNEL_UP: u8 = 0x17;
pub(super) const SELECT: u8 = 0x18;
pub(super) const WORKER_RESTARTED: u8 = 0x19;
pub(super) const OVERLOADED: u8 = 0x1a;
pub(super) const CODERS_RESTARTED: u8 = 0x1b;
pub(super) const STALLED: u8 = 0x1c;
pub(super) const CHANNEL_LOST: u8 = 0x1d;
pub(super) const INPUTS_LOST: u8 = 0x1e;
pub(super) const TRACK_PUBLISHED: u8 = 0x1f;
pub(super) const GIVEN_UP: u8 = 0x20;
pub(super) const SPEAKING: u8 = 0x21;
pub(super) const UNHEARD: u8 = 0x24;
pub(super) const PACKET: u8 = 0x80;

/// Packet flag: the marker bit is set.
pub(super) const MARKER: u8 = 0x01;
/// Packet flag: an audio level follows.
pub(super) const LEVEL: u8 = 0x02;
/// Packet flag: the SSRC follows.
pub(super) const SSRC: u8 = 0x04;
/// Packet flag: the SSRC that follows was the track's before as well.
pub(super) const REPEATED: u8 = 0x08;
/// All packet flags.
pub(super) const PACKET_FLAGS: u8 = MARKER | LEVEL | SSRC | REPEATED;
