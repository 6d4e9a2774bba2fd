//! What makes an event the same event, so that a later run of the worker that makes it again doesn't log it a second time.
//!
//! An event is made again when the journal is replayed (slices, stream states, playlists), and when a later run continues the end of a
//! recording (leave, exit, fatal errors). Each of these has a key. An alarm of this run has none: that an earlier run
//! raised the same alarm in the same words is no reason to be silent, so it is limited by its own rate only.

use serde_json::Value;

use super::{
    ErrorLevel, FILES_GIVEN_UP, LEDGER_INCONSISTENT, Module, PROGRESS_COMPLETE, UNREADABLE_TRACK, UPLOAD_TIMEOUT,
};
use crate::store::NewEvent;

/// The key of an event within its recording. Two events with one key are one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventKey {
    /// Happens once in a recording: the event's number.
    Once(u16),
    /// Event 1 about the recording as a whole: that it failed, that its end takes too long, that no more whole files are made.
    Failure {
        /// Which part says so.
        module: u64,
        /// `errorCode`.
        code: u64,
        /// The word for it, where it has one.
        reason: Option<String>,
    },
    /// Event 1 or 2 about a stretch of the timeline that follows from the journal's inputs, by its `reason` and `fromMs`.
    Stretch {
        /// The event's number.
        event_type: u16,
        /// Why.
        reason: String,
        /// Wall time of its beginning.
        from_ms: u64,
    },
    /// Event 2 about a track that can't be read.
    Unreadable {
        /// Whose track.
        uid: String,
        /// What it sounds from.
        source: String,
        /// Why it can't be read.
        reason: String,
        /// Which of the uid's tracks of this kind.
        number: u64,
    },
    /// Event 4: the playlist's object key.
    Listed(String),
    /// Event 12: from when to when there was no worker.
    Failover {
        /// Wall time of the last input before.
        interrupted_ms: u64,
        /// Wall time of the first input after.
        resumed_ms: u64,
    },
    /// Event 42: the playlist, by its `streamUid` and `source`, and the slice's start.
    SliceStart {
        /// `0` for the mix.
        uid: String,
        /// Of a further source of the uid.
        source: Option<String>,
        /// Wall time.
        start_ms: u64,
    },
    /// Event 43.
    StreamState {
        /// Whose stream.
        uid: String,
        /// 0 or 1.
        state: u64,
        /// Wall time.
        at_ms: u64,
    },
}

impl EventKey {
    /// The key of an event that is about to be logged; none for an alarm.
    pub fn of(event: &NewEvent) -> Option<Self> {
        Self::read(event.event_type, &event.details)
    }

    /// The key of an event as the log has it.
    pub fn read(event_type: u16, details: &Value) -> Option<Self> {
        let number = |field: &str| details[field].as_u64();
        let text = |field: &str| details[field].as_str().map(str::to_owned);
        match event_type {
            1 if is_failure(details) => {
                Some(Self::Failure { module: number("module")?, code: number("errorCode")?, reason: text("reason") })
            }
            2 if details["module"] == Module::Recorder as u8 && details["warnCode"] == UNREADABLE_TRACK => {
                Some(Self::Unreadable {
                    uid: text("streamUid")?,
                    source: text("trackSource")?,
                    reason: text("reason")?,
                    number: number("number")?,
                })
            }
            1 | 2 => Some(Self::Stretch { event_type, reason: text("reason")?, from_ms: number("fromMs")? }),
            4 => Some(Self::Listed(text("fileList")?)),
            11 | 30 | 31 | 32 | 40 | 41 => Some(Self::Once(event_type)),
            12 => Some(Self::Failover {
                interrupted_ms: number("interruptedUtcMs")?,
                resumed_ms: number("resumedUtcMs")?,
            }),
            33 => (number("progress") == Some(PROGRESS_COMPLETE.into())).then_some(Self::Once(event_type)),
            42 => Some(Self::SliceStart {
                uid: text("streamUid")?,
                source: text("source"),
                start_ms: number("startUtcMs")?,
            }),
            43 => {
                let (uid, state, at_ms) = (text("streamUid")?, number("state")?, number("utcMs")?);
                Some(Self::StreamState { uid, state, at_ms })
            }
            _ => None,
        }
    }

    /// Whether one run of the worker can make it more than once; the rest each run makes once by itself.
    pub const fn is_of_the_whole(&self) -> bool {
        matches!(self, Self::Once(_) | Self::Failure { .. } | Self::Stretch { .. } | Self::Unreadable { .. })
    }
}

