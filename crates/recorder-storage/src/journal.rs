//! The journal: the durable log of everything the core was fed. A capture and a fixture are the same format with one session
//! in the file.
//!
//! # Layout, version 1
//!
//! All fixed integers are little-endian. `varint` is unsigned LEB128 of at most 10 bytes; `zigzag` is a varint whose lowest bit
//! is the sign.
//!
//! ```text
//! file    = header frame*
//! header  = 89 43 52 4A 0D 0A 1A 0A   magic
//!           version:u16 (1)  reserved:u16 (0)  crc:u32 (CRC-32 of the 12 bytes before it)
//! frame   = length:u16 (of the body, 1 to 65535)
//!           check:u8 (low byte XOR high byte XOR A5: tells a damaged length from a torn tail)
//!           crc:u32 (CRC-32/ISO-HDLC of length and body)
//!           body
//! body    = kind:u8  session:varint  rest
//! ```
//!
//! `session` counts the sessions of this file in the order of their introduction, from 0. Every other time is a `zigzag`
//! difference, in ticks, to the session's time before it in this file (0 at first).
//!
//! | kind | record | rest |
//! |---|---|---|
//! | 01 | started: introduces the session | the [`Spec`] as JSON |
//! | 02 | continued: introduces a session that began in an earlier file | the [`Spec`] as JSON |
//! | 03 | finished | time |
//! | 04 | checkpoint, a part of it; read, no longer written | offset:varint, total:varint, bytes of the state to the end |
//! | 05 | stored: the bucket holds a media object | see [`StoredObject`] |
//! | 06 | clock | the session's time:varint, sid:16 bytes, boot id:16 bytes, boot time in ms:varint |
//! | 07 | checkpoint, a part of a copy of it | copy:u8 (a number that tells alike ones apart, times 2, plus 1 for the second copy), crc:u32 (CRC-32 of the state), offset, total, bytes as in 04 |
//! | 10 | joined | time, uid (UTF-8, to the end) |
//! | 11 | left | time, uid |
//! | 12 | track added | time, track:varint, muted:u8, uid |
//! | 13 | track removed | time, track:varint |
//! | 14 | muted | time, track:varint, muted:u8 |
//! | 15 | sender report | time, track:varint, ntp:u64, rtp:u32 |
//! | 16 | channel down | time |
//! | 17 | channel up | time |
//! | 18 | select | time, the selection as JSON |
//! | 19 | worker restarted | time |
//! | 1a | overloaded | time, track:varint, overloaded:u8 |
//! | 1b | the mix's coders restarted | time |
//! | 1c | stalled | time, how long before it that began:varint, cause:u8 (0 the worker stood still, 1 overload) |
//! | 1d | channel lost | time, how long before it the last sign of life came:varint |
//! | 1e | inputs lost | time, how long before it the last record was:varint |
//! | 1f | track added, and what it is; 12 stands for source 0 and coding 0 | time, track:varint, muted:u8, source:u8 (0 not said, 1 microphone, 2 screen), coding:u8 (0 Opus, 1 PCMU, 2 PCMA, 3 another, 4 encrypted), uid |
//! | 20 | given up by the channel's server | time, uid |
//! | 21 | reported as speaking | time, speaking:u8, uid |
//! | 24 | unheard | time, how long before it that began:varint, uid |
//! | 80 to 8f | RTP packet; bit 0: marker, bit 1: level follows, bit 2: SSRC follows, bit 3: it was the track's before as well | time, track:varint, \[ssrc:u32\], sequence:u16, timestamp:u32, \[level:u8\], payload to the end |
//!
//! The SSRC of a packet is written when it differs from the SSRC of the track's packet before it in this file, and in the track's first
//! packet behind each clock record. A packet of a running track costs 18 or 19 bytes over its payload.
//!
//! A *clock* record says what a reader can't know behind damage: the session's name, and the time that its next difference counts from.
//! One stands behind the session's introduction, its first record with a time, about one a second of its time from there on
//! (some 50 bytes, and 4 for each track that goes on), behind its checkpoints and at the end of the file. Its boot id and boot time say when
//! that time was on the clock that nobody can set, as the record tells it that was appended with the least delay, in this file or one before;
//! they are zero where nobody knows, as in a capture. A
//! session whose [`Spec`] was lost is introduced by a clock record alone.
//!
//! A checkpoint is a session's whole state, up to [`MAX_CHECKPOINT_BYTES`], in one part after the other in one file; up to 8 MiB it is
//! written twice, one copy behind the other, so that one damaged frame does not cost it. Of a longer one the one before it is kept, with what
//! follows it. `offset` says where in the state the part's bytes
//! begin, `total` how long the state is. A reader puts it together from the parts of both copies and yields it once, with the part that was
//! missing last.
//!
//! # Reading
//!
//! A file can be read alone: each introduces its sessions with their whole [`Spec`]. A tail behind which no whole frame follows is *torn*:
//! an incomplete last frame, one with a wrong CRC, zeros to the end. That is what a power cut leaves; it ends the file cleanly, with a flag.
//!
//! What the disk can't read counts as zeros, block by block, as far as there is an end to that ([`ZeroFill`]).
//!
//! Everything else that is not a whole frame, or not understood, is *damage*: it costs itself, the header included. The reader goes on at
//! the next whole frame and names the stretch ([`Reader::damages`]). Which sessions lost something nobody knows, so each that has records on
//! both sides gets an [`Input::InputsLost`](recorder_core::recording::Input::InputsLost) in front of its first record behind, from the time of
//! its last one before. Records wait for their session's next clock record, and packets for their track's SSRC, where damage took away what
//! they count from; there are bounds for that, and in files of commit 6109b9e and earlier, which have no clock records, they are given out
//! with what is known: times count on from the last record before the damage.
//!
//! No file makes the reader panic, take longer than a time that is linear in its length, or allocate more than a few frames plus what
//! grows with the part of the file that was read.

