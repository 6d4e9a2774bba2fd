//! Why a recording is over, and what is said of it.

use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, LeaveCode, Module, RecordingEvent};
use crate::channel::{EndReason, JoinError};
use crate::session::EndedBy;
use crate::storage::SpoolError;

/// Why a recording is over.
#[derive(Debug)]
pub(in crate::session) enum Cause {
    /// It was told to, or nobody was there.
    Left(LeaveCode),
    /// The channel was deleted, and nobody came back to it.
    Deleted,
    /// The channel ended it.
    Channel(EndReason),
    /// The token that it was started with has expired.
    TokenExpired,
    /// The spool failed.
    Broken(SpoolError),
    /// The worker died, came back, and did not get into the channel any more.
    Unreached(JoinError),
    /// The worker died and came back when nobody expected it any more.
    Away,
    /// It was told to stop, or had ended, when an earlier run of the worker died.
    Before,
}

impl From<SpoolError> for Cause {
    fn from(error: SpoolError) -> Self {
        Self::Broken(error)
    }
}

impl Cause {
    pub(super) const fn leave_code(&self) -> LeaveCode {
        match self {
            Self::Left(code) => *code,
            Self::Channel(EndReason::ChannelClosed) | Self::Deleted => LeaveCode::Idle,
            Self::Before => LeaveCode::Stopped,
            Self::Channel(_) | Self::TokenExpired | Self::Broken(_) | Self::Unreached(_) | Self::Away => {
                LeaveCode::Interrupted
            }
        }
    }

    /// Whether it ended because nobody was there.
    pub(in crate::session) const fn is_idle(&self) -> bool {
        matches!(self, Self::Left(LeaveCode::Idle) | Self::Deleted)
    }

    /// What callers are told.
    pub(super) const fn ended_by(&self) -> EndedBy {
        match self {
            Self::Left(code) => ended_by(*code),
            Self::Deleted => EndedBy::ChannelDeleted,
            Self::Channel(EndReason::ChannelClosed) => EndedBy::ChannelClosed,
            Self::Channel(EndReason::Removed) => EndedBy::Removed,
            Self::Channel(EndReason::DuplicateIdentity) => EndedBy::DuplicateIdentity,
            Self::Channel(EndReason::Unreachable) | Self::Unreached(_) => EndedBy::ChannelUnreachable,
            Self::TokenExpired => EndedBy::TokenExpired,
            Self::Broken(_) => EndedBy::SpoolFailed,
            Self::Away => EndedBy::WorkerAway,
            // The run that ended it has said why; one that did not come to that was told to stop.
            Self::Before => EndedBy::Stopped,
        }
    }

    /// What went wrong, if anything did: event 1 and the words for people.
    pub(super) fn failure(&self) -> Option<(RecordingEvent, String)> {
        let (module, code, text) = match self {
            Self::Left(_) | Self::Deleted | Self::Channel(EndReason::ChannelClosed) | Self::Before => return None,
            Self::Channel(reason) => (Module::Recorder, ErrorCode::StartTimeout, reason.to_string()),
            Self::TokenExpired => {
                let text = "the token that the recording was started with has expired, and with it the right to be in the channel; \
                            a token must outlive its recording";
                (Module::Recorder, ErrorCode::TokenExpired, text.to_owned())
            }
            Self::Broken(error) => (Module::Uploader, ErrorCode::FileOperation, error.to_string()),
            Self::Unreached(error) => {
                let text = format!("the worker stopped, and when it was back the recorder could not rejoin: {error}");
                (Module::Recorder, join_code(error), text)
            }
            Self::Away => {
                let text = "the worker was away for so long that the recording was not taken up again; what it had received \
                            is kept";
                (Module::Platform, ErrorCode::StartTimeout, text.to_owned())
            }
        };
        let said = ErrorEvent::new(module, ErrorLevel::Fatal, code, &text);
        Some((RecordingEvent::Error(said), text))
    }
}

/// What callers are told of a recorder that left by itself.
pub(super) const fn ended_by(code: LeaveCode) -> EndedBy {
    match code {
        LeaveCode::InitFailed => EndedBy::JoinFailed,
        LeaveCode::Interrupted => EndedBy::Interrupted,
        LeaveCode::Idle => EndedBy::Idle,
        LeaveCode::Stopped => EndedBy::Stopped,
    }
}

/// The vendor's code for a join that failed.
pub(super) const fn join_code(error: &JoinError) -> ErrorCode {
    if matches!(error, JoinError::Refused(_)) { ErrorCode::WrongToken } else { ErrorCode::StartTimeout }
}
