//! Which events a recording's log holds already, so that a run of the worker that makes the events of an earlier run again logs
//! nothing twice.
//!
//! Events are recognised by their [`EventKey`]; an alarm has none and is always new. Inputs that a crash lost need one more rule: what
//! was logged because of them is not made again in the same way. Of stream states (event 43) therefore only what is later than the
//! last one logged of its uid, and differs from it, is new.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::callback::event::{EventKey, LoggedEvent, Mark, RecordingEvent};
use crate::store::{Event, Store, StoreError};
use crate::units::{Sid, WallMs};

/// Events read from the store in one go.
const PAGE: u32 = 1000;

/// Most stretches in which a uid was received that are kept apart; past it the last one goes on.
const MAX_RECEIVED: usize = 64;

/// Most outages that are known; those past it explain nothing.
const MAX_OUTAGES: usize = 64;

/// How long after its return a uid that was received before may take to be received again, in milliseconds: as in the recording core.
const SETTLING: u64 = 5_000;

/// When a uid was received: from when until when, or to the last line, in wall time.
pub(super) type Received = Vec<(WallMs, Option<WallMs>)>;

/// What the log holds.
#[derive(Debug, Default)]
pub(super) struct EventDedup {
    /// Keys of what earlier runs logged, and of what happens once in a recording.
    known: HashSet<EventKey>,
    /// The last state of each uid, and when it began.
    streams: HashMap<String, (bool, WallMs)>,
    /// When each uid was received, as earlier runs logged it.
    received: BTreeMap<String, Received>,
    /// When no worker was there, from when until when, in order.
    outages: Vec<(WallMs, WallMs)>,
    fatal: bool,
    /// Since when the second bucket is used.
    backup: Option<WallMs>,
}

