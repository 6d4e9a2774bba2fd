//! What the log of a recording says already, so that a run of the worker that makes the news of an earlier one again tells
//! nothing twice.
//!
//! The core makes the same news from the same inputs, so most of it is recognised by its text. Inputs that a crash lost are the
//! exception: what was told because of them is not made again in the same words. Of stream states (event 43) therefore only
//! what is later than the last one told of its uid, and differs from it, is news.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::backup::TO_THE_BACKUP;
use crate::callback::event::ErrorLevel;
use crate::store::{Event, NewEvent, Store, StoreError, canonical};
use crate::units::{Sid, WallMs};

/// Numbers of events (facts/agora.md section 5.1).
const ERROR: u16 = 1;
const WARNING: u16 = 2;
const UPLOADING_PROGRESS: u16 = 33;
const STS_EXPIRED: u16 = 34;
const STREAM_STATE: u16 = 43;

/// Events read from the store in one go.
const PAGE: u32 = 1000;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// News of earlier runs: types and details.
    earlier: HashSet<(u16, String)>,
    types: HashSet<u16>,
    /// The last state of each uid, and when it began.
    streams: HashMap<String, (u64, u64)>,
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
            page.into_iter().for_each(|event| told.remember(event));
        }
    }

    /// Takes note of a line of the log that an earlier run left.
    fn remember(&mut self, event: Event) {
        self.types.insert(event.event_type);
        if matches!(event.event_type, ERROR | WARNING | STREAM_STATE) {
            let details: Value = serde_json::from_str(&event.details).unwrap_or_default();
            self.note(event.event_type, &details);
        }
        // These may be said again in the same words.
        if !matches!(event.event_type, WARNING | UPLOADING_PROGRESS | STS_EXPIRED) {
            self.earlier.insert((event.event_type, event.details));
        }
    }

    /// Whether this was not said before; it counts as said from here on.
    pub(super) fn is_news(&mut self, event: &NewEvent) -> bool {
        let news = !self.was_said(event) && (event.event_type != STREAM_STATE || self.is_later(&event.details));
        if news {
            self.types.insert(event.event_type);
            self.note(event.event_type, &event.details);
        }
        news
    }

    /// Whether an earlier run said this, word for word.
    pub(super) fn was_said(&self, event: &NewEvent) -> bool {
        !self.earlier.is_empty() && self.earlier.contains(&(event.event_type, canonical::render(&event.details)))
    }

    /// Whether an event of this type was said.
    pub(super) fn knows(&self, event_type: u16) -> bool {
        self.types.contains(&event_type)
    }

    /// Whether an error was said that ends the recording.
    pub(super) const fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// Since when the second bucket is used, as far as an earlier run said so.
    pub(super) const fn backup_since(&self) -> Option<WallMs> {
        self.backup
    }

    /// What was wrong is over: the same trouble would be news.
    pub(super) fn forget_errors(&mut self) {
        self.earlier.retain(|(event_type, _)| *event_type != ERROR);
    }

    fn is_later(&self, details: &Value) -> bool {
        let Some((uid, state, at)) = stream(details) else { return true };
        self.streams.get(uid).is_none_or(|(known, since)| *known != state && at >= *since)
    }

    fn note(&mut self, event_type: u16, details: &Value) {
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
        if let (STREAM_STATE, Some((uid, state, at))) = (event_type, stream(details)) {
            self.streams.insert(uid.to_owned(), (state, at));
        }
    }
}

/// Uid, state and time of an event 43.
fn stream(details: &Value) -> Option<(&str, u64, u64)> {
    Some((details["streamUid"].as_str()?, details["state"].as_u64()?, details["utcMs"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::event::{self, Module};
    use crate::recording::{Mode, PlaylistId};
    use crate::units::{AppId, Cname, Uid};

    /// The log that an earlier run left.
    fn told(news: &[NewEvent]) -> Told {
        let mut told = Told::default();
        for (new, sequence) in news.iter().zip(0..) {
            told.remember(Event {
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
        assert!(told.knows(40) && !told.knows(41));
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
    fn trouble_is_said_again_only_after_it_was_over() {
        let trouble = event::error(Module::Uploader, ErrorLevel::Major, 47, "denied");
        let mut told = told(&[trouble.clone(), event::uploading_progress(5_000)]);
        assert!(told.is_news(&event::uploading_progress(5_000)));
        assert!(!told.is_news(&trouble) && !told.is_fatal());
        told.forget_errors();
        assert!(told.is_news(&trouble));
        assert!(told.is_news(&event::error(Module::Platform, ErrorLevel::Fatal, 52, "gone")) && told.is_fatal());
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
