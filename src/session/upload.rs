//! How the way to the bucket is: what query says of it, and what the log says when it fails.
//!
//! A fault that waiting does not heal is named at once (event 1, with the vendor's code for it); one that may pass is told when it
//! lasts (event 2, `warnCode` 31), once an outage; its end is told where its begin was. Time is a parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::callback::event::{
    ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module, RecordingEvent, UploadWarning, Waiting, Warning,
};
use crate::error_class::{Classify, ErrorClass};
use crate::storage::{BucketError, Progress, UploadError};
use crate::units::WallMs;

/// How long an outage lasts before it is told.
pub(super) const REPORTED_AFTER: Duration = Duration::from_secs(60);
/// A fault that comes and goes is told again after this time.
pub(super) const REPORTED_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// How uploads go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// The last attempt succeeded.
    #[default]
    Ok,
    /// They fail for a reason that may pass; they are tried again and again.
    Retrying,
    /// They fail until somebody changes something; they are tried again, rarely, and at once with fresh credentials.
    Blocked,
}

/// Where what is not in the bucket yet is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoolState {
    /// On disk.
    #[default]
    Ok,
    /// The disk takes nothing: in memory, and lost with the worker.
    Memory,
    /// Neither has room: sound is being lost.
    Full,
}

/// The way to the bucket, for query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Upload {
    /// How uploads go.
    pub state: UploadState,
    /// Since when they fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<WallMs>,
    /// Why, as a word for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, and what to do, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Objects that are not in the bucket for good.
    pub waiting_objects: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Bytes that are.
    pub stored_bytes: u64,
    /// Where the waiting ones are kept.
    pub spool: SpoolState,
    /// Of their bytes, those that are in memory only.
    pub memory_bytes: u64,
    /// The second bucket, while it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupUse>,
}

/// The second bucket, for query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupUse {
    /// Since when what waits is copied there.
    pub since_ms: WallMs,
    /// How copying goes.
    pub state: UploadState,
    /// Why it fails, as a word for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Objects copied there by this run of the worker, each text of a playlist too.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that wait to be copied.
    pub waiting_objects: u64,
    /// The recording is over, all of it is safe there, and it comes home when its own bucket takes it.
    pub away: bool,
}

/// Watches a session's uploads.
#[derive(Debug, Default)]
pub(super) struct UploadWatch {
    outage: Option<Outage>,
    spool: SpoolState,
    /// When which fault was told.
    reported: BTreeMap<&'static str, Instant>,
}

#[derive(Debug)]
struct Outage {
    begun: Instant,
    since: WallMs,
    error_class: ErrorClass,
    reason: String,
    attempts: u32,
    reported: bool,
    warned: bool,
}

impl UploadWatch {
    /// Whether a failure with this code is another state of the bucket than the one before: the begin of an outage, or another reason.
    pub(super) fn changes(&self, code: &str) -> bool {
        self.outage.as_ref().is_none_or(|outage| outage.error_class.code != code)
    }

    /// An attempt failed; what is to be said of it.
    pub(super) fn failed(
        &mut self,
        error: &UploadError,
        attempts: u32,
        progress: &Progress,
        (now, wall): (Instant, WallMs),
    ) -> Option<RecordingEvent> {
        let (error_class, reason) = (error.error_class(), error.to_string());
        let fresh = Outage {
            begun: now,
            since: wall,
            error_class,
            reason: String::new(),
            attempts: 0,
            reported: false,
            warned: false,
        };
        let outage = self.outage.get_or_insert(fresh);
        (outage.error_class, outage.attempts, outage.reason) = (error_class, attempts, reason.clone());
        if !error_class.retry {
            let due = self.reported.get(error_class.code).is_none_or(|at| now - *at >= REPORTED_AGAIN_AFTER);
            outage.reported |= due;
            return due.then(|| {
                self.reported.insert(error_class.code, now);
                let said = ErrorEvent::new(Module::Uploader, ErrorLevel::Medium, vendor_code(error), reason);
                RecordingEvent::Error(said.because(ErrorReason::Upload(error_class.code)))
            });
        }
        if outage.warned || now - outage.begun < REPORTED_AFTER {
            return None;
        }
        (outage.warned, outage.reported) = (true, true);
        let (reason, waiting) = (error_class.code, Some(outage.waiting(progress)));
        Some(RecordingEvent::Warning(Warning::Upload(UploadWarning::Retrying { reason, waiting })))
    }