impl EventDedup {
    /// What the log of a recording says.
    pub(super) async fn load(store: &Store, sid: &Sid) -> Result<Self, StoreError> {
        let (mut event_dedup, mut after, mut written) = (Self::default(), None, WallMs(0));
        loop {
            let page = store.events(sid, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            (after, written) = (Some(last.sequence), last.sendts);
            page.iter().for_each(|event| event_dedup.remember(event));
        }
        event_dedup.reopen(written);
        Ok(event_dedup)
    }

    /// Whom the last runs had no time to hear again is not known to have gone.
    fn reopen(&mut self, last: WallMs) {
        for (_, until) in self.received.values_mut().filter_map(|stretches| stretches.last_mut()) {
            *until = until.filter(|until| !is_out(&self.outages, *until, last));
        }
    }

    /// Takes note of a line of the log that an earlier run left.
    fn remember(&mut self, event: &Event) {
        let logged = LoggedEvent::read(event.event_type, &event.details);
        self.note(&logged);
        match &logged.key {
            Some(EventKey::StreamState { uid, receiving, at }) => self.receive(uid, *receiving, *at),
            Some(EventKey::Failover { interrupted, resumed }) if self.outages.len() < MAX_OUTAGES => {
                self.outages.push((*interrupted, *resumed));
            }
            _ => {}
        }
        self.known.extend(logged.key);
    }

    fn receive(&mut self, uid: &str, receiving: bool, at: WallMs) {
        let stretches = self.received.entry(uid.to_owned()).or_default();
        let out = stretches.last().and_then(|(_, until)| *until).is_some_and(|until| is_out(&self.outages, until, at));
        let full = out || stretches.len() >= MAX_RECEIVED;
        match stretches.last_mut() {
            Some((_, until @ None)) if !receiving => *until = Some(at),
            Some((_, until @ Some(_))) if receiving && full => *until = None,
            Some((_, Some(_))) | None if receiving => stretches.push((at, None)),
            _ => {}
        }
    }

    /// When each uid was received, as earlier runs logged it.
    pub(super) const fn received(&self) -> &BTreeMap<String, Received> {
        &self.received
    }

    /// Whether this is not in the log yet; it counts as logged from here on.
    pub(super) fn is_new(&mut self, event: &RecordingEvent) -> bool {
        let event = LoggedEvent::from(event);
        let events = event.key.as_ref().is_none_or(|key| !self.known.contains(key) && self.is_later(key));
        if events {
            self.note(&event);
            self.known.extend(event.key.filter(EventKey::is_of_the_whole));
        }
        events
    }

    /// Whether the log holds an event with this key: what happens once, or what an earlier run logged.
    pub(super) fn knows(&self, key: &EventKey) -> bool {
        self.known.contains(key)
    }

    /// Whether an error was said that ends the recording.
    pub(super) const fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// Since when the second bucket is used, as far as an earlier run said so.
    pub(super) const fn backup_since(&self) -> Option<WallMs> {
        self.backup
    }

    fn is_later(&self, key: &EventKey) -> bool {
        let EventKey::StreamState { uid, receiving, at } = key else { return true };
        self.streams.get(uid).is_none_or(|(known, since)| known != receiving && at >= since)
    }

    fn note(&mut self, event: &LoggedEvent) {
        match event.mark {
            Some(Mark::Fatal) => self.fatal = true,
            Some(Mark::BackupBegun(since)) => self.backup = Some(since),
            Some(Mark::BackupEnded) => self.backup = None,
            None => {}
        }
        if let Some(EventKey::StreamState { uid, receiving, at }) = &event.key {
            self.streams.insert(uid.clone(), (*receiving, *at));
        }
    }
}

/// Whether who was received until `from` was not received until `to` because no worker was there: `from` lies in an outage, and `to` comes
/// soon after it, or after those that followed before anybody could be heard.
fn is_out(outages: &[(WallMs, WallMs)], from: WallMs, to: WallMs) -> bool {
    let until = outages.iter().fold(None, |until: Option<u64>, (interrupted, resumed)| {
        let goes_on = until.is_some_and(|until| interrupted.0 <= until);
        let begins = *interrupted <= from && from <= *resumed;
        if goes_on || begins { Some(resumed.0 + SETTLING) } else { until }
    });
    until.is_some_and(|until| to.0 <= until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::event::{
        BackupState, ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, ExitStatus, LeaveCode, Module, StatusReason,
        UploadWarning, Waiting, Warning,
    };
    use crate::recording::{Mode, PlaylistId};
    use crate::store::canonical;
    use crate::units::{AppId, Cname, EventType, Uid};

    /// The log that an earlier run left.
    fn event_dedup(events: &[RecordingEvent]) -> EventDedup {
        let mut event_dedup = EventDedup::default();
        for (new, sequence) in events.iter().map(RecordingEvent::encode).zip(0..) {
            event_dedup.remember(&Event {
                app: AppId::new(&"a".repeat(32)).unwrap(),
                cname: Cname::new("room").unwrap(),
                uid: Uid::new("527").unwrap(),
                mode: Mode::Mix,
                sid: Sid::from_random([1; 16]),
                sequence,
                notice_id: String::new(),
                event_type: new.event_type,
                service_type: new.service_type,
                details: canonical::render(&new.details),
                sendts: WallMs(0),
            });
        }
        event_dedup
    }

    fn stream(receiving: bool, at: u64) -> RecordingEvent {
        RecordingEvent::AudioStreamState { uid: Uid::new("7").unwrap(), receiving, at: WallMs(at) }
    }

    fn listed(file: &str) -> RecordingEvent {
        RecordingEvent::FileInfos { file_list: file.into() }
    }

    fn error(module: Module, level: ErrorLevel, code: ErrorCode, text: &str) -> ErrorEvent {
        ErrorEvent::new(module, level, code, text)
    }

    #[test]
    fn what_is_made_again_is_not_news() {
        let slice =
            RecordingEvent::RecorderSliceStart { playlist: PlaylistId::Mix, start: WallMs(1), discontinue: WallMs(1) };
        let mut event_dedup = event_dedup(&[RecordingEvent::RecorderStarted, slice.clone(), listed("a.m3u8")]);
        assert!(!event_dedup.is_new(&slice) && !event_dedup.is_new(&listed("a.m3u8")));
        assert!(event_dedup.is_new(&listed("b.m3u8")));
        assert!(
            event_dedup.knows(&EventKey::Once(EventType::RecorderStarted))
                && !event_dedup.knows(&EventKey::Once(EventType::RecorderLeave))
        );
    }

    #[test]
    fn a_state_that_lost_inputs_told_is_not_told_again() {
        // The crash lost the inputs that made the third line.
        let mut event_dedup = event_dedup(&[stream(true, 10), stream(false, 20), stream(true, 30)]);
        let made_again = [stream(true, 10), stream(false, 20)];
        assert!(made_again.iter().all(|event| !event_dedup.is_new(event)));
        assert!(!event_dedup.is_new(&stream(true, 50)), "it is what the log says already");
        assert!(event_dedup.is_new(&stream(false, 60)) && event_dedup.is_new(&stream(true, 70)));
    }

    #[test]
    fn who_is_not_received_because_no_worker_was_there_goes_on() {
        let failover = |interrupted, resumed| RecordingEvent::SessionFailover {
            uid: Uid::new("527").unwrap(),
            interrupted: WallMs(interrupted),
            resumed: WallMs(resumed),
        };
        let received = |last: u64, log: &[RecordingEvent]| {
            let mut event_dedup = event_dedup(log);
            event_dedup.reopen(WallMs(last));
            event_dedup.received()["7"].clone()
        };
        let from = WallMs(second_of(1));
        let twice = [
            stream(true, second_of(1)),
            failover(second_of(5), second_of(9)),
            stream(false, second_of(9)),
            failover(second_of(10), second_of(30)),
            stream(true, second_of(31)),
        ];
        assert_eq!(received(second_of(40), &twice), [(from, None)]);
        assert_eq!(received(second_of(31), &twice[..4]), [(from, None)], "it had no time");
        assert_eq!(received(second_of(36), &twice[..4]), [(from, Some(WallMs(second_of(9))))], "it did not come back");
        let gone = [
            stream(true, second_of(1)),
            stream(false, second_of(5) - 1),
            failover(second_of(5), second_of(9)),
            stream(true, second_of(10)),
        ];
        let apart = [(from, Some(WallMs(second_of(5) - 1))), (WallMs(second_of(10)), None)];
        assert_eq!(received(second_of(20), &gone), apart, "it stopped before the worker died");
    }

    const fn second_of(replicator: u64) -> u64 {
        replicator * 1_000
    }

    #[test]
    fn who_was_received_when_is_known_from_the_log() {
        let known =
            event_dedup(&[stream(true, 10), stream(false, 20), stream(false, 25), stream(true, 30), stream(true, 40)]);
        let received = known.received();
        assert_eq!(received["7"], [(WallMs(10), Some(WallMs(20))), (WallMs(30), None)]);
        let events: Vec<_> = (0..300).map(|number| stream(number % 2 == 0, number)).collect();
        let known = event_dedup(&events);
        let received = known.received();
        assert_eq!(received["7"].len(), MAX_RECEIVED);
        assert_eq!(received["7"].last(), Some(&(WallMs(126), Some(WallMs(299)))));
    }

    #[test]
    fn a_third_run_does_not_tell_what_the_second_left_out() {
        // The second run left out its state at 40, which was in the log already, and went on.
        let mut event_dedup = event_dedup(&[stream(true, 10), stream(false, 30), stream(true, 45)]);
        let made_again = [stream(true, 10), stream(false, 40), stream(true, 45)];
        assert!(made_again.iter().all(|event| !event_dedup.is_new(event)));
        assert!(event_dedup.is_new(&stream(false, 60)));
    }

    #[test]
    fn what_the_crash_kept_from_the_log_is_news() {
        let mut event_dedup = event_dedup(&[stream(true, 10)]);
        assert!(!event_dedup.is_new(&stream(true, 10)));
        assert!(event_dedup.is_new(&stream(false, 20)) && event_dedup.is_new(&stream(true, 20)));
    }

    /// docs/events.md: an alarm is raised at its own rate, whatever an earlier run of the worker said (each kind over three runs).
    #[test]
    fn an_alarm_of_this_run_is_raised_whatever_an_earlier_run_said() {
        let alarm =
            |level, code, reason| RecordingEvent::Error(error(Module::Uploader, level, code, "why").because(reason));
        let waiting = Waiting { since: WallMs(7), objects: 1, bytes: 2 };
        let recovered = UploadWarning::Recovered { reason: "bucket_missing", waiting, lasted_ms: 9 };
        let earlier = [
            alarm(ErrorLevel::Medium, ErrorCode::StorageConfiguration, ErrorReason::Upload("bucket_missing")),
            alarm(ErrorLevel::Minor, ErrorCode::FileOperation, ErrorReason::SpoolInMemory),
            alarm(ErrorLevel::Major, ErrorCode::FileOperation, ErrorReason::SpoolFull),
            RecordingEvent::StatusUpdate {
                status: 5,
                mode: Mode::Mix,
                file_list: "a.m3u8".into(),
                why: StatusReason::Call("already_started"),
            },
            RecordingEvent::Warning(Warning::Upload(recovered)),
            RecordingEvent::UploadingProgress(5_000),
        ];
        let mut log = Vec::new();
        for run in 1..=3 {
            let mut event_dedup = event_dedup(&log);
            for alarm in earlier.iter().chain(&earlier) {
                assert!(event_dedup.is_new(alarm), "run {run}: its own rate limits an alarm, not the log: {alarm:?}");
                log.push(alarm.clone());
            }
            assert!(!event_dedup.is_fatal());
        }
    }

    #[test]
    fn a_failure_is_logged_once_over_all_runs() {
        let fatal =
            |text| RecordingEvent::Error(error(Module::Uploader, ErrorLevel::Fatal, ErrorCode::FileOperation, text));
        let late = RecordingEvent::Error(error(Module::Platform, ErrorLevel::Major, ErrorCode::UploadTimeout, "late"));
        let given_up = error(Module::Uploader, ErrorLevel::Minor, ErrorCode::FileOperation, "disk");
        let given_up = RecordingEvent::Error(given_up.because(ErrorReason::FilesGivenUp));
        let mut event_dedup = event_dedup(&[fatal("no space left"), late.clone(), given_up.clone()]);
        assert!(event_dedup.is_fatal());
        for again in [fatal("no space left"), fatal("input/output error"), late, given_up] {
            assert!(!event_dedup.is_new(&again), "{again:?}");
        }
        let other = RecordingEvent::Error(error(Module::Platform, ErrorLevel::Fatal, ErrorCode::StartTimeout, "gone"));
        assert!(event_dedup.is_new(&other) && !event_dedup.is_new(&other), "a second fact is logged, once");
    }

    #[test]
    fn what_happens_once_is_not_logged_twice_with_another_word() {
        let mut event_dedup = event_dedup(&[RecordingEvent::RecorderLeave(LeaveCode::Stopped)]);
        assert!(!event_dedup.is_new(&RecordingEvent::RecorderLeave(LeaveCode::Interrupted)));
        let exit = |status| RecordingEvent::SessionExit { status, verdict: None, end_reason: None };
        assert!(event_dedup.is_new(&exit(ExitStatus::Normal)));
        assert!(!event_dedup.is_new(&exit(ExitStatus::Abnormal)));
    }

    #[test]
    fn the_use_of_a_backup_is_known_until_its_end() {
        let backup = |state| RecordingEvent::Warning(Warning::Backup { since: WallMs(7), state });
        let begun = backup(BackupState::Begun { reason: "slow", waiting_objects: 1, waiting_bytes: 2 });
        let failing = backup(BackupState::Failing { reason: "bucket_busy" });
        assert_eq!(event_dedup(&[begun.clone(), failing]).backup_since(), Some(WallMs(7)));
        let ended = backup(BackupState::Ended { lasted_ms: None });
        assert_eq!(event_dedup(&[begun, ended]).backup_since(), None);
    }
}
