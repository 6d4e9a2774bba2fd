//! Which events a recording's log holds already, so that a run of the worker that makes the events of an earlier run again logs
//! nothing twice.
//!
//! Events are recognised by their [`EventKey`]; an alarm has none and is always new. Inputs that a crash lost need one more rule: what
//! was logged because of them is not made again in the same way. Of stream states (event 43) therefore only what is later than the
//! last one logged of its uid, and differs from it, is new.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::backup::TO_THE_BACKUP;
use crate::callback::event::{ErrorLevel, EventKey};
use crate::store::{Event, NewEvent, Store, StoreError};
use crate::units::{Sid, WallMs};

/// Numbers of events (docs/protocol/agora.md section 5.1).
const ERROR: u16 = 1;
const WARNING: u16 = 2;

/// The state of event 43 that says that a stream arrives.
const RECEIVING: u64 = 0;

/// Events read from the store in one go.
const PAGE: u32 = 1000;

/// Most stretches in which a uid was received that are kept apart; past it the last one goes on.
const MAX_RECEIVED: usize = 64;

/// When a uid was received: from when until when, or to the last line, in wall time.
pub(super) type Received = Vec<(WallMs, Option<WallMs>)>;

/// What the log holds.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Keys of what earlier runs logged, and of what happens once in a recording.
    known: HashSet<EventKey>,
    /// The last state of each uid, and when it began.
    streams: HashMap<String, (u64, u64)>,
    /// When each uid was received, as earlier runs logged it.
    received: BTreeMap<String, Received>,
    fatal: bool,
    /// Since when the second bucket is used.
    backup: Option<WallMs>,
}

impl Told {
    /// What the log of a recording says.
    pub(super) async fn load(store: &Store, sid: &Sid) -> Result<Self, StoreError> {
        let (mut told, mut after) = (Self::default(), None);
        loop {
            let page = store.events(sid, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(told) };
            after = Some(last.sequence);
            page.iter().for_each(|event| told.remember(event));
        }
    }

    /// Takes note of a line of the log that an earlier run left.
    fn remember(&mut self, event: &Event) {
        let details: Value = serde_json::from_str(&event.details).unwrap_or_default();
        let key = EventKey::read(event.event_type, &details);
        self.note(event.event_type, &details, key.as_ref());
        if let Some(EventKey::StreamState { uid, state, at_ms }) = &key {
            self.receive(uid, *state == RECEIVING, WallMs(*at_ms));
        }
        self.known.extend(key);
    }

