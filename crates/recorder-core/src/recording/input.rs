//! What the core is fed: everything that happens in a channel, with its arrival time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Cause, Selection};
use crate::codec::g711::{self, Law};
use crate::codec::opus::{self, PacketError};
use crate::units::{Ssrc, Ticks, TrackId, Uid};

/// An input and when it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedInput {
    /// Arrival on the worker's monotonic clock, since the session's start. Never decreases within a session.
    pub at: Ticks,
    /// What arrived.
    pub input: Input,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A member is in the channel (on the bot's arrival: was there already).
    Joined {
        /// Who.
        uid: Uid,
    },
    /// A member left; all of its tracks are gone.
    Left {
        /// Who.
        uid: Uid,
    },
    /// The channel's server has given a member up: nothing comes from it any more. [`Input::Left`] follows.
    GivenUp {
        /// Who.
        uid: Uid,
    },
    /// The channel's server reports that a member speaks, or that it does not any more.
    Speaking {
        /// Who.
        uid: Uid,
        /// The new state.
        speaking: bool,
    },
    /// A member publishes a microphone or other audio. A republish is a new track.
    TrackAdded {
        /// The new publication.
        track: TrackId,
        /// Its publisher.
        uid: Uid,
        /// Whether it starts muted.
        muted: bool,
        /// What it is.
        kind: TrackKind,
    },
    /// The publication ended.
    TrackRemoved {
        /// Which.
        track: TrackId,
    },
    /// The publisher muted or unmuted. Packets may go on while muted; they are recorded as they come.
    Muted {
        /// Which publication.
        track: TrackId,
        /// The new state.
        muted: bool,
    },
    /// An RTP packet of a publication.
    Packet(Packet),
    /// An RTCP sender report (RFC 3550 section 6.4.1); a bonus, never relied on (docs/protocol/livekit.md section 10).
    SenderReport {
        /// Which publication.
        track: TrackId,
        /// NTP timestamp, 32.32 fixed point, the sender's clock.
        ntp: u64,
        /// The RTP time of the same instant.
        rtp: u32,
    },
    /// The way to the channel is broken: nothing can arrive until [`Input::ChannelUp`].
    ChannelDown,
    /// The channel is reached again. Members and tracks that are still there are announced anew where their ids changed.
    ChannelUp,
    /// This worker does not keep up: from here on packets of a publication may have been dropped; or none are any more.
    Overloaded {
        /// Which publication.
        track: TrackId,
        /// The new state.
        overloaded: bool,
    },
    /// Who is recorded from here on.
    Select(Selection),
    /// The worker was dead until now and came back (written by recovery).
    WorkerRestarted,
    /// The mix's coders start anew from what they remember, as they do when a snapshot is restored: a replay that passes this input
    /// and one that begins with the snapshot taken right after it give the same bytes.
    CodersRestarted,
    /// This worker stood still, or did not keep up, from `from` until now: what was sent meanwhile may not have reached it.
    Stalled {
        /// Since when; not after the input's own time.
        from: Ticks,
        /// What kept it.
        cause: StallCause,
    },
    /// The way to the channel is broken, as [`Input::ChannelDown`], and nothing at all has come from it since `since`.
    ChannelLost {
        /// Arrival of the last sign of life; not after the input's own time.
        since: Ticks,
    },
    /// The member has been in the channel since `since`, publishing as it does now, and nothing of it could be heard until now: the
    /// recorder was outside and waited for somebody to come.
    Unheard {
        /// Who.
        uid: Uid,
        /// Since when; not after the input's own time.
        since: Ticks,
    },
    /// Inputs that arrived between `from` and now are lost: their records in the journal are damaged. Made by the reader.
    InputsLost {
        /// Time of the last record before the damage; not after the input's own time.
        from: Ticks,
    },
}

/// What a publication is, as its publisher said it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrackKind {
    /// What is heard.
    pub source: Source,
    /// How it is coded.
    pub coding: Coding,
}

/// What a publication's sound comes from (LiveKit's `TrackSource`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Not said, or not one of these.
    #[default]
    Unspecified,
    /// A microphone.
    Microphone,
    /// The sound of a screen, a window or a tab that is shared.
    ScreenAudio,
}

/// How a publication's packets are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// Opus (RFC 7587), also where the server takes it out of RED.
    #[default]
    Opus,
    /// G.711 with mu-law (RFC 3551 section 4.5.14), 8 kHz.
    Pcmu,
    /// G.711 with A-law (RFC 3551 section 4.5.14), 8 kHz.
    Pcma,
    /// A codec that is not recorded.
    Unsupported,
    /// End-to-end encrypted.
    Encrypted,
}

impl Coding {
    /// Why what is coded so can't be recorded; none for what can.
    pub const fn unreadable(self) -> Option<Cause> {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma => None,
            Self::Unsupported => Some(Cause::UnsupportedCodec),
            Self::Encrypted => Some(Cause::Encrypted),
        }
    }

    /// The law of G.711; none for what is not G.711. Its packets are transcoded to Opus.
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            Self::Opus | Self::Unsupported | Self::Encrypted => None,
        }
    }

    /// How long a payload sounds.
    pub(super) fn duration(self, payload: &[u8]) -> Result<Ticks, PacketError> {
        if self.law().is_some() { g711::duration(payload) } else { opus::duration(payload) }
    }
}

/// Why a worker did not hear what was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallCause {
    /// It did not run at all: stopped, or its machine was paused.
    WorkerStalled,
    /// It ran too slowly: datagrams were dropped before it read them.
    Overload,
}

/// The parts of an RTP packet (RFC 3550 section 5.1) that a recorder needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The publication it belongs to.
    pub track: TrackId,
    /// Synchronisation source: a change within a track is a restarted sender.
    pub ssrc: Ssrc,
    /// Sequence number, wraps at 2^16.
    pub sequence: u16,
    /// RTP timestamp at the coding's rate (48 kHz; 8 kHz for G.711), wraps at 2^32.
    pub timestamp: u32,
    /// Marker bit: first packet after silence.
    pub marker: bool,
    /// Audio level of RFC 6464 where negotiated: 0 (loudest) to 127, in -dBov.
    pub level: Option<u8>,
    /// The Opus packet, or what else the coding says, padding removed; empty for padding-only packets, which are neither sound nor loss.
    pub payload: Bytes,
}
