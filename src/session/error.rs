//! Why a session refuses.

use std::sync::Arc;

use super::Report;
use super::stall::{self, RECOVERY};
use crate::channel::{JoinError, TokenError};
use crate::error_class::{Classify, ErrorClass};
use crate::recording::StallCause;
use crate::storage::{BucketError, DiskTrouble, SpoolError};
use crate::store::StoreError;
use crate::units::Sid;

/// Why a call on [`super::Sessions`] failed. The vendor's code for each is in `api`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request can't be honoured; the text names it, its problem and what is right.
    #[error("{0}")]
    Invalid(String),
    /// The request differs from the startParameter that acquire was given.
    #[error("request_hash mismatch! clientRequest differs from the startParameter that was sent with acquire")]
    PromiseBroken,
    /// The resource is not one of this app.
    #[error("resourceId does not belong to this app; acquire a new one")]
    ForeignResource,
    /// The resource was not started within five minutes.
    #[error("resourceId expired: it must be started within 5 minutes; acquire a new one")]
    ResourceExpired,
    /// The resource's hours are over.
    #[error(
        "resourceId exceeded time limit! resourceExpiredHour is over; acquire a new one and use it with the same sid"
    )]
    HandleExpired,
    /// Another channel or uid than at acquire.
    #[error("{0} is not the one that the resourceId was acquired for")]
    ResourceMismatch(&'static str),
    /// The resource was started with a different request.
    #[error("the resourceId was started with a different request, as sid {0}")]
    AlreadyStarted(Sid),
    /// The same request was started on the resource before, and that recording is over.
    #[error(
        "this same request was started on this resourceId before, as sid {0}, and that recording is over; acquire a new resourceId to \
         record again"
    )]
    StartedAndOver(Sid),
    /// This worker never gave the resource, or has forgotten it.
    #[error(
        "failed to find worker: this resourceId is not on this worker. Send acquire, start and all other calls of one recording to one \
         worker (docs/coming-from-agora.md, Several workers), or acquire a new resourceId here"
    )]
    UnknownResource,
    /// A running recording has the same channel and uid.
    #[error("a recording of this channel with this uid is running, as sid {0}; stop it or use another uid")]
    TaskConflict(Sid),
    /// The app has as many recordings as it may.
    #[error(
        "{0} recordings of this app run, and no more are allowed (apps.max_recordings); try again when one has ended"
    )]
    Overloaded(usize),
    /// All apps together have as many recordings as this worker may.
    #[error(
        "{0} recordings run on this worker, and no more are allowed (server.max_recordings); try again when one has ended"
    )]
    WorkerOverloaded(usize),
    /// The idempotency key was sent with another request within a day.
    #[error(
        "header Idempotency-Key was sent with a different request before; send the same request again, or a new key with a new one"
    )]
    KeyReused,
    /// The app has as many idempotency keys as it may.
    #[error(
        "header Idempotency-Key can't be remembered: this app sent too many keys within a day; send the request without one, or \
         wait until older ones are forgotten"
    )]
    TooManyKeys,
    /// Another start with the same idempotency key, at the same time, failed.
    #[error("the start that was sent with this Idempotency-Key a moment earlier failed; send it again")]
    StartFailed,
    /// This worker is going down.
    #[error("this worker is being stopped or replaced and takes no new recordings; send it again in a few seconds")]
    ShuttingDown,
    /// The disk has no room for a new recording, or takes no writes.
    #[error("no new recording can be kept safe: {0}")]
    Disk(#[from] DiskTrouble),
    /// The journal is refused by its disk.
    #[error("no new recording can be kept safe, the journal can't be written: {0}; check the disk of server.data_dir")]
    Journal(Arc<str>),
    /// Too much waits for buckets.
    #[error("no new recording is taken: {0}")]
    Spool(#[from] SpoolError),
    /// The store does not answer.
    #[error("the database does not answer; look for a slow disk or another process on the same file")]
    StoreSilent,
    /// This worker stood still a moment ago, or does not keep up.
    #[error(
        "this worker {} and takes no new recordings until it has kept up for {RECOVERY:?}; {}",
        stall_words(*.0).0,
        stall_words(*.0).1
    )]
    Stalled(StallCause),
    /// The destination did not take the test object.
    #[error("clientRequest.storageConfig can't be written to: {0}")]
    Destination(#[from] BucketError),
    /// The bot did not get into the channel.
    #[error(transparent)]
    Channel(#[from] JoinError),
    /// The caller's token does not open the channel.
    #[error("clientRequest.token can't be used: {0}; mint one for this channel and uid that outlives the recording")]
    Token(#[from] TokenError),
    /// The recording is stopping already.
    #[error("the recording is already stopping")]
    AlreadyStopping(Box<Report>),
    /// There is no running recording with this sid; what is known of one that ended.
    #[error("failed to find worker: no recording with this sid is running")]
    Gone(Option<Box<Report>>),
    /// The resource waits for its start.
    #[error("failed to find worker: this resourceId was acquired, and nothing was started with it")]
    NeverStarted,
    /// The recording does not take the call in the state it is in.
    #[error("the recording is not in the channel yet; try again when query says status 5")]
    NotReady,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Disk or journal failed.
    #[error("this worker can't keep the recording safe: {0}")]
    Worker(String),
}

/// What a worker did, and what to look for.
const fn stall_words(cause: StallCause) -> (&'static str, &'static str) {
    match cause {
        StallCause::WorkerStalled => {
            ("stood still a moment ago", "look for a paused machine, a stopped process or a disk that hangs")
        }
        StallCause::Overload => {
            ("does not keep up with what is sent to it", "give it more processor time, or run fewer recordings on it")
        }
    }
}

impl Classify for Error {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Invalid(_) => ErrorClass::caller("invalid_request"),
            Self::PromiseBroken => ErrorClass::caller("request_hash_mismatch"),
            Self::ForeignResource => ErrorClass::caller("foreign_resource"),
            Self::ResourceExpired => ErrorClass::caller("resource_expired"),
            Self::HandleExpired => ErrorClass::caller("handle_expired"),
            Self::ResourceMismatch(_) => ErrorClass::caller("resource_mismatch"),
            Self::AlreadyStarted(_) | Self::StartedAndOver(_) => ErrorClass::caller("already_started"),
            Self::UnknownResource => ErrorClass::caller("not_on_this_worker"),
            Self::TaskConflict(_) => ErrorClass::caller("task_conflict"),
            Self::AlreadyStopping(_) => ErrorClass::caller("already_stopping"),
            Self::Gone(_) => ErrorClass::caller("not_running"),
            Self::NeverStarted => ErrorClass::caller("never_started"),
            Self::KeyReused => ErrorClass::caller("idempotency_key_reused"),
            Self::TooManyKeys => ErrorClass::caller("too_many_idempotency_keys"),
            Self::StartFailed => ErrorClass::ours("start_failed", true),
            Self::Overloaded(_) => ErrorClass::ours("overloaded", true),
            Self::WorkerOverloaded(_) => ErrorClass::ours("worker_overloaded", true),
            Self::ShuttingDown => ErrorClass::ours("draining", true),
            Self::Disk(error) => error.error_class(),
            Self::Journal(_) => ErrorClass::ours("journal_failed", true),
            Self::Spool(error) => error.error_class(),
            Self::StoreSilent => ErrorClass::ours("store_silent", true),
            Self::Stalled(cause) => ErrorClass::ours(stall::cause_word(*cause), true),
            Self::NotReady => ErrorClass::ours("not_ready", true),
            Self::Worker(_) => ErrorClass::ours("worker_failed", true),
            Self::Destination(error) => error.error_class(),
            Self::Channel(error) => error.error_class(),
            Self::Token(error) => error.error_class(),
            Self::Store(error) => error.error_class(),
        }
    }
}