    /// An attempt succeeded again; what is to be said of it.
    pub(super) fn recovered(&mut self, progress: &Progress, now: Instant) -> Option<RecordingEvent> {
        let outage = self.outage.take().filter(|outage| outage.reported)?;
        let lasted_ms = u64::try_from((now - outage.begun).as_millis()).unwrap_or(u64::MAX);
        let (reason, waiting) = (outage.error_class.code, outage.waiting(progress));
        Some(RecordingEvent::Warning(Warning::Upload(UploadWarning::Recovered { reason, waiting, lasted_ms })))
    }

    /// How the spool took the last object; what is to be said of it. `trouble` is what the disk said.
    pub(super) fn spooled(&mut self, state: SpoolState, trouble: Option<&str>, now: Instant) -> Option<RecordingEvent> {
        if std::mem::replace(&mut self.spool, state) == state {
            return None;
        }
        let (reason, level, what) = match state {
            SpoolState::Ok => return None,
            SpoolState::Memory => {
                (ErrorReason::SpoolInMemory, ErrorLevel::Minor, "it goes on in memory, nothing is lost so far")
            }
            SpoolState::Full => {
                (ErrorReason::SpoolFull, ErrorLevel::Major, "memory is full too and sound is being lost")
            }
        };
        let word = reason.word();
        if self.reported.get(word).is_some_and(|at| now - *at < REPORTED_AGAIN_AFTER) {
            return None;
        }
        self.reported.insert(word, now);
        let trouble = trouble.unwrap_or("no answer");
        let text = format!("the disk of the data directory takes nothing ({trouble}); {what}; make room there");
        let said = ErrorEvent::new(Module::Uploader, level, ErrorCode::FileOperation, text);
        Some(RecordingEvent::Error(said.because(reason)))
    }

    /// For query.
    pub(super) fn report(&self, progress: &Progress, memory_bytes: u64) -> Upload {
        let outage = self.outage.as_ref();
        Upload {
            state: match outage {
                None => UploadState::Ok,
                Some(outage) if outage.error_class.retry => UploadState::Retrying,
                Some(_) => UploadState::Blocked,
            },
            since_ms: outage.map(|outage| outage.since),
            code: outage.map(|outage| outage.error_class.code.to_owned()),
            reason: outage.map(|outage| outage.reason.clone()),
            attempts: outage.map_or(0, |outage| outage.attempts),
            waiting_objects: progress.waiting_objects,
            waiting_bytes: progress.waiting_bytes,
            stored_bytes: progress.confirmed_bytes,
            spool: self.spool,
            memory_bytes,
            backup: None,
        }
    }
}

impl Outage {
    const fn waiting(&self, progress: &Progress) -> Waiting {
        Waiting { since: self.since, objects: progress.waiting_objects, bytes: progress.waiting_bytes }
    }
}

