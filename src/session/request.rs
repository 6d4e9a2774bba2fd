//! What a session is asked for, valid by construction. Nothing here knows HTTP or JSON.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{HandleHours, ResourceId};
use crate::codec::container::Container;
use crate::codec::whole::FileType;
use crate::recording::{AudioProfile, Mode, Selection};
use crate::storage::vendor::StorageConfigParts;
use crate::units::{AppId, Cname, Sid, Uid};

/// Uids that a subscription list may hold (docs/protocol/agora.md section 2.1).
pub const MAX_SELECTED_UIDS: usize = 32;

/// Asks for a resource.
#[derive(Clone, Debug)]
pub struct AcquireRequest {
    /// Whose.
    pub app: AppId,
    /// The channel to be recorded.
    pub cname: Cname,
    /// The recorder's uid: tells several recordings of one channel apart.
    pub uid: Uid,
    /// How long the resource stays the handle of its recording.
    pub hours: HandleHours,
    /// What start will ask, if the caller promised it.
    pub promised: Option<RequestHash>,
}

/// Asks for a recording.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// Whose.
    pub app: AppId,
    /// Acquired before, for the same channel and uid.
    pub resource: ResourceId,
    /// The channel.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// What is recorded and how.
    pub options: StartOptions,
    /// The request's options as sent, for comparing with the promise made at acquire.
    pub promised: RequestHash,
    /// The whole request but for its token: tells a repeated start from a different one.
    pub identity: RequestHash,
}

/// The part of a start that is not identity.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Mix, individual tracks or both.
    pub mode: Mode,
    /// How the mix is encoded.
    pub profile: AudioProfile,
    /// Who is recorded.
    pub selection: Selection,
    /// When nobody is left.
    pub idle: IdleRule,
    /// Where to; the app's default where absent.
    pub storage: Option<StorageConfigParts>,
    /// Whole files to be made beside the playlists.
    pub files: Vec<FileType>,
    /// Whether each growing playlist is to lie in the bucket under a second name too, `live_<stem>.m3u8`.
    pub live_playlist: bool,
    /// What segments are packed in; the app's choice where absent.
    pub container: Option<Container>,
    /// How file lists are written in answers.
    pub listing: Listing,
    /// What was asked for and is not done, to be said in answers.
    pub notes: Vec<Note>,
    /// The caller's right to have the channel recorded, where it brings one.
    pub token: Option<SecretString>,
}

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleRule {
    /// How long it may be idle: 5 s to 30 days.
    pub after: Duration,
    /// What idle means.
    pub kind: IdleKind,
}

/// Which members keep a recording alive (docs/protocol/agora.md section 2.1, maxIdleTime).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleKind {
    /// Communication profile: anybody in the channel.
    NoMember,
    /// Live profile: hosts, that is, members that publish.
    NoPublisher,
}

/// The vendor's fileListMode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// `"string"`: the mix's playlist, by name.
    String,
    /// `"json"`: a list of objects.
    Json,
}

/// Something that was asked for and is not done, though the recording goes ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Video was asked for beside audio.
    VideoNotRecorded,
    /// Whole files were asked for beside HLS, and were given up on the way.
    #[serde(alias = "mp4_not_written")]
    FilesGivenUp,
    /// Individual tracks were asked for transcoded.
    NotTranscoded,
    /// Parameters came along that nobody documents.
    UnknownParams,
    /// Snapshots were asked for.
    SnapshotsNotTaken,
    /// Services of web page recording were asked for in another mode.
    ServicesNotOffered,
    /// Tracks were asked for that are transcoded after the end.
    NotPostponed,
    /// A number of streamTypes came along that nobody documents.
    UnknownStreamTypes,
    /// The bucket lets nobody put an object over another: playlists, manifest and event log are written once, at the end.
    WrittenOnce,
}

impl Note {
    /// The note in words, for answers and events.
    pub const fn text(self) -> &'static str {
        match self {
            Self::VideoNotRecorded => {
                "streamTypes 2: the audio is recorded, video is not; transcodingConfig has no effect"
            }
            Self::FilesGivenUp => {
                "avFileType: the whole files (mp4, ogg) were given up, event 1 says why; the HLS playlists hold the whole recording"
            }
            Self::NotTranscoded => "streamMode: individual tracks keep the sender's Opus packets in every streamMode",
            Self::UnknownParams => {
                "privateParams: correctEXTINF is what playlists are like anyway; the rest has no effect"
            }
            Self::SnapshotsNotTaken => {
                "snapshotConfig: the sound is recorded; snapshots are not taken of a voice channel"
            }
            Self::ServicesNotOffered => {
                "extensionServiceConfig: the channel's sound is recorded; web page recording and pushing are not offered"
            }
            Self::NotPostponed => {
                "combinationPolicy postpone_transcoding: nothing is left for after the end; in individual mode each track's MP4 is made \
                 as avFileType [\"hls\",\"mp4\"] makes it"
            }
            Self::UnknownStreamTypes => {
                "streamTypes 3: the audio is recorded, as with 0; what else it asks for has no effect"
            }
            Self::WrittenOnce => {
                "storageConfig: the bucket lets no object be replaced; playlists, manifest and event log are written once, at the end"
            }
        }
    }
}

/// A SHA-256 digest of a request: equal requests have equal digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHash(pub [u8; 32]);

/// Names a started task the way calls do.
#[derive(Clone, Debug)]
pub struct TaskRef {
    /// Whose.
    pub app: AppId,
    /// Finds the task.
    pub sid: Sid,
    /// The resource in the path, if it could be read; the task's own or a newly acquired one.
    pub resource: Option<ResourceId>,
}
