//! Everything that is bounded, by name. Past a limit new work is refused; running work is never harmed (invariant 10).

use std::time::Duration;

/// What an operator, or a test, may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rooms open at once.
    pub rooms: usize,
    /// Rooms of one app open at once; of recorders that wait for a room's first member, and of recorders in all, as many again.
    pub rooms_per_app: usize,
    /// Members of one app in all its rooms, recorders not counted.
    pub members_per_app: usize,
    /// Tracks of one app that are announced or published at once.
    pub tracks_per_app: usize,
    /// Signalling sockets of one app at once.
    pub sockets_per_app: usize,
    /// Members of one room, recorders not counted.
    pub members_per_room: usize,
    /// Recorders of one room.
    pub recorders_per_room: usize,
    /// Tracks that one member may have published or announced at once.
    pub tracks_per_member: usize,
    /// How long a room stays after its last member left.
    pub close_after: Duration,
    /// How long a member without a signalling socket may still come back and go on.
    pub resume_within: Duration,
    /// How long a member may take to answer the server's offer.
    pub answer_within: Duration,
    /// Silence on a signalling socket after which it counts as lost; clients ping every 5 s. Also the time that
    /// a client has for its first message.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 1_000,
            rooms_per_app: 500,
            members_per_app: 2_000,
            tracks_per_app: 2_000,
            sockets_per_app: 2_048,
            members_per_room: 100,
            recorders_per_room: 20,
            tracks_per_member: 4,
            close_after: Duration::from_secs(15),
            resume_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(15),
            silence: Duration::from_secs(15),
        }
    }
}

/// How often clients are told to ping.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The largest signalling message, in bytes. A client's offer with many sections has about 20 000.
pub(super) const MAX_SIGNAL_BYTES: usize = 256 * 1024;

/// What a signalling socket reads at once, in bytes: it keeps a buffer of this size. Longer messages take several reads.
pub(super) const SIGNAL_READ_BYTES: usize = 4 * 1024;

/// The largest session description, in bytes.
pub(super) const MAX_SDP_BYTES: usize = 128 * 1024;

/// The most media sections in a session description.
pub(super) const MAX_SDP_SECTIONS: usize = 64;

/// Media sections of a hearing connection that carry nothing, kept for a track that comes back, which needs one in which it never was.
pub(super) const MAX_EMPTY_SECTIONS: usize = 32;

/// The most lines in a session description.
pub(super) const MAX_SDP_LINES: usize = 4_000;

/// The longest candidate that is looked at, in bytes of its JSON.
pub(super) const MAX_CANDIDATE_BYTES: usize = 1_024;

/// Candidates that wait for the description they belong to, per peer connection.
pub(super) const MAX_PENDING_CANDIDATES: usize = 64;

/// Candidates that one peer connection takes between two descriptions.
pub(super) const MAX_CANDIDATES: usize = 128;

/// Messages waiting for one signalling socket. A socket that falls behind so far counts as lost.
pub(super) const MAX_OUTBOX: usize = 512;

/// Commands waiting for one subscriber connection. A connection that falls behind so far is given up.
pub(super) const MAX_SUBSCRIBER_COMMANDS: usize = 1_024;

/// How long one write to a signalling socket may take.
pub(super) const SOCKET_WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client has to finish the WebSocket close handshake.
pub(super) const CLOSE_HANDSHAKE: Duration = Duration::from_secs(2);

/// The largest data packet, in bytes; SDKs send at most 15 000 in a chunk.
pub(super) const MAX_DATA_BYTES: usize = 64 * 1024;

/// Data packets waiting for one receiver; further ones are dropped for this receiver only.
pub(super) const MAX_DATA_QUEUE: usize = 128;

/// Data that SCTP holds for one receiver's channel before the queue above fills, in bytes.
pub(super) const MAX_DATA_IN_FLIGHT: usize = 512 * 1024;

/// How long a receiver may take no data before a packet for it is dropped.
pub(super) const DATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Data channels that one member may open.
pub(super) const MAX_DATA_CHANNELS: usize = 8;

/// How long a member's hearing connection may take to come up. Its socket is no presence: media is.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Tracks that one connection may bring in its life; each republish is one.
pub(super) const MAX_TRACK_ARRIVALS: usize = 256;

/// How long media may arrive before its track is announced.
pub(super) const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(15);

/// A member's display name, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// A member's metadata, in bytes.
pub(super) const MAX_METADATA_BYTES: usize = 16 * 1024;

/// A member's attributes, keys and values together, in bytes.
pub(super) const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;

/// Any short text of a client that is passed on: a track's name, stream or client id, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 256;

/// Datagrams waiting for one peer connection.
pub(super) const MAX_DATAGRAMS: usize = 512;

/// Source addresses that are routed to one peer connection.
pub(super) const MAX_ADDRESSES: usize = 32;

/// Source addresses that one peer connection hears of between two descriptions with new credentials. It keeps each of them.
pub(super) const MAX_SOURCES: usize = 256;

/// Connectivity checks of one peer connection that may still be answered.
pub(super) const MAX_CHECKS: usize = 512;

/// ICE fragments that name one peer connection: the current one and those before its last restarts.
pub(super) const MAX_NAMES: usize = 4;

/// Notices of rooms that a slow observer may fall behind by before it misses some.
pub(super) const MAX_ROOM_NOTICES: usize = 1_024;
