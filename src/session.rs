//! One recording's life: resources, the state machine, one task a recording, publication, going on after a crash.
//!
//! Invariants:
//! * One resource never gives two recordings, nor does one idempotency key; an app, channel and recorder uid have at most one running recording.
//! * A playlist never names what the bucket has not confirmed (invariant 1); what an event says is committed before it is sent
//!   (invariant 2).
//! * A recording owns its task and all its state; when it fails it harms no other.
//!
//! Nothing here knows HTTP: `api` turns requests into [`AcquireRequest`], [`StartRequest`] and [`TaskRef`], and [`Report`] and
//! [`Error`] into answers.

mod actor;
mod backup;
mod command;
mod context;
mod dead_letters;
mod draining;
mod ending;
mod endpoint;
mod error;
mod event_dedup;
mod event_writer;
mod fixed;
mod gauges;
mod health;
mod in_bucket;
mod inner;
mod input_log;
mod lines;
mod listing;
mod live;
mod manifest;
mod objects;
mod once;
mod phase;
mod pipeline;
mod plan;
mod presence;
mod publication;
mod readiness;
mod recovery;
mod registry;
mod report;
mod request;
mod resource;
mod running;
mod sealed;
mod sessions;
mod settings;
mod speech;
mod stall;
mod starting;
mod tasks;
mod timebase;
mod update_credentials;
mod upload;
mod uploaded;
pub(crate) mod whole;

pub use dead_letters::MAX_REDELIVERED;
pub use error::Error;
pub use gauges::Gauges;
pub use health::{Health, UidHealth, WaitingBytes};
pub use inner::Backing;
pub use listing::{ListPosition, RecordingFilter, RecordingPage};
pub use manifest::{EventsPrefix, Loss, Manifest, Object, SourcePlaylist, WholeFile};
pub use once::{IdempotencyKey, MAX_KEY_BYTES, Once};
pub use presence::{Muted, Stay};
pub use report::{EndedBy, File, FilePart, Idle, Report, State, Waits};
pub use request::{
    AcquireRequest, IdleKind, IdleRule, Listing, MAX_SELECTED_UIDS, Note, RequestHash, StartOptions, StartRequest,
    TaskRef,
};
pub use resource::{HandleHours, MalformedResourceId, ResourceId};
pub use sessions::{Sessions, Stopped};
pub use settings::{AppSettings, BackupSettings, BootClock, Settings, WallClock};
pub use speech::Span;
pub use upload::{BackupUse, SpoolState, Upload, UploadState};

pub use crate::channel::TokenError;
pub use crate::storage::vendor::{ExtensionParams, StorageConfigParts};