fn is_failure(details: &Value) -> bool {
    details["errorLevel"] == ErrorLevel::Fatal as u8
        || details["errorCode"] == UPLOAD_TIMEOUT
        || details["reason"] == FILES_GIVEN_UP
        || details["reason"] == LEDGER_INCONSISTENT
}

#[cfg(test)]
mod tests {
    use super::super::{self as event, error, warning};
    use super::*;
    use crate::recording::{Coding, Mode, PlaylistId, Source, TrackKind};
    use crate::units::{Uid, WallMs};

    #[test]
    fn alarms_have_no_key() {
        let refused = error(Module::Uploader, ErrorLevel::Medium, 32, "denied").with("reason", "bucket_access_denied");
        let full = error(Module::Uploader, ErrorLevel::Major, 51, "no space").with("reason", "spool_full");
        for alarm in [
            refused,
            full,
            warning(Module::Uploader, 31).with("state", "retrying").with("sinceMs", 7),
            warning(Module::Uploader, 32).with("state", "begun").with("sinceMs", 7),
            event::status_update(5, Mode::Mix, "a.m3u8").with("reason", "already_started"),
            event::uploading_progress(5_000),
            event::sts_expired(),
        ] {
            assert_eq!(EventKey::of(&alarm), None, "{alarm:?}");
        }
    }

    #[test]
    fn what_is_made_again_has_the_same_key_whatever_else_it_says() {
        let uid = Uid::new("7").unwrap();
        let track = |source, coding, number, from| {
            event::unreadable_track(&uid, TrackKind { source, coding }, number, WallMs(from)).unwrap()
        };
        let pairs = [
            (track(Source::Microphone, Coding::Encrypted, 1, 5), track(Source::Microphone, Coding::Encrypted, 1, 6)),
            (event::recorder_leave(event::LeaveCode::Stopped), event::recorder_leave(event::LeaveCode::Interrupted)),
            (
                event::session_exit(event::ExitStatus::Normal).with("verdict", "complete"),
                event::session_exit(event::ExitStatus::Abnormal).with("verdict", "partial"),
            ),
            (
                event::recorder_slice_start(&PlaylistId::Mix, WallMs(5), WallMs(5)),
                event::recorder_slice_start(&PlaylistId::Mix, WallMs(5), WallMs(3)),
            ),
            (
                error(Module::Uploader, ErrorLevel::Fatal, 51, "no space left"),
                error(Module::Uploader, ErrorLevel::Fatal, 51, "input/output error"),
            ),
            (
                warning(Module::Platform, 1).with("reason", "worker_stalled").with("fromMs", 9).with("lastedMs", 5),
                warning(Module::Platform, 1).with("reason", "worker_stalled").with("fromMs", 9).with("lastedMs", 6),
            ),
        ];
        for (one, again) in pairs {
            assert_eq!(EventKey::of(&one), EventKey::of(&again));
            assert!(EventKey::of(&one).is_some(), "{one:?}");
        }
        let others = [
            event::recorder_slice_start(&PlaylistId::Mix, WallMs(6), WallMs(6)),
            event::recorder_slice_start(&PlaylistId::Individual(uid.clone()), WallMs(5), WallMs(5)),
            event::audio_stream_state(&uid, true, WallMs(5)),
            event::audio_stream_state(&uid, false, WallMs(5)),
            event::file_infos("a.m3u8"),
            event::file_infos("b.m3u8"),
            error(Module::Uploader, ErrorLevel::Fatal, 51, ""),
            error(Module::Recorder, ErrorLevel::Fatal, 52, ""),
            error(Module::Platform, ErrorLevel::Major, UPLOAD_TIMEOUT, ""),
            error(Module::Uploader, ErrorLevel::Minor, 51, "").with("reason", FILES_GIVEN_UP).with("fromMs", 1),
            event::uploading_progress(PROGRESS_COMPLETE),
            track(Source::Microphone, Coding::Encrypted, 1, 5),
            track(Source::Microphone, Coding::Encrypted, 2, 5),
            track(Source::ScreenAudio, Coding::Encrypted, 1, 5),
            track(Source::Microphone, Coding::Unsupported, 1, 5),
        ];
        let keys: Vec<_> = others.iter().map(|event| EventKey::of(event).unwrap()).collect();
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }
}