/// What the vendor calls it.
const fn vendor_code(error: &UploadError) -> ErrorCode {
    match error {
        UploadError::Bucket(BucketError::Refused { .. }) => ErrorCode::UploadFailed,
        UploadError::Bucket(_) => ErrorCode::StorageConfiguration,
        UploadError::Spool(_) => ErrorCode::FileOperation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> UploadError {
        BucketError::AccessDenied { place: "bucket calls".into(), action: "write" }.into()
    }

    fn expired() -> UploadError {
        BucketError::Expired { place: "bucket calls".into() }.into()
    }

    fn busy() -> UploadError {
        BucketError::Busy { place: "bucket calls".into(), status: 503, code: "SlowDown".into() }.into()
    }

    fn waiting() -> Progress {
        Progress { waiting_objects: 3, waiting_bytes: 300, ..Progress::default() }
    }

    #[tokio::test]
    async fn what_somebody_has_to_change_is_named_once_and_at_once() {
        let (mut watch, now, wall) = (UploadWatch::default(), Instant::now(), WallMs(5));
        let said = watch.failed(&denied(), 1, &waiting(), (now, wall)).unwrap().encode();
        assert_eq!((said.event_type, &said.details["errorCode"]), (1, &32.into()));
        assert_eq!(said.details["reason"], "bucket_access_denied");
        let hour = now + Duration::from_secs(300);
        assert_eq!(watch.failed(&denied(), 2, &waiting(), (hour, wall)), None);
        let said = watch.failed(&expired(), 3, &waiting(), (hour, wall)).unwrap().encode();
        assert_eq!(said.details["reason"], "sts_expired", "another reason is news");
        let report = watch.report(&waiting(), 0);
        assert_eq!((report.state, report.since_ms, report.attempts), (UploadState::Blocked, Some(wall), 3));
        assert_eq!((report.code.as_deref(), report.waiting_bytes), (Some("sts_expired"), 300));
        let said = watch.recovered(&waiting(), hour).unwrap().encode();
        assert_eq!(
            (said.event_type, &said.details["state"], &said.details["lastedMs"]),
            (2, &"recovered".into(), &300_000.into())
        );
        assert_eq!(watch.report(&Progress::default(), 0), Upload::default());
        assert_eq!(
            watch.failed(&denied(), 1, &waiting(), (hour, wall)),
            None,
            "what comes and goes is not told each time"
        );
    }

    #[tokio::test]
    async fn what_may_pass_is_told_when_it_lasts() {
        let (mut watch, now, wall) = (UploadWatch::default(), Instant::now(), WallMs(5));
        let at = |secs| (now + Duration::from_secs(secs), WallMs(5 + 1000 * secs));
        assert_eq!(watch.failed(&busy(), 1, &waiting(), at(0)), None);
        assert_eq!(watch.report(&waiting(), 0).state, UploadState::Retrying);
        assert_eq!(watch.recovered(&waiting(), now), None, "nobody heard of it");
        assert_eq!(watch.failed(&busy(), 1, &waiting(), (now, wall)), None);
        assert_eq!(watch.failed(&busy(), 7, &waiting(), at(59)), None);
        let said = watch.failed(&busy(), 8, &waiting(), at(61)).unwrap().encode();
        assert_eq!(
            said.details.to_string(),
            r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":31,"state":"retrying","reason":"bucket_busy","sinceMs":5,"waitingObjects":3,"waitingBytes":300}"#
        );
        assert_eq!(watch.failed(&busy(), 9, &waiting(), at(120)), None, "once an outage");
        assert_eq!(watch.recovered(&waiting(), at(130).0).unwrap().encode().details["state"], "recovered");
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_told_and_so_is_the_first_loss() {
        let (mut watch, now) = (UploadWatch::default(), Instant::now());
        assert_eq!(watch.spooled(SpoolState::Ok, None, now), None);
        let said = watch.spooled(SpoolState::Memory, Some("no space left"), now).unwrap().encode();
        assert_eq!((&said.details["errorCode"], &said.details["errorLevel"]), (&51.into(), &2.into()));
        assert!(said.details["errorMsg"].as_str().unwrap().contains("no space left"));
        assert_eq!(watch.spooled(SpoolState::Memory, Some("no space left"), now), None);
        let said = watch.spooled(SpoolState::Full, Some("no space left"), now).unwrap().encode();
        assert_eq!((&said.details["errorLevel"], &said.details["reason"]), (&4.into(), &"spool_full".into()));
        assert_eq!(watch.report(&Progress::default(), 7).spool, SpoolState::Full);
    }
}
