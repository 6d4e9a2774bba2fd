//! What is known of a recording: the answer to a query while it runs, the summary in the store when it is over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Health, Listing, Note, Upload};
use crate::codec::whole::FileType;
use crate::recording::{Ledger, Mode, PlaylistId, SourceId, Verdict};
use crate::units::{AppId, Cname, Sid, Ticks, Uid, WallMs};

/// Where a recording is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted; the bot is on its way into the channel.
    Starting,
    /// The bot is in the channel.
    Recording,
    /// The channel is out of reach; the bot tries to come back, the timeline goes on.
    Recovering,
    /// Nothing more is recorded; the rest is being uploaded.
    Stopping,
    /// Everything is in the bucket, or safe in the backup bucket and on its way home ([`Report::is_away`]).
    Ended,
    /// Ended by an error, see [`Report::failure`]. What was recorded until then is in the bucket where that was possible.
    Failed,
}

impl State {
    /// Every state of a recording that is not over.
    pub const UNDERWAY: [Self; 4] = [Self::Starting, Self::Recording, Self::Recovering, Self::Stopping];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recording => "recording",
            Self::Recovering => "recovering",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }

    /// The vendor's status number (docs/protocol/agora.md section 1.3): 5 as soon as the bot is in the channel.
    pub const fn status(self) -> u8 {
        match self {
            Self::Starting => 2,
            Self::Recording | Self::Recovering => 5,
            Self::Stopping => 6,
            Self::Ended => 8,
            Self::Failed => 20,
        }
    }

    /// Whether the recording is over for good.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }

    /// Whether sound is still taken, or about to be.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Recording | Self::Recovering)
    }
}

/// Why a recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// It was stopped by a caller.
    Stopped,
    /// Nobody was in the channel for `maxIdleTime`.
    Idle,
    /// The channel was deleted, and nobody came back to it for `maxIdleTime`.
    ChannelDeleted,
    /// The channel was closed for good.
    ChannelClosed,
    /// The recorder was removed from the channel.
    Removed,
    /// Somebody joined with the recorder's identity.
    DuplicateIdentity,
    /// The token that it was started with expired.
    TokenExpired,
    /// The channel could not be reached any more.
    ChannelUnreachable,
    /// The recorder never got into the channel.
    JoinFailed,
    /// The worker's disk failed.
    SpoolFailed,
    /// The worker was away for too long.
    WorkerAway,
    /// The worker's journal of it is lost.
    JournalLost,
    /// The worker was told to end it.
    Interrupted,
}

impl EndedBy {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Stopped,
        Self::Idle,
        Self::ChannelDeleted,
        Self::ChannelClosed,
        Self::Removed,
        Self::DuplicateIdentity,
        Self::TokenExpired,
        Self::ChannelUnreachable,
        Self::JoinFailed,
        Self::SpoolFailed,
        Self::WorkerAway,
        Self::JournalLost,
        Self::Interrupted,
    ];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::ChannelDeleted => "channel_deleted",
            Self::ChannelClosed => "channel_closed",
            Self::Removed => "removed",
            Self::DuplicateIdentity => "duplicate_identity",
            Self::TokenExpired => "token_expired",
            Self::ChannelUnreachable => "channel_unreachable",
            Self::JoinFailed => "join_failed",
            Self::SpoolFailed => "spool_failed",
            Self::WorkerAway => "worker_away",
            Self::JournalLost => "journal_lost",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A recording that nobody is there to be recorded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// Since when.
    pub since_ms: WallMs,
    /// When the recording ends unless somebody comes.
    pub until_ms: WallMs,
    /// Where its recorder waits.
    pub recorder: Waits,
}

/// Where a recorder waits for the next member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// In the channel: it hears the next member from the first word.
    #[default]
    Inside,
    /// Outside: it joins when it sees somebody there.
    Outside,
}

/// Everything that a caller may learn about a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its id.
    pub sid: Sid,
    /// Whose.
    pub app: AppId,
    /// The channel.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// The resource it was started with.
    pub resource: String,
    /// What it makes.
    pub mode: Mode,
    /// How its file lists are written.
    pub listing: Listing,
    /// What was asked for and is not done.
    pub notes: Vec<Note>,
    /// Where it is in its life.
    pub state: State,
    /// When start was accepted.
    pub created: WallMs,
    /// Tick 0: when the bot was in the channel.
    pub started: Option<WallMs>,
    /// When everything was done.
    pub ended: Option<WallMs>,
    /// Length of the timeline, as far as it is in files.
    pub duration_ms: u64,
    /// Its playlists, the mix first, and behind them the whole files that the bucket confirmed.
    pub files: Vec<File>,
    /// Media files made so far.
    pub segments_made: u64,
    /// Of these, how many the bucket confirmed.
    pub segments_stored: u64,
    /// Packets that this worker had to drop because it did not keep up.
    pub packets_dropped: u64,
    /// Per uid, what was expected, recorded and missing.
    pub ledger: Arc<Ledger>,
    /// The way to the bucket.
    #[serde(default)]
    pub upload: Upload,
    /// Who is heard, and how much of it is safe.
    #[serde(default)]
    pub health: Health,
    /// Why it failed, or what went wrong on the way.
    pub failure: Option<String>,
    /// Since when nobody is there, while that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
    /// Why it is over, from when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// SHA-256 of the manifest, once it was handed over, for the digest object that is written after everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
}

impl Report {
    /// The verdict over the ledger.
    pub fn verdict(&self) -> Verdict {
        self.ledger.verdict()
    }

    /// Whether the recording is over with some of it in the backup bucket alone, and on its way home.
    pub fn is_away(&self) -> bool {
        self.state.is_over() && self.upload.backup.as_ref().is_some_and(|backup| backup.away)
    }

    /// All of it is in its own bucket.
    pub(super) fn restored_to_primary(&mut self) {
        self.segments_stored = self.segments_made;
        self.files.iter_mut().for_each(|file| file.playable = true);
        self.health.restored_to_primary();
        let stored_bytes = self.upload.stored_bytes + self.upload.waiting_bytes;
        self.upload = Upload { stored_bytes, ..Upload::default() };
    }

    /// Whether no sound of anybody is in it (code 435).
    pub fn is_empty(&self) -> bool {
        self.ledger.holds_nothing()
    }
}

/// A playlist of a recording, or a whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its object key, with the prefix.
    pub key: String,
    /// Which playlist, or of which one it is made.
    pub playlist: PlaylistId,
    /// Whether the bucket holds it with at least one segment.
    pub playable: bool,
    /// What a whole file holds; none for a playlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<FilePart>,
}

/// The part of a playlist that a whole file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePart {
    /// What kind of file it is.
    pub kind: FileType,
    /// Counts the parts of the playlist from 0.
    pub index: u32,
    /// Where it begins on the timeline.
    pub start: Ticks,
    /// How long it is.
    pub duration: Ticks,
    /// Bytes of the file.
    pub bytes: u64,
}

impl File {
    /// The vendor's uid of the file: `"0"` for the mix.
    pub fn uid(&self) -> &str {
        self.playlist.uid().map_or("0", Uid::as_str)
    }

    /// Which further source of the uid it holds; none for its own sound and the mix.
    pub const fn source(&self) -> Option<SourceId> {
        self.playlist.source()
    }

    /// Where it begins on the timeline.
    pub fn start(&self) -> Ticks {
        self.part.map_or(Ticks::ZERO, |part| part.start)
    }

    /// Whether everybody is in it.
    pub fn is_mix(&self) -> bool {
        self.playlist == PlaylistId::Mix
    }
}