    fn receive(&mut self, uid: &str, receiving: bool, at: WallMs) {
        let stretches = self.received.entry(uid.to_owned()).or_default();
        let full = stretches.len() >= MAX_RECEIVED;
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
    pub(super) fn is_news(&mut self, event: &NewEvent) -> bool {
        let key = EventKey::of(event);
        let news = key.as_ref().is_none_or(|key| !self.known.contains(key) && self.is_later(key));
        if news {
            self.note(event.event_type, &event.details, key.as_ref());
            self.known.extend(key.filter(EventKey::is_of_the_whole));
        }
        news
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
        let EventKey::StreamState { uid, state, at_ms } = key else { return true };
        self.streams.get(uid).is_none_or(|(known, since)| known != state && at_ms >= since)
    }

    fn note(&mut self, event_type: u16, details: &Value, key: Option<&EventKey>) {
        if event_type == ERROR {
            self.fatal |= details["errorLevel"] == ErrorLevel::Fatal as u8;
        }
        if event_type == WARNING && details["warnCode"] == TO_THE_BACKUP {
            match details["state"].as_str() {
                Some("begun") => self.backup = details["sinceMs"].as_u64().map(WallMs),
                Some("ended") => self.backup = None,
                _ => {}
            }
        }
        if let Some(EventKey::StreamState { uid, state, at_ms }) = key {
            self.streams.insert(uid.clone(), (*state, *at_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::event::{self, Module};
    use crate::recording::{Mode, PlaylistId};
    use crate::store::canonical;
    use crate::units::{AppId, Cname, Uid};

    /// The log that an earlier run left.
    fn told(news: &[NewEvent]) -> Told {
        let mut told = Told::default();
        for (new, sequence) in news.iter().zip(0..) {
            told.remember(&Event {
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
        told
    }

    fn stream(receiving: bool, at: u64) -> NewEvent {
        event::audio_stream_state(&Uid::new("7").unwrap(), receiving, WallMs(at))
    }

    #[test]
    fn what_is_made_again_is_not_news() {
        let slice = event::recorder_slice_start(&PlaylistId::Mix, WallMs(1), WallMs(1));
        let mut told = told(&[event::recorder_started(), slice.clone(), event::file_infos("a.m3u8")]);
        assert!(!told.is_news(&slice) && !told.is_news(&event::file_infos("a.m3u8")));
        assert!(told.is_news(&event::file_infos("b.m3u8")));
        assert!(told.knows(&EventKey::Once(40)) && !told.knows(&EventKey::Once(41)));
    }

    #[test]
    fn a_state_that_lost_inputs_told_is_not_told_again() {
        // The crash lost the inputs that made the third line.
        let mut told = told(&[stream(true, 10), stream(false, 20), stream(true, 30)]);
        let made_again = [stream(true, 10), stream(false, 20)];
        assert!(made_again.iter().all(|event| !told.is_news(event)));
        assert!(!told.is_news(&stream(true, 50)), "it is what the log says already");
        assert!(told.is_news(&stream(false, 60)) && told.is_news(&stream(true, 70)));
    }

    #[test]
    fn who_was_received_when_is_known_from_the_log() {
        let known = told(&[stream(true, 10), stream(false, 20), stream(false, 25), stream(true, 30), stream(true, 40)]);
        let received = known.received();
        assert_eq!(received["7"], [(WallMs(10), Some(WallMs(20))), (WallMs(30), None)]);
        let news: Vec<_> = (0..300).map(|number| stream(number % 2 == 0, number)).collect();
        let known = told(&news);
        let received = known.received();
        assert_eq!(received["7"].len(), MAX_RECEIVED);
        assert_eq!(received["7"].last(), Some(&(WallMs(126), Some(WallMs(299)))));
    }

    #[test]
    fn a_third_run_does_not_tell_what_the_second_left_out() {
        // The second run left out its state at 40, which was in the log already, and went on.
        let mut told = told(&[stream(true, 10), stream(false, 30), stream(true, 45)]);
        let made_again = [stream(true, 10), stream(false, 40), stream(true, 45)];
        assert!(made_again.iter().all(|event| !told.is_news(event)));
        assert!(told.is_news(&stream(false, 60)));
    }

    #[test]
    fn what_the_crash_kept_from_the_log_is_news() {
        let mut told = told(&[stream(true, 10)]);
        assert!(!told.is_news(&stream(true, 10)));
        assert!(told.is_news(&stream(false, 20)) && told.is_news(&stream(true, 20)));
    }

    #[test]
    fn an_alarm_of_this_run_is_raised_whatever_an_earlier_run_said() {
        let refused = event::error(Module::Uploader, ErrorLevel::Medium, 32, "denied").with("reason", "bucket_missing");
        let misfit = event::status_update(5, Mode::Mix, "a.m3u8").with("reason", "already_started");
        let recovered = event::warning(Module::Uploader, 31).with("state", "recovered");
        let earlier = [refused.clone(), misfit.clone(), recovered.clone(), event::uploading_progress(5_000)];
        let mut told = told(&earlier);
        assert!(earlier.iter().all(|event| told.is_news(event)));
        assert!(earlier.iter().all(|event| told.is_news(event)), "its own rate limits an alarm, not the log");
        assert!(!told.is_fatal());
    }

    #[test]
    fn a_failure_is_logged_once_over_all_runs() {
        let fatal = |text| event::error(Module::Uploader, ErrorLevel::Fatal, 51, text);
        let late = event::error(Module::Platform, ErrorLevel::Major, event::UPLOAD_TIMEOUT, "late");
        let given_up =
            event::error(Module::Uploader, ErrorLevel::Minor, 51, "disk").with("reason", event::FILES_GIVEN_UP);
        let mut told = told(&[fatal("no space left"), late.clone(), given_up.clone()]);
        assert!(told.is_fatal());
        for again in [fatal("no space left"), fatal("input/output error"), late, given_up] {
            assert!(!told.is_news(&again), "{again:?}");
        }
        let other = event::error(Module::Platform, ErrorLevel::Fatal, 52, "gone");
        assert!(told.is_news(&other) && !told.is_news(&other), "a second fact is logged, once");
    }

    #[test]
    fn what_happens_once_is_not_logged_twice_with_another_word() {
        let mut told = told(&[event::recorder_leave(event::LeaveCode::Stopped)]);
        assert!(!told.is_news(&event::recorder_leave(event::LeaveCode::Interrupted)));
        assert!(told.is_news(&event::session_exit(event::ExitStatus::Normal)));
        assert!(!told.is_news(&event::session_exit(event::ExitStatus::Abnormal)));
    }

    #[test]
    fn the_use_of_a_backup_is_known_until_its_end() {
        let begun = event::warning(Module::Uploader, 32).with("state", "begun").with("sinceMs", 7);
        let failing = event::warning(Module::Uploader, 32).with("state", "failing").with("sinceMs", 7);
        let other = event::warning(Module::Uploader, 31).with("state", "recovered");
        assert_eq!(told(&[begun.clone(), failing, other]).backup_since(), Some(WallMs(7)));
        let ended = event::warning(Module::Uploader, 32).with("state", "ended").with("sinceMs", 7);
        assert_eq!(told(&[begun, ended]).backup_since(), None);
    }
}
