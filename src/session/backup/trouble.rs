//! What is wrong with a second bucket, and when that is told: a fault that waiting does not heal at once, another when it lasts,
//! neither again within ten minutes. The place and the store's words are the operator's: they stand in the worker's log alone.
//! Time is a parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::callback::event::{BackupState, RecordingEvent, Warning};
use crate::error_class::ErrorClass;
use crate::session::upload::{REPORTED_AFTER, REPORTED_AGAIN_AFTER, UploadState};
use crate::units::WallMs;

/// How copying fails, while it does.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    now: Option<Outage>,
    /// When which fault was told.
    reported: BTreeMap<&'static str, Instant>,
}

#[derive(Debug)]
struct Outage {
    begun: Instant,
    error_class: ErrorClass,
    attempts: u32,
    reported: bool,
}

impl Trouble {
    /// An attempt failed; what is to be said of it.
    pub(super) fn failed(
        &mut self,
        error_class: ErrorClass,
        attempts: u32,
        now: Instant,
        since: WallMs,
    ) -> Option<RecordingEvent> {
        let outage = self.now.get_or_insert(Outage { begun: now, error_class, attempts, reported: false });
        (outage.error_class, outage.attempts) = (error_class, attempts);
        let patience = if error_class.retry { REPORTED_AFTER } else { Duration::ZERO };
        let known = self.reported.get(error_class.code).is_some_and(|at| now - *at < REPORTED_AGAIN_AFTER);
        if known || now - outage.begun < patience {
            return None;
        }
        outage.reported = true;
        self.reported.insert(error_class.code, now);
        let state = BackupState::Failing { reason: error_class.code };
        Some(RecordingEvent::Warning(Warning::Backup { since, state }))
    }

    /// An attempt succeeded again; what is to be said of it.
    pub(super) fn recovered(&mut self, since: WallMs) -> Option<RecordingEvent> {
        self.now
            .take()
            .filter(|outage| outage.reported)
            .map(|_| RecordingEvent::Warning(Warning::Backup { since, state: BackupState::Recovered }))
    }

    /// Nothing is copied any more.
    pub(super) fn end(&mut self) {
        self.now = None;
    }

    /// State, code and failed attempts in a row, for query.
    pub(super) fn report(&self) -> (UploadState, Option<&'static str>, u32) {
        match &self.now {
            None => (UploadState::Ok, None, 0),
            Some(outage) => {
                let state = if outage.error_class.retry { UploadState::Retrying } else { UploadState::Blocked };
                (state, Some(outage.error_class.code), outage.attempts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_lasts_is_told_once_and_its_end_where_its_begin_was() {
        let (mut trouble, now, since) = (Trouble::default(), Instant::now(), WallMs(5));
        let (busy, denied) =
            (ErrorClass::destination("bucket_busy", true), ErrorClass::destination("bucket_access_denied", false));
        assert_eq!(trouble.failed(busy, 1, now, since), None);
        assert_eq!(trouble.recovered(since), None, "nobody heard of it");
        assert_eq!(trouble.failed(busy, 1, now, since), None);
        let said = trouble.failed(busy, 2, now + REPORTED_AFTER, since).unwrap().encode();
        assert_eq!(
            said.details.to_string(),
            r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":32,"state":"failing","sinceMs":5,"reason":"bucket_busy"}"#
        );
        assert_eq!(trouble.failed(busy, 3, now + 2 * REPORTED_AFTER, since), None);
        assert!(trouble.failed(denied, 4, now + 2 * REPORTED_AFTER, since).is_some(), "another reason is news");
        assert_eq!(trouble.report(), (UploadState::Blocked, Some("bucket_access_denied"), 4));
        assert_eq!(trouble.recovered(since).unwrap().encode().details["state"], "recovered");
        assert_eq!(trouble.report(), (UploadState::Ok, None, 0));
        assert_eq!(
            trouble.failed(denied, 1, now + 3 * REPORTED_AFTER, since),
            None,
            "what comes and goes is not told each time"
        );
    }
}
