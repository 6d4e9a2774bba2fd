//! What is wrong with a second bucket, and when that is told: a fault that waiting does not heal at once, another when it lasts,
//! neither again within ten minutes. The place and the store's words are the operator's: they stand in the worker's log alone.
//! Time is a parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::warning;
use crate::callback::event::{BackupState, RecordingEvent};
use crate::fault::Fault;
use crate::session::upload::{TOLD_AFTER, TOLD_AGAIN_AFTER, UploadState};
use crate::units::WallMs;

/// How copying fails, while it does.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    now: Option<Outage>,
    /// When which fault was told.
    told: BTreeMap<&'static str, Instant>,
}

#[derive(Debug)]
struct Outage {
    begun: Instant,
    fault: Fault,
    attempts: u32,
    told: bool,
}

impl Trouble {
    /// An attempt failed; what is to be said of it.
    pub(super) fn failed(
        &mut self,
        fault: Fault,
        attempts: u32,
        now: Instant,
        since: WallMs,
    ) -> Option<RecordingEvent> {
        let outage = self.now.get_or_insert(Outage { begun: now, fault, attempts, told: false });
        (outage.fault, outage.attempts) = (fault, attempts);
        let patience = if fault.retry { TOLD_AFTER } else { Duration::ZERO };
        let known = self.told.get(fault.code).is_some_and(|at| now - *at < TOLD_AGAIN_AFTER);
        if known || now - outage.begun < patience {
            return None;
        }
        outage.told = true;
        self.told.insert(fault.code, now);
        Some(warning(since, BackupState::Failing { reason: fault.code }))
    }

    /// An attempt succeeded again; what is to be said of it.
    pub(super) fn recovered(&mut self, since: WallMs) -> Option<RecordingEvent> {
        self.now.take().filter(|outage| outage.told).map(|_| warning(since, BackupState::Recovered))
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
                let state = if outage.fault.retry { UploadState::Retrying } else { UploadState::Blocked };
                (state, Some(outage.fault.code), outage.attempts)
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
            (Fault::destination("bucket_busy", true), Fault::destination("bucket_access_denied", false));
        assert_eq!(trouble.failed(busy, 1, now, since), None);
        assert_eq!(trouble.recovered(since), None, "nobody heard of it");
        assert_eq!(trouble.failed(busy, 1, now, since), None);
        let said = trouble.failed(busy, 2, now + TOLD_AFTER, since).unwrap().encode();
        assert_eq!(
            said.details.to_string(),
            r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":32,"state":"failing","sinceMs":5,"reason":"bucket_busy"}"#
        );
        assert_eq!(trouble.failed(busy, 3, now + 2 * TOLD_AFTER, since), None);
        assert!(trouble.failed(denied, 4, now + 2 * TOLD_AFTER, since).is_some(), "another reason is news");
        assert_eq!(trouble.report(), (UploadState::Blocked, Some("bucket_access_denied"), 4));
        assert_eq!(trouble.recovered(since).unwrap().encode().details["state"], "recovered");
        assert_eq!(trouble.report(), (UploadState::Ok, None, 0));
        assert_eq!(
            trouble.failed(denied, 1, now + 3 * TOLD_AFTER, since),
            None,
            "what comes and goes is not told each time"
        );
    }
}