mod batch;
mod checkpoint;
mod clock;
mod cursor;
mod decode;
mod decoder;
mod disk;
mod encode;
mod error;
mod file_writer;
mod flusher;
mod frame;
mod frames;
mod held;
mod inherited_log;
mod kind;
mod log;
mod log_storage;
mod pending;
mod reader;
mod replay;
mod scan;
mod session;
mod stored;
mod window;
mod writer;
mod zero_fill;

pub use checkpoint::MAX_CHECKPOINT_BYTES;
pub use clock::Clock;
pub use encode::EncodeError;
pub use error::JournalError;
pub use file_writer::FileWriter;
pub use frame::{HEADER_BYTES, MAX_BODY_BYTES};
pub use frames::Damage;
pub use reader::Reader;
pub use replay::Replay;
pub use stored::StoredObject;
pub use writer::{AppendError, GROUP_TIME, Limits, Stats, Writer};
pub use zero_fill::ZeroFill;

use bytes::Bytes;

use recorder_core::recording::{Spec, TimedInput};
use recorder_core::units::{Sid, Ticks};

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A session began.
    Started {
        /// What it is to record; names the session.
        spec: Spec,
    },
    /// A session that began in an earlier file goes on in this one. Carries no input: it makes the file readable alone.
    Continued {
        /// What it is to record; names the session.
        spec: Spec,
    },
    /// The core was fed.
    Input {
        /// Whose core.
        sid: Sid,
        /// With what.
        input: TimedInput,
    },
    /// The session was told to end; nothing follows for it.
    Finished {
        /// Which.
        sid: Sid,
        /// When: the length of all its playlists.
        at: Ticks,
    },
    /// The bucket confirmed a media object: from here on its name stands for these bytes. Not an input.
    Stored {
        /// Which session.
        sid: Sid,
        /// What it holds.
        object: StoredObject,
    },
    /// All that was appended for the session before this, in another form: who reads the log may begin here. In a worker's log it
    /// lets go of the files before it; a [`FileWriter`] leaves it out.
    Checkpoint {
        /// Which.
        sid: Sid,
        /// What only the session understands. At most [`MAX_CHECKPOINT_BYTES`].
        state: Bytes,
    },
}

impl Record {
    /// The session it belongs to.
    pub fn sid(&self) -> &Sid {
        match self {
            Self::Started { spec } | Self::Continued { spec } => &spec.sid,
            Self::Input { sid, .. }
            | Self::Finished { sid, .. }
            | Self::Stored { sid, .. }
            | Self::Checkpoint { sid, .. } => sid,
        }
    }
}

#[cfg(test)]
mod tests;
